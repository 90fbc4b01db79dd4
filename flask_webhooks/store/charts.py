"""What is drawn of deliveries: recent attempts, the last ones of a subscription, counts of names.

All of it is bounded in the rows that it reads, so that a full store costs no more than a small one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, union_all

from .lists import ids_of, owner_is
from .records import STATUSES, Owned, SubscriptionStatus, maybe_moment, moment
from .tables import Tables

#: How many names of subscriptions go into one statement.
_AT_ONCE = 25


@dataclass(frozen=True)
class Point:
    """An attempt in a drawing."""

    delivery_id: int
    outcome: str
    status_code: int | None
    started_at: datetime
    #: Seconds.
    duration: float


@dataclass(frozen=True)
class Last:
    """One of the last deliveries of a subscription."""

    message_id: str
    status: str
    #: When it came to that; of one that is pending, when the next attempt is due.
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a subscription fares."""

    #: Since when all its attempts have failed.
    failing_since: datetime | None
    #: Until when it is held back, because its receiver asked for that.
    paused_until: datetime | None
    #: The oldest first.
    last: Sequence[Last]


def recent_attempts(
    connection: Connection, tables: Tables, *, since: int, owned: Owned | None, most: int
) -> list[Point]:
    """The newest attempts from ``since`` on, newest first.

    :param since: microseconds since 1970.
    :param most: how many at most.
    """
    a = tables.attempts.c
    query = select(a.delivery_id, a.outcome, a.status_code, a.started_at, a.duration, a.id)
    if owned is None:
        rows = list(connection.execute(query.order_by(a.id.desc()).limit(most)).all())
    else:
        rows = _of_tenant(connection, tables, query, since, owned, most)
    return [Point(*row[:3], moment(row[3]), row[4] / 1e6) for row in rows if row[3] >= since]


def _of_tenant(
    connection: Connection,
    tables: Tables,
    query: Select[Any],
    since: int,
    owned: Owned,
    most: int,
) -> list[Any]:
    """Attempts by way of the tenant's deliveries: theirs may be few among everybody's."""
    a, d = tables.attempts.c, tables.deliveries.c
    # A delivery comes due, or is settled, after its last attempt began.
    theirs = (
        select(d.id)
        .where(
            d.subscription_id.in_(ids_of(tables, owned)),
            d.status.in_(STATUSES),
            d.due_at >= since,
        )
        .order_by(d.due_at.desc())
        .limit(most)
        .subquery()
    )
    found = query.join(theirs, theirs.c.id == a.delivery_id).where(a.started_at >= since)
    return sorted(connection.execute(found).all(), key=lambda row: -row.id)[:most]


def healths(
    connection: Connection, tables: Tables, subscription_ids: Sequence[str], *, most: int, now: int
) -> Mapping[str, Health]:
    """How each of some subscriptions fares, with its last deliveries.

    :param most: how many deliveries.
    :param now: microseconds since 1970.
    """
    s = tables.subscriptions.c
    query = select(s.id, s.failing_since, s.paused_until).where(s.id.in_(subscription_ids))
    last = _last(connection, tables, subscription_ids, most)
    return {
        row.id: Health(
            failing_since=maybe_moment(row.failing_since),
            paused_until=moment(row.paused_until) if row.paused_until > now else None,
            last=last[row.id],
        )
        for row in connection.execute(query)
    }


def _last(
    connection: Connection, tables: Tables, subscription_ids: Sequence[str], most: int
) -> Mapping[str, list[Last]]:
    d = tables.deliveries.c

    def newest(subscription_id: str, status: str) -> Select[Any]:
        """Read off the index, one range for each status."""
        found = (
            select(d.subscription_id, d.message_id, d.status, d.settled_at, d.due_at)
            .where(d.subscription_id == subscription_id, d.status == status)
            .order_by(d.due_at.desc())
            .limit(most)
            .subquery()
        )
        return select(found)

    last: dict[str, list[Last]] = defaultdict(list)
    for start in range(0, len(subscription_ids), _AT_ONCE):
        some = subscription_ids[start : start + _AT_ONCE]
        each = union_all(*(newest(one, status) for one in some for status in STATUSES))
        for row in connection.execute(each):
            at = moment(row.settled_at or row.due_at)
            last[row.subscription_id].append(Last(row.message_id, row.status, at))
    return defaultdict(
        list, {one: sorted(rows, key=lambda row: row.at)[-most:] for one, rows in last.items()}
    )


def recent_names(
    connection: Connection, tables: Tables, *, owned: Owned | None, most: int
) -> Mapping[str, tuple[int, datetime]]:
    """For each name among the newest messages, how many there are, and when the last was sent.

    :param most: how many messages are looked at.
    """
    m = tables.messages.c
    newest = select(m.name, m.created_at).order_by(m.id.desc()).limit(most)
    if owned is not None:
        newest = newest.where(owner_is(m.tenant, owned))
    found = newest.subquery().c
    query = select(found.name, func.count(), func.max(found.created_at)).group_by(found.name)
    return {name: (count, moment(last)) for name, count, last in connection.execute(query)}


def wanted_names(
    connection: Connection, tables: Tables, *, owned: Owned | None
) -> Mapping[str, int]:
    """For each name or pattern, how many enabled subscriptions want it."""
    n, s = tables.names.c, tables.subscriptions.c
    query = (
        select(n.name, func.count())
        .join(tables.subscriptions, s.id == n.subscription_id)
        .where(s.status == str(SubscriptionStatus.ENABLED))
        .group_by(n.name)
    )
    if owned is not None:
        query = query.where(owner_is(s.tenant, owned))
    return {name: count for name, count in connection.execute(query)}
