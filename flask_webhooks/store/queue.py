"""The queue of due deliveries: claimed under a lease, settled under the same token, replayed.

A claim moves ``due_at`` to the end of its lease and writes a token. A worker that dies leaves rows
that come due again by themselves; a worker that comes back late finds that its token is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, select, update

from .records import Claimed, DeliveryStatus, Settlement, SubscriptionStatus, microseconds
from .subscriptions import cancel_waiting
from .tables import Tables

#: A delivery that was claimed so often without any outcome kills its workers: it is set aside.
CLAIMS_BEFORE_QUARANTINE = 3

# Rows looked at for each one wanted, so that one busy subscription does not hide the others.
_LOOK_AHEAD = 4


def claim(
    connection: Connection,
    tables: Tables,
    *,
    token: str,
    now: int,
    lease: int,
    limit: int,
    per_subscription: int,
    in_flight: Mapping[str, int],
) -> list[Claimed]:
    """Lease up to ``limit`` due deliveries, at most ``per_subscription`` at a time for each.

    :param token: new for every claim; what is written later must carry it.
    :param lease: microseconds; longer than an attempt can take.
    :param in_flight: what this worker already holds, counted by subscription.
    """
    room = _pick(_candidates(connection, tables, now, limit, per_subscription, in_flight),
                 limit, per_subscription, in_flight)  # fmt: skip
    poisoned = [row.id for row in room if row.claims >= CLAIMS_BEFORE_QUARANTINE]
    chosen = [row.id for row in room if row.claims < CLAIMS_BEFORE_QUARANTINE]
    _quarantine(connection, tables, poisoned, now)
    if not chosen:
        return []
    _lease(connection, tables, chosen, token=token, now=now, until=now + lease)
    return _read(connection, tables, token)


def _candidates(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    per_subscription: int,
    in_flight: Mapping[str, int],
) -> Sequence[Any]:
    d, s = tables.deliveries.c, tables.subscriptions.c
    full = [name for name, count in in_flight.items() if count >= per_subscription]
    due = (
        select(d.id, d.subscription_id, d.claims)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .where(
            d.status == str(DeliveryStatus.PENDING),
            d.due_at <= now,
            s.status == str(SubscriptionStatus.ENABLED),
            s.paused_until <= now,
        )
        .order_by(d.due_at, d.id)
        .limit(limit * _LOOK_AHEAD)
        .with_for_update(skip_locked=True, of=tables.deliveries)
    )
    if full:
        due = due.where(d.subscription_id.not_in(full))
    return connection.execute(due).all()


def _pick(
    rows: Sequence[Any], limit: int, per_subscription: int, in_flight: Mapping[str, int]
) -> list[Any]:
    held = Counter(in_flight)
    picked: list[Any] = []
    for row in rows:
        if len(picked) < limit and held[row.subscription_id] < per_subscription:
            held[row.subscription_id] += 1
            picked.append(row)
    return picked


def _quarantine(connection: Connection, tables: Tables, ids: Sequence[int], now: int) -> None:
    if ids:
        connection.execute(
            update(tables.deliveries)
            .where(tables.deliveries.c.id.in_(ids))
            .values(
                status=str(DeliveryStatus.EXHAUSTED),
                reason="quarantined",
                token=None,
                settled_at=now,
            )
        )


def _lease(
    connection: Connection, tables: Tables, ids: Sequence[int], *, token: str, now: int, until: int
) -> None:
    d = tables.deliveries.c
    connection.execute(
        update(tables.deliveries)
        .where(d.id.in_(ids), d.status == str(DeliveryStatus.PENDING), d.due_at <= now)
        .values(token=token, due_at=until, attempts=d.attempts + 1, claims=d.claims + 1)
    )


def _read(connection: Connection, tables: Tables, token: str) -> list[Claimed]:
    d, m, s = tables.deliveries.c, tables.messages.c, tables.subscriptions.c
    rows = connection.execute(
        select(
            d.id, d.attempts, d.attempts_before_replay, d.message_id, d.subscription_id,
            m.name, m.body, s.tenant, s.url, s.sealed_secret, s.callback,
        )
        .join(tables.messages, m.id == d.message_id)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .where(d.token == token)
        .order_by(d.id)
    )  # fmt: skip
    return [
        Claimed(
            delivery_id=row.id,
            token=token,
            number=row.attempts,
            position=row.attempts - row.attempts_before_replay,
            message_id=row.message_id,
            name=row.name,
            body=bytes(row.body),
            subscription_id=row.subscription_id,
            tenant=row.tenant,
            url=row.url,
            sealed_secret=None if row.sealed_secret is None else bytes(row.sealed_secret),
            callback=row.callback,
        )
        for row in rows
    ]


def settle(
    connection: Connection,
    tables: Tables,
    settlements: Sequence[Settlement],
    *,
    now: int,
    disable_after: int,
) -> tuple[list[Settlement], dict[str, str]]:
    """Write what came of claims, in one batch, only where their tokens still hold.

    :param disable_after: microseconds of nothing but failures after which a subscription is disabled.
    :returns: the settlements that were written, and the reasons of newly disabled subscriptions
        by id.
    """
    live = _still_held(connection, tables, settlements)
    if not live:
        return [], {}
    _write_deliveries(connection, tables, live, now)
    _write_attempts(connection, tables, live)
    disabled = _write_subscriptions(connection, tables, live, now, disable_after)
    return live, disabled


def _still_held(
    connection: Connection, tables: Tables, settlements: Sequence[Settlement]
) -> list[Settlement]:
    d = tables.deliveries.c
    ids = [s.claimed.delivery_id for s in settlements]
    held = select(d.id, d.token).where(d.id.in_(ids)).with_for_update()
    tokens = {row.id: row.token for row in connection.execute(held)}
    return [s for s in settlements if tokens.get(s.claimed.delivery_id) == s.claimed.token]


def _write_deliveries(
    connection: Connection, tables: Tables, live: Sequence[Settlement], now: int
) -> None:
    d = tables.deliveries.c
    changed = (
        update(tables.deliveries)
        .where(d.id == bindparam("of_id"))
        .values(
            status=bindparam("to_status"),
            reason=bindparam("to_reason"),
            due_at=bindparam("to_due_at"),
            settled_at=bindparam("to_settled_at"),
            attempts=d.attempts - bindparam("not_made"),
            token=None,
            claims=0,
        )
    )
    rows = [
        {
            "of_id": s.claimed.delivery_id,
            "to_status": str(s.status),
            "to_reason": s.reason,
            "to_due_at": s.due_at,
            "not_made": 0 if s.attempt else 1,
            "to_settled_at": None if s.status is DeliveryStatus.PENDING else now,
        }
        for s in live
    ]
    connection.execute(changed, rows)


def _write_attempts(connection: Connection, tables: Tables, live: Sequence[Settlement]) -> None:
    rows = [
        {
            "delivery_id": s.attempt.delivery_id,
            "number": s.attempt.number,
            "outcome": s.attempt.outcome,
            "status_code": s.attempt.status_code,
            "detail": s.attempt.detail,
            "excerpt": s.attempt.excerpt,
            "started_at": microseconds(s.attempt.started_at.timestamp()),
            "duration": microseconds(s.attempt.duration),
        }
        for s in live
        if s.attempt is not None
    ]
    if rows:
        connection.execute(insert(tables.attempts), rows)


def _write_subscriptions(
    connection: Connection,
    tables: Tables,
    live: Sequence[Settlement],
    now: int,
    disable_after: int,
) -> dict[str, str]:
    """Failing streaks, pauses and disabling, once for each subscription of the batch."""
    c = tables.subscriptions.c
    tried = [s for s in live if s.attempt is not None]
    good = {s.claimed.subscription_id for s in tried if s.status is DeliveryStatus.DELIVERED}
    bad = {s.claimed.subscription_id for s in tried} - good
    recovered = c.id.in_(good) & c.failing_since.is_not(None)
    connection.execute(update(tables.subscriptions).where(recovered).values(failing_since=None))
    newly_failing = c.id.in_(bad) & c.failing_since.is_(None)
    connection.execute(update(tables.subscriptions).where(newly_failing).values(failing_since=now))
    _pause(connection, tables, live)
    reasons = _given_up(connection, tables, bad, now - disable_after)
    reasons |= {s.claimed.subscription_id: s.disable for s in live if s.disable}
    return _disable(connection, tables, reasons, bad, now)


def _pause(connection: Connection, tables: Tables, live: Sequence[Settlement]) -> None:
    c = tables.subscriptions.c
    for s in live:
        if s.paused_until is not None:
            later = case((c.paused_until > s.paused_until, c.paused_until), else_=s.paused_until)
            chosen = c.id == s.claimed.subscription_id
            connection.execute(
                update(tables.subscriptions).where(chosen).values(paused_until=later)
            )


def _given_up(
    connection: Connection, tables: Tables, failing: set[str], before: int
) -> dict[str, str]:
    c = tables.subscriptions.c
    worn_out = select(c.id).where(c.id.in_(failing), c.failing_since <= before)
    return {found: "failing" for found in connection.execute(worn_out).scalars()}


def _disable(
    connection: Connection, tables: Tables, reasons: Mapping[str, str], bad: set[str], now: int
) -> dict[str, str]:
    c = tables.subscriptions.c
    done = {}
    for subscription_id, reason in reasons.items():
        changed = connection.execute(
            update(tables.subscriptions)
            .where(c.id == subscription_id, c.status == str(SubscriptionStatus.ENABLED))
            .values(status=str(SubscriptionStatus.DISABLED), reason=reason)
        )
        if changed.rowcount == 1:
            done[subscription_id] = reason
    # Also those that somebody else disabled while an attempt was under way.
    if bad:
        cancel_waiting(connection, tables, sorted(bad), now=now)
    return done


def hand_back(connection: Connection, tables: Tables, claimed: Sequence[Claimed], now: int) -> None:
    """Give up leases whose attempts were not made: due at once, and not counted."""
    d = tables.deliveries.c
    for one in claimed:
        connection.execute(
            update(tables.deliveries)
            .where(d.id == one.delivery_id, d.token == one.token)
            .values(token=None, due_at=now, attempts=d.attempts - 1, claims=d.claims - 1)
        )


def next_due(connection: Connection, tables: Tables) -> int | None:
    """When the next pending delivery comes due, in microseconds since 1970."""
    d = tables.deliveries.c
    pending = d.status == str(DeliveryStatus.PENDING)
    return connection.execute(select(func.min(d.due_at)).where(pending)).scalar()


def replayable(
    tables: Tables,
    *,
    delivery: int | None,
    message: str | None,
    subscription: str | None,
    name: str | None,
    status: str | None,
    since: int | None,
    until: int | None,
) -> list[Any]:
    """The conditions of a replay; without a status, of what was not delivered or is named."""
    d, m = tables.deliveries.c, tables.messages.c
    equal = {d.id: delivery, d.message_id: message, d.subscription_id: subscription, m.name: name,
             d.status: status}  # fmt: skip
    chosen = [column == value for column, value in equal.items() if value is not None]
    chosen += [d.created_at >= since] if since is not None else []
    chosen += [d.created_at < until] if until is not None else []
    if status is None and delivery is None:
        chosen.append(d.status != str(DeliveryStatus.DELIVERED))
    return chosen


def replay(
    connection: Connection, tables: Tables, chosen: Sequence[Any], *, now: int, dry_run: bool
) -> int:
    """Make the chosen settled deliveries due again, from the start of the schedule.

    :returns: how many there are; a dry run only counts.
    """
    d = tables.deliveries.c
    ids = (
        select(d.id)
        .join(tables.messages, tables.messages.c.id == d.message_id)
        .where(d.status != str(DeliveryStatus.PENDING), *chosen)
    )
    if dry_run:
        return connection.execute(select(func.count()).select_from(ids.subquery())).scalar_one()
    found = list(connection.execute(ids).scalars())
    for start in range(0, len(found), 500):
        connection.execute(
            update(tables.deliveries)
            .where(d.id.in_(found[start : start + 500]))
            .values(
                status=str(DeliveryStatus.PENDING), reason="replayed", due_at=now, claims=0,
                attempts_before_replay=d.attempts, settled_at=None,
            )
        )  # fmt: skip
    return len(found)
