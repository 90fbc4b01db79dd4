"""Lets two busy threads take turns, a few milliseconds each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a thread goes on without its turn: the other may be waiting for a database.
PATIENCE = 0.05


class Alternating:
    """Two threads that both compute and make many short system calls.

    Left alone, each would have to win back the interpreter's lock after every call, while the other
    computes: most of both their time. The turns only spare time; nothing relies on them.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._turn = threading.Lock()
        # Who waits for its turn waits here first, so that the other can't have two in a row.
        self._next = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, though not for long, and have it."""
        mine = self._taken()
        try:
            yield
        finally:
            if mine:
                self._turn.release()

    def _taken(self) -> bool:
        if not self._next.acquire(timeout=self._patience):
            return False
        try:
            return self._turn.acquire(timeout=self._patience)
        finally:
            self._next.release()
