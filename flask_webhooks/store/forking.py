"""Holds a fork back until nothing is under way in a database.

What SQLite's library holds when a process forks, a lock within the process or one on the file, the
child would wait for without end (https://www.sqlite.org/howtocorrupt.html, section 2.6).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

#: Seconds that a fork waits at most.
PATIENCE = 5.0


class Gate:
    """Lets threads into a database, ``with`` it, but not while the process forks.

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
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        #: How often each thread is inside.
        self._inside: dict[int, int] = {}
        self._forking = False

    def __enter__(self) -> None:
        """Be inside; waits while a fork is under way."""
        me = threading.get_ident()
        with self._lock:
            if self._forking:
                # Whoever is inside already may go on: the fork waits for it.
                self._changed.wait_for(
                    lambda: not self._forking or me in self._inside, 2 * PATIENCE
                )
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(self, *_: object) -> None:
        me = threading.get_ident()
        with self._lock:
            # A child of a fork knows nothing of what its parent was inside of.
            left = self._inside.pop(me, 1) - 1
            if left:
                self._inside[me] = left
            if self._forking:
                self._changed.notify_all()

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
