"""Messages, deliveries and attempts as people look at them, newest first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from .records import Attempt, Delivery, DeliveryStatus, maybe_moment, moment
from .tables import Tables


def list_deliveries(
    connection: Connection,
    tables: Tables,
    *,
    message: str | None = None,
    subscription: str | None = None,
    status: str | None = None,
    delivery: int | None = None,
    limit: int | None = None,
) -> list[Delivery]:
    """Deliveries, newest first; each filter that is not ``None`` must match."""
    d, m, s = tables.deliveries.c, tables.messages.c, tables.subscriptions.c
    query = (
        select(tables.deliveries, m.name.label("name"), s.url.label("url"))
        .join(tables.messages, m.id == d.message_id)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .order_by(d.created_at.desc(), d.id.desc())
        .limit(limit)
    )
    filters = {d.message_id: message, d.subscription_id: subscription, d.status: status,
               d.id: delivery}  # fmt: skip
    for column, value in filters.items():
        if value is not None:
            query = query.where(column == value)
    return [_delivery(row) for row in connection.execute(query).mappings()]


def list_attempts(connection: Connection, tables: Tables, delivery: int) -> list[Attempt]:
    """The attempts of one delivery, newest first."""
    a = tables.attempts.c
    rows = connection.execute(
        select(tables.attempts).where(a.delivery_id == delivery).order_by(a.id.desc())
    )
    return [_attempt(row) for row in rows.mappings()]


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        subscription_id=row["subscription_id"],
        name=row["name"],
        url=row["url"],
        status=DeliveryStatus(row["status"]),
        reason=row["reason"],
        attempts=row["attempts"],
        due_at=moment(row["due_at"]),
        created_at=moment(row["created_at"]),
        settled_at=maybe_moment(row["settled_at"]),
    )


def _attempt(row: Any) -> Attempt:
    return Attempt(
        delivery_id=row["delivery_id"],
        number=row["number"],
        outcome=row["outcome"],
        status_code=row["status_code"],
        detail=row["detail"],
        excerpt=None if row["excerpt"] is None else bytes(row["excerpt"]),
        started_at=moment(row["started_at"]),
        duration=row["duration"] / 1e6,
    )
