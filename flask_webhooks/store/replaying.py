"""What people do to deliveries by hand: settled ones made due again, others cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select, update

from . import lines
from .database import Database
from .lists import owner_is
from .records import DeliveryStatus, Owned, SubscriptionStatus
from .tables import Tables

#: Deliveries that are replayed in one transaction.
_BATCH = 500

_PENDING = str(DeliveryStatus.PENDING)


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
    owned: Owned | None = None,
) -> list[Any]:
    """The conditions of a replay; without a status, of what was not delivered or is named."""
    d, m = tables.deliveries.c, tables.messages.c
    equal = {d.id: delivery, d.message_id: message, d.subscription_id: subscription, m.name: name,
             d.status: status}  # fmt: skip
    chosen = [column == value for column, value in equal.items() if value is not None]
    chosen += [d.created_at >= since] if since is not None else []
    chosen += [d.created_at < until] if until is not None else []
    if owned is not None:
        chosen.append(owner_is(tables.subscriptions.c.tenant, owned))
    chosen.append(m.erased_at.is_(None))
    if status is None and delivery is None:
        chosen.append(d.status != str(DeliveryStatus.DELIVERED))
    return chosen


def count_replayable(connection: Connection, tables: Tables, chosen: Sequence[Any]) -> int:
    """How many deliveries :func:`replay` would make due again."""
    found = _settled_ones(tables, chosen).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def replay(
    database: Database,
    chosen: Sequence[Any],
    *,
    now: int,
    told: Callable[[int], None] = lambda count: None,
) -> int:
    """Make the chosen settled deliveries due again, from the start of the schedule.

    Those to a disabled subscription are left as they are: they could not be delivered. It is done
    in batches, so that no view waits for all of it.

    :param told: is given how many were done, after each batch.
    :returns: how many.
    """
    done, last = 0, 0
    while True:
        count, last = database.write(partial(_replay_some, database.tables, chosen, last, now))
        if not last:
            return done
        done += count
        told(done)


def _replay_some(
    tables: Tables, chosen: Sequence[Any], after: int, now: int, connection: Connection
) -> tuple[int, int]:
    """Replay the first few after an id: how many, and the id of the last; 0 when there is none."""
    d = tables.deliveries.c
    some = _settled_ones(tables, chosen).where(d.id > after).order_by(d.id).limit(_BATCH)
    ids = list(connection.execute(some).scalars())
    if not ids:
        return 0, 0
    changed = connection.execute(
        update(tables.deliveries)
        .where(d.id.in_(ids), d.status != _PENDING)
        .values(
            status=_PENDING, reason="replayed", due_at=now, claims=0,
            attempts_before_replay=d.attempts, settled_at=None,
        )
    )  # fmt: skip
    lines.let_follow(connection, tables, ids, now)
    return changed.rowcount, ids[-1]


def _settled_ones(tables: Tables, chosen: Sequence[Any]) -> Select[Any]:
    d, s = tables.deliveries.c, tables.subscriptions.c
    return (
        select(d.id)
        .join(tables.messages, tables.messages.c.id == d.message_id)
        .join(tables.subscriptions, s.id == d.subscription_id)
        .where(d.status != _PENDING, s.status == str(SubscriptionStatus.ENABLED), *chosen)
    )


def cancel(connection: Connection, tables: Tables, delivery: int, *, now: int) -> bool:
    """Give up a delivery that is pending and not under way, or exhausted; whether it was."""
    d = tables.deliveries.c
    waits = and_(d.status == _PENDING, d.token.is_(None) | (d.due_at <= now))
    changed = connection.execute(
        update(tables.deliveries)
        .where(d.id == delivery, waits | (d.status == str(DeliveryStatus.EXHAUSTED)))
        .values(
            status=str(DeliveryStatus.CANCELLED), reason="by hand", token=None, due_at=now,
            settled_at=now,
        )
    )  # fmt: skip
    lines.let_follow(connection, tables, [delivery], now)
    return changed.rowcount == 1
