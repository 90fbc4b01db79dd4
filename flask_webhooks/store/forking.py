"""Holds a fork back until nothing is under way in a database.

What SQLite's library holds when a process forks, a lock within the process or one on the file, the
child would wait for without end (https://www.sqlite.org/howtocorrupt.html, section 2.6).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds that a fork waits at most.
PATIENCE = 5.0


class Gate:
    """Lets threads into a database, but not while the process forks.

    :param close: closes what is open and idle, before every fork.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._open_anew()
        if hasattr(os, "register_at_fork"):
            own = weakref.ref(self)
            os.register_at_fork(
                before=lambda: _of(own, Gate._before),
                after_in_parent=lambda: _of(own, Gate._after),
                after_in_child=lambda: _of(own, Gate._open_anew),
            )

    def _open_anew(self) -> None:
        self._changed = threading.Condition()
        self._inside: Counter[int] = Counter()
        self._forking = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside; waits while a fork is under way."""
        me, changed = threading.get_ident(), self._changed
        with changed:
            # Whoever is inside already may go on: the fork waits for it.
            changed.wait_for(lambda: not self._forking or self._inside[me], 2 * PATIENCE)
            self._inside[me] += 1
        try:
            yield
        finally:
            with changed:
                self._inside[me] -= 1
                if self._inside[me] <= 0:
                    del self._inside[me]
                if self._forking:
                    changed.notify_all()

    def _before(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: not self._inside.keys() - {me}, PATIENCE)
        self._close()

    def _after(self) -> None:
        with self._changed:
            self._forking = False
            self._changed.notify_all()


def _of(gate: weakref.ref[Gate], hook: Callable[[Gate], None]) -> None:
    found = gate()
    if found is not None:
        hook(found)
