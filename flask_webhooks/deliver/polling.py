"""Waits until sockets are ready: for one, for many at once on one thread, or not at all."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable
from typing import Protocol

#: What to wait for, of :func:`select.poll`.
READ, WRITE = getattr(select, "POLLIN", 1), getattr(select, "POLLOUT", 4)


class Poller(Protocol):
    """What :func:`select.poll` makes."""

    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]: ...


class Selecting:
    """Does by :func:`select.select` what a poller does, on Windows, which has none."""

    def __init__(self) -> None:
        self._asked: dict[int, int] = {}

    def register(self, fd: int, eventmask: int, /) -> None:
        self._asked[fd] = eventmask

    modify = register

    def unregister(self, fd: int, /) -> None:
        del self._asked[fd]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        reading, writing = (
            [fd for fd, asked in self._asked.items() if asked & flag] for flag in (READ, WRITE)
        )
        seconds = None if timeout is None else timeout / 1000
        readable, writable, _ = select.select(reading, writing, [], seconds)
        return [(fd, READ) for fd in readable] + [
            (fd, WRITE) for fd in writable if fd not in readable
        ]


def new_poller() -> Poller:
    """A poller that waits for nothing yet."""
    return select.poll() if hasattr(select, "poll") else Selecting()


def noisy(descriptors: Iterable[int]) -> set[int]:
    """Those of idle connections on which something has arrived, if only their end."""
    poller = new_poller()
    for descriptor in descriptors:
        poller.register(descriptor, READ)
    return {descriptor for descriptor, _ in poller.poll(0)}


class Readiness:
    """Waits until one socket can be read, or written to; registered once, not for every wait."""

    def __init__(self, sock: socket.socket) -> None:
        self._descriptor = sock.fileno()
        self._poller = new_poller()
        self._writing = False
        self._poller.register(self._descriptor, READ)

    def wait(self, writing: bool, timeout: float) -> bool:
        """Wait for seconds at most; whether the socket became ready."""
        if writing is not self._writing:
            self._writing = writing
            self._poller.modify(self._descriptor, READ | WRITE if writing else READ)
        return bool(self._poller.poll(timeout * 1000))


class Watch:
    """Waits for many sockets at once, on one thread; any thread may end the wait."""

    def __init__(self) -> None:
        self._poller = new_poller()
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._rung = False
        self.add(self._bell.fileno())

    def add(self, descriptor: int, sending: bool = False) -> None:
        """Wait for a socket to be readable, and writable where something is still to be sent."""
        self._poller.register(descriptor, READ | WRITE if sending else READ)

    def remove(self, descriptor: int) -> None:
        """Wait for it no more. To be said before it is closed: its number may come again."""
        self._poller.unregister(descriptor)

    def wait(self, seconds: float | None) -> list[int]:
        """The sockets that can go on; waits for one so long at most, or until :meth:`wake`."""
        waited = None if seconds is None else max(seconds, 0.0) * 1000
        ready = [descriptor for descriptor, _ in self._poller.poll(waited)]
        bell = self._bell.fileno()
        if bell in ready:
            ready.remove(bell)
            self._bell.recv(64)
            # Only now: whoever finds it rung doesn't ring, and the caller looks after this.
            self._rung = False
        return ready

    def wake(self) -> None:
        """End the wait that is under way, or the next one. Never blocks."""
        if not self._rung:
            self._rung = True
            try:
                self._rope.send(b"\0")
            except OSError:  # closed meanwhile: nobody waits any more
                return

    def close(self) -> None:
        self._bell.close()
        self._rope.close()
