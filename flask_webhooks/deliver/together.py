"""Carries on many exchanges at the same time, on one thread and on connections that are open.

Whatever has to be waited for is waited for once, for all of them; so a receiver that hangs costs
no thread. What could only be waited for alone, a look-up or a handshake, is not done here.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Generic, TypeVar

from .connections import Begun
from .exchange import Wire
from .outcome import Outcome
from .polling import Watch, noisy
from .transport import Outgoing, Transport

T = TypeVar("T")


class UnderWay(Enum):
    """An exchange goes on."""

    under_way = "under way"


UNDER_WAY = UnderWay.under_way


class Together(Generic[T]):
    """Exchanges that are under way, each with something that it is for.

    For one thread; only :meth:`wake` is for others.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._watch = Watch()
        self._under_way: dict[int, tuple[Begun, T]] = {}
        #: Those that were begun, and nothing is sent of yet.
        self._begun: dict[int, Wire] = {}
        #: Those that can go on, and those that will not.
        self._ready: list[int] = []
        self._stale: list[T] = []
        #: No deadline passes before; there may be none that passes then.
        self._first_deadline = inf

    def begin(self, outgoing: Outgoing, what: T) -> Outcome | UnderWay | None:
        """Send a request, and wait for nothing.

        :returns: that it is under way; how it failed at once; or ``None`` if no connection is open,
            so that nothing was sent.
        """
        begun = self._transport.begin(outgoing)
        if not isinstance(begun, Begun):
            return begun
        descriptor = begun.wire.fileno()
        self._under_way[descriptor] = begun, what
        self._begun[descriptor] = begun.wire
        self._first_deadline = min(self._first_deadline, begun.deadline.ends)
        return UNDER_WAY

    def wait(self) -> None:
        """Send what was begun, then wait until some can go on, or for :meth:`wake`."""
        if self._begun:
            self._push()
        self._ready = self._watch.wait(0.0 if self._stale else self._patience())

    def ended(self) -> list[tuple[T, Outcome | None]]:
        """Carry on those that can go on, without waiting.

        :returns: what for some have ended, and their outcomes; none where it turned out that the
            connection had been closed before, so that the request is to be sent on another.
        """
        ended: list[tuple[T, Outcome | None]] = [(what, None) for what in self._stale]
        self._stale.clear()
        for descriptor in self._ready:
            self._advance(descriptor, ended)
        self._ready = []
        if self._patience() == 0.0:
            self._advance_overdue(ended)
        return ended

    def wake(self) -> None:
        """End :meth:`wait`. Never blocks."""
        self._watch.wake()

    def close(self) -> list[T]:
        """Break off what is under way; what it was for."""
        for begun, _ in self._under_way.values():
            begun.wire.close()
        left = [what for _, what in self._under_way.values()] + self._stale
        self._under_way.clear()
        self._stale.clear()
        self._watch.close()
        return left

    def _patience(self) -> float | None:
        if not self._under_way:
            return None
        return max(self._first_deadline - self._transport.now(), 0.0)

    def _push(self) -> None:
        for descriptor in noisy(self._begun):
            self._begun.pop(descriptor).close()
            _, what = self._under_way.pop(descriptor)
            self._stale.append(what)
        # All in a row: a receiver on the same machine is woken once, not for each.
        for descriptor, wire in self._begun.items():
            wire.push()
            self._watch.add(descriptor, wire.sending)
        self._begun.clear()

    def _advance_overdue(self, ended: list[tuple[T, Outcome | None]]) -> None:
        now = self._transport.now()
        for descriptor, (begun, _) in list(self._under_way.items()):
            if begun.deadline.ends <= now:
                self._advance(descriptor, ended)
        left = [begun.deadline.ends for begun, _ in self._under_way.values()]
        self._first_deadline = min(left, default=inf)

    def _advance(self, descriptor: int, ended: list[tuple[T, Outcome | None]]) -> None:
        begun, what = self._under_way[descriptor]
        # First, since an exchange that is over leaves its connection to others, or closes it.
        self._watch.remove(descriptor)
        over, outcome = self._transport.advance(begun)
        if over:
            del self._under_way[descriptor]
            ended.append((what, outcome))
        else:
            self._watch.add(descriptor, begun.wire.sending)
