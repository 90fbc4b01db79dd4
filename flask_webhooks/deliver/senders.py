"""The threads that attempt what is leased; what ended waits here until it is written.

One thread carries on all exchanges whose connections are open, however many. What has to open one
first, or to ask an owner, is done on threads of its own: a look-up or a handshake may take long.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from ..store.records import Claimed, Settlement
from .attempting import Attempting, Ended, Ready
from .buffer import Buffer
from .outcome import Outcome
from .threads import Threads
from .together import UNDER_WAY, Together

logger = logging.getLogger("flask_webhooks.worker")


class Senders:
    """What sends, for one worker.

    :param per_subscription: deliveries of one subscription that may be under way.
    :param most: deliveries that may be under way altogether; there are no more threads than that.
    :param noticed: called by the threads when something ended.
    :ivar buffer: what waits to be sent.
    :ivar done: outcomes to be written.
    :ivar returned: leases to be handed back.
    """

    def __init__(
        self,
        attempting: Attempting,
        *,
        per_subscription: int,
        most: int,
        noticed: Callable[[], None],
    ) -> None:
        self._attempting = attempting
        self._noticed = noticed
        self._together: Together[Ready] | None = None
        self._holding = False
        self.buffer = Buffer(per_subscription, most)
        self.done: deque[Settlement] = deque()
        self.returned: deque[Claimed] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, is under way, or is to be written."""
        return not self.buffer.held and self.is_settled

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.done or self.returned)

    def send(self) -> None:
        """Let the threads attempt what waits in the buffer."""
        if not self.buffer.waiting:
            return
        together = self._together
        if together is None:
            together = self._together = self._attempting.together()
            threading.Thread(
                target=self._carry_on, args=(together,), name="webhooks-sender", daemon=True
            ).start()
        together.wake()

    def hold(self) -> None:
        """Begin no more; what is under way goes on. Signal handlers may call it."""
        self._holding = True

    def dismiss(self) -> None:
        """Let the threads end; the next :meth:`send` starts others."""
        together, self._together = self._together, None
        if together is not None:
            together.wake()

    def attempt(self, claimed: Claimed) -> None:
        """Attempt a delivery on the thread that calls."""
        self._note(self._attempting.attempt(claimed))

    def _carry_on(self, together: Together[Ready]) -> None:
        openers = Threads(partial(self._make, together), "webhooks-opener")
        try:
            while self._together is together:
                self._go_round(together, openers)
        except BaseException:
            logger.exception("The thread that sends has failed; another takes over.")
        finally:
            if self._together is together:
                self._together = None
            openers.dismiss()
            for ready in together.close():
                self.buffer.finish(ready.claimed, answered=True)

    def _go_round(self, together: Together[Ready], openers: Threads[Ready]) -> None:
        """Begin what may begin, and take note of what ends."""
        for claimed in [] if self._holding else self.buffer.take():
            try:
                self._begin(claimed, together, openers)
            except BaseException:
                self._give_up(claimed)
        for ready, outcome in together.ended():
            try:
                self._end(ready, outcome, openers)
            except BaseException:
                self._give_up(ready.claimed)
        self._noticed()

    def _begin(self, claimed: Claimed, together: Together[Ready], openers: Threads[Ready]) -> None:
        ready = self._attempting.allowed(claimed)
        if isinstance(ready, Ended):
            self._finish(ready)
        elif not self._attempting.is_confirmed(claimed):
            openers.hand(ready)
        else:
            begun = together.begin(ready.outgoing(), ready)
            if begun is not UNDER_WAY:
                self._end(ready, begun, openers)

    def _end(self, ready: Ready, outcome: Outcome | None, openers: Threads[Ready]) -> None:
        if outcome is None:  # no connection was open
            openers.hand(ready)
        else:
            self._finish(self._attempting.judged(ready, outcome))

    def _make(self, together: Together[Ready], ready: Ready) -> None:
        """Make an attempt on a thread of its own."""
        try:
            self._finish(self._attempting.made(ready))
        except BaseException:
            self._give_up(ready.claimed)
        self._noticed()
        if self.buffer.waiting:
            together.wake()

    def _give_up(self, claimed: Claimed) -> None:
        # Nothing is known of it: its lease ends. If that goes on it is set aside.
        logger.exception("Delivery %s could not be judged.", claimed.delivery_id)
        self.buffer.finish(claimed, answered=True)

    def _finish(self, ended: Ended) -> None:
        self._note(ended)
        self.buffer.finish(ended.claimed, ended.answered)

    def _note(self, ended: Ended) -> None:
        if ended.settlement is None:
            self.returned.append(ended.claimed)
        else:
            self.done.append(ended.settlement)
