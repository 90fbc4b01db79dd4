"""Lets those that write to one SQLite file take turns.

SQLite's own waiting is a sleep that grows to a tenth of a second, so that a view could wait for
half a second behind two busy workers, while each of their transactions takes milliseconds. The
kernel wakes whoever waits for a lock as soon as it is free.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

try:
    import fcntl
except ImportError:  # Windows: SQLite's waiting has to do
    fcntl = None  # type: ignore[assignment]

#: Seconds that a thread waits for its turn, at most.
PATIENCE = 5.0


class Turns:
    """The turns of one process's threads among all processes.

    They only spare time: SQLite's lock is what keeps writers apart, also from those that know
    nothing of turns.

    :param path: a file to lock, beside the database; it stays empty. Where it can't be made, there
        are turns within the process alone.
    :param patience: seconds that a thread waits for those of its own process.
    """

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._lock = threading.Lock()
        self._file: int | None = None
        self._may_lock = fcntl is not None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for one's turn, and have it; go on without one when it does not come for long.

        Whoever has it may be waiting for one that knows nothing of turns.
        """
        mine = self._lock.acquire(timeout=self._patience)
        try:
            with self._among_processes() if mine else nullcontext():
                yield
        finally:
            if mine:
                self._lock.release()

    @contextmanager
    def _among_processes(self) -> Iterator[None]:
        file = self._opened()
        if file is None:
            yield
            return
        try:
            _ask_for(fcntl.LOCK_EX, file)
            yield
        finally:
            _ask_for(fcntl.LOCK_UN, file)

    def _opened(self) -> int | None:
        if self._file is None and self._may_lock:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError:
                self._may_lock = False
        return self._file

    def anew(self) -> Turns:
        """The turns of a child: whoever had one when it was forked has stayed behind."""
        return Turns(self._path, self._patience)

    def close(self) -> None:
        """Close the file, until the next turn."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


def _ask_for(what: int, file: int) -> None:
    """Lock or unlock; where the kernel refuses, SQLite's waiting has to do.

    It refuses on file systems without locks. And where each of two processes waits for a turn that
    the other has, of two databases: it doesn't see that other threads wait than have.
    """
    with suppress(OSError):
        # Not flock: that lock would pass to the children of a fork, and outlive its holder.
        fcntl.lockf(file, what)
