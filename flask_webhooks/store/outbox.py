"""Messages that wait: the worker fans each out into deliveries, once."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql import Select

from ..rules.filters import passes
from ..rules.patterns import patterns_of
from . import lines, statements
from .dialects import (
    among,
    as_list,
    fans_out_in_turns,
    fetch,
    one_at_a_time,
)
from .records import IN_LINE, DeliveryStatus, SubscriptionStatus
from .tables import SPECIAL, Tables

#: Seconds that a worker waits for another to be done with fanning out.
PATIENCE = 5.0


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
    most_pending: int | None = None,
) -> FannedOut:
    """Turn waiting messages into deliveries, one for each subscription that wants them.

    Doing it twice adds nothing: a delivery is unique by message and subscription.

    :param first_delay: from a webhook's name to the microseconds before its first attempt.
    :param most_pending: a subscription with so many pending deliveries gets more as exhausted.
    """
    in_turns = fans_out_in_turns(connection)
    turn = f"fan out {tables.deliveries.name}"
    with one_at_a_time(connection, turn, PATIENCE) if in_turns else nullcontext():
        return _fanned_out(connection, tables, now, first_delay, limit, most_pending)


def _fanned_out(
    connection: Connection,
    tables: Tables,
    now: int,
    first_delay: Callable[[str], int],
    limit: int,
    most_pending: int | None,
) -> FannedOut:
    rows = _waiting(connection, tables, limit)
    if not rows:
        return FannedOut(Counter(), 0)
    names = {row.name for row in rows}
    patterns = {pattern for name in names for pattern in patterns_of(name)}
    special = _special(connection, tables, patterns)
    full = _full(connection, tables, patterns, most_pending) if most_pending else []

    def insert_for(name: str, ids: Sequence[str]) -> int:
        values = {"now": now, "delay": first_delay(name), "patterns": patterns_of(name)}
        made = _insert_deliveries(connection, tables, ids, full, values)
        if special.filtered:
            made += _insert_filtered(connection, tables, ids, full, values)
        return made

    made = 0

    if special.once or special.ordered:
        # One by one: the first message that reaches a one-shot subscription closes it, and lines
        # stand in the order of sending.
        for row in rows:
            made += insert_for(row.name, [row.id])
            _close_once(connection, tables, row.id, row.created_at)
    else:
        for name in sorted(names):
            made += insert_for(name, [row.id for row in rows if row.name == name])
    if special.ordered:
        added = _added_lines(connection, tables, [row.id for row in rows])
        lines.straighten(connection, tables, added, now)
    dialect = connection.dialect.name
    ids = as_list(dialect, [row.id for row in rows])
    connection.execute(statements.fanned_out(tables, dialect), {"ids": ids})
    return FannedOut(Counter(row.name for row in rows), made)


class FannedOut(NamedTuple):
    """How many messages of each name were turned into how many deliveries."""

    names: Counter[str]
    deliveries: int


class _Waiting(NamedTuple):
    """A message that waits to be fanned out."""

    id: str
    name: str
    created_at: int


def _waiting(connection: Connection, tables: Tables, limit: int) -> list[_Waiting]:
    found = fetch(connection, statements.waiting(tables), {"most": limit})
    return [_Waiting(*row) for row in found]


class _Special(NamedTuple):
    """What kinds of subscriptions there are among those that may get a message."""

    once: bool
    ordered: bool
    filtered: bool


def _special(connection: Connection, tables: Tables, patterns: Collection[str]) -> _Special:
    """Keep other workers off the one-shot and the ordered subscriptions, and say what there are."""
    dialect = connection.dialect.name
    given = {"patterns": as_list(dialect, patterns)}
    found = connection.execute(_kinds(tables, dialect), given).one()
    special = _Special(*map(bool, found))
    if special.once or special.ordered:
        connection.execute(_kept(tables, dialect), given).all()
    return special


@statements.once_for_each
def _kinds(tables: Tables, dialect: str) -> Select[Any]:
    """Whether any subscription is of each special kind. Parameter: ``patterns``."""
    s = tables.subscriptions.c
    kinds = (s.once.is_(True), s.ordered.is_not(None), s.filter.is_not(None))
    any_of = [func.max(case((kind, 1), else_=0)) for kind in kinds]
    # In the words of their index: there may be many subscriptions, and none of them special.
    return select(*any_of).where(text(f"({SPECIAL})"), _wants(tables, dialect))


@statements.once_for_each
def _kept(tables: Tables, dialect: str) -> Select[Any]:
    """The one-shot and the ordered subscriptions; they stay locked. Parameter: ``patterns``."""
    s = tables.subscriptions.c
    kept = select(s.id).where(s.once.is_(True) | s.ordered.is_not(None), _wants(tables, dialect))
    return kept.order_by(s.id).with_for_update()


def _wants(tables: Tables, dialect: str) -> ColumnElement[bool]:
    """Whether a subscription wants one of the names. Parameter: ``patterns``."""
    n = tables.names.c
    its = n.subscription_id == tables.subscriptions.c.id
    return exists().where(its, among(dialect, n.name, "patterns"))


def _full(
    connection: Connection, tables: Tables, patterns: Collection[str], most: int
) -> list[str]:
    """The subscriptions to these names that have so many pending deliveries, or more."""
    dialect = connection.dialect.name
    values = {"patterns": as_list(dialect, patterns), "others": most - 1}
    return list(connection.execute(_bounded(tables, dialect), values).scalars())


@statements.once_for_each
def _bounded(tables: Tables, dialect: str) -> Select[Any]:
    """Subscriptions with more pending deliveries than ``others``. Besides: ``patterns``."""
    s, n, d = tables.subscriptions.c, tables.names.c, tables.deliveries.c
    # Not as _wants says it: SQLite would look at every subscription.
    wanting = select(n.subscription_id).where(among(dialect, n.name, "patterns"))
    last = (
        select(d.id)
        .where(d.subscription_id == s.id, d.status == str(DeliveryStatus.PENDING))
        .order_by(d.due_at)
        .offset(bindparam("others"))
        .limit(1)
        .correlate(tables.subscriptions)
        .scalar_subquery()
    )
    return select(s.id).where(s.id.in_(wanting), last.is_not(None))


def _added_lines(
    connection: Connection, tables: Tables, message_ids: Sequence[str]
) -> set[lines.Line]:
    """The lines that got a delivery of these messages."""
    d = tables.deliveries.c
    added = select(d.subscription_id, d.line).where(
        d.message_id.in_(message_ids), d.line.is_not(None)
    )
    return {(row[0], row[1]) for row in connection.execute(added)}


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
    connection: Connection,
    tables: Tables,
    message_ids: Sequence[str],
    full: Sequence[str],
    values: Mapping[str, Any],
    only: Sequence[str] | None = None,
) -> int:
    """Make the deliveries of messages of one name; how many.

    :param full: subscriptions that get theirs as exhausted.
    :param values: ``now``, ``delay`` and ``patterns``.
    :param only: subscriptions whose filters the messages pass; by default those without a filter.
    """
    dialect = connection.dialect.name
    lists: dict[str, Any] = {"ids": message_ids, "patterns": values["patterns"]}
    lists |= {"full": full} if full else {}
    lists |= {} if only is None else {"only": only}
    given = {name: as_list(dialect, found) for name, found in lists.items()}
    statement = _delivering(tables, dialect, bool(full), only is not None)
    return connection.execute(statement, {**values, **given}).rowcount


def _insert_filtered(
    connection: Connection,
    tables: Tables,
    message_ids: Sequence[str],
    full: Sequence[str],
    values: Mapping[str, Any],
) -> int:
    """Make the deliveries to subscriptions that have a filter, where the payload passes it."""
    dialect = connection.dialect.name
    given = {
        "ids": as_list(dialect, message_ids), "patterns": as_list(dialect, values["patterns"]),
    }  # fmt: skip
    asked = fetch(connection, _filtered(tables, dialect), given)
    payloads: dict[str, Any] = {}
    passed: dict[str, list[str]] = defaultdict(list)
    for message_id, subscription_id, body, wanted in asked:
        if message_id not in payloads:
            payloads[message_id] = json.loads(bytes(body))
        if passes(json.loads(wanted), payloads[message_id]):
            passed[message_id].append(subscription_id)
    return sum(
        _insert_deliveries(connection, tables, [message_id], full, values, subscription_ids)
        for message_id, subscription_ids in passed.items()
    )


@statements.once_for_each
def _filtered(tables: Tables, dialect: str) -> Select[Any]:
    """Who may get messages if their payloads pass. Parameters: ``ids`` and ``patterns``."""
    m, s = tables.messages.c, tables.subscriptions.c
    return _wanted(tables, dialect).add_columns(m.body, s.filter).where(s.filter.is_not(None))


@statements.once_for_each
def _delivering(tables: Tables, dialect: str, bounded: bool, only: bool) -> Insert:
    """Make deliveries of messages. Parameters: ``ids``, ``patterns``, ``now`` and ``delay``.

    :param bounded: whether the subscriptions ``full`` get theirs as exhausted.
    :param only: make those to the subscriptions ``only``; otherwise to all without a filter.
    """
    m, s = tables.messages.c, tables.subscriptions.c
    now = bindparam("now", type_=BigInteger)
    first = m.created_at + func.coalesce(s.first_delay, bindparam("delay", type_=BigInteger))
    values: dict[str, Any] = {
        "status": literal(str(DeliveryStatus.PENDING)),
        "attempts": literal(0),
        "attempts_before_replay": literal(0),
        "claims": literal(0),
        "due_at": case((s.ordered.is_(None), first), else_=literal(IN_LINE, BigInteger)),
        "created_at": now,
        "line": case((s.ordered.is_not(None), func.coalesce(m.key, ""))),
    }
    if bounded:
        over = among(dialect, s.id, "full")
        status = case((over, str(DeliveryStatus.EXHAUSTED)), else_=str(DeliveryStatus.PENDING))
        values["status"] = status
        values["reason"] = case((over, "overflow"))
        values["settled_at"] = case((over, now))
    columns = ["message_id", "subscription_id", *values]
    chosen = among(dialect, s.id, "only") if only else s.filter.is_(None)
    wanted = _wanted(tables, dialect).add_columns(*values.values()).where(chosen)
    made = insert(tables.deliveries).from_select(columns, wanted)
    # SQLAlchemy keeps the count of an INSERT only on request.
    return made.execution_options(preserve_rowcount=True)


def _wanted(tables: Tables, dialect: str) -> Select[Any]:
    """Pairs of message and subscription: the one place that says who gets what.

    The parameters are ``ids`` of messages of one name, and ``patterns``, which that name matches.
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
        .join(tables.names, among(dialect, name.name, "patterns"))
        .join(tables.subscriptions, subscription.id == name.subscription_id)
        .where(
            among(dialect, message.id, "ids"),
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
