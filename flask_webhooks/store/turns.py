"""Lets those that write to one SQLite file take turns.

SQLite's own waiting is a sleep that grows to a tenth of a second, so that a view could wait for
half a second behind two busy workers, while each of their transactions takes milliseconds. The
kernel wakes whoever waits for a lock as soon as it is free.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows: SQLite's waiting has to do
    fcntl = None  # type: ignore[assignment]


class Turns:
    """The turns of one process's threads among all processes.

    They only spare time: SQLite's lock is what keeps writers apart, also from those that know
    nothing of turns.

    :param path: a file to lock, beside the database; it stays empty. Where it can't be made, there
        are turns within the process alone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self._may_lock = fcntl is not None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for one's turn, and have it."""
        with self._lock:
            file = self._opened()
            if file is None:
                yield
                return
            # Not flock: that lock would pass to the children of a fork, and outlive its holder.
            fcntl.lockf(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(file, fcntl.LOCK_UN)

    def _opened(self) -> int | None:
        if self._file is None and self._may_lock:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                self._may_lock = False
        return self._file

    def anew(self) -> Turns:
        """The turns of a child: whoever had one when it was forked has stayed behind."""
        return Turns(self._path)

    def close(self) -> None:
        """Close the file, until the next turn."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
