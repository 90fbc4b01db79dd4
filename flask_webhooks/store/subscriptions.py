"""Subscriptions: made by people or captured from calls, and what is changed about them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from ..exceptions import RefusedURLError
from ..rules.limits import Limits
from ..rules.patterns import distinct, patterns_of
from ..rules.terms import Terms, terms_of
from ..rules.urls import shown
from .lists import Position, owner_is, page
from .records import (
    DeliveryStatus,
    Owned,
    Sealed,
    Subscription,
    SubscriptionStatus,
    maybe_moment,
    microseconds,
    moment,
)
from .tables import Tables

_NO_LIMITS = Limits()
_NO_TERMS = Terms()


def add_subscription(
    connection: Connection,
    tables: Tables,
    subscription_id: str,
    *,
    url: str,
    names: Sequence[str],
    key: str | None,
    tenant: str | None,
    host: str,
    sealed_secret: bytes | None,
    now: int,
    sealed_options: bytes | None = None,
    terms: Terms = _NO_TERMS,
    filter_text: str | None = None,
    callback: str | None = None,
    once: bool = False,
    expires_at: int | None = None,
    limits: Limits = _NO_LIMITS,
) -> Subscription:
    """Store a subscription and the names that it wants.

    :raises RefusedURLError: there are as many as there may be.
    """
    _check_limits(connection, tables, url, host, tenant, callback, limits, now)
    row = {
        "id": subscription_id, "url": url, "host": host, "key": key, "tenant": tenant,
        "status": str(SubscriptionStatus.ENABLED), "reason": None,
        "sealed_secret": sealed_secret, "sealed_options": sealed_options, "callback": callback,
        "once": once, "created_at": now, "expires_at": expires_at, "paused_until": 0,
        "filter": filter_text, **_terms_row(terms),
    }  # fmt: skip
    connection.execute(insert(tables.subscriptions), row)
    wanted = distinct(names)
    connection.execute(
        insert(tables.names), [{"subscription_id": subscription_id, "name": n} for n in wanted]
    )
    return _subscription(row, wanted)


def _terms_row(terms: Terms) -> dict[str, Any]:
    first = None if terms.first_delay is None else microseconds(terms.first_delay)
    return {"terms": terms.as_text(), "first_delay": first, "ordered": terms.order}


def _check_limits(
    connection: Connection,
    tables: Tables,
    url: str,
    host: str,
    tenant: str | None,
    callback: str | None,
    limits: Limits,
    now: int,
) -> None:
    c = tables.subscriptions.c
    whose = c.tenant.is_(None) if tenant is None else c.tenant == tenant
    bounds = [(limits.per_host, "lead to its host", c.host == host)]
    if callback is not None:
        captured = c.callback.is_not(None) & whose
        bounds.append((limits.captured_per_tenant, "were captured from this tenant", captured))
    for most, said, counted in bounds:
        live = select(func.count()).where(counted, *_live(tables, now))
        if most is not None and connection.execute(live).scalar_one() >= most:
            raise RefusedURLError(
                url, "limit",
                f"The URL '{shown(url)}' is refused: {most} live subscriptions {said} already. "
                "Delete one, or raise the limit.",
            )  # fmt: skip


def _live(tables: Tables, now: int) -> tuple[ColumnElement[bool], ...]:
    c = tables.subscriptions.c
    enabled = c.status == str(SubscriptionStatus.ENABLED)
    return enabled, c.expires_at.is_(None) | (c.expires_at > now)


def find_captured(
    connection: Connection,
    tables: Tables,
    *,
    callback: str,
    url: str,
    key: str | None,
    tenant: str | None,
    now: int,
) -> Subscription | None:
    """The live subscription that the same call would capture again."""
    c = tables.subscriptions.c
    same = select(c.id).where(
        c.callback == callback,
        c.url == url,
        c.key.is_(None) if key is None else c.key == key,
        c.tenant.is_(None) if tenant is None else c.tenant == tenant,
        *_live(tables, now),
    )
    found = connection.execute(same.limit(1)).scalar()
    return get_subscription(connection, tables, found) if found else None


def refresh_captured(
    connection: Connection,
    tables: Tables,
    subscription_id: str,
    *,
    expires_at: int | None,
    sealed_secret: bytes | None,
) -> None:
    """Let a subscription that was captured again live on, with the secret given last."""
    c = tables.subscriptions.c
    connection.execute(
        update(tables.subscriptions)
        .where(c.id == subscription_id)
        .values(expires_at=expires_at, sealed_secret=sealed_secret)
    )


def get_subscription(
    connection: Connection,
    tables: Tables,
    subscription_id: str,
    *,
    owned: Owned | None = None,
    lock: bool = False,
) -> Subscription | None:
    """One subscription by its id; with ``owned`` only if it is that tenant's.

    :param lock: whether its row stays locked for the transaction.
    """
    chosen = tables.subscriptions.c.id == subscription_id
    if lock:
        connection.execute(select(tables.subscriptions.c.id).where(chosen).with_for_update())
    found = next(iter(_read(connection, tables, [chosen])), None)
    theirs = found is None or owned is None or found.tenant == owned.tenant
    return found if theirs else None


def list_subscriptions(
    connection: Connection,
    tables: Tables,
    *,
    name: str | None,
    key: str | None,
    tenant: str | None,
    status: str | None = None,
    owned: Owned | None = None,
    before: Position | None = None,
    limit: int | None = None,
) -> list[Subscription]:
    """Subscriptions, newest first; each filter that is not ``None`` must match.

    :param name: a webhook that they want, by its name or by a pattern.
    """
    c, n = tables.subscriptions.c, tables.names.c
    chosen: list[Any] = []
    if name is not None:
        chosen.append(exists().where(n.subscription_id == c.id, n.name.in_(patterns_of(name))))
    if key is not None:
        chosen.append(c.key == key)
    if tenant is not None:
        chosen.append(c.tenant == tenant)
    if status is not None:
        chosen.append(c.status == status)
    if owned is not None:
        chosen.append(owner_is(c.tenant, owned))
    return _read(connection, tables, chosen, before, limit)


def disable(
    connection: Connection, tables: Tables, subscription_id: str, *, reason: str, now: int
) -> bool:
    """Disable a subscription and cancel what waits for it.

    :returns: whether it was enabled before.
    """
    c = tables.subscriptions.c
    changed = connection.execute(
        update(tables.subscriptions)
        .where(c.id == subscription_id, c.status == str(SubscriptionStatus.ENABLED))
        .values(status=str(SubscriptionStatus.DISABLED), reason=reason)
    )
    cancel_waiting(connection, tables, [subscription_id], now=now)
    return changed.rowcount == 1


def enable(connection: Connection, tables: Tables, subscription_id: str) -> bool:
    """Let a disabled subscription take deliveries again, its failures forgotten.

    :returns: whether it was disabled before.
    """
    c = tables.subscriptions.c
    changed = connection.execute(
        update(tables.subscriptions)
        .where(c.id == subscription_id, c.status == str(SubscriptionStatus.DISABLED))
        .values(
            status=str(SubscriptionStatus.ENABLED), reason=None, failing_since=None, paused_until=0
        )
    )
    return changed.rowcount == 1


def change_subscription(
    connection: Connection,
    tables: Tables,
    subscription_id: str,
    changes: Mapping[str, Any],
    *,
    names: Sequence[str] | None = None,
    limits: Limits = _NO_LIMITS,
    now: int,
) -> None:
    """Write other values of ``url``, ``host``, ``filter`` or ``terms``, and other names.

    What waits goes to the new URL, whose owner is to be asked again.

    :raises RefusedURLError: as many subscriptions lead to the new host as may.
    """
    row = dict(changes)
    terms = row.pop("terms", None)
    row |= {} if terms is None else _terms_row(terms)
    if "url" in row:
        row["confirmed_at"] = None
        owner, of_callback = None, None  # only the limit of the host is touched
        _check_limits(connection, tables, row["url"], row["host"], owner, of_callback, limits, now)
    if row:
        chosen = tables.subscriptions.c.id == subscription_id
        connection.execute(update(tables.subscriptions).where(chosen).values(**row))
    if names is not None:
        n = tables.names
        connection.execute(delete(n).where(n.c.subscription_id == subscription_id))
        rows = [{"subscription_id": subscription_id, "name": name} for name in distinct(names)]
        connection.execute(insert(n), rows)


def get_sealed(connection: Connection, tables: Tables, subscription_id: str) -> Sealed | None:
    """What a subscription keeps sealed; its row stays locked for the transaction."""
    c = tables.subscriptions.c
    row = connection.execute(_sealed(tables).where(c.id == subscription_id).with_for_update())
    return next(map(_sealed_of, row), None)


def all_sealed(connection: Connection, tables: Tables) -> list[Sealed]:
    """What every subscription keeps sealed."""
    c = tables.subscriptions.c
    some = c.sealed_secret.is_not(None) | c.sealed_options.is_not(None)
    return [_sealed_of(row) for row in connection.execute(_sealed(tables).where(some)).all()]


def write_sealed(connection: Connection, tables: Tables, sealed: Sealed) -> None:
    """Write what a subscription keeps sealed."""
    connection.execute(
        update(tables.subscriptions)
        .where(tables.subscriptions.c.id == sealed.id)
        .values(sealed_secret=sealed.secret, sealed_options=sealed.options)
    )


def _sealed(tables: Tables) -> Select[Any]:
    c = tables.subscriptions.c
    return select(c.id, c.tenant, c.sealed_secret, c.sealed_options)


def _sealed_of(row: Any) -> Sealed:
    secret, options = (None if b is None else bytes(b) for b in row[2:])
    return Sealed(id=row.id, tenant=row.tenant, secret=secret, options=options)


def delete_subscription(connection: Connection, tables: Tables, subscription_id: str) -> bool:
    """Delete a subscription with its deliveries; whether there was one."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    theirs = select(d.id).where(d.subscription_id == subscription_id)
    connection.execute(delete(tables.attempts).where(tables.attempts.c.delivery_id.in_(theirs)))
    connection.execute(delete(tables.deliveries).where(d.subscription_id == subscription_id))
    names = tables.names
    connection.execute(delete(names).where(names.c.subscription_id == subscription_id))
    gone = connection.execute(delete(tables.subscriptions).where(s.id == subscription_id))
    return gone.rowcount == 1


def cancel_waiting(
    connection: Connection, tables: Tables, subscription_ids: Sequence[str], *, now: int
) -> None:
    """Cancel the waiting deliveries of those among ``subscription_ids`` that are disabled."""
    d, s = tables.deliveries.c, tables.subscriptions.c
    disabled = select(s.id).where(
        s.id.in_(subscription_ids), s.status == str(SubscriptionStatus.DISABLED)
    )
    connection.execute(
        update(tables.deliveries)
        .where(
            d.status == str(DeliveryStatus.PENDING),
            d.token.is_(None),
            d.subscription_id.in_(disabled),
        )
        .values(status=str(DeliveryStatus.CANCELLED), reason="disabled", settled_at=now)
    )


def _read(
    connection: Connection,
    tables: Tables,
    chosen: Iterable[Any],
    before: Position | None = None,
    limit: int | None = None,
) -> list[Subscription]:
    c = tables.subscriptions.c
    found = page(select(tables.subscriptions).where(*chosen), c.created_at, c.id, before, limit)
    rows = connection.execute(found).mappings().all()
    wanted: dict[str, list[str]] = defaultdict(list)
    n = tables.names.c
    ids: Any = select(c.id).where(*chosen) if limit is None else [row["id"] for row in rows]
    pairs = select(n.subscription_id, n.name).where(n.subscription_id.in_(ids)).order_by(n.name)
    for subscription_id, name in connection.execute(pairs):
        wanted[subscription_id].append(name)
    return [_subscription(row, wanted[row["id"]]) for row in rows]


def _subscription(row: Any, names: Sequence[str]) -> Subscription:
    return Subscription(
        id=row["id"],
        url=row["url"],
        names=tuple(names),
        key=row["key"],
        tenant=row["tenant"],
        status=SubscriptionStatus(row["status"]),
        reason=row["reason"],
        terms=terms_of(row["terms"]),
        filter=None if row["filter"] is None else json.loads(row["filter"]),
        callback=row["callback"],
        created_at=moment(row["created_at"]),
        expires_at=maybe_moment(row["expires_at"]),
        once=row["once"],
    )
