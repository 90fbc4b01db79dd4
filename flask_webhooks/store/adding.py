"""Messages as ``send`` stores them: one row each, whatever the number of subscriptions."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Table, insert, select

from .dialects import as_committed, insert_of_rows, insert_or_skip
from .records import DeliveryStatus, Message, maybe_moment, moment
from .tables import Tables
from .transactions import by_driver


class NewMessage(NamedTuple):
    """The row of a message that is to be stored."""

    id: str
    name: str
    key: str | None
    tenant: str | None
    body: bytes
    #: A digest: a message is not stored where an earlier one has the same.
    idempotency: str | None
    #: Microseconds since 1970.
    created_at: int
    fanned_out: bool
    #: The W3C ``traceparent`` of the span that sends it.
    trace: str | None


def new_message(
    message_id: str,
    *,
    name: str,
    key: str | None,
    tenant: str | None,
    body: bytes,
    idempotency_key: str | None,
    now: int,
    trace: str | None = None,
) -> NewMessage:
    """A message that waits to be fanned out, once it is stored.

    :param trace: the W3C ``traceparent`` of the span that sends it.
    """
    digest = idempotency_digest(name, tenant, idempotency_key)
    return NewMessage(message_id, name, key, tenant, body, digest, now, False, trace)


def add_messages(
    connection: Connection, tables: Tables, messages: Sequence[NewMessage]
) -> list[Message]:
    """Store messages; doing it twice adds nothing.

    :returns: each message; the earlier one where its idempotency key was used before.
    """
    if connection.dialect.name == "sqlite":
        # Half the time that the expression takes: a view waits for it.
        statement = _block(connection.dialect, tables.messages, len(messages))
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(messages)))
    else:
        expression = insert_or_skip(connection.dialect.name, tables.messages)
        connection.execute(expression, [message._asdict() for message in messages])
    return _as_stored(connection, tables, messages)


def add_by_driver(
    connection: Connection, tables: Tables, messages: Sequence[NewMessage]
) -> list[Message]:
    """The same in a file of SQLite's that is our own: all by one statement of its driver's."""
    statement = _block(connection.dialect, tables.messages, len(messages))
    by_driver(connection, statement, tuple(chain.from_iterable(messages)))
    return _as_stored(connection, tables, messages)


def add_for_one(
    connection: Connection,
    tables: Tables,
    message_id: str,
    *,
    name: str,
    tenant: str | None,
    body: bytes,
    subscription_id: str,
    now: int,
    trace: str | None = None,
) -> Message:
    """Store a message for one subscription alone, as its only delivery.

    :param trace: as in :func:`new_message`.
    """
    message = NewMessage(message_id, name, None, tenant, body, None, now, True, trace)
    connection.execute(insert(tables.messages), message._asdict())
    delivery = {
        "message_id": message_id, "subscription_id": subscription_id,
        "status": str(DeliveryStatus.PENDING), "attempts": 0, "attempts_before_replay": 0,
        "claims": 0, "due_at": now, "created_at": now,
    }  # fmt: skip
    connection.execute(insert(tables.deliveries), delivery)
    return _stored(message)


def idempotency_digest(name: str, tenant: str | None, key: str | None) -> str | None:
    """One fixed-length text for a caller's key, told apart by webhook and tenant."""
    if key is None:
        return None
    parts = (name, repr(tenant), key)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


@functools.lru_cache(256)
def _block(dialect: Dialect, table: Table, rows: int) -> str:
    """What :func:`.insert_or_skip` says to SQLite, for so many messages."""
    return f"{insert_of_rows(dialect, table, NewMessage._fields, rows)} ON CONFLICT DO NOTHING"


def _as_stored(
    connection: Connection, tables: Tables, messages: Sequence[NewMessage]
) -> list[Message]:
    # Looked up, and not told by the row count: MySQL counts a row that it found as well.
    return [
        _stored(message) if message.idempotency is None else _first(connection, tables, message)
        for message in messages
    ]


def _first(connection: Connection, tables: Tables, message: NewMessage) -> Message:
    """The message that was stored with this idempotency key."""
    m = tables.messages
    found = select(m).where(m.c.idempotency == message.idempotency)
    row: Any = connection.execute(as_committed(connection, found)).one()
    return Message(
        id=row.id,
        name=row.name,
        key=row.key,
        tenant=row.tenant,
        created_at=moment(row.created_at),
        body=bytes(row.body),
        erased_at=maybe_moment(row.erased_at),
    )


def _stored(new: NewMessage) -> Message:
    return Message(
        id=new.id,
        name=new.name,
        key=new.key,
        tenant=new.tenant,
        created_at=moment(new.created_at),
        body=new.body,
    )
