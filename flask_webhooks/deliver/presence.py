"""Lets others see that this worker runs: a row of its own, written anew every ten seconds."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from ..rules.ids import new_id
from ..store import workers
from ..store.database import Database
from ..store.records import RunningWorker, microseconds, moment

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds between two writes.
EVERY = 10.0
_LONGEST_HOST = 255

Kind = Literal["thread", "process", "celery"]
"""A thread of the app, a process of its own, or a Celery worker."""


class Presence:
    """One worker as others see it. Nothing here stops deliveries: what fails is logged, once.

    :param clock: unix time in seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._worker: RunningWorker | None = None
        self._written_at: float | None = None
        self._failed = False
        # Celery's shutdown may meet the thread that writes.
        self._writing = threading.Lock()

    def arrive(self, kind: Kind) -> None:
        """Be seen from the next :meth:`beat_if_due` on; a second time changes nothing."""
        with self._writing:
            if self._worker is None:
                self._worker = self._myself(kind)
                self._written_at = None

    def _myself(self, kind: Kind) -> RunningWorker:
        now = self._clock()
        return RunningWorker(
            id=new_id("wrk", now),
            host=platform.node()[:_LONGEST_HOST],
            pid=os.getpid(),
            kind=kind,
            started_at=moment(microseconds(now)),
            seen_at=moment(microseconds(now)),
        )

    def beat_if_due(self) -> None:
        """Say that this worker still runs, unless it did within the last ten seconds."""
        with self._writing:
            now = self._clock()
            if self._worker is None or not self._is_due(now):
                return
            self._written_at = now
            seen = replace(self._worker, seen_at=moment(microseconds(now)))
            self._try(lambda: self._write(seen))

    def _is_due(self, now: float) -> bool:
        # A clock that was set back is not to silence it until then.
        return self._written_at is None or not 0 <= now - self._written_at < EVERY

    def _write(self, seen: RunningWorker) -> None:
        self._database.write(lambda c: workers.note(c, self._database.tables, seen), by_worker=True)

    def leave(self) -> None:
        """Be seen no more."""
        with self._writing:
            left, self._worker = self._worker, None
            if left is not None and self._written_at is not None:
                tables, worker_id = self._database.tables, left.id
                self._try(
                    lambda: self._database.write(
                        lambda c: workers.forget(c, tables, worker_id), by_worker=True
                    )
                )

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            if not self._failed:
                logger.warning("Others can't see that this worker runs.", exc_info=True)
            self._failed = True
        else:
            self._failed = False
