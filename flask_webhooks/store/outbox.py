"""Messages: written once by ``send``, fanned out once into deliveries by the worker."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql import Select

from . import statements
from .dialects import as_committed, insert_or_skip
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
    connection.execute(insert_or_skip(connection, tables.messages), row)
    # Looked up, and not told by the row count: MySQL counts a row that it found as well.
    return _message(row) if digest is None else _first(connection, tables, digest)


def idempotency_digest(name: str, tenant: str | None, key: str | None) -> str | None:
    """One fixed-length text for a caller's key, told apart by webhook and tenant."""
    if key is None:
        return None
    parts = (name, repr(tenant), key)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _first(connection: Connection, tables: Tables, digest: str) -> Message:
    found = select(tables.messages).where(tables.messages.c.idempotency == digest)
    return _message(connection.execute(as_committed(connection, found)).mappings().one())


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
    return connection.execute(statements.any_waiting(tables)).first() is not None


def fan_out(
    connection: Connection,
    tables: Tables,
    *,
    now: int,
    first_delay: Callable[[str], int],
    limit: int,
) -> int:
    """Turn waiting messages into deliveries, one for each subscription that wants them.

    Doing it twice adds nothing: a delivery is unique by message and subscription.

    :param first_delay: from a webhook's name to the microseconds before its first attempt.
    :returns: how many messages were done.
    """
    rows = _waiting(connection, tables, limit)
    if not rows:
        return 0
    if _lock_once(connection, tables, {row.name for row in rows}):
        # One by one: the first message that reaches a one-shot subscription closes it.
        for row in rows:
            _insert_deliveries(connection, tables, [row.id], now=now, delay=first_delay(row.name))
            _close_once(connection, tables, row.id, row.created_at)
    else:
        for delay, ids in _by_delay(rows, first_delay).items():
            _insert_deliveries(connection, tables, ids, now=now, delay=delay)
    messages = tables.messages
    done = messages.c.id.in_([row.id for row in rows])
    connection.execute(update(messages).where(done).values(fanned_out=True))
    return len(rows)


def _waiting(connection: Connection, tables: Tables, limit: int) -> Sequence[Any]:
    c = tables.messages.c
    waiting = (
        select(c.id, c.name, c.created_at)
        .where(c.fanned_out.is_(False))
        .order_by(c.created_at, c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(waiting).all()


def _by_delay(rows: Sequence[Any], first_delay: Callable[[str], int]) -> dict[int, list[str]]:
    chosen: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        chosen[first_delay(row.name)].append(row.id)
    return chosen


def _lock_once(connection: Connection, tables: Tables, names: set[str]) -> bool:
    """Keep other workers off the one-shot subscriptions to ``names``; whether there are any."""
    s, n = tables.subscriptions.c, tables.names.c
    wanted = select(n.subscription_id).where(n.name.in_(names))
    once = select(s.id).where(s.once.is_(True), s.id.in_(wanted)).order_by(s.id).with_for_update()
    return bool(connection.execute(once).all())


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
    connection: Connection, tables: Tables, message_ids: Sequence[str], *, now: int, delay: int
) -> None:
    columns = [
        "message_id", "subscription_id", "status", "attempts", "attempts_before_replay",
        "claims", "due_at", "created_at",
    ]  # fmt: skip
    wanted = _wanted(tables, message_ids).add_columns(
        literal(str(DeliveryStatus.PENDING)), literal(0), literal(0), literal(0),
        (tables.messages.c.created_at + literal(delay, BigInteger)), literal(now, BigInteger),
    )  # fmt: skip
    connection.execute(insert(tables.deliveries).from_select(columns, wanted))


def _wanted(tables: Tables, message_ids: Sequence[str]) -> Select[Any]:
    """Pairs of message and subscription: the one place that says who gets what.

    A subscription gets a message when it wants the name, existed when the message was sent, belongs
    to the same tenant, has the message's key or none, is enabled and has not expired. A one-shot
    subscription gets nothing after its first.
    """
    message, name = tables.messages.c, tables.names.c
    subscription, delivery = tables.subscriptions.c, tables.deliveries.c
    earlier = tables.deliveries.alias()
    same_tenant = or_(
        subscription.tenant == message.tenant,
        and_(subscription.tenant.is_(None), message.tenant.is_(None)),
    )
    known = exists().where(
        delivery.message_id == message.id, delivery.subscription_id == subscription.id
    )
    used = exists().where(earlier.c.subscription_id == subscription.id)
    return (
        select(message.id, subscription.id)
        .select_from(tables.messages)
        .join(tables.names, name.name == message.name)
        .join(tables.subscriptions, subscription.id == name.subscription_id)
        .where(
            message.id.in_(message_ids),
            subscription.status == str(SubscriptionStatus.ENABLED),
            subscription.created_at <= message.created_at,
            or_(subscription.expires_at.is_(None), subscription.expires_at > message.created_at),
            or_(subscription.key.is_(None), subscription.key == message.key),
            same_tenant,
            or_(subscription.once.is_(False), ~used),
            ~known,
        )
        .order_by(message.created_at, message.id, subscription.id)
    )
