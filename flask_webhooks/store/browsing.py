"""Messages and deliveries as somebody browses them: filtered, in pages, the newest first.

Ids are made in the order of time, so that a page is read off the primary key, however many rows
there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from ..rules.ids import first_id
from .lists import attempt_of, delivery_of, ids_of, owner_is
from .records import Attempt, Carried, Delivery, Message, Owned, microseconds, moment
from .tables import Tables


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What is looked for; what is ``None`` is not asked about."""

    #: Whose rows may be seen; ``None`` sees everybody's.
    owned: Owned | None = None
    name: str | None = None
    message: str | None = None
    subscription: str | None = None
    deliveries: Sequence[int] | None = None
    #: Of deliveries; a message is found when one of its deliveries has such.
    statuses: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A message in a list: all but its body, and how many deliveries it has of each status."""

    id: str
    name: str
    key: str | None
    tenant: str | None
    created_at: datetime
    counts: Mapping[str, int]


def find_messages(
    connection: Connection, tables: Tables, sought: Sought, *, before: str | None, limit: int
) -> list[Listed]:
    """A page of messages.

    :param before: the id of the last one on the page before.
    """
    m = tables.messages.c
    query = select(m.id, m.name, m.key, m.tenant, m.created_at).where(*_messages(tables, sought))
    if before is not None:
        query = query.where(m.id < before)
    rows = connection.execute(query.order_by(m.id.desc()).limit(limit)).mappings().all()
    counts = _counts(connection, tables, [row["id"] for row in rows], sought)
    return [
        Listed(**{**row, "created_at": moment(row["created_at"]), "counts": counts[row["id"]]})
        for row in rows
    ]


def find_deliveries(
    connection: Connection, tables: Tables, sought: Sought, *, before: int | None, limit: int
) -> list[Delivery]:
    """A page of deliveries.

    :param before: the id of the last one on the page before.
    """
    d, m, s = tables.deliveries.c, tables.messages.c, tables.subscriptions.c
    query = (
        select(tables.deliveries, m.name.label("name"), s.url.label("url"))
        .join(tables.messages, m.id == d.message_id)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .where(*_deliveries(tables, sought))
    )
    if before is not None:
        query = query.where(d.id < before)
    rows = connection.execute(query.order_by(d.id.desc()).limit(limit)).mappings()
    return [delivery_of(row) for row in rows]


def attempts_of(
    connection: Connection, tables: Tables, delivery_ids: Sequence[int]
) -> Mapping[int, list[Attempt]]:
    """The attempts of each of some deliveries, newest first."""
    a = tables.attempts.c
    query = select(tables.attempts).where(a.delivery_id.in_(delivery_ids)).order_by(a.id.desc())
    found: dict[int, list[Attempt]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["delivery_id"]].append(attempt_of(row))
    return found


def carried_by(
    connection: Connection, tables: Tables, message: Message, delivery_ids: Sequence[int]
) -> Mapping[int, Carried]:
    """What some deliveries of a message carry, by id."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    needed = (d.id, s.id, s.tenant, s.url, s.callback, s.sealed_secret, s.sealed_options)
    query = select(*needed).join_from(tables.deliveries, tables.subscriptions)
    rows = connection.execute(query.where(d.id.in_(delivery_ids), d.message_id == message.id))
    return {row[0]: _carried(message, *row[1:]) for row in rows}


def _carried(
    message: Message,
    subscription_id: str,
    tenant: str | None,
    url: str,
    callback: str | None,
    secret: bytes | None,
    options: bytes | None,
) -> Carried:
    return Carried(
        message_id=message.id,
        body=message.body,
        subscription_id=subscription_id,
        tenant=tenant,
        url=url,
        callback=callback,
        sealed_secret=None if secret is None else bytes(secret),
        sealed_options=None if options is None else bytes(options),
    )


def _messages(tables: Tables, sought: Sought) -> list[ColumnElement[bool]]:
    m, d = tables.messages.c, tables.deliveries.c
    chosen = [] if sought.owned is None else [owner_is(m.tenant, sought.owned)]
    chosen += [] if sought.name is None else [m.name == sought.name]
    chosen += [] if sought.message is None else [m.id == sought.message]
    # By id, not by created_at: that is the order in which they are read.
    if sought.since is not None:
        chosen.append(m.id >= first_id("msg", sought.since.timestamp()))
    if sought.until is not None:
        chosen.append(m.id < first_id("msg", sought.until.timestamp()))
    if sought.statuses is not None or sought.subscription is not None:
        chosen.append(m.id.in_(select(d.message_id).where(*_of(tables, sought))))
    return chosen


def _deliveries(tables: Tables, sought: Sought) -> list[ColumnElement[bool]]:
    d, m, s = tables.deliveries.c, tables.messages.c, tables.subscriptions.c
    chosen = [*_of(tables, sought)]
    chosen += [] if sought.owned is None else [owner_is(s.tenant, sought.owned)]
    chosen += [] if sought.name is None else [m.name == sought.name]
    chosen += [] if sought.message is None else [d.message_id == sought.message]
    chosen += [] if sought.deliveries is None else [d.id.in_(sought.deliveries)]
    if sought.since is not None:
        chosen.append(d.created_at >= microseconds(sought.since.timestamp()))
    if sought.until is not None:
        chosen.append(d.created_at < microseconds(sought.until.timestamp()))
    return chosen


def _of(tables: Tables, sought: Sought) -> list[ColumnElement[bool]]:
    d = tables.deliveries.c
    chosen: list[ColumnElement[bool]] = []
    chosen += [] if sought.statuses is None else [d.status.in_(sought.statuses)]
    chosen += [] if sought.subscription is None else [d.subscription_id == sought.subscription]
    return chosen


def _counts(
    connection: Connection, tables: Tables, message_ids: Sequence[str], sought: Sought
) -> Mapping[str, dict[str, int]]:
    d = tables.deliveries.c
    query = select(d.message_id, d.status, func.count()).where(d.message_id.in_(message_ids))
    if sought.owned is not None:
        query = query.where(d.subscription_id.in_(ids_of(tables, sought.owned)))
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for message_id, status, count in connection.execute(query.group_by(d.message_id, d.status)):
        found[message_id][status] = count
    return found
