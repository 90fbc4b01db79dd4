"""The threads that attempt what is leased; what ended waits here until it is written."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..store.records import Claimed, Settlement
from .attempting import Attempting, Ended
from .buffer import Buffer
from .pace import Pace

logger = logging.getLogger("flask_webhooks.worker")

#: Deliveries that one thread attempts at the same time, where receivers are quick.
TOGETHER = 8
#: Seconds within which a quick receiver has answered.
QUICK = 0.25


class Senders:
    """A pool of threads, as wide as its pace says.

    :param per_subscription: deliveries of one subscription that may be under way.
    :param most: deliveries that may be under way altogether; there are no more threads than that.
    :param noticed: called by the threads when something ended.
    :ivar buffer: what waits for a sender.
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
        self._most = most
        self._pace = Pace(most, time.monotonic(), time.process_time())
        self._threads = 0
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

    @property
    def is_stuck(self) -> bool:
        """Whether deliveries wait though there could be more threads."""
        return self.buffer.waiting > 0 and not self._pace.is_widest

    def send(self, claimed: Sequence[Claimed]) -> None:
        """Let the threads attempt deliveries."""
        self.buffer.add(claimed)
        self.employ(min(self._pace.width, self.buffer.held))

    def adapt(self) -> None:
        """Have as many threads as help, now and then."""
        self.buffer.nudge()
        waiting = self.buffer.waiting > 0
        if not self._pace.measure(time.monotonic(), time.process_time(), waiting):
            return
        if self._threads > self._pace.width or waiting:
            self.employ(self._pace.width)

    def employ(self, threads: int) -> None:
        """Have so many threads; those that are too many end when they are done."""
        self.buffer.dismiss(max(self._threads - threads, 0))
        for _ in range(threads - self._threads):
            threading.Thread(target=self._work, name="webhooks-sender", daemon=True).start()
        self._threads = threads

    def attempt(self, claimed: Claimed) -> None:
        """Attempt a delivery on the thread that calls."""
        self._note(self._attempting.attempt(claimed))

    def _work(self) -> None:
        while (taken := self.buffer.take(TOGETHER)) is not None:
            left = {one.delivery_id: one for one in taken}
            try:
                for ended in self._attempts(taken):
                    self._note(ended)
                    self._finish(left.pop(ended.claimed.delivery_id), ended)
            except BaseException:
                # Nothing is known of them: their leases end. If that goes on they are set aside.
                logger.exception("Deliveries %s could not be judged.", list(left))
            for one in left.values():
                self.buffer.finish(one, answered=True)
            self._noticed()

    def _attempts(self, taken: Sequence[Claimed]) -> Iterable[Ended]:
        if len(taken) == 1:
            return [self._attempting.attempt(taken[0])]
        return self._attempting.attempt_together(taken)

    def _note(self, ended: Ended) -> None:
        if ended.settlement is None:
            self.returned.append(ended.claimed)
        else:
            self.done.append(ended.settlement)

    def _finish(self, claimed: Claimed, ended: Ended) -> None:
        quick = ended.answered and ended.duration < QUICK
        self.buffer.finish(claimed, ended.answered, quick)
