"""A URL and the names that it wants become a stored subscription with a sealed secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .rules.ids import new_id
from .rules.sealing import KeyRing
from .rules.signing import check_secret, new_secret
from .rules.urls import UrlRules, check_url
from .store import subscriptions
from .store.database import Database
from .store.records import Subscription, microseconds


def reseal(keyring: KeyRing, database: Database) -> int:
    """Seal every secret with the newest key, so that the older keys can go.

    :returns: how many were sealed with another key before.
    :raises SecretError: a secret doesn't open; then nothing is changed.
    """

    def anew(subscription_id: str, tenant: str | None, sealed: bytes) -> bytes | None:
        if keyring.is_current(sealed):
            return None
        return keyring.reseal(sealed, tenant=tenant, subscription=subscription_id)

    return database.write(lambda c: subscriptions.reseal(c, database.tables, anew))


def subscribe(
    url: str,
    names: Sequence[str],
    *,
    tenant: str | None,
    key: str | None,
    secret: str | None,
    rules: UrlRules,
    keyring: KeyRing,
    database: Database,
    now: float,
) -> Subscription:
    """Store a subscription.

    :param now: unix time in seconds.
    :returns: the subscription with its secret, which can't be read again.
    :raises RefusedURLError: the URL breaks a rule.
    :raises SecretError: the secret is malformed.
    """
    check_url(url, rules)
    if secret is None:
        secret = new_secret()
    check_secret(secret)
    subscription_id = new_id("sub", now)
    sealed = keyring.seal(secret, tenant=tenant, subscription=subscription_id)
    stored = database.write(
        lambda connection: subscriptions.add_subscription(
            connection,
            database.tables,
            subscription_id,
            url=url,
            names=names,
            key=key,
            tenant=tenant,
            sealed_secret=sealed,
            now=microseconds(now),
        )
    )
    return replace(stored, secret=secret)
