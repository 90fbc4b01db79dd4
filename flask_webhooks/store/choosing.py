"""Chooses what to lease: the oldest due deliveries, and past those whose subscriptions are busy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ..rules.picking import Candidate, pick
from . import statements
from .dialects import as_list, fetch
from .records import SubscriptionStatus
from .tables import Tables

# Rows looked at beyond those wanted, so that one busy subscription does not hide the others.
_LOOK_AHEAD = 48

# Of one of many subscriptions that are looked at: so many times what there is room for, since
# what was tried before is passed over for what was not.
_PASSED_OVER = 2


class Receiver(NamedTuple):
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


class Choice(NamedTuple):
    """What is to be leased, and the subscriptions of that by id."""

    candidates: list[Candidate]
    receivers: dict[str, Receiver]


def choose(
    connection: Connection,
    tables: Tables,
    *,
    now: int,
    limit: int,
    room: Callable[[str], int],
    look_around: bool,
    lock: bool,
) -> Choice:
    """What to lease: the oldest first, but where a few subscriptions block the front, past them.

    :param room: from the id of a subscription to how many of its deliveries may be leased.
    :param look_around: look behind the oldest deliveries as well, where another tenant may wait.
    :param lock: keep it from others until the transaction ends, and pass over what they keep.
    """
    wanted = limit + min(3 * limit, _LOOK_AHEAD)
    rows = _due(connection, tables, now, wanted, lock)
    receivers: dict[str, Receiver] = {}
    candidates = _candidates(connection, tables, now, rows, receivers)
    chosen = pick(candidates, limit, room)
    # Half of what was wanted is enough: what is leased leaves the front, and others come there.
    if len(rows) < wanted or 2 * len(chosen) >= limit and not look_around:
        return Choice(chosen, receivers)
    others = _open_subscriptions(connection, tables, now, limit, room)
    if not others:
        return Choice(chosen, receivers)
    known = {row[0] for row in rows}
    asked = [one for one in others if one not in receivers] or others
    each = _PASSED_OVER * max(1, *(room(one) for one in asked))
    more = _due(connection, tables, now, wanted, lock, asked, min(each, wanted))
    unseen = [row for row in more if row[0] not in known]
    candidates += _candidates(connection, tables, now, unseen, receivers)
    return Choice(pick(candidates, limit, room), receivers)


def all_of(connection: Connection, tables: Tables, now: int, delivery_ids: Sequence[int]) -> Choice:
    """Those of the given deliveries that are due; they stay locked."""
    rows = _due_of(connection, tables, now, delivery_ids)
    receivers: dict[str, Receiver] = {}
    return Choice(_candidates(connection, tables, now, rows, receivers), receivers)


def is_any_due(connection: Connection, tables: Tables, now: int) -> bool:
    """Whether there is anything to choose from."""
    return bool(_due(connection, tables, now, 1, lock=False))


def is_still_due(connection: Connection, tables: Tables, now: int, delivery_id: int) -> bool:
    """Whether a delivery that was seen as due was left so."""
    return bool(_due_of(connection, tables, now, [delivery_id]))


def _due_of(
    connection: Connection, tables: Tables, now: int, delivery_ids: Sequence[int]
) -> Sequence[Any]:
    dialect = connection.dialect.name
    values = {"ids": as_list(dialect, delivery_ids), "now": now}
    return fetch(connection, statements.due_of(tables, dialect), values)


def _due(
    connection: Connection,
    tables: Tables,
    now: int,
    limit: int,
    lock: bool,
    only: Sequence[str] | None = None,
    each: int = 0,
) -> Sequence[Any]:
    """The oldest due deliveries.

    :param only: of these subscriptions.
    :param each: no more of one of them are needed.
    """
    dialect = connection.dialect.name
    values: dict[str, Any] = {"now": now, "most": limit, "each": each}
    if only is not None:
        values["ids"] = as_list(dialect, only)
    return fetch(connection, statements.due(tables, dialect, lock, only is not None), values)


def _candidates(
    connection: Connection,
    tables: Tables,
    now: int,
    rows: Sequence[Any],
    receivers: dict[str, Receiver],
) -> list[Candidate]:
    """Deliveries with the states of their subscriptions, each read once however often it occurs.

    :param receivers: those that are known, to which others are added.
    """
    unknown = {row[1] for row in rows} - receivers.keys()
    if unknown:
        dialect = connection.dialect.name
        asked = {"ids": as_list(dialect, unknown)}
        found = fetch(connection, statements.receivers(tables, dialect), asked)
        receivers |= {row[0]: Receiver(*row) for row in found}
    states = {one.id: _state(one, now) for one in receivers.values()}
    # One that is missing was deleted between the two looks.
    return [Candidate._make((*row, *states[row[1]])) for row in rows if row[1] in states]


def _state(receiver: Receiver, now: int) -> tuple[bool, bool, str | None]:
    disabled = receiver.status != SubscriptionStatus.ENABLED
    return disabled, receiver.paused_until > now and not disabled, receiver.tenant


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
