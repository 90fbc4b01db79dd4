"""Messages, deliveries and attempts as people look at them, newest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from ..rules.terms import terms_of
from . import workers
from .records import (
    ENQUEUED,
    LARGEST_ID,
    Attempt,
    Delivery,
    DeliveryStatus,
    Message,
    Owned,
    Subscription,
    SubscriptionStatus,
    maybe_moment,
    microseconds,
    moment,
)
from .tables import Tables

Position = tuple[int, Any]
"""A place in a list: the microseconds of ``created_at``, and the id."""


def position_of(record: Message | Delivery | Subscription) -> Position:
    """Where a record stands in its list."""
    return microseconds(record.created_at.timestamp()), record.id


def page(
    query: Select[Any], created_at: Any, row_id: Any, before: Position | None, limit: int | None
) -> Select[Any]:
    """The newest rows of a query, or those that come after a position in that order."""
    if before is not None:
        earlier = and_(created_at == before[0], row_id < before[1])
        query = query.where(or_(created_at < before[0], earlier))
    return query.order_by(created_at.desc(), row_id.desc()).limit(limit)


def owner_is(column: Any, owned: Owned) -> ColumnElement[bool]:
    """Whether a row belongs to a tenant."""
    found: ColumnElement[bool] = (
        column.is_(None) if owned.tenant is None else column == owned.tenant
    )
    return found


def list_deliveries(
    connection: Connection,
    tables: Tables,
    *,
    message: str | None = None,
    subscription: str | None = None,
    status: str | None = None,
    delivery: int | None = None,
    name: str | None = None,
    owned: Owned | None = None,
    before: Position | None = None,
    limit: int | None = None,
) -> list[Delivery]:
    """Deliveries, newest first; each filter that is not ``None`` must match."""
    d = tables.deliveries.c
    query = deliveries_of(
        tables, message=message, subscription=subscription, status=status, delivery=delivery,
        name=name, owned=owned,
    )  # fmt: skip
    query = page(query, d.created_at, d.id, before, limit)
    return [delivery_of(row) for row in connection.execute(query).mappings()]


def deliveries_of(
    tables: Tables,
    *,
    message: str | None = None,
    subscription: str | None = None,
    status: str | None = None,
    delivery: int | None = None,
    name: str | None = None,
    owned: Owned | None = None,
) -> Select[Any]:
    """The query of deliveries that match each filter which is not ``None``."""
    d, m, s = tables.deliveries.c, tables.messages.c, tables.subscriptions.c
    query = (
        select(tables.deliveries, m.name.label("name"), s.url.label("url"))
        .join(tables.messages, m.id == d.message_id)
        .join(tables.subscriptions, s.id == d.subscription_id)
    )
    filters = {d.message_id: message, d.subscription_id: subscription, d.status: status,
               d.id: delivery, m.name: name}  # fmt: skip
    for column, value in filters.items():
        if value is not None:
            query = query.where(column == value)
    return query if owned is None else query.where(owner_is(s.tenant, owned))


def get_delivery(
    connection: Connection, tables: Tables, delivery: int, *, owned: Owned | None = None
) -> Delivery | None:
    """One delivery by its id; with ``owned`` only if it is to that tenant."""
    if delivery > LARGEST_ID:
        return None
    return next(iter(list_deliveries(connection, tables, delivery=delivery, owned=owned)), None)


def list_messages(
    connection: Connection,
    tables: Tables,
    *,
    message: str | None = None,
    name: str | None = None,
    owned: Owned | None = None,
    before: Position | None = None,
    limit: int | None = None,
) -> list[Message]:
    """Messages, newest first; each filter that is not ``None`` must match."""
    m = tables.messages.c
    query = select(tables.messages)
    if message is not None:
        query = query.where(m.id == message)
    if name is not None:
        query = query.where(m.name == name)
    if owned is not None:
        query = query.where(owner_is(m.tenant, owned))
    query = page(query, m.created_at, m.id, before, limit)
    return [_message(row) for row in connection.execute(query).mappings()]


def get_message(
    connection: Connection, tables: Tables, message: str, *, owned: Owned | None = None
) -> Message | None:
    """One message by its id; with ``owned`` only if it is that tenant's."""
    return next(iter(list_messages(connection, tables, message=message, owned=owned)), None)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a queue stands."""

    #: Messages that no worker has fanned out yet.
    waiting: int
    #: Deliveries by status.
    deliveries: Mapping[str, int]
    #: Pending deliveries that are due.
    due: int
    #: Pending deliveries that are under way, or with an engine.
    under_way: int
    #: Seconds for which the oldest due delivery has been due; 0 when none is.
    oldest_due: float
    #: Subscriptions by status.
    subscriptions: Mapping[str, int]


def standing(
    connection: Connection,
    tables: Tables,
    now: int,
    *,
    owned: Owned | None = None,
    most: int | None = None,
) -> Standing:
    """How the queue stands.

    :param now: microseconds since 1970.
    :param owned: only one tenant's part of it.
    :param most: stop counting there, so that it takes no longer the more there is.
    """
    d, s, m = tables.deliveries.c, tables.subscriptions.c, tables.messages.c
    theirs = [] if owned is None else [d.subscription_id.in_(ids_of(tables, owned))]
    pending = and_(d.status == str(DeliveryStatus.PENDING), *theirs)

    def counted(*conditions: Any) -> int:
        rows = select(literal(1)).where(*conditions).limit(most).subquery()
        return connection.execute(select(func.count()).select_from(rows)).scalar_one()

    def by(column: Any, statuses: Iterable[str], *conditions: Any) -> dict[str, int]:
        counts = {str(one): counted(column == str(one), *conditions) for one in statuses}
        return {status: count for status, count in counts.items() if count}

    oldest = connection.execute(select(func.min(d.due_at)).where(pending)).scalar()
    return Standing(
        waiting=counted(m.fanned_out.is_(False), *_owner(m.tenant, owned)),
        deliveries=by(d.status, DeliveryStatus, *theirs),
        due=counted(pending, d.due_at <= now),
        under_way=counted(pending, d.due_at > now, d.token.is_not(None)),
        oldest_due=max(now - (now if oldest is None else oldest), 0) / 1e6,
        subscriptions=by(s.status, SubscriptionStatus, *_owner(s.tenant, owned)),
    )


def ids_of(tables: Tables, owned: Owned) -> Select[Any]:
    """The ids of a tenant's subscriptions."""
    s = tables.subscriptions.c
    return select(s.id).where(owner_is(s.tenant, owned))


def _owner(column: Any, owned: Owned | None) -> list[ColumnElement[bool]]:
    return [] if owned is None else [owner_is(column, owned)]


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What of a :class:`Standing` is quickly known, however much has been delivered."""

    pending: int
    due: int
    #: Seconds, as there.
    oldest_due: float
    subscriptions: Mapping[str, int]
    #: Workers that run.
    workers: int


def backlog(connection: Connection, tables: Tables, now: int) -> Backlog:
    """What is to be done yet.

    :param now: microseconds since 1970.
    """
    d, s = tables.deliveries.c, tables.subscriptions.c
    due = func.count(case((d.due_at <= now, 1)))
    pending = select(func.count(), due, func.min(d.due_at)).where(
        d.status == str(DeliveryStatus.PENDING)
    )
    waiting, count, oldest = connection.execute(pending).one()
    rows = connection.execute(select(s.status, func.count()).group_by(s.status)).all()
    return Backlog(
        pending=waiting,
        due=count,
        oldest_due=max(now - (now if oldest is None else oldest), 0) / 1e6,
        subscriptions={status: count for status, count in rows},
        workers=len(workers.running(connection, tables, now)),
    )


def is_fanned_out(connection: Connection, tables: Tables, message: str) -> bool:
    """Whether a message has become deliveries."""
    m = tables.messages.c
    return bool(connection.execute(select(m.fanned_out).where(m.id == message)).scalar())


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What keeps a pending delivery, besides its own time."""

    #: Microseconds since 1970: until then nothing goes to its subscription.
    paused_until: int = 0
    #: Whether a worker holds it, and whether an engine was given it.
    under_way: bool = False
    enqueued: bool = False
    #: Requests a second that its subscription takes, if it asks for that.
    rate: float | None = None


def holds_of(connection: Connection, tables: Tables, deliveries: Sequence[int]) -> dict[int, Hold]:
    """What keeps each of a few deliveries, by id."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    kept = select(d.id, s.paused_until, d.token, s.terms).join_from(
        tables.deliveries, tables.subscriptions, s.id == d.subscription_id
    )
    rows = connection.execute(kept.where(d.id.in_(deliveries)))
    return {delivery: _hold(*rest) for delivery, *rest in rows}


def _hold(paused_until: int, token: str | None, terms: str | None) -> Hold:
    enqueued = token == ENQUEUED
    return Hold(
        paused_until=paused_until,
        under_way=token is not None and not enqueued,
        enqueued=enqueued,
        rate=terms_of(terms).rate,
    )


def list_attempts(connection: Connection, tables: Tables, delivery: int) -> list[Attempt]:
    """The attempts of one delivery, newest first."""
    a = tables.attempts.c
    rows = connection.execute(
        select(tables.attempts).where(a.delivery_id == delivery).order_by(a.id.desc())
    )
    return [attempt_of(row) for row in rows.mappings()]


def _message(row: Any) -> Message:
    return Message(
        id=row["id"],
        name=row["name"],
        key=row["key"],
        tenant=row["tenant"],
        created_at=moment(row["created_at"]),
        body=bytes(row["body"]),
        erased_at=maybe_moment(row["erased_at"]),
    )


def delivery_of(row: Any) -> Delivery:
    """A delivery out of its row, with the name of its message and the URL it goes to."""
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


def attempt_of(row: Any) -> Attempt:
    """An attempt out of its row."""
    return Attempt(
        delivery_id=row["delivery_id"],
        number=row["number"],
        outcome=row["outcome"],
        status_code=row["status_code"],
        detail=row["detail"],
        excerpt=None if row["excerpt"] is None else bytes(row["excerpt"]),
        started_at=moment(row["started_at"]),
        duration=row["duration"] / 1e6,
        mark=row["mark"],
    )
