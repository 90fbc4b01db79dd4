"""A URL and the names that it wants become a stored subscription with a sealed secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .exceptions import WebhooksError
from .rules.ids import new_id
from .rules.limits import Limits
from .rules.options import Options
from .rules.patterns import distinct
from .rules.sealing import KeyRing
from .rules.signing import check_secret, new_secret
from .rules.terms import Terms
from .rules.urls import UrlRules, check_url
from .store import subscriptions
from .store.database import Database
from .store.records import Sealed, Subscription, microseconds


def subscribe(
    url: str,
    names: Sequence[str],
    *,
    tenant: str | None,
    key: str | None,
    secret: str | None,
    options: Options,
    terms: Terms,
    filter_text: str | None,
    rules: UrlRules,
    limits: Limits,
    keyring: KeyRing,
    database: Database,
    now: float,
    idempotency_key: str | None = None,
) -> Subscription:
    """Store a subscription; or find the one that an earlier call with the same key made.

    :param now: unix time in seconds.
    :returns: the subscription with its secret, which can't be read again.
    :raises RefusedURLError: the URL breaks a rule, or its host has too many subscriptions.
    :raises SecretError: the secret is malformed.
    """
    host = check_url(url, rules).host
    secret = new_secret() if secret is None else secret
    check_secret(secret)
    subscription_id = new_id("sub", now)
    if idempotency_key is not None:
        subscription_id = _id_for(idempotency_key, tenant)
        before = _made_before(subscription_id, url, names, key, terms, filter_text, database)
        if before is not None:
            return replace(before, secret=_secret_of(before, keyring, database))
    at = microseconds(now)
    sealed = _sealed(subscription_id, tenant, secret, options, keyring)

    def work(connection: Any) -> Subscription:
        return subscriptions.add_subscription(
            connection, database.tables, subscription_id, url=url, host=host, names=names, key=key,
            tenant=tenant, sealed_secret=sealed.secret, sealed_options=sealed.options, now=at,
            limits=limits, terms=terms, filter_text=filter_text,
        )  # fmt: skip

    return replace(database.write(work), secret=secret)


def _id_for(idempotency_key: str, tenant: str | None) -> str:
    """An id that only the same key of the same tenant gives."""
    digest = hashlib.sha256("\x00".join([repr(tenant), idempotency_key]).encode()).hexdigest()
    return f"sub_{digest[:32]}"


def _made_before(
    subscription_id: str,
    url: str,
    names: Sequence[str],
    key: str | None,
    terms: Terms,
    filter_text: str | None,
    database: Database,
) -> Subscription | None:
    """The subscription that was made with the same idempotency key.

    :raises WebhooksError: it was another request.
    """
    found = database.read(
        lambda c: subscriptions.get_subscription(c, database.tables, subscription_id)
    )
    if found is None:
        return None
    given = json.loads(filter_text) if filter_text else None
    asked = (url, sorted(distinct(names)), key, terms, given)
    if (found.url, sorted(found.names), found.key, found.terms, found.filter) != asked:
        raise WebhooksError(
            "The idempotency key was used for another subscription. Take a new one."
        )
    return found


def _secret_of(subscription: Subscription, keyring: KeyRing, database: Database) -> str | None:
    sealed = database.read(lambda c: subscriptions.get_sealed(c, database.tables, subscription.id))
    return None if sealed is None else _opened(sealed, keyring)[0]


def change(
    subscription_id: str,
    *,
    url: str | None,
    names: Sequence[str] | None,
    changes: dict[str, Any],
    rules: UrlRules,
    limits: Limits,
    database: Database,
    now: float,
) -> None:
    """Write what is to be different about a subscription.

    :param changes: new values of ``filter`` and ``terms``.
    :raises RefusedURLError: the URL breaks a rule, or its host has too many subscriptions.
    """
    changed = dict(changes)
    if url is not None:
        changed |= {"url": url, "host": check_url(url, rules).host}
    database.write(
        lambda c: subscriptions.change_subscription(
            c, database.tables, subscription_id, changed, names=names, limits=limits,
            now=microseconds(now),
        )
    )  # fmt: skip


def _sealed(
    subscription_id: str, tenant: str | None, secret: str | None, options: Options, keyring: KeyRing
) -> Sealed:
    """A subscription's secret and options, sealed for it alone."""
    sealed_secret = None
    if secret is not None:
        sealed_secret = keyring.seal(secret, tenant=tenant, subscription=subscription_id)
    sealed_options = options.sealed(keyring, tenant=tenant, subscription=subscription_id)
    return Sealed(id=subscription_id, tenant=tenant, secret=sealed_secret, options=sealed_options)


def _opened(sealed: Sealed, keyring: KeyRing) -> tuple[str | None, Options]:
    """A subscription's secret and options; raises :class:`SecretError`."""
    tenant, secret = sealed.tenant, None
    if sealed.secret is not None:
        secret = keyring.open(sealed.secret, tenant=tenant, subscription=sealed.id)
    options = Options.opened(sealed.options, keyring, tenant=tenant, subscription=sealed.id)
    return secret, options


def rotate(
    subscription_id: str,
    *,
    secret: str | None,
    overlap: float,
    keyring: KeyRing,
    database: Database,
    now: float,
) -> Subscription:
    """Give a subscription another secret; the one before signs too for a while.

    :param overlap: for how many seconds.
    :param now: unix time in seconds.
    :returns: the subscription with its new secret, which can't be read again.
    :raises WebhooksError: there is no such subscription.
    :raises SecretError: the secret is malformed, or the one before doesn't open.
    """
    secret = new_secret() if secret is None else secret
    check_secret(secret)

    def work(connection: Any) -> Subscription:
        sealed = subscriptions.get_sealed(connection, database.tables, subscription_id)
        if sealed is None:
            raise WebhooksError(
                f"There is no subscription {subscription_id!r}: look it up by subscriptions()."
            )
        before, options = _opened(sealed, keyring)
        if before is not None and before != secret:
            options = options.with_retired(before, until=now + overlap, now=now)
        anew = _sealed(subscription_id, sealed.tenant, secret, options, keyring)
        subscriptions.write_sealed(connection, database.tables, anew)
        found = subscriptions.get_subscription(connection, database.tables, subscription_id)
        assert found is not None  # its row is locked
        return found

    return replace(database.write(work), secret=secret)


def reseal(keyring: KeyRing, database: Database) -> int:
    """Seal all that is sealed with the newest key, so that the older keys can go.

    :returns: of how many subscriptions something was sealed with another key before.
    :raises SecretError: something doesn't open; then nothing is changed.
    """

    def work(connection: Any) -> int:
        stored = subscriptions.all_sealed(connection, database.tables)
        stale = [one for one in stored if not _is_current(one, keyring)]
        for sealed in [
            _sealed(one.id, one.tenant, *_opened(one, keyring), keyring) for one in stale
        ]:
            subscriptions.write_sealed(connection, database.tables, sealed)
        return len(stale)

    return database.write(work)


def _is_current(sealed: Sealed, keyring: KeyRing) -> bool:
    return all(keyring.is_current(b) for b in (sealed.secret, sealed.options) if b is not None)
