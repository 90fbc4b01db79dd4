"""Messages: written once by ``send``, fanned out once into deliveries by the worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, and_, exists, insert, literal, or_, select, update
from sqlalchemy.sql import Select

from .dialects import insert_or_skip
from .records import DeliveryStatus, Message, SubscriptionStatus, moment
from .tables import Tables


def add_message(
    connection: Connection,
    tables: Tables,
    message_id: str,
    *,
    name: str,
    key: str | None,
    tenant: str | None,
    body: bytes,
    idempotency_key: str | None,
    now: int,
) -> Message:
    """Store one message: one row, whatever the number of subscriptions.

    :returns: the message; the earlier one where the idempotency key was used before.
    """
    digest = idempotency_digest(name, tenant, idempotency_key)
    row = {
        "id": message_id, "name": name, "key": key, "tenant": tenant, "body": body,
        "idempotency": digest, "created_at": now, "fanned_out": False,
    }  # fmt: skip
    added = connection.execute(insert_or_skip(connection, tables.messages), row)
    if added.rowcount or digest is None:
        return _message(row)
    return _first(connection, tables, digest)


def idempotency_digest(name: str, tenant: str | None, key: str | None) -> str | None:
    """One fixed-length text for a caller's key, told apart by webhook and tenant."""
    if key is None:
        return None
    parts = (name, repr(tenant), key)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _first(connection: Connection, tables: Tables, digest: str) -> Message:
    found = select(tables.messages).where(tables.messages.c.idempotency == digest)
    return _message(connection.execute(found).mappings().one())


def _message(row: Any) -> Message:
    return Message(
        id=row["id"],
        name=row["name"],
        key=row["key"],
        tenant=row["tenant"],
        created_at=moment(row["created_at"]),
        body=bytes(row["body"]),
    )


def any_waiting(connection: Connection, tables: Tables) -> bool:
    """Whether a message waits to be fanned out."""
    messages = tables.messages.c
    waiting = select(messages.id).where(messages.fanned_out.is_(False)).limit(1)
    return connection.execute(waiting).first() is not None


def fan_out(
    connection: Connection,
    tables: Tables,
    *,
    now: int,
    first_due: Callable[[str, int], int],
    limit: int,
) -> int:
    """Turn waiting messages into deliveries, one for each subscription that wants them.

    Doing it twice adds nothing: a delivery is unique by message and subscription.

    :param first_due: from a webhook's name and the time its message was sent to the time of the
        first attempt.
    :returns: how many messages were done.
    """
    messages = tables.messages
    waiting = (
        select(messages.c.id, messages.c.name, messages.c.created_at)
        .where(messages.c.fanned_out.is_(False))
        .order_by(messages.c.created_at, messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(waiting).all()
    once = _any_once(connection, tables) if rows else False
    for row in rows:
        due_at = first_due(row.name, row.created_at)
        _insert_deliveries(connection, tables, row.id, now=now, due_at=due_at)
        if once:
            _close_once(connection, tables, row.id, row.created_at)
    ids = [row.id for row in rows]
    connection.execute(update(messages).where(messages.c.id.in_(ids)).values(fanned_out=True))
    return len(ids)


def _any_once(connection: Connection, tables: Tables) -> bool:
    once = select(tables.subscriptions.c.id).where(tables.subscriptions.c.once.is_(True))
    return connection.execute(once.limit(1)).first() is not None


def _close_once(connection: Connection, tables: Tables, message_id: str, sent: int) -> None:
    """A one-shot subscription expires with the message that reached it."""
    subscription, deliveries = tables.subscriptions.c, tables.deliveries
    reached = select(deliveries.c.subscription_id).where(deliveries.c.message_id == message_id)
    connection.execute(
        update(tables.subscriptions)
        .where(
            subscription.once.is_(True),
            subscription.expires_at.is_(None) | (subscription.expires_at > sent),
            subscription.id.in_(reached),
        )
        .values(expires_at=sent)
    )


def _insert_deliveries(
    connection: Connection, tables: Tables, message_id: str, *, now: int, due_at: int
) -> None:
    columns = [
        "message_id", "subscription_id", "status", "attempts", "attempts_before_replay",
        "claims", "due_at", "created_at",
    ]  # fmt: skip
    wanted = _wanted(tables, message_id).add_columns(
        literal(str(DeliveryStatus.PENDING)),
        literal(0), literal(0), literal(0), literal(due_at), literal(now),
    )  # fmt: skip
    connection.execute(insert(tables.deliveries).from_select(columns, wanted))


def _wanted(tables: Tables, message_id: str) -> Select[Any]:
    """Pairs of message and subscription: the one place that says who gets what.

    A subscription gets a message when it wants the name, existed when the message was sent, belongs
    to the same tenant, has the message's key or none, is enabled and has not expired.
    """
    message, name = tables.messages.c, tables.names.c
    subscription, delivery = tables.subscriptions.c, tables.deliveries.c
    same_tenant = or_(
        subscription.tenant == message.tenant,
        and_(subscription.tenant.is_(None), message.tenant.is_(None)),
    )
    known = exists().where(
        delivery.message_id == message.id, delivery.subscription_id == subscription.id
    )
    return (
        select(message.id, subscription.id)
        .distinct()
        .select_from(tables.messages)
        .join(tables.names, name.name == message.name)
        .join(tables.subscriptions, subscription.id == name.subscription_id)
        .where(
            message.id == message_id,
            subscription.status == str(SubscriptionStatus.ENABLED),
            subscription.created_at <= message.created_at,
            or_(subscription.expires_at.is_(None), subscription.expires_at > message.created_at),
            or_(subscription.key.is_(None), subscription.key == message.key),
            same_tenant,
            ~known,
        )
    )
