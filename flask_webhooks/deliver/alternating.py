"""Lets two busy threads take turns, a few milliseconds each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a thread goes on without its turn.
PATIENCE = 0.05


class Alternating:
    """Two threads that both compute, and make many short system calls.

    Left alone each would have to win back the interpreter's lock after every call, while the other
    computes. The turns only spare time: nothing relies on them.

    :param patience: seconds that a thread waits for its turn, at most.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._turn = threading.Lock()
        # Who waits for its turn waits here first, so that the other can't have two in a row.
        self._next = threading.Lock()
        #: The thread that has the turn.
        self._owner: int | None = None
        #: The one that gave it up for a while: if both do, only the last has it again.
        self._pausing: int | None = None
        #: The one that holds ``_next`` though it doesn't wait, so that the other has no more turns.
        self._hurrying: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, though not for long, and have it."""
        self._take()
        try:
            yield
        finally:
            self._end()

    def pause(self) -> None:
        """Give up one's turn, if one has it, before a wait for something else."""
        me = threading.get_ident()
        if me in (self._owner, self._hurrying):
            self._pausing = me
            self._end()

    def hurry(self) -> None:
        """Go on at once, if one pauses: the other may end what it does, and waits then."""
        me = threading.get_ident()
        if self._pausing != me:
            return
        if self._turn.acquire(blocking=False):
            self._owner, self._pausing = me, None
        elif self._next.acquire(blocking=False):
            self._hurrying = me

    def resume(self) -> None:
        """Have one's turn again, if one gave it up."""
        if self._pausing == threading.get_ident():
            self._pausing = None
            self._end()
            self._take()

    def _take(self) -> None:
        if not self._next.acquire(timeout=self._patience):
            return
        try:
            if self._turn.acquire(timeout=self._patience):
                self._owner = threading.get_ident()
        finally:
            self._next.release()

    def _end(self) -> None:
        me = threading.get_ident()
        if self._owner == me:
            self._owner = None
            self._turn.release()
        if self._hurrying == me:
            self._hurrying = None
            self._next.release()
