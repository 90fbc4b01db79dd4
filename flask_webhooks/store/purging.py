"""Purges what is old: messages with their deliveries and attempts, and subscriptions that expired.

What still waits for a delivery is never purged, whatever its age.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, select

from .database import Database
from .dialects import among, as_list
from .records import DeliveryStatus
from .tables import Tables

#: Rows deleted in one transaction: few enough that no view waits long for its turn.
BATCH = 200


def purge(database: Database, *, before: int) -> int:
    """Delete the messages that were sent before then and have nothing pending, batch by batch.

    Captured subscriptions that expired before then go as well, once nothing refers to them.

    :param before: microseconds since 1970.
    :returns: how many messages.
    """
    purged, tables = 0, database.tables
    while count := database.write(lambda c: _purge_messages(c, tables, before), by_worker=True):
        purged += count
    while database.write(lambda c: _purge_subscriptions(c, tables, before), by_worker=True):
        pass
    return purged


def count(connection: Connection, tables: Tables, *, before: int) -> int:
    """How many messages :func:`purge` would delete."""
    old = _old(tables, before).subquery()
    return connection.execute(select(func.count()).select_from(old)).scalar_one()


def _old(tables: Tables, before: int) -> Select[Any]:
    m, d = tables.messages.c, tables.deliveries.c
    pending = exists().where(d.message_id == m.id, d.status == str(DeliveryStatus.PENDING))
    return select(m.id).where(m.fanned_out.is_(True), m.created_at < before, ~pending)


def _purge_messages(connection: Connection, tables: Tables, before: int) -> int:
    d, m, a = tables.deliveries.c, tables.messages.c, tables.attempts.c
    old = _old(tables, before).order_by(m.created_at).limit(BATCH)
    ids = set(connection.execute(old).scalars())
    # Locked and looked at once more: one of them may have been replayed just now.
    theirs = select(d.id, d.message_id, d.status).where(d.message_id.in_(ids)).with_for_update()
    rows = connection.execute(theirs).all()
    ids -= {row.message_id for row in rows if row.status == DeliveryStatus.PENDING}
    dialect = connection.dialect.name
    # As many as the messages had receivers: no statement takes so many parameters.
    settled = {"ids": as_list(dialect, (row.id for row in rows if row.message_id in ids))}
    connection.execute(delete(tables.attempts).where(among(dialect, a.delivery_id, "ids")), settled)
    connection.execute(delete(tables.deliveries).where(among(dialect, d.id, "ids")), settled)
    connection.execute(delete(tables.messages).where(m.id.in_(ids)))
    return len(ids)


def _purge_subscriptions(connection: Connection, tables: Tables, before: int) -> int:
    s, d, n = tables.subscriptions.c, tables.deliveries.c, tables.names.c
    used = exists().where(d.subscription_id == s.id)
    expired = select(s.id).where(s.expires_at < before, ~used).limit(BATCH)
    ids = list(connection.execute(expired.with_for_update(skip_locked=True)).scalars())
    connection.execute(delete(tables.names).where(n.subscription_id.in_(ids)))
    connection.execute(delete(tables.subscriptions).where(s.id.in_(ids)))
    return len(ids)
