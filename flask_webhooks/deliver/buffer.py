"""Leased deliveries on their way to the senders: fair between subscriptions, capped for each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..store.claims import Claimed


@dataclass(slots=True, eq=False)
class _Queue:
    """What is held of one subscription.

    :ivar under_way: how many deliveries senders have taken and not finished.
    :ivar lined_up: whether it has a turn to come.
    """

    subscription_id: str
    tenant: str | None
    waiting: deque[Claimed] = field(default_factory=deque)
    under_way: int = 0
    doubtful: bool = False
    lined_up: bool = False


class Buffer:
    """Hands out deliveries: the tenants in turn, and of each one subscription after the other.

    A subscription is *doubtful* when its last attempt got no answer: it gets one attempt at a time,
    and all doubtful ones together never have more than half of what may be under way.

    :param cap: how many deliveries of one subscription may be under way at the same time.
    :param most: how many may be under way altogether.
    """

    def __init__(self, cap: int, most: int) -> None:
        self._cap = cap
        self._most = most
        self._doubtful_share = max(1, most // 2)
        self._lock = threading.Lock()
        #: Those that hold something.
        self._queues: dict[str, _Queue] = {}
        #: Remembered as well while they hold nothing.
        self._doubtful: set[str] = set()
        #: How many deliveries of doubtful ones wait, and are under way.
        self._doubtful_waiting = self._doubtful_under_way = 0
        #: For each tenant, in turn, those that may begin another delivery, each once.
        self._in_turn: dict[str | None, deque[_Queue]] = {}
        #: How many deliveries wait for a sender.
        self.waiting = 0
        #: How many deliveries senders have taken and not finished.
        self.under_way = 0

    @property
    def held(self) -> int:
        """How many deliveries wait or are under way."""
        with self._lock:
            return self.waiting + self.under_way

    @property
    def occupied(self) -> int:
        """How many are held, without doubtful ones that wait: they keep nobody else waiting."""
        with self._lock:
            return self.waiting + self.under_way - self._doubtful_waiting

    def room(self, subscription_id: str, beyond: int = 0) -> int:
        """How many more deliveries of a subscription to lease.

        :param beyond: how many may wait besides those that may be under way.
        """
        with self._lock:
            queue = self._queues.get(subscription_id)
            held = queue.under_way + len(queue.waiting) if queue else 0
            if subscription_id in self._doubtful:
                return 1 - held if self._doubtful_waiting < self._doubtful_share else 0
            return self._cap + beyond - held

    def waits(self, subscription_id: str) -> int:
        """How many deliveries of a subscription wait for a sender."""
        with self._lock:
            queue = self._queues.get(subscription_id)
            return len(queue.waiting) if queue else 0

    def add(self, claimed: Sequence[Claimed]) -> None:
        """Take in what was leased."""
        with self._lock:
            for one in claimed:
                queue = self._queues.get(one.subscription_id) or self._new_queue(one)
                queue.waiting.append(one)
                self._doubtful_waiting += queue.doubtful
                self._line_up(queue)
            self.waiting += len(claimed)

    def take(self) -> list[Claimed]:
        """All that may be sent now."""
        taken: list[Claimed] = []
        with self._lock:
            while self.under_way < self._most and (queue := self._next()) is not None:
                taken.append(queue.waiting.popleft())
                queue.under_way += 1
                self.under_way += 1
                self._doubtful_waiting -= queue.doubtful
                self._doubtful_under_way += queue.doubtful
                self._line_up(queue)
            self.waiting -= len(taken)
        return taken

    def finish(self, claimed: Claimed, answered: bool) -> None:
        """Say that a delivery that was taken is over, and whether its receiver answered."""
        with self._lock:
            queue = self._queues[claimed.subscription_id]
            self.under_way -= 1
            queue.under_way -= 1
            self._doubtful_under_way -= queue.doubtful
            if answered is queue.doubtful:
                self._doubt(queue, doubtful=not answered)
            if queue.waiting:
                self._line_up(queue)
            else:
                self._forget_if_gone(queue)

    def clear(self) -> list[Claimed]:
        """Give up, and give back, all that no sender has taken."""
        with self._lock:
            unbegun: list[Claimed] = []
            for queue in list(self._queues.values()):
                unbegun += queue.waiting
                queue.waiting.clear()
                queue.lined_up = False
                self._forget_if_gone(queue)
            self._in_turn.clear()
            self.waiting = self._doubtful_waiting = 0
            return unbegun

    def _new_queue(self, first: Claimed) -> _Queue:
        subscription_id = first.subscription_id
        doubtful = subscription_id in self._doubtful
        queue = _Queue(subscription_id, first.tenant, doubtful=doubtful)
        self._queues[subscription_id] = queue
        return queue

    def _doubt(self, queue: _Queue, doubtful: bool) -> None:
        """Let it be doubtful from now on, or no longer."""
        queue.doubtful = doubtful
        (self._doubtful.add if doubtful else self._doubtful.discard)(queue.subscription_id)
        sign = 1 if doubtful else -1
        self._doubtful_waiting += sign * len(queue.waiting)
        self._doubtful_under_way += sign * queue.under_way

    def _may_begin(self, queue: _Queue) -> bool:
        return queue.under_way < (1 if queue.doubtful else self._cap)

    def _line_up(self, queue: _Queue) -> None:
        if queue.waiting and not queue.lined_up and self._may_begin(queue):
            queue.lined_up = True
            line = self._in_turn.get(queue.tenant)
            if line is None:
                line = self._in_turn[queue.tenant] = deque()
            line.append(queue)

    def _forget_if_gone(self, queue: _Queue) -> None:
        if not (queue.waiting or queue.under_way):
            del self._queues[queue.subscription_id]

    def _next(self) -> _Queue | None:
        """Whose turn it is."""
        for _ in range(len(self._in_turn)):
            tenant = next(iter(self._in_turn))
            line = self._in_turn.pop(tenant)
            found = self._next_of(line)
            if line:  # whoever had a turn goes to the end
                self._in_turn[tenant] = line
            if found is not None:
                return found
        return None

    def _next_of(self, line: deque[_Queue]) -> _Queue | None:
        for _ in range(len(line)):
            queue = line.popleft()
            if queue.doubtful and self._doubtful_under_way >= self._doubtful_share:
                line.append(queue)
                continue
            queue.lined_up = False
            if self._may_begin(queue):  # it may have become doubtful meanwhile
                return queue
        return None
