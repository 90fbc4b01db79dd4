"""Which workers run: each has a row of its own, and writes anew when it was last there."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from .records import RunningWorker, microseconds, moment
from .tables import Tables

#: Microseconds after which a worker that was not seen counts as gone.
GONE_AFTER = 60_000_000


def note(connection: Connection, tables: Tables, worker: RunningWorker) -> None:
    """Note that a worker runs: one statement, but for its first time."""
    w, seen_at = tables.workers, microseconds(worker.seen_at.timestamp())
    again = update(w).where(w.c.id == worker.id).values(seen_at=seen_at)
    if connection.execute(again).rowcount:
        return
    row = {
        "id": worker.id, "host": worker.host, "pid": worker.pid, "kind": worker.kind,
        "started_at": microseconds(worker.started_at.timestamp()), "seen_at": seen_at,
    }  # fmt: skip
    connection.execute(insert(w), row)


def forget(connection: Connection, tables: Tables, worker_id: str) -> None:
    """Note that a worker has ended."""
    connection.execute(delete(tables.workers).where(tables.workers.c.id == worker_id))


def forget_gone(connection: Connection, tables: Tables, now: int) -> None:
    """Forget those that ended without a word.

    :param now: microseconds since 1970.
    """
    connection.execute(delete(tables.workers).where(tables.workers.c.seen_at < now - GONE_AFTER))


def running(connection: Connection, tables: Tables, now: int) -> list[RunningWorker]:
    """The workers that were seen within the last minute, the oldest first.

    :param now: microseconds since 1970.
    """
    w = tables.workers.c
    seen = select(tables.workers).where(w.seen_at >= now - GONE_AFTER)
    return [
        RunningWorker(
            id=row["id"],
            host=row["host"],
            pid=row["pid"],
            kind=row["kind"],
            started_at=moment(row["started_at"]),
            # The clock of its machine may be ahead.
            seen_at=moment(min(row["seen_at"], now)),
        )
        for row in connection.execute(seen.order_by(w.started_at, w.id)).mappings()
    ]
