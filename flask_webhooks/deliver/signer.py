"""Makes the headers of an attempt: its signatures, and what its subscription adds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from ..rules import signing
from ..rules.message_signatures import message_signature
from ..rules.options import Options
from ..rules.sealing import KeyRing
from ..rules.urls import target_uri
from ..store.records import Claimed

# While a key ring is rotated its newest key and the one before sign; each costs time at both ends.
_LIVE_KEYS = 2

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Keys:
    """What signs for one subscription, and what it adds."""

    secrets: tuple[str, ...]
    tenant_secrets: tuple[str, ...]
    signing_keys: tuple[signing.SigningKey, ...]
    options: Options


class Signer:
    """Makes headers, for many threads at once; what was opened once is kept.

    :param keyring: gives the keys that open what subscriptions keep sealed.
    :param user_agent: names the sender.
    :param whole: whether the whole request is signed as well, by RFC 9421.
    """

    def __init__(
        self, keyring: Callable[[], KeyRing], user_agent: str, whole: bool = False
    ) -> None:
        self._keyring = keyring
        self._whole = whole
        self._user_agent = user_agent
        self._keys = functools.lru_cache(1024)(self._open)

    def headers(self, claimed: Claimed, method: str, timestamp: int) -> Headers:
        """The headers of one attempt to deliver ``claimed``.

        :param timestamp: unix time of the attempt in whole seconds.
        :raises SecretError: what is sealed doesn't open, or there is nothing to sign with.
        """
        signed = self.signed(claimed, claimed.message_id, timestamp, claimed.body)
        added = self._opened(claimed).options.extra_headers(timestamp, claimed.body)
        whole = self._message_signature(claimed, method, timestamp) if self._whole else ()
        return (*signed, *added, *whole)

    def _message_signature(self, claimed: Claimed, method: str, timestamp: int) -> Headers:
        return message_signature(
            self._keyring().signing_keys[0],
            method=method,
            url=target_uri(claimed.url),
            message_id=claimed.message_id,
            timestamp=timestamp,
            body=claimed.body,
        )

    def signed(self, claimed: Claimed, message_id: str, timestamp: int, body: bytes) -> Headers:
        """The standard headers of anything that is sent to the subscription of ``claimed``.

        :raises SecretError: as :meth:`headers`.
        """
        keys = self._opened(claimed)
        retired = keys.options.retired_at(timestamp)
        secrets = (*keys.secrets, *retired, *keys.tenant_secrets)
        return (
            ("Content-Type", "application/json"),
            ("User-Agent", self._user_agent),
            *signing.headers(
                message_id, timestamp, body, secrets=secrets, signing_keys=keys.signing_keys
            ),
        )

    def _opened(self, claimed: Claimed) -> _Keys:
        return self._keys(
            claimed.sealed_secret,
            claimed.sealed_options,
            claimed.tenant,
            claimed.subscription_id,
            claimed.callback is not None,
        )

    def _open(
        self,
        sealed: bytes | None,
        sealed_options: bytes | None,
        tenant: str | None,
        subscription: str,
        captured: bool,
    ) -> _Keys:
        keyring = self._keyring()
        secrets = []
        if sealed is not None:
            secrets.append(keyring.open(sealed, tenant=tenant, subscription=subscription))
        derived = keyring.tenant_secrets(tenant) if captured and tenant is not None else ()
        # Who was captured never saw a secret of ours: the published public key serves it.
        public = keyring.signing_keys if captured or not secrets else ()
        return _Keys(
            tuple(secrets),
            derived[:_LIVE_KEYS],
            public[:_LIVE_KEYS],
            Options.opened(sealed_options, keyring, tenant=tenant, subscription=subscription),
        )
