"""Lets those that write to one SQLite file take turns.

SQLite's own waiting is a sleep that grows to a tenth of a second, so that a view could wait for
half a second behind two busy workers, while each of their transactions takes milliseconds. The
kernel wakes whoever waits for a lock as soon as it is free.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

try:
    import fcntl
except ImportError:  # Windows: SQLite's waiting has to do
    fcntl = None  # type: ignore[assignment]

#: Lock, unless another has the lock.
_AT_ONCE = fcntl.LOCK_EX | fcntl.LOCK_NB if fcntl else 0

#: What is locked of the file: the turn, and the place of who is to have the next.
_TURN, _AHEAD = 0, 1

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

    def taken(
        self, before_wait: Callable[[], None] = lambda: None, *, lets_pass: bool = False
    ) -> Turn:
        """Wait for one's turn, and have it; go on without one when it does not come for long.

        Whoever has it may be waiting for one that knows nothing of turns.

        :param before_wait: called if it is to be waited for.
        :param lets_pass: whether one of another process that doesn't say so goes first, if it waits
            when the turn comes.
        """
        return Turn(self, before_wait, lets_pass)

    def _take(self, before_wait: Callable[[], None], lets_pass: bool) -> bool:
        """Whether the turn came."""
        if not self._lock.acquire(blocking=False):
            before_wait()
            if not self._lock.acquire(timeout=self._patience):
                return False
        try:
            if (file := self._opened()) is not None and not _ask_for(_AT_ONCE, file, _TURN):
                before_wait()
                (_wait_patiently if lets_pass else _wait_ahead)(file)
        except BaseException:
            self._give_back()
            raise
        return True

    def _give_back(self) -> None:
        try:
            if self._file is not None:
                _ask_for(fcntl.LOCK_UN, self._file, _TURN)
        finally:
            self._lock.release()

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


class Turn:
    """One turn, for ``with``. A generator would take longer than the turn's two locks."""

    __slots__ = ("_before_wait", "_lets_pass", "_mine", "_turns")

    def __init__(self, turns: Turns, before_wait: Callable[[], None], lets_pass: bool) -> None:
        self._turns = turns
        self._before_wait = before_wait
        self._lets_pass = lets_pass

    def __enter__(self) -> None:
        self._mine = self._turns._take(self._before_wait, self._lets_pass)

    def __exit__(self, *_: object) -> None:
        if self._mine:
            self._turns._give_back()


def _wait_ahead(file: int) -> None:
    """Wait for the turn, seen by those that let others pass."""
    _ask_for(fcntl.LOCK_EX, file, _AHEAD)
    try:
        _ask_for(fcntl.LOCK_EX, file, _TURN)
    finally:
        _ask_for(fcntl.LOCK_UN, file, _AHEAD)


def _wait_patiently(file: int) -> None:
    """Wait for the turn, and once more if somebody is ahead: not for ever, however many come."""
    _ask_for(fcntl.LOCK_EX, file, _TURN)
    if _ask_for(_AT_ONCE, file, _AHEAD):
        _ask_for(fcntl.LOCK_UN, file, _AHEAD)
        return
    _ask_for(fcntl.LOCK_UN, file, _TURN)
    _ask_for(fcntl.LOCK_EX, file, _AHEAD)
    _ask_for(fcntl.LOCK_UN, file, _AHEAD)
    _ask_for(fcntl.LOCK_EX, file, _TURN)


def _ask_for(what: int, file: int, place: int) -> bool:
    """Lock or unlock, and say whether it was done; where it can't, SQLite's waiting has to do.

    It refuses on file systems without locks. And where each of two processes waits for a turn that
    the other has, of two databases: it doesn't see that other threads wait than have.
    """
    try:
        # Not flock: that lock would pass to the children of a fork, and outlive its holder.
        fcntl.lockf(file, what, 1, place)
    except OSError:
        return False
    return True
