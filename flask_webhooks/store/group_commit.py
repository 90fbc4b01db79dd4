"""Lets threads that store something at the same time share one transaction: group commit.

A commit waits for the disk, and costs hardly more for sixteen rows than for one. So while a thread
has its transaction, those that come meanwhile wait, and the first of them stores what all brought.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

Item = TypeVar("Item")
Stored = TypeVar("Stored")

#: Items in one transaction, at most: turns are to be short.
MOST = 64
#: Seconds that a thread waits for another to store what it brought.
PATIENCE = 2.0


class GroupCommit(Generic[Item, Stored]):
    """The groups of one process's threads. The first of each leads it; no thread is started.

    :param write: runs something in a transaction of its own, again while the database is busy.
    :param store: stores items in a transaction; to store one twice must be as good as once.
    """

    def __init__(
        self,
        write: Callable[[Callable[[Connection], Any]], Any],
        store: Callable[[Connection, Sequence[Item]], Sequence[Stored]],
        patience: float = PATIENCE,
    ) -> None:
        self._write = write
        self._store = store
        self._patience = patience
        # Reentrant, as is all that a handler of a signal may come upon.
        self._lock = threading.RLock()
        self._leader: _Place[Item, Stored] | None = None
        self._waiting: deque[_Place[Item, Stored]] = deque()

    def store(self, item: Item) -> Stored:
        """Store an item; returns when it is committed.

        What was in a shared transaction that fails, or does not end for long, gets a transaction of
        its own, in its own thread: an error is the item's own.
        """
        mine: _Place[Item, Stored] = _Place(item)
        try:
            if self._leads(mine):
                self._commit_together(mine)
        finally:
            if not mine.taken:
                self._leave(mine)
        if mine.committed:
            return mine.stored
        alone: Stored = self._write(lambda connection: self._store(connection, [item])[0])
        return alone

    def _leads(self, mine: _Place[Item, Stored]) -> bool:
        """Lead at once; or wait until another has committed, or it is time to lead."""
        with self._lock:
            if self._leader is None:
                self._leader = mine
                return True
            self._waiting.append(mine)
        mine.wait(self._patience)
        return self._leader is mine

    def _leave(self, mine: _Place[Item, Stored]) -> None:
        """Let the next one lead, or wait no longer."""
        with self._lock:
            if self._leader is mine:
                self._leader = self._waiting.popleft() if self._waiting else None
                if self._leader is not None:
                    self._leader.let_go()
            elif mine in self._waiting:
                self._waiting.remove(mine)
                # Whoever leads may be gone; if not, there are two groups for once.
                self._leader = None

    def _commit_together(self, mine: _Place[Item, Stored]) -> None:
        """Commit what one brought oneself, and what all brought who waited meanwhile."""
        others: list[_Place[Item, Stored]] = []

        def together(connection: Connection) -> None:
            _let_go(others)  # an earlier try was rolled back
            others.extend(self._joining())
            places = [mine, *others]
            items = [place.item for place in places]
            for place, stored in zip(places, self._store(connection, items), strict=True):
                place.stored = stored

        try:
            self._write(together)
            for place in (mine, *others):
                place.committed = True
        except Exception:
            if not others:
                raise
        finally:
            _let_go(others)

    def _joining(self) -> list[_Place[Item, Stored]]:
        """Those who have waited longest, taken out of the line."""
        with self._lock:
            many = min(len(self._waiting), MOST - 1)
            joining = [self._waiting.popleft() for _ in range(many)]
            for place in joining:
                place.taken = True
        return joining


class _Place(Generic[Item, Stored]):
    """A thread's place in a group, with what it brought."""

    __slots__ = ("_gate", "committed", "item", "stored", "taken")

    stored: Stored

    def __init__(self, item: Item) -> None:
        self.item = item
        #: Whether another thread stores it.
        self.taken = False
        self.committed = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def wait(self, patience: float) -> None:
        """Wait to be let go."""
        self._gate.acquire(timeout=patience)

    def let_go(self) -> None:
        """End the wait, which may be yet to begin."""
        self._gate.release()


def _let_go(places: list[_Place[Any, Any]]) -> None:
    while places:
        places.pop().let_go()
