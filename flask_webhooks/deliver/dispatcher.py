"""Hands the ids of due deliveries to an engine such as Celery, from a thread of its own.

The row is the truth: a broker moves ids, and may lose them. Publishing can block for as long as a
broker is away, so no view does it; and what can't be published is put back for a later sweep.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

logger = logging.getLogger("flask_webhooks.dispatcher")

#: Deliveries that one task makes, one after the other; taken up in one sweep; and swept at most.
CHUNK, SWEEP, MOST = 8, 256, 4096
#: Seconds after which a published delivery that no task has claimed is published again.
AGAIN = 60.0
#: Seconds for which an engine that failed is left alone: at first, and at most.
_REST, _LONGEST_REST = 1.0, 60.0

Publish = Callable[[list[int]], None]
"""Gives ids to an engine, whose workers call ``deliver`` with them. It may block or raise."""


class Source(Protocol):
    """What a dispatcher needs of the worker."""

    def sweep(self, *, until: float, limit: int) -> list[int]: ...
    def release(self, delivery_ids: Sequence[int]) -> None: ...


class Dispatcher:
    """Publishes what is due whenever it is woken. One per app and process.

    :param publish: the engine.
    :param clock: unix time in seconds.
    """

    def __init__(self, source: Source, publish: Publish, clock: Callable[[], float]) -> None:
        self._source = source
        self._publish = publish
        self._clock = clock
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._rest = 0.0

    def wake(self) -> None:
        """Say that there may be something to publish. Never blocks."""
        self._wake.set()
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="webhooks-dispatcher", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            try:
                self.dispatch()
            except Exception:
                logger.exception("What is due could not be published; a sweep will do it later.")
                self._rest = min(2 * self._rest or _REST, _LONGEST_REST)
                time.sleep(self._rest)
            else:
                self._rest = 0.0

    def dispatch(self) -> int:
        """Publish what is due, here and now; how many deliveries.

        :raises Exception: the engine's; what it was not given is due again.
        """
        published = 0
        while published < MOST:
            ids = self._source.sweep(until=self._clock() + AGAIN, limit=SWEEP)
            if not ids:
                break
            for start in range(0, len(ids), CHUNK):
                try:
                    self._publish(ids[start : start + CHUNK])
                except BaseException:
                    self._source.release(ids[start:])
                    raise
            published += len(ids)
        return published
