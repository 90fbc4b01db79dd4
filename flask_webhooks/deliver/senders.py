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

from ..store.claims import Claimed, Settlement
from .alternating import Alternating
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
    :param alternating: the turns of the thread that sends, and of the worker's own.
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
        alternating: Alternating,
        noticed: Callable[[], None],
    ) -> None:
        self._attempting = attempting
        self._alternating = alternating
        self._noticed = noticed
        self._together: Together[Ready] | None = None
        # Held while it changes, and while deliveries are taken for it.
        self._changing = threading.Lock()
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
        together = self._together or self._started()
        together.wake()

    def _started(self) -> Together[Ready]:
        together = self._together = self._attempting.together()
        thread = threading.Thread(
            target=self._carry_on, args=(together,), name="webhooks-sender", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # there may be one when this is tried again
            self._forget(together)
            together.close()
            raise
        return together

    def hold(self) -> None:
        """Begin no more; what is under way goes on."""
        self._holding = True

    def dismiss(self) -> None:
        """Let the threads end, and break off what is under way; :meth:`send` starts others."""
        together = self._together
        if together is not None:
            self._forget(together)
            together.wake()

    def _forget(self, together: Together[Ready]) -> None:
        with self._changing:
            if self._together is together:
                self._together = None

    def attempt(self, claimed: Claimed) -> None:
        """Attempt a delivery on the thread that calls."""
        self._note(self._attempting.attempt(claimed))

    def _carry_on(self, together: Together[Ready]) -> None:
        openers = Threads(partial(self._make, together), "webhooks-opener")
        try:
            while self._together is together:
                with self._alternating.turn():
                    self._go_round(together, openers)
                self._noticed()
                together.wait()
        except BaseException:
            logger.exception("The thread that sends has failed; another takes over.")
        finally:
            self._forget(together)
            openers.dismiss()
            for ready in together.close():
                self.buffer.finish(ready.claimed, answered=True)

    def _go_round(self, together: Together[Ready], openers: Threads[Ready]) -> None:
        """Take note of what ended, and begin what may begin."""
        for ready, outcome in together.ended():
            try:
                self._end(ready, outcome, openers)
            except BaseException:
                self._give_up(ready.claimed)
        # Again, as what ends at once makes room for more.
        while taken := self._taken(together):
            for claimed in taken:
                try:
                    self._begin(claimed, together, openers)
                except BaseException:
                    self._give_up(claimed)

    def _taken(self, together: Together[Ready]) -> list[Claimed]:
        """All that may begin now; nothing for a thread that was dismissed meanwhile."""
        with self._changing:
            mine = self._together is together and not self._holding
            return self.buffer.take() if mine else []

    def _begin(self, claimed: Claimed, together: Together[Ready], openers: Threads[Ready]) -> None:
        ready = self._attempting.allowed(claimed)
        if isinstance(ready, Ended):
            self._finish(ready)
        elif not self._attempting.is_confirmed(claimed):
            self._open(ready, openers)
        else:
            begun = together.begin(ready.outgoing(), ready)
            if begun is not UNDER_WAY:
                self._end(ready, begun, openers)

    def _end(self, ready: Ready, outcome: Outcome | None, openers: Threads[Ready]) -> None:
        if outcome is None:  # no connection was open
            self._open(ready, openers)
        else:
            self._finish(self._attempting.judged(ready, outcome))

    def _open(self, ready: Ready, openers: Threads[Ready]) -> None:
        try:
            openers.hand(ready)
        except RuntimeError as error:  # no thread is to be had
            self._finish(self._attempting.broken(ready, error))

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
