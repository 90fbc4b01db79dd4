"""The queue of due deliveries: claimed under a lease, and handed back.

A claim moves ``due_at`` to the end of its lease and writes a token. A worker that dies leaves rows
that come due again by themselves; a worker that comes back late finds that its token is gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

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
    # Whoever looks with locks in hand keeps others waiting meanwhile, and an idle look is no write.
    found = database.read(lambda c: _chosen(c, tables, now, limit, room, look_around))
    if not found:
        return [], []

    def work(connection: Connection) -> tuple[list[int], list[int]]:
        chosen = found
        if database.locks_rows:  # pass over what another worker is just claiming
            chosen = _chosen(connection, tables, now, limit, room, look_around, lock=True)
        return _lease(connection, tables, chosen, token, now, now + lease)

    leased, poisoned = database.write(work)
    return database.read(lambda c: _read(c, tables, leased, token)), poisoned


def claim_these(
    database: Database, delivery_ids: Sequence[int], *, token: str, now: int, lease: int
) -> tuple[list[Claimed], list[int]]:
    """Lease those that were enqueued, or are due, among the given deliveries.

    Parameters and result are those of :func:`claim`.
    """
    tables = database.tables

    def work(connection: Connection) -> tuple[list[int], list[int]]:
        _release(connection, tables, delivery_ids, now)
        chosen = _due_of(connection, tables, now, delivery_ids)
        return _lease(connection, tables, chosen, token, now, now + lease)

    leased, poisoned = database.write(work)
    return database.read(lambda c: _read(c, tables, leased, token)), poisoned


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
        chosen = _chosen(
            connection, tables, now, limit, lambda s: cap - held[s], True, lock=database.locks_rows
        )
        ids = [one.delivery_id for one in chosen]
        dialect = connection.dialect.name
        values = {"ids": as_list(dialect, ids), "now": now, "to_token": ENQUEUED, "until": until}
        connection.execute(statements.enqueued(tables, dialect), values)
        return ids

    any_due = database.read(lambda c: _due(c, tables, now, 1, lock=False))
    return database.write(work) if any_due else []


def release(database: Database, delivery_ids: Sequence[int], *, now: int) -> None:
    """Put back what was enqueued, and could not be handed on."""
    database.write(lambda c: _release(c, database.tables, delivery_ids, now))


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


def _chosen(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    room: Callable[[str], int],
    look_around: bool,
    lock: bool = False,
) -> list[Candidate]:
    """What to lease: the oldest first, but where a few subscriptions block the front, past them."""
    wanted = limit + min(3 * limit, _LOOK_AHEAD)
    rows = _due(connection, tables, now, wanted, lock)
    chosen = pick(rows, limit, room)
    if len(rows) < wanted or len(chosen) >= limit and not look_around:
        return chosen
    others = _open_subscriptions(connection, tables, now, limit, room)
    if not others:
        return chosen
    known = {candidate.delivery_id for candidate in rows}
    seen = {candidate.subscription_id for candidate in rows}
    unseen = [one for one in others if one not in seen]
    asked = unseen or others
    each = _PASSED_OVER * max(1, *(room(one) for one in asked))
    more = _due(connection, tables, now, wanted, lock, asked, min(each, wanted))
    rows += [one for one in more if one.delivery_id not in known]
    return pick(rows, limit, room)


def _due(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    lock: bool,
    only: Sequence[str] | None = None,
    each: int = 0,
) -> list[Candidate]:
    """The oldest due deliveries.

    :param only: of these subscriptions.
    :param each: no more of one of them are needed.
    """
    dialect = connection.dialect.name
    values: dict[str, Any] = {"now": now, "most": limit, "each": each}
    if only is not None:
        values["ids"] = as_list(dialect, only)
    rows = fetch(connection, statements.due(tables, dialect, lock, only is not None), values)
    return _candidates(connection, tables, now, rows)


def _due_of(
    connection: Connection, tables: Tables, now: int, delivery_ids: Sequence[int]
) -> list[Candidate]:
    """Those of the given deliveries that are due; they stay locked."""
    dialect = connection.dialect.name
    values = {"ids": as_list(dialect, delivery_ids), "now": now}
    rows = fetch(connection, statements.due_of(tables, dialect), values)
    return _candidates(connection, tables, now, rows)


def _candidates(
    connection: Connection, tables: Tables, now: int, rows: Sequence[Any]
) -> list[Candidate]:
    states = _states(connection, tables, {row[1] for row in rows}, now) if rows else {}
    found = []
    for delivery_id, subscription_id, claims, attempts, before in rows:
        state = states.get(subscription_id)
        if state is not None:  # not deleted between the two looks
            first = attempts == before
            found.append(Candidate(delivery_id, subscription_id, claims, first, *state))
    return found


def _states(
    connection: Connection, tables: Tables, ids: set[str], now: int
) -> dict[str, tuple[bool, bool, str | None]]:
    """Whether subscriptions are disabled, whether they are paused, and whose they are."""
    dialect, found = connection.dialect.name, {}
    asked = statements.states(tables, dialect)
    rows = fetch(connection, asked, {"ids": as_list(dialect, ids)})
    for subscription_id, status, paused_until, tenant in rows:
        disabled = status != SubscriptionStatus.ENABLED
        found[subscription_id] = (disabled, paused_until > now and not disabled, tenant)
    return found


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
        values = {"ids": as_list(dialect, leased), "now": now, "to_token": token, "until": until}
        connection.execute(statements.lease(tables, dialect), values)
    return leased, poisoned


def _read(connection: Connection, tables: Tables, ids: Sequence[int], token: str) -> list[Claimed]:
    """What was leased; messages and subscriptions are read once, however often they occur."""
    if not ids:
        return []
    dialect = connection.dialect.name
    values = {"ids": as_list(dialect, ids), "token": token}
    rows = fetch(connection, statements.leased(tables, dialect), values)

    def by_id(query: Any, column: int) -> dict[str, Any]:
        wanted = {"ids": as_list(dialect, {row[column] for row in rows})}
        return {found: rest for found, *rest in fetch(connection, query, wanted)}

    messages = by_id(statements.bodies(tables, dialect), 3)
    receivers = by_id(statements.receivers(tables, dialect), 4)
    found = {
        row[0]: _claimed(row, token, messages[row[3]], receivers[row[4]])
        for row in rows
        # Missing is what was erased or deleted between the looks: it is not to be sent.
        if row[3] in messages and row[4] in receivers
    }
    return [found[delivery_id] for delivery_id in ids if delivery_id in found]


def _claimed(row: Any, token: str, message: Any, receiver: Any) -> Claimed:
    delivery_id, attempts, before, message_id, subscription_id, due_at, line = row
    name, body, sent_at, trace = message
    tenant, url, secret, options, confirmed_at, callback, failing_since, terms = receiver
    return Claimed(
        delivery_id=delivery_id,
        token=token,
        number=attempts,
        position=attempts - before,
        message_id=message_id,
        name=name,
        sent_at=sent_at,
        trace=trace,
        body=bytes(body),
        subscription_id=subscription_id,
        tenant=tenant,
        url=url,
        sealed_secret=None if secret is None else bytes(secret),
        sealed_options=None if options is None else bytes(options),
        confirmed=confirmed_at is not None,
        callback=callback,
        terms=terms_of(terms),
        line=line,
        until=due_at,
        failing_since=failing_since,
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
