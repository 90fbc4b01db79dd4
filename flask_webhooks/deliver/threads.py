"""Daemon threads that do what is handed to them: as many as are busy at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Threads(Generic[T]):
    """A pool that grows when nobody is free, until it is dismissed.

    :param work: called on a thread with each thing that is handed out; it must not raise.
    """

    def __init__(self, work: Callable[[T], None], name: str) -> None:
        self._work = work
        self._name = name
        self._handed: SimpleQueue[T | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        #: Threads without work, less what was handed out and not taken yet.
        self._free = 0

    def hand(self, what: T) -> None:
        """Let a thread do the work, a new one if all are busy.

        :raises RuntimeError: none can be started; then it is not done.
        """
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._threads += 1
        self._handed.put(what)

    def dismiss(self) -> None:
        """Let all end, each when it is done; then nothing more is to be handed out."""
        for _ in range(self._threads):
            self._handed.put(None)

    def _run(self) -> None:
        while (what := self._handed.get()) is not None:
            self._work(what)
            with self._lock:
                self._free += 1
