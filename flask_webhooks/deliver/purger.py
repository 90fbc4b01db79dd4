"""Purges what is old or gone, now and then, on a thread of its own: deliveries don't wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ..store import purging, workers
from ..store.database import Database
from ..store.records import microseconds

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds between two purges of one worker.
EVERY = 3600.0


class Purger:
    """Purges one database.

    :param retention: seconds for which messages are kept; ``None`` keeps all of them.
    :param clock: unix time in seconds.
    """

    def __init__(
        self, database: Database, retention: float | None, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._retention = retention
        self._clock = clock
        self._next = time.monotonic()
        self._thread: threading.Thread | None = None

    def purge_if_due(self) -> None:
        """Begin a purge, unless one has begun within the last hour."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        self._thread = threading.Thread(target=self.purge, name="webhooks-purger", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            logger.warning("Old messages are purged in an hour, not now: %s.", error)

    def purge(self) -> None:
        """Purge here and now; a database that refuses is logged, and tried again an hour later."""
        now, tables = self._clock(), self._database.tables
        try:
            self._database.write(
                lambda c: workers.forget_gone(c, tables, microseconds(now)), by_worker=True
            )
            count = self._purge_messages(now)
        except Exception:
            logger.exception("Old messages could not be purged; it is tried again in an hour.")
            return
        if count:
            logger.info("Purged %s messages that were older than WEBHOOKS_RETENTION.", count)

    def _purge_messages(self, now: float) -> int:
        if self._retention is None:
            return 0
        return purging.purge(self._database, before=microseconds(now - self._retention))
