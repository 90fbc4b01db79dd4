"""A URL and the names that it wants become a stored subscription, which can be changed later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from .exceptions import ConflictError, WebhooksError
from .rules.ids import new_id
from .rules.key_texts import check_secret, new_secret
from .rules.limits import Limits
from .rules.options import Options
from .rules.patterns import check_wanted, distinct
from .rules.terms import Terms
from .rules.urls import UrlRules, check_url
from .store import subscriptions
from .store.database import Database
from .store.records import Sealed, Subscription, microseconds

if TYPE_CHECKING:
    from .rules.sealing import KeyRing

#: From a filter and the names that a subscription wants to the filter's text; it judges both.
CheckFilter = Callable[[Any, Sequence[str]], str]


@dataclass(frozen=True, kw_only=True)
class Subscribing:
    """Makes and changes the subscriptions of one app.

    :param declared: the names of all webhooks and callbacks.
    :param now: unix time in seconds.
    """

    database: Database
    keyring: KeyRing
    rules: UrlRules
    limits: Limits
    declared: Collection[str]
    check_filter: CheckFilter
    now: float

    def subscribe(
        self,
        url: str,
        names: Sequence[str],
        *,
        tenant: str | None,
        key: str | None,
        secret: str | None,
        options: Options,
        terms: Terms,
        filter: Mapping[str, Any] | None,
        idempotency_key: str | None = None,
    ) -> Subscription:
        """Store a subscription; or find the one that an earlier call with the same key made.

        :returns: the subscription with its secret, which can't be read again.
        :raises RefusedURLError: the URL breaks a rule, or its host has too many subscriptions.
        :raises SecretError: the secret is malformed.
        """
        check_wanted(names, self.declared)
        filter_text = None if filter is None else self.check_filter(filter, names)
        to = check_url(url, self.rules)
        secret = new_secret() if secret is None else secret
        check_secret(secret)
        subscription_id = new_id("sub", self.now)
        if idempotency_key is not None:
            subscription_id = _id_for(idempotency_key, tenant)
            asked = (to.url, sorted(distinct(names)), key, terms, filter)
            before = self._made_before(subscription_id, asked)
            if before is not None:
                return replace(before, secret=self._secret_of(before))
        sealed = _sealed(subscription_id, tenant, secret, options, self.keyring)

        def work(connection: Any) -> Subscription:
            return subscriptions.add_subscription(
                connection, self.database.tables, subscription_id, url=to.url, host=to.host,
                names=names, key=key, tenant=tenant, sealed_secret=sealed.secret,
                sealed_options=sealed.options, now=microseconds(self.now), limits=self.limits,
                terms=terms, filter_text=filter_text,
            )  # fmt: skip

        return replace(self.database.write(work), secret=secret)

    def _made_before(self, subscription_id: str, asked: tuple[Any, ...]) -> Subscription | None:
        """The subscription that was made with the same idempotency key.

        :raises ConflictError: it was another request.
        """
        found = self.database.read(
            lambda c: subscriptions.get_subscription(c, self.database.tables, subscription_id)
        )
        if found is None:
            return None
        if (found.url, sorted(found.names), found.key, found.terms, found.filter) != asked:
            raise ConflictError(
                "The idempotency key was used for another subscription. Take a new one."
            )
        return found

    def _secret_of(self, subscription: Subscription) -> str | None:
        sealed = self.database.read(
            lambda c: subscriptions.get_sealed(c, self.database.tables, subscription.id)
        )
        return None if sealed is None else _opened(sealed, self.keyring)[0]

    def find(self, subscription_id: str) -> Subscription:
        """One subscription.

        :raises WebhooksError: there is no such subscription.
        """
        return self.database.read(lambda c: self._find(c, subscription_id))

    def _find(self, connection: Any, subscription_id: str, *, lock: bool = False) -> Subscription:
        tables = self.database.tables
        found = subscriptions.get_subscription(connection, tables, subscription_id, lock=lock)
        if found is None:
            raise WebhooksError(
                f"There is no subscription {subscription_id!r}: look it up by subscriptions()."
            )
        return found

    def change(
        self,
        subscription_id: str,
        *,
        url: str | None,
        names: Sequence[str] | None,
        filter: Mapping[str, Any] | None | EllipsisType,
        terms: Mapping[str, Any],
        headers: Mapping[str, str] | None | EllipsisType,
        expected: Subscription | None,
    ) -> Subscription:
        """Write what is to be different about a subscription; ``...`` stays as it is.

        :param terms: new values of some of the terms, by name.
        :param expected: what the subscription must still be.
        :raises ConflictError: it is no longer that.
        :raises RefusedURLError: the URL breaks a rule, or its host has too many subscriptions.
        """
        changes: dict[str, Any] = {}
        if url is not None:
            to = check_url(url, self.rules)
            changes = {"url": to.url, "host": to.host}
        if names is not None:
            check_wanted(names, self.declared)

        def work(connection: Any) -> Subscription:
            found = self._find(connection, subscription_id, lock=True)
            if expected is not None and found != expected:
                raise ConflictError(
                    f"The subscription {subscription_id!r} has been changed since it was read. "
                    "Read it again."
                )
            judged = changes | self._judged(found, names, filter, terms)
            subscriptions.change_subscription(
                connection, self.database.tables, subscription_id, judged, names=names,
                limits=self.limits, now=microseconds(self.now),
            )  # fmt: skip
            if not isinstance(headers, EllipsisType):
                self._write_headers(connection, subscription_id, headers)
            return self._find(connection, subscription_id)

        return self.database.write(work)

    def _judged(
        self,
        found: Subscription,
        names: Sequence[str] | None,
        filter: Mapping[str, Any] | None | EllipsisType,
        terms: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The changes of a subscription's terms and filter."""
        changes: dict[str, Any] = {}
        asked = Terms.of(**{**vars(found.terms), **terms})
        if asked != found.terms:
            changes["terms"] = asked
        given = found.filter if isinstance(filter, EllipsisType) else filter
        if given is None:
            return changes if found.filter is None else changes | {"filter": None}
        if given != found.filter or names is not None:
            changes["filter"] = self.check_filter(given, names or found.names)
        return changes

    def _write_headers(
        self, connection: Any, subscription_id: str, headers: Mapping[str, str] | None
    ) -> None:
        """Replace what every delivery carries; secrets and legacy signatures stay."""
        tables = self.database.tables
        sealed = subscriptions.get_sealed(connection, tables, subscription_id)
        assert sealed is not None  # its row is locked
        secret, options = _opened(sealed, self.keyring)
        options = Options.of(headers, options.legacy, options.retired)
        anew = _sealed(subscription_id, sealed.tenant, secret, options, self.keyring)
        subscriptions.write_sealed(connection, tables, anew)

    def header_names(self, subscription_id: str) -> tuple[str, ...]:
        """The names of the headers that a subscription's deliveries carry; values are secrets.

        :raises SecretError: they don't open with the keys at hand.
        """
        sealed = self.database.read(
            lambda c: subscriptions.get_sealed(c, self.database.tables, subscription_id)
        )
        return () if sealed is None else _opened(sealed, self.keyring)[1].header_names

    def rotate(self, subscription_id: str, *, secret: str | None, overlap: float) -> Subscription:
        """Give a subscription another secret; the one before signs too for a while.

        :param overlap: for how many seconds.
        :returns: the subscription with its new secret, which can't be read again.
        :raises WebhooksError: there is no such subscription.
        :raises SecretError: the secret is malformed, or the one before doesn't open.
        """
        secret = new_secret() if secret is None else secret
        check_secret(secret)

        def work(connection: Any) -> Subscription:
            found = self._find(connection, subscription_id, lock=True)
            sealed = subscriptions.get_sealed(connection, self.database.tables, subscription_id)
            assert sealed is not None  # its row is locked
            before, options = _opened(sealed, self.keyring)
            if before is not None and before != secret:
                options = options.with_retired(before, until=self.now + overlap, now=self.now)
            anew = _sealed(subscription_id, sealed.tenant, secret, options, self.keyring)
            subscriptions.write_sealed(connection, self.database.tables, anew)
            return found

        return replace(self.database.write(work), secret=secret)

    def reseal(self) -> int:
        """Seal all that is sealed with the newest key, so that the older keys can go.

        :returns: of how many subscriptions something was sealed with another key before.
        :raises SecretError: something doesn't open; then nothing is changed.
        """
        keyring, tables = self.keyring, self.database.tables

        def work(connection: Any) -> int:
            stored = subscriptions.all_sealed(connection, tables)
            stale = [one for one in stored if not _is_current(one, keyring)]
            for sealed in [
                _sealed(one.id, one.tenant, *_opened(one, keyring), keyring) for one in stale
            ]:
                subscriptions.write_sealed(connection, tables, sealed)
            return len(stale)

        return self.database.write(work)


def _id_for(idempotency_key: str, tenant: str | None) -> str:
    """An id that only the same key of the same tenant gives."""
    digest = hashlib.sha256("\x00".join([repr(tenant), idempotency_key]).encode()).hexdigest()
    return f"sub_{digest[:32]}"


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


def _is_current(sealed: Sealed, keyring: KeyRing) -> bool:
    return all(keyring.is_current(b) for b in (sealed.secret, sealed.options) if b is not None)
