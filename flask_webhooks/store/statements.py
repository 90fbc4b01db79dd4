"""The statements of every claim and every settling, built once: building costs more than running.

What changes from run to run is a parameter, lists included (see :func:`.dialects.as_list`).
"""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Update, bindparam, func, select, update

from .dialects import among
from .records import DeliveryStatus
from .tables import Tables

_PENDING = str(DeliveryStatus.PENDING)

once_for_each = functools.lru_cache(64)


@once_for_each
def due(tables: Tables, dialect: str, lock: bool, some: bool) -> Select[Any]:
    """The oldest due deliveries. Parameters: ``now``, ``most``, with ``some`` ``ids`` and ``each``.

    :param some: only those of the subscriptions ``ids``.
    """
    d = tables.deliveries.c
    is_due = (d.status == _PENDING, d.due_at <= bindparam("now"))
    if some and dialect == "sqlite":
        found = _oldest_of_each(tables)
    elif some:
        found = _candidates(tables).where(*is_due, among(dialect, d.subscription_id, "ids"))
    else:
        found = _candidates(tables).where(*is_due)
    found = found.order_by(d.due_at, d.id).limit(bindparam("most"))
    return found.with_for_update(skip_locked=True) if lock else found


def _oldest_of_each(tables: Tables) -> Select[Any]:
    """What is due, looked for in one subscription after the other. Parameters: as of :func:`due`.

    SQLite would walk past everything older of other subscriptions, however much that is. So no
    condition but the identity stands outside of what is looked for.
    """
    each = func.json_each(bindparam("ids")).table_valued("value")
    d = tables.deliveries.alias().c
    of_it = (d.subscription_id == each.c.value, d.status == _PENDING, d.due_at <= bindparam("now"))
    oldest = select(d.id).where(*of_it).order_by(d.due_at).limit(bindparam("each")).correlate(each)
    one = tables.deliveries.c.id.in_(oldest)
    return _candidates(tables).select_from(each).join(tables.deliveries, one)


@once_for_each
def due_of(tables: Tables, dialect: str) -> Select[Any]:
    """Those of some deliveries that are due; they stay locked. Parameters: ``ids`` and ``now``."""
    found = _candidates(tables).where(*_due_among(tables, dialect))
    return found.order_by(tables.deliveries.c.id).with_for_update()


def _candidates(tables: Tables) -> Select[Any]:
    d = tables.deliveries.c
    return select(
        d.id, d.subscription_id, d.claims, d.attempts, d.attempts_before_replay, d.message_id,
        d.line,
    )  # fmt: skip


@once_for_each
def enqueued(tables: Tables, dialect: str) -> Update:
    """Enqueue what is still due. Parameters: ``ids``, ``now``, ``to_token`` and ``until``."""
    return still_due(tables, dialect).values(token=bindparam("to_token"), due_at=bindparam("until"))


@once_for_each
def released(tables: Tables, dialect: str) -> Update:
    """Make due what is enqueued. Parameters: ``ids``, ``now`` and ``held_by``."""
    d = tables.deliveries.c
    held = d.token == bindparam("held_by")
    mine = update(tables.deliveries).where(among(dialect, d.id, "ids"), held)
    return mine.values(token=None, due_at=bindparam("now"))


@once_for_each
def any_waiting(tables: Tables) -> Select[Any]:
    """A message that waits to be fanned out."""
    m = tables.messages.c
    return select(m.id).where(m.fanned_out.is_(False)).limit(1)


@once_for_each
def waiting(tables: Tables) -> Select[Any]:
    """The oldest messages that wait to be fanned out; they stay locked. Parameter: ``most``."""
    m = tables.messages.c
    return (
        select(m.id, m.name, m.created_at)
        .where(m.fanned_out.is_(False))
        .order_by(m.created_at, m.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )


@once_for_each
def fanned_out(tables: Tables, dialect: str) -> Update:
    """Note that messages were fanned out. Parameter: ``ids``."""
    m = tables.messages
    return update(m).where(among(dialect, m.c.id, "ids")).values(fanned_out=True)


@once_for_each
def next_due(tables: Tables) -> Select[Any]:
    """When the next delivery comes due. Parameter: ``now``."""
    d = tables.deliveries.c
    return select(func.min(d.due_at)).where(d.status == _PENDING, d.due_at > bindparam("now"))


@once_for_each
def open_subscriptions(tables: Tables) -> Select[Any]:
    """Subscriptions that have due deliveries and no pause. Parameter: ``now``."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    oldest = (
        select(func.min(d.due_at))
        .where(d.subscription_id == s.id, d.status == _PENDING)
        .correlate(tables.subscriptions)
        .scalar_subquery()
    )
    now: ColumnElement[int] = bindparam("now", type_=BigInteger)
    return select(s.id, s.tenant).where(s.paused_until <= now, oldest <= now).order_by(oldest)


@once_for_each
def lease(tables: Tables, dialect: str) -> Update:
    """Lease what is still due. Parameters: ``ids``, ``now``, ``to_token`` and ``until``."""
    d = tables.deliveries.c
    return still_due(tables, dialect).values(
        token=bindparam("to_token"),
        due_at=bindparam("until"),
        attempts=d.attempts + 1,
        claims=d.claims + 1,
    )


@once_for_each
def set_aside(tables: Tables, dialect: str) -> Update:
    """Settle without an attempt what is still due. Parameters as there, and two ``to_…``."""
    return still_due(tables, dialect).values(
        status=bindparam("to_status"),
        reason=bindparam("to_reason"),
        token=None,
        settled_at=bindparam("now"),
    )


def still_due(tables: Tables, dialect: str) -> Update:
    """Change deliveries that nobody else leased or settled. Parameters: ``ids`` and ``now``."""
    return update(tables.deliveries).where(*_due_among(tables, dialect))


def _due_among(tables: Tables, dialect: str) -> tuple[ColumnElement[bool], ...]:
    """Which of some deliveries are due. Parameters: ``ids`` and ``now``."""
    d = tables.deliveries.c
    # Said so that no database walks its index of all that is due to find a few ids.
    pending, is_due = func.coalesce(d.status, "") == _PENDING, d.due_at + 0 <= bindparam("now")
    return among(dialect, d.id, "ids"), pending, is_due


@once_for_each
def leased(tables: Tables, dialect: str) -> Select[Any]:
    """What was leased. Parameters: ``ids`` and ``token``."""
    d = tables.deliveries.c
    return select(d.id).where(among(dialect, d.id, "ids"), d.token == bindparam("token"))


@once_for_each
def receivers(tables: Tables, dialect: str) -> Select[Any]:
    """What claims and attempts need of subscriptions. Parameter: ``ids``."""
    s = tables.subscriptions.c
    return select(
        s.id, s.status, s.paused_until, s.tenant, s.url, s.sealed_secret, s.sealed_options,
        s.confirmed_at, s.callback, s.failing_since, s.terms,
    ).where(among(dialect, s.id, "ids"))  # fmt: skip


@once_for_each
def bodies(tables: Tables, dialect: str) -> Select[Any]:
    """What a delivery needs of messages that may be sent. Parameter: ``ids``."""
    m = tables.messages.c
    needed = select(m.id, m.name, m.body, m.created_at, m.trace)
    return needed.where(among(dialect, m.id, "ids"), m.erased_at.is_(None))


@once_for_each
def held(tables: Tables, dialect: str) -> Select[Any]:
    """Who holds deliveries; they stay locked. Parameter: ``ids``."""
    d = tables.deliveries.c
    return select(d.id, d.token).where(among(dialect, d.id, "ids")).with_for_update()


@once_for_each
def settled(tables: Tables, dialect: str) -> Update:
    """Settle deliveries that are still held.

    Parameters: ``ids``, ``held_by``, ``now``, ``not_made`` and two ``to_…``.
    """
    d = tables.deliveries.c
    return (
        update(tables.deliveries)
        .where(among(dialect, d.id, "ids"), d.token == bindparam("held_by"))
        .values(
            status=bindparam("to_status"),
            reason=bindparam("to_reason"),
            due_at=bindparam("now"),
            settled_at=bindparam("now"),
            attempts=d.attempts - bindparam("not_made"),
            token=None,
            claims=0,
        )
    )


@once_for_each
def retried(tables: Tables) -> Update:
    """Make one delivery due again. Parameters: ``of_id``, ``not_made`` and two ``to_…``."""
    d = tables.deliveries.c
    return (
        update(tables.deliveries)
        .where(d.id == bindparam("of_id"))
        .values(
            reason=bindparam("to_reason"),
            due_at=bindparam("to_due_at"),
            attempts=d.attempts - bindparam("not_made"),
            token=None,
            claims=0,
        )
    )


@once_for_each
def confirmed(tables: Tables) -> Update:
    """Note that owners passed the ownership check, for the URL that was asked and for no other.

    Parameters: ``subscription``, ``asked`` and ``now``.
    """
    s = tables.subscriptions
    asked = (s.c.id == bindparam("subscription"), s.c.url == bindparam("asked"))
    return update(s).where(*asked).values(confirmed_at=bindparam("now"))


@once_for_each
def failing(tables: Tables, dialect: str) -> Select[Any]:
    """Those of some subscriptions that have only failed of late. Parameter: ``ids``."""
    s = tables.subscriptions.c
    return select(s.id).where(among(dialect, s.id, "ids"), s.failing_since.is_not(None))
