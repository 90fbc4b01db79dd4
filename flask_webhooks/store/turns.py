"""Lets those that write to one SQLite file take turns.

SQLite's own waiting is a sleep that grows to a tenth of a second, so that a view could wait for
half a second behind two busy workers, while each of their transactions takes milliseconds. The
kernel wakes whoever waits for a lock as soon as it is free.
"""

from __future__ import annotations

import errno
import os
import threading
import time
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
#: Seconds that one who is let pass has to take its turn, and from one look to the next.
GRACE, _MOMENT = 0.02, 0.0005


class Turns:
    """The turns of one process's threads among all processes.

    They only spare time: SQLite's lock is what keeps writers apart, also from those that know
    nothing of turns.

    :param path: a file to lock, beside the database; it stays empty. Where it can't be made, there
        are turns within the process alone.
    :param patience: seconds that a thread waits for those of its own process.
    :param grace: seconds that one of another process has to take its turn when it is let pass.
    """

    def __init__(self, path: str, patience: float = PATIENCE, grace: float = GRACE) -> None:
        self._path = path
        self._patience = patience
        self._grace = grace
        self._lock = threading.Lock()
        self._file: int | None = None
        self._may_lock = fcntl is not None

    def taken(
        self, before_wait: Callable[[], None] = lambda: None, *, lets_pass: bool = False
    ) -> Turn:
        """Wait for one's turn, and have it; go on without one when it does not come for long.

        Whoever has it may be waiting for one that knows nothing of turns.

        :param before_wait: called if it is to be waited for, and again if it is to be once more.
        :param lets_pass: whether to let one of another process go first that waits when the turn
            comes, and doesn't say so itself.
        """
        return Turn(self, before_wait, lets_pass)

    def _take(self, before_wait: Callable[[], None], lets_pass: bool) -> bool:
        """Whether the turn came."""
        taken = self._taken(before_wait, seen=not lets_pass)
        if taken and lets_pass and self._is_somebody_ahead():
            self._give_back()
            before_wait()
            self._let_pass()
            taken = self._taken(before_wait, seen=False)
        return taken

    def _let_pass(self) -> None:
        """Wait until nobody is ahead, though not for long: who is may have been stopped."""
        give_up = time.monotonic() + self._grace
        while time.monotonic() < give_up:
            time.sleep(_MOMENT)
            # A thread of this process that has the lock writes, or has the place ahead itself.
            if not self._lock.acquire(blocking=False):
                return
            try:
                if not self._is_somebody_ahead():
                    return
            finally:
                self._lock.release()

    def _taken(self, before_wait: Callable[[], None], seen: bool) -> bool:
        """Whether the turn came.

        :param seen: whether those that let others pass are to see that it is waited for.
        """
        if not self._lock.acquire(blocking=False):
            before_wait()
            if not self._lock.acquire(timeout=self._patience):
                return False
        try:
            if (file := self._opened()) is not None and not _ask_for(_AT_ONCE, file, _TURN):
                before_wait()
                if seen:  # by one at a time; who comes besides just waits
                    _ask_for(_AT_ONCE, file, _AHEAD)
                _ask_for(fcntl.LOCK_EX, file, _TURN)
                if seen:
                    _ask_for(fcntl.LOCK_UN, file, _AHEAD)
        except BaseException:
            self._give_back()
            raise
        return True

    def _is_somebody_ahead(self) -> bool:
        """Whether one of another process waits, and is to be let pass."""
        if self._file is None:
            return False
        try:
            fcntl.lockf(self._file, _AT_ONCE, 1, _AHEAD)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES)
        _ask_for(fcntl.LOCK_UN, self._file, _AHEAD)
        return False

    def _give_back(self) -> None:
        try:
            if self._file is not None:
                _ask_for(fcntl.LOCK_UN, self._file, _TURN, 2)
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
        return Turns(self._path, self._patience, self._grace)

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


def _ask_for(what: int, file: int, place: int, places: int = 1) -> bool:
    """Lock or unlock, and say whether it was done; where it can't, SQLite's waiting has to do.

    It refuses on file systems without locks. And where each of two processes waits for a turn that
    the other has, of two databases: it doesn't see that other threads wait than have.
    """
    try:
        # Not flock: that lock would pass to the children of a fork, and outlive its holder.
        fcntl.lockf(file, what, places, place)
    except OSError:
        return False
    return True
