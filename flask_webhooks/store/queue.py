"""The queue of due deliveries: claimed under a lease, and handed back.

A claim moves ``due_at`` to the end of its lease and writes a token. A worker that dies leaves rows
that come due again by themselves; a worker that comes back late finds that its token is gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select, update

from ..rules.picking import Candidate, pick
from ..rules.terms import terms_of
from . import lines, statements
from .database import Database
from .dialects import as_list, fetch
from .records import ENQUEUED, IN_LINE, Claimed, DeliveryStatus, SubscriptionStatus
from .tables import Tables

#: A delivery that was claimed so often without any outcome kills its workers: it is set aside.
CLAIMS_BEFORE_QUARANTINE = 3

# Rows looked at beyond those wanted, so that one busy subscription does not hide the others.
_LOOK_AHEAD = 48

# Of one of many subscriptions that are looked at: so many times what there is room for, since
# what was tried before is passed over for what was not.
_PASSED_OVER = 2

_PENDING = str(DeliveryStatus.PENDING)


def next_due(connection: Connection, tables: Tables, now: int) -> int | None:
    """When the next delivery comes due that is not due yet, in microseconds since 1970."""
    return connection.execute(statements.next_due(tables), {"now": now}).scalar()


def next_possible(connection: Connection, tables: Tables, now: int) -> int | None:
    """When the next pending delivery may be claimed, its subscription's pause included."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    moment = case((s.paused_until > d.due_at, s.paused_until), else_=d.due_at)
    pending = select(func.min(moment)).join(tables.subscriptions, s.id == d.subscription_id)
    waiting = pending.where(d.status == _PENDING, moment > now, d.due_at < IN_LINE)
    return connection.execute(waiting).scalar()


def claim(
    database: Database,
    *,
    token: str,
    now: int,
    lease: int,
    limit: int,
    room: Callable[[str], int],
    look_around: bool = False,
) -> tuple[list[Claimed], list[int]]:
    """Lease up to ``limit`` due deliveries.

    :param token: new for every claim; what is written later must carry it.
    :param lease: microseconds; longer than an attempt can take.
    :param room: from the id of a subscription to how many of its deliveries may be leased.
    :param look_around: look behind the oldest deliveries as well, where another tenant may wait.
    :returns: what was leased, and the ids of the deliveries that were set aside as poisonous.
    """
    tables = database.tables

    def look(connection: Connection, lock: bool) -> _Look:
        return _chosen(connection, tables, now, limit, room, look_around, lock)

    if database.locks_rows:  # and passes over what another worker is just claiming
        return _claimed(database, lambda c: look(c, True), token, now, lease)
    # Whoever looks with the lock in hand keeps others waiting meanwhile, and an idle look is no
    # write.
    found = database.read(lambda c: look(c, False))
    return _claimed(database, lambda _: found, token, now, lease) if found.chosen else ([], [])


def claim_these(
    database: Database, delivery_ids: Sequence[int], *, token: str, now: int, lease: int
) -> tuple[list[Claimed], list[int]]:
    """Lease those that were enqueued, or are due, among the given deliveries.

    Parameters and result are those of :func:`claim`.
    """
    tables = database.tables

    def look(connection: Connection) -> _Look:
        _release(connection, tables, delivery_ids, now)
        return _due_of(connection, tables, now, delivery_ids)

    return _claimed(database, look, token, now, lease)


def _claimed(
    database: Database, look: Callable[[Connection], _Look], token: str, now: int, lease: int
) -> tuple[list[Claimed], list[int]]:
    """Lease what ``look`` chooses; what is read besides is read without a lock in hand."""
    tables, until = database.tables, now + lease

    def work(connection: Connection) -> tuple[_Look, list[int], list[int]]:
        found = look(connection)
        return found, *_lease(connection, tables, found.chosen, token, now, until)

    found, leased, poisoned = database.write(work, by_index=True)
    if not leased:
        return [], poisoned
    messages = database.read(lambda c: _messages(c, tables, found, leased), by_index=True)
    ready = [
        _ready(found.deliveries[one], token, until, messages, found.receivers)
        for one in leased
        # Missing is what was erased between the looks: it is not to be sent.
        if found.deliveries[one].message_id in messages
    ]
    return ready, poisoned


def enqueue(database: Database, *, now: int, until: int, limit: int, cap: int) -> list[int]:
    """Take due deliveries out of the queue, for an engine to hand them to its workers.

    They come due again by themselves when nobody has claimed them by then.

    :param until: microseconds since 1970.
    :param cap: how many of one subscription may be enqueued or under lease.
    :returns: ids for :func:`claim_these`, as many as ``limit``.
    """
    tables = database.tables

    def work(connection: Connection) -> list[int]:
        held = _held(connection, tables, now)
        found = _chosen(
            connection, tables, now, limit, lambda s: cap - held[s], True, database.locks_rows
        )
        ids = [one.delivery_id for one in found.chosen]
        dialect = connection.dialect.name
        values = {"ids": as_list(dialect, ids), "now": now, "to_token": ENQUEUED, "until": until}
        connection.execute(statements.enqueued(tables, dialect), values)
        return ids

    any_due = database.read(lambda c: _due(c, tables, now, 1, lock=False), by_index=True)
    return database.write(work, by_index=True) if any_due else []


def release(database: Database, delivery_ids: Sequence[int], *, now: int) -> None:
    """Put back what was enqueued, and could not be handed on."""
    database.write(lambda c: _release(c, database.tables, delivery_ids, now), by_index=True)


def _release(connection: Connection, tables: Tables, delivery_ids: Sequence[int], now: int) -> None:
    dialect = connection.dialect.name
    values = {"ids": as_list(dialect, delivery_ids), "now": now, "held_by": ENQUEUED}
    connection.execute(statements.released(tables, dialect), values)


def _held(connection: Connection, tables: Tables, now: int) -> Counter[str]:
    """How many deliveries of each subscription are enqueued or under lease."""
    d = tables.deliveries.c
    held = select(d.subscription_id, func.count()).where(
        d.status == _PENDING, d.due_at > now, d.due_at < IN_LINE, d.token.is_not(None)
    )
    rows = connection.execute(held.group_by(d.subscription_id)).all()
    return Counter({subscription_id: count for subscription_id, count in rows})


class _Row(NamedTuple):
    """What is read of a delivery that is due."""

    id: int
    subscription_id: str
    claims: int
    attempts: int
    attempts_before_replay: int
    message_id: str
    line: str | None


class _Receiver(NamedTuple):
    """What is read of a subscription."""

    id: str
    status: str
    paused_until: int
    tenant: str | None
    url: str
    secret: bytes | None
    options: bytes | None
    confirmed_at: int | None
    callback: str | None
    failing_since: int | None
    terms: str | None


class _Look(NamedTuple):
    """What a look at the queue chose, and what it has read, by id."""

    chosen: list[Candidate]
    deliveries: dict[int, _Row]
    receivers: dict[str, _Receiver]


def _chosen(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    room: Callable[[str], int],
    look_around: bool,
    lock: bool,
) -> _Look:
    """What to lease: the oldest first, but where a few subscriptions block the front, past them."""
    wanted = limit + min(3 * limit, _LOOK_AHEAD)
    deliveries = {row.id: row for row in _due(connection, tables, now, wanted, lock)}
    receivers = _receivers(connection, tables, deliveries.values())
    chosen = pick(_candidates(deliveries, receivers, now), limit, room)
    if len(deliveries) < wanted or len(chosen) >= limit and not look_around:
        return _Look(chosen, deliveries, receivers)
    others = _open_subscriptions(connection, tables, now, limit, room)
    if not others:
        return _Look(chosen, deliveries, receivers)
    asked = [one for one in others if one not in receivers] or others
    each = _PASSED_OVER * max(1, *(room(one) for one in asked))
    more = _due(connection, tables, now, wanted, lock, asked, min(each, wanted))
    deliveries |= {row.id: row for row in more}
    receivers |= _receivers(connection, tables, more)
    chosen = pick(_candidates(deliveries, receivers, now), limit, room)
    return _Look(chosen, deliveries, receivers)


def _due(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    lock: bool,
    only: Sequence[str] | None = None,
    each: int = 0,
) -> list[_Row]:
    """The oldest due deliveries.

    :param only: of these subscriptions.
    :param each: no more of one of them are needed.
    """
    dialect = connection.dialect.name
    values: dict[str, Any] = {"now": now, "most": limit, "each": each}
    if only is not None:
        values["ids"] = as_list(dialect, only)
    rows = fetch(connection, statements.due(tables, dialect, lock, only is not None), values)
    return [_Row(*row) for row in rows]


def _due_of(connection: Connection, tables: Tables, now: int, delivery_ids: Sequence[int]) -> _Look:
    """Those of the given deliveries that are due; they stay locked."""
    dialect = connection.dialect.name
    values = {"ids": as_list(dialect, delivery_ids), "now": now}
    rows = fetch(connection, statements.due_of(tables, dialect), values)
    deliveries = {row.id: row for row in (_Row(*row) for row in rows)}
    receivers = _receivers(connection, tables, deliveries.values())
    return _Look(_candidates(deliveries, receivers, now), deliveries, receivers)


def _receivers(
    connection: Connection, tables: Tables, deliveries: Collection[_Row]
) -> dict[str, _Receiver]:
    """The subscriptions of deliveries, each read once however often it occurs."""
    if not deliveries:
        return {}
    dialect = connection.dialect.name
    ids = as_list(dialect, {one.subscription_id for one in deliveries})
    rows = fetch(connection, statements.receivers(tables, dialect), {"ids": ids})
    return {row[0]: _Receiver(*row) for row in rows}


def _candidates(
    deliveries: Mapping[int, _Row], receivers: Mapping[str, _Receiver], now: int
) -> list[Candidate]:
    states = {}
    for one in receivers.values():
        disabled = one.status != SubscriptionStatus.ENABLED
        states[one.id] = disabled, one.paused_until > now and not disabled, one.tenant
    return [
        Candidate(
            row.id,
            row.subscription_id,
            row.claims,
            row.attempts == row.attempts_before_replay,
            *states[row.subscription_id],
        )
        for row in deliveries.values()
        if row.subscription_id in states  # not deleted between the two looks
    ]


def _open_subscriptions(
    connection: Connection, tables: Tables, now: int, limit: int, room: Callable[[str], int]
) -> list[str]:
    """Subscriptions that have room and due deliveries: the tenants in turn, the oldest first.

    One look at an index for each subscription: the cost doesn't grow with what the blocked ones
    have piled up.
    """
    turns: Counter[str | None] = Counter()
    found = []
    for one, tenant in fetch(connection, statements.open_subscriptions(tables), {"now": now}):
        if room(one) > 0:
            found.append((turns[tenant], one))
            turns[tenant] += 1
    found.sort(key=lambda pair: pair[0])
    return [one for _, one in found[:limit]]


def _lease(
    connection: Connection,
    tables: Tables,
    chosen: Sequence[Candidate],
    token: str,
    now: int,
    until: int,
) -> tuple[list[int], list[int]]:
    live = [one for one in chosen if not one.disabled]
    poisoned = [one.delivery_id for one in live if one.claims >= CLAIMS_BEFORE_QUARANTINE]
    leased = [one.delivery_id for one in live if one.claims < CLAIMS_BEFORE_QUARANTINE]
    cancelled = [one.delivery_id for one in chosen if one.disabled]
    dialect = connection.dialect.name
    for ids, to_status, to_reason in (
        (poisoned, DeliveryStatus.EXHAUSTED, "quarantined"),
        (cancelled, DeliveryStatus.CANCELLED, "disabled"),
    ):
        if ids:
            values = {"to_status": str(to_status), "to_reason": to_reason, "now": now}
            values["ids"] = as_list(dialect, ids)
            connection.execute(statements.set_aside(tables, dialect), values)
            lines.let_follow(connection, tables, ids, now)
    if leased:
        leased = _leased(connection, tables, leased, token, now, until)
    return leased, poisoned


def _leased(
    connection: Connection, tables: Tables, ids: list[int], token: str, now: int, until: int
) -> list[int]:
    """Lease what is still due, and say what that was."""
    dialect = connection.dialect.name
    given = as_list(dialect, ids)
    values = {"ids": given, "now": now, "to_token": token, "until": until}
    changed = connection.execute(statements.lease(tables, dialect), values).rowcount
    if changed == len(ids):
        return ids
    rows = fetch(connection, statements.leased(tables, dialect), {"ids": given, "token": token})
    mine = {row[0] for row in rows}
    return [one for one in ids if one in mine]


def _messages(
    connection: Connection, tables: Tables, found: _Look, leased: Sequence[int]
) -> dict[str, _Message]:
    """The messages of what was leased, each read once however often it occurs."""
    dialect = connection.dialect.name
    wanted = as_list(dialect, {found.deliveries[one].message_id for one in leased})
    rows = fetch(connection, statements.bodies(tables, dialect), {"ids": wanted})
    return {row[0]: _Message(*row) for row in rows}


class _Message(NamedTuple):
    """What is read of a message."""

    id: str
    name: str
    body: bytes
    created_at: int
    trace: str | None


def _ready(
    row: _Row,
    token: str,
    until: int,
    messages: Mapping[str, _Message],
    receivers: Mapping[str, _Receiver],
) -> Claimed:
    message, receiver = messages[row.message_id], receivers[row.subscription_id]
    secret, options = receiver.secret, receiver.options
    return Claimed(
        delivery_id=row.id,
        token=token,
        number=row.attempts + 1,
        position=row.attempts + 1 - row.attempts_before_replay,
        message_id=message.id,
        name=message.name,
        sent_at=message.created_at,
        trace=message.trace,
        body=bytes(message.body),
        subscription_id=receiver.id,
        tenant=receiver.tenant,
        url=receiver.url,
        sealed_secret=None if secret is None else bytes(secret),
        sealed_options=None if options is None else bytes(options),
        confirmed=receiver.confirmed_at is not None,
        callback=receiver.callback,
        terms=terms_of(receiver.terms),
        line=row.line,
        until=until,
        failing_since=receiver.failing_since,
    )


def hand_back(connection: Connection, tables: Tables, claimed: Sequence[Claimed], now: int) -> None:
    """Give up leases whose attempts were not made: due at once, and not counted."""
    d = tables.deliveries.c
    of_token: dict[str, list[int]] = defaultdict(list)
    for one in claimed:
        of_token[one.token].append(one.delivery_id)
    for token, ids in of_token.items():
        connection.execute(
            update(tables.deliveries)
            .where(d.id.in_(ids), d.token == token)
            .values(token=None, due_at=now, attempts=d.attempts - 1, claims=d.claims - 1)
        )
