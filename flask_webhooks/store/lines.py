"""Ordered subscriptions: of each line of deliveries only the first that is pending may come due.

A line is what one subscription gets with one key. Whoever adds to a line, or ends a delivery of it,
holds the lock of its subscription, so that no two disagree about which is the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Connection, select, update

from .dialects import among, as_list
from .records import IN_LINE, DeliveryStatus
from .tables import Tables

Line = tuple[str, str]
"""The id of a subscription, and a key."""

_PENDING = str(DeliveryStatus.PENDING)


def lock(connection: Connection, tables: Tables, subscription_ids: Collection[str]) -> set[str]:
    """Lock the ordered ones among the subscriptions; their ids."""
    s = tables.subscriptions.c
    dialect = connection.dialect.name
    ordered = select(s.id).where(among(dialect, s.id, "ids"), s.ordered.is_not(None))
    given = {"ids": as_list(dialect, subscription_ids)}
    return set(connection.execute(ordered.order_by(s.id).with_for_update(), given).scalars())


def lines_of(connection: Connection, tables: Tables, delivery_ids: Collection[int]) -> set[Line]:
    """The lines that deliveries stand in."""
    d = tables.deliveries.c
    dialect = connection.dialect.name
    among_them = (among(dialect, d.id, "ids"), d.line.is_not(None))
    theirs = select(d.subscription_id, d.line).where(*among_them).distinct()
    given = {"ids": as_list(dialect, delivery_ids)}
    return {(row[0], row[1]) for row in connection.execute(theirs, given)}


def straighten(connection: Connection, tables: Tables, lines: Iterable[Line], now: int) -> None:
    """Let the first of each line come due, and no other; where one is parked, none.

    :param lines: of subscriptions that are locked.
    """
    for line in sorted(lines):
        head = _head(connection, tables, line)
        if head is None:
            continue
        first, due_at = head
        if _is_parked(connection, tables, line, first):
            _hold(connection, tables, line, first)
            continue
        if due_at >= IN_LINE:
            _set_due(connection, tables, first, now)
        _hold(connection, tables, line, first + 1)


def _head(connection: Connection, tables: Tables, line: Line) -> tuple[int, int] | None:
    d = tables.deliveries.c
    pending = select(d.id, d.due_at).where(*_of(tables, line), d.status == _PENDING)
    row = connection.execute(pending.order_by(d.id).limit(1)).first()
    return None if row is None else (row[0], row[1])


def _is_parked(connection: Connection, tables: Tables, line: Line, before: int) -> bool:
    d, s = tables.deliveries.c, tables.subscriptions.c
    given_up = (
        select(d.id)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .where(
            *_of(tables, line),
            s.ordered == "park",
            d.status == str(DeliveryStatus.EXHAUSTED),
            d.id < before,
        )
    )
    return connection.execute(given_up.limit(1)).first() is not None


def _hold(connection: Connection, tables: Tables, line: Line, since: int) -> None:
    """Keep the pending ones from ``since`` on from coming due; one under way is left alone."""
    d = tables.deliveries.c
    held = [*_of(tables, line), d.status == _PENDING, d.id >= since]
    connection.execute(
        update(tables.deliveries)
        .where(*held, d.token.is_(None), d.due_at < IN_LINE)
        .values(due_at=IN_LINE, reason="in-line")
    )


def _set_due(connection: Connection, tables: Tables, delivery_id: int, now: int) -> None:
    d = tables.deliveries.c
    connection.execute(
        update(tables.deliveries).where(d.id == delivery_id).values(due_at=now, reason=None)
    )


def _of(tables: Tables, line: Line) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    d = tables.deliveries.c
    return d.subscription_id == line[0], d.line == line[1]


def let_follow(
    connection: Connection, tables: Tables, delivery_ids: Collection[int], now: int
) -> None:
    """Put the lines of deliveries right that ended or came back."""
    found = lines_of(connection, tables, delivery_ids)
    if found:
        lock(connection, tables, {subscription_id for subscription_id, _ in found})
        straighten(connection, tables, found, now)
