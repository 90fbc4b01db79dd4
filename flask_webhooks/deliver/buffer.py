"""Leased deliveries on their way to the senders: fair between subscriptions, capped for each."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence

from ..store.claims import Claimed


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
        self._waiting: dict[str, deque[Claimed]] = {}
        self._under_way: Counter[str] = Counter()
        #: For each tenant, in turn, the subscriptions that may begin another delivery, each once.
        self._in_turn: dict[str | None, deque[str]] = {}
        self._tenant_of: dict[str, str | None] = {}
        self._lined_up: set[str] = set()
        self._doubtful: set[str] = set()
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
            return self.waiting + self.under_way - self._doubtful_waiting()

    def room(self, subscription_id: str, beyond: int = 0) -> int:
        """How many more deliveries of a subscription to lease.

        :param beyond: how many may wait besides those that may be under way.
        """
        with self._lock:
            held = self._under_way[subscription_id] + len(self._waiting.get(subscription_id, ()))
            if subscription_id in self._doubtful:
                return 1 - held if self._doubtful_waiting() < self._doubtful_share else 0
            return self._cap + beyond - held

    def waits(self, subscription_id: str) -> int:
        """How many deliveries of a subscription wait for a sender."""
        with self._lock:
            return len(self._waiting.get(subscription_id, ()))

    def add(self, claimed: Sequence[Claimed]) -> None:
        """Take in what was leased."""
        with self._lock:
            for one in claimed:
                self._tenant_of[one.subscription_id] = one.tenant
                self._waiting.setdefault(one.subscription_id, deque()).append(one)
                self._line_up(one.subscription_id)
            self.waiting += len(claimed)

    def take(self) -> list[Claimed]:
        """All that may be sent now."""
        with self._lock:
            taken = []
            while (subscription_id := self._next()) is not None:
                taken.append(self._begin(subscription_id))
            return taken

    def finish(self, claimed: Claimed, answered: bool) -> None:
        """Say that a delivery that was taken is over, and whether its receiver answered."""
        subscription_id = claimed.subscription_id
        with self._lock:
            self.under_way -= 1
            self._under_way[subscription_id] -= 1
            if not self._under_way[subscription_id]:
                del self._under_way[subscription_id]
            (self._doubtful.discard if answered else self._doubtful.add)(subscription_id)
            self._line_up(subscription_id)
            self._forget_if_gone(subscription_id)

    def clear(self) -> list[Claimed]:
        """Give up, and give back, all that no sender has taken."""
        with self._lock:
            unbegun = [one for line in self._waiting.values() for one in line]
            self._waiting.clear()
            self._tenant_of = {s: self._tenant_of[s] for s in self._under_way}
            self._in_turn.clear()
            self._lined_up.clear()
            self.waiting = 0
            return unbegun

    def _doubtful_waiting(self) -> int:
        return sum(len(self._waiting[s]) for s in self._doubtful & self._waiting.keys())

    def _allowed(self, subscription_id: str) -> int:
        return 1 if subscription_id in self._doubtful else self._cap

    def _may_begin(self, subscription_id: str) -> bool:
        return self._under_way[subscription_id] < self._allowed(subscription_id)

    def _line_up(self, subscription_id: str) -> None:
        waits = subscription_id in self._waiting and subscription_id not in self._lined_up
        if waits and self._may_begin(subscription_id):
            tenant = self._tenant_of[subscription_id]
            self._in_turn.setdefault(tenant, deque()).append(subscription_id)
            self._lined_up.add(subscription_id)

    def _forget_if_gone(self, subscription_id: str) -> None:
        if subscription_id not in self._waiting and subscription_id not in self._under_way:
            self._tenant_of.pop(subscription_id, None)

    def _next(self) -> str | None:
        """Whose turn it is."""
        if self.under_way >= self._most:
            return None
        for _ in range(len(self._in_turn)):
            tenant = next(iter(self._in_turn))
            line = self._in_turn.pop(tenant)
            found = self._next_of(line)
            if line:  # whoever had a turn goes to the end
                self._in_turn[tenant] = line
            if found is not None:
                return found
        return None

    def _next_of(self, line: deque[str]) -> str | None:
        for _ in range(len(line)):
            subscription_id = line.popleft()
            if subscription_id in self._doubtful and not self._has_share_left():
                line.append(subscription_id)
                continue
            self._lined_up.remove(subscription_id)
            if self._may_begin(subscription_id):  # it may have become doubtful meanwhile
                return subscription_id
        return None

    def _has_share_left(self) -> bool:
        under_way = (n for s, n in self._under_way.items() if s in self._doubtful)
        return sum(under_way) < self._doubtful_share

    def _begin(self, subscription_id: str) -> Claimed:
        line = self._waiting[subscription_id]
        claimed = line.popleft()
        if not line:
            del self._waiting[subscription_id]
        self.waiting -= 1
        self.under_way += 1
        self._under_way[subscription_id] += 1
        self._line_up(subscription_id)
        return claimed
