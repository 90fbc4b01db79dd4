"""What is new since a look: deliveries that were made or attempted, and attempts by outcome."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select

from .lists import deliveries_of, delivery_of
from .records import Delivery, DeliveryStatus
from .tables import Tables

#: Ids before a mark that are looked at again: a transaction with a smaller one may end later.
_OVERLAP = 200
#: Rows that a short look counts.
_MOST = 10_000
#: Microseconds: no lease that is worth a look is longer.
_LONGEST_LEASE = 600_000_000


class Mark(NamedTuple):
    """How far somebody has looked: the newest ids of deliveries and attempts."""

    delivery: int
    attempt: int


def mark(connection: Connection, tables: Tables) -> Mark:
    """The newest ids of this moment."""
    newest = [
        connection.execute(select(func.max(table.c.id))).scalar() or 0
        for table in (tables.deliveries, tables.attempts)
    ]
    return Mark(*newest)


def changed_since(
    connection: Connection, tables: Tables, looked: Mark, *, limit: int, **filters: Any
) -> list[Delivery]:
    """Deliveries that were made or attempted since then, the oldest first; some from before, too.

    :param filters: of :func:`.lists.deliveries_of`.
    """
    d, a = tables.deliveries.c, tables.attempts.c
    made = select(d.id).where(d.id > looked.delivery - _OVERLAP).order_by(d.id.desc())
    attempted = select(a.delivery_id).where(a.id > looked.attempt - _OVERLAP)
    ids = set(connection.execute(made.limit(limit)).scalars())
    ids |= set(connection.execute(attempted.order_by(a.id.desc()).limit(limit)).scalars())
    query = deliveries_of(tables, **filters).where(d.id.in_(ids)).order_by(d.id)
    return [delivery_of(row) for row in connection.execute(query).mappings()]


class Attempted(NamedTuple):
    """Attempts since a look."""

    accepted: int
    failed: int
    #: The newest id.
    newest: int


def attempts_since(connection: Connection, tables: Tables, attempt: int) -> Attempted:
    """How many attempts there were since an id, by outcome."""
    a = tables.attempts.c
    accepted = func.coalesce(func.sum(case((a.outcome == "accepted", 1), else_=0)), 0)
    since = select(func.count(), accepted, func.max(a.id)).where(a.id > attempt)
    count, good, newest = connection.execute(since).one()
    return Attempted(int(good), count - int(good), newest or attempt)


class Pending(NamedTuple):
    """What is pending at a moment; each number stops at some thousands."""

    due: int
    #: Seconds for which the oldest has been due.
    oldest_due: float
    under_way: int


def pending(connection: Connection, tables: Tables, now: int) -> Pending:
    """What is pending, however much that is, by a short look.

    :param now: microseconds since 1970.
    """
    d = tables.deliveries.c
    waits = d.status == str(DeliveryStatus.PENDING)
    due = select(d.id).where(waits, d.due_at <= now).limit(_MOST).subquery()
    leased = select(d.token).where(waits, d.due_at > now, d.due_at <= now + _LONGEST_LEASE)
    tokens = leased.limit(_MOST).subquery()
    oldest = connection.execute(select(func.min(d.due_at)).where(waits)).scalar()
    return Pending(
        due=connection.execute(select(func.count()).select_from(due)).scalar_one(),
        oldest_due=max(now - (now if oldest is None else oldest), 0) / 1e6,
        under_way=connection.execute(select(func.count(tokens.c.token))).scalar_one(),
    )
