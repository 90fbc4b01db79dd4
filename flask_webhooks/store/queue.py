"""The queue of due deliveries: claimed under a lease, and handed back.

A claim moves ``due_at`` to the end of its lease and writes a token. A worker that dies leaves rows
that come due again by themselves; a worker that comes back late finds that its token is gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select, update

from ..rules.picking import Candidate
from ..rules.terms import terms_of
from . import lines, statements
from .choosing import Choice, Receiver, all_of, choose, is_any_due, is_still_due
from .claims import Claimed
from .database import Database
from .dialects import as_list, fetch
from .records import ENQUEUED, IN_LINE, DeliveryStatus
from .settling import Batch
from .tables import Tables

#: A delivery that was claimed so often without any outcome kills its workers: it is set aside.
CLAIMS_BEFORE_QUARANTINE = 3

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
    also: Batch | None = None,
) -> tuple[list[Claimed], list[int]]:
    """Lease up to ``limit`` due deliveries.

    :param token: new for every claim; what is written later must carry it.
    :param lease: microseconds; longer than an attempt can take.
    :param room: from the id of a subscription to how many of its deliveries may be leased.
    :param look_around: look behind the oldest deliveries as well, where another tenant may wait.
    :param also: what is written in the same transaction, if there is one.
    :returns: what was leased, and the ids of the deliveries that were set aside as poisonous.
    """

    tables = database.tables

    def look(connection: Connection) -> Choice:
        return choose(
            connection, tables, now=now, limit=limit, room=room, look_around=look_around,
            lock=database.locks_rows,
        )  # fmt: skip

    if database.locks_rows:
        return _claimed(database, look, token, now, lease, also)
    # In SQLite whoever looks with the lock in hand keeps others waiting, and an idle look would be
    # a write. So it is done only where about half of what was seen is leased by others, or all of
    # it is settled here.
    found = database.read(look)
    if not found.candidates:
        return [], []

    def seen(connection: Connection) -> Choice:
        candidates = found.candidates if also is None else also.without_overtaken(found.candidates)
        middle = candidates[len(candidates) // 2 :][:1]
        if not middle or not is_still_due(connection, tables, now, middle[0].delivery_id):
            return look(connection)
        return found._replace(candidates=candidates)

    return _claimed(database, seen, token, now, lease, also)


def claim_these(
    database: Database, delivery_ids: Sequence[int], *, token: str, now: int, lease: int
) -> tuple[list[Claimed], list[int]]:
    """Lease those that were enqueued, or are due, among the given deliveries.

    Parameters and result are those of :func:`claim`.
    """
    tables = database.tables

    def look(connection: Connection) -> Choice:
        _release(connection, tables, delivery_ids, now)
        return all_of(connection, tables, now, delivery_ids)

    return _claimed(database, look, token, now, lease)


def _claimed(
    database: Database,
    look: Callable[[Connection], Choice],
    token: str,
    now: int,
    lease: int,
    also: Batch | None = None,
) -> tuple[list[Claimed], list[int]]:
    """Lease what ``look`` chooses; messages are read after that, without a lock in hand."""
    tables, until = database.tables, now + lease

    def work(connection: Connection) -> tuple[Choice, list[Candidate], list[int]]:
        if also is not None:
            also.write(connection, tables)
        found = look(connection)
        return found, *_lease(connection, tables, found.candidates, token, now, until)

    found, leased, poisoned = database.write(work, by_worker=True)
    if also is not None:
        also.note_committed()
    if not leased:
        return [], poisoned
    messages = database.read(lambda c: _messages(c, tables, leased), by_index=True)
    ready = [
        _ready(one, token, until, messages[one.message_id], found.receivers[one.subscription_id])
        for one in leased
        # Missing is what was erased between the looks: it is not to be sent.
        if one.message_id in messages
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
        found = choose(
            connection, tables, now=now, limit=limit, room=lambda s: cap - held[s],
            look_around=True, lock=database.locks_rows,
        )  # fmt: skip
        ids = [one.delivery_id for one in found.candidates]
        dialect = connection.dialect.name
        values = {"ids": as_list(dialect, ids), "now": now, "to_token": ENQUEUED, "until": until}
        connection.execute(statements.enqueued(tables, dialect), values)
        return ids

    any_due = database.read(lambda c: is_any_due(c, tables, now), by_index=True)
    return database.write(work, by_worker=True) if any_due else []


def release(database: Database, delivery_ids: Sequence[int], *, now: int) -> None:
    """Put back what was enqueued, and could not be handed on."""
    database.write(lambda c: _release(c, database.tables, delivery_ids, now), by_worker=True)


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


def _lease(
    connection: Connection,
    tables: Tables,
    chosen: Sequence[Candidate],
    token: str,
    now: int,
    until: int,
) -> tuple[list[Candidate], list[int]]:
    live = [one for one in chosen if not one.disabled]
    poisoned = [one.delivery_id for one in live if one.claims >= CLAIMS_BEFORE_QUARANTINE]
    leased = [one for one in live if one.claims < CLAIMS_BEFORE_QUARANTINE]
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
    connection: Connection,
    tables: Tables,
    candidates: list[Candidate],
    token: str,
    now: int,
    until: int,
) -> list[Candidate]:
    """Lease what is still due, and say what that was."""
    dialect = connection.dialect.name
    ids = as_list(dialect, [one.delivery_id for one in candidates])
    values = {"ids": ids, "now": now, "to_token": token, "until": until}
    changed = connection.execute(statements.lease(tables, dialect), values).rowcount
    if changed == len(candidates):
        return candidates
    rows = fetch(connection, statements.leased(tables, dialect), {"ids": ids, "token": token})
    mine = {row[0] for row in rows}
    return [one for one in candidates if one.delivery_id in mine]


def _messages(
    connection: Connection, tables: Tables, leased: Sequence[Candidate]
) -> dict[str, _Message]:
    """The messages of what was leased, each read once however often it occurs."""
    dialect = connection.dialect.name
    wanted = as_list(dialect, {one.message_id for one in leased})
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
    one: Candidate, token: str, until: int, message: _Message, receiver: Receiver
) -> Claimed:
    secret, options = receiver.secret, receiver.options
    return Claimed(
        delivery_id=one.delivery_id,
        token=token,
        number=one.attempts + 1,
        position=one.attempts + 1 - one.attempts_before_replay,
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
        line=one.line,
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
