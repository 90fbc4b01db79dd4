"""Makes the headers of an attempt: its signatures, and what its subscription adds."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..rules import signing
from ..rules.message_signatures import message_signature
from ..rules.options import Options
from ..rules.sealing import KeyRing
from ..rules.signing_keys import SigningKey
from ..rules.urls import target_uri
from ..store.claims import Claimed
from ..store.records import Carried

# While a key ring is rotated its newest key and the one before sign; each costs time at both ends.
_LIVE_KEYS = 2

Headers = tuple[tuple[str, str], ...]
Made = Carried | Claimed
"""What headers are made for."""


@dataclass(frozen=True)
class _Keys:
    """What signs for one subscription, and what it adds."""

    secrets: tuple[str, ...]
    tenant_secrets: tuple[str, ...]
    signing_keys: tuple[SigningKey, ...]
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

    def headers(self, delivery: Made, method: str, timestamp: int) -> Headers:
        """The headers of one attempt to deliver ``delivery``.

        :param timestamp: unix time of the attempt in whole seconds.
        :raises SecretError: what is sealed doesn't open, or there is nothing to sign with.
        """
        return self._made(self._opened(delivery), delivery, method, timestamp)

    def signed(self, delivery: Made, message_id: str, timestamp: int, body: bytes) -> Headers:
        """The standard headers of anything that is sent to the subscription of ``delivery``.

        :raises SecretError: as :meth:`headers`.
        """
        return self._standard(self._opened(delivery), message_id, timestamp, body)

    def _made(self, keys: _Keys, delivery: Made, method: str, timestamp: int) -> Headers:
        signed = self._standard(keys, delivery.message_id, timestamp, delivery.body)
        added = keys.options.extra_headers(timestamp, delivery.body)
        whole = self._message_signature(delivery, method, timestamp) if self._whole else ()
        return (*signed, *added, *whole)

    def _message_signature(self, delivery: Made, method: str, timestamp: int) -> Headers:
        return message_signature(
            self._keyring().signing_keys[0],
            method=method,
            url=target_uri(delivery.url),
            message_id=delivery.message_id,
            timestamp=timestamp,
            body=delivery.body,
        )

    def _standard(self, keys: _Keys, message_id: str, timestamp: int, body: bytes) -> Headers:
        retired = keys.options.retired_at(timestamp)
        secrets = (*keys.secrets, *retired, *keys.tenant_secrets)
        return (
            ("Content-Type", "application/json"),
            ("User-Agent", self._user_agent),
            *signing.headers(
                message_id, timestamp, body, secrets=secrets, signing_keys=keys.signing_keys
            ),
        )

    # What was made before

    def mark(self, url: str, method: str, headers: Headers) -> int:
        """A digest of headers, keyed: some of them are secrets that a guess could be tried at."""
        return _digest(self._marking[0], url, method, headers)

    def made_before(self, delivery: Made, method: str, timestamp: int, mark: int) -> Headers | None:
        """The headers that were made once, and had this mark; ``None`` where they can't be.

        :raises SecretError: as :meth:`headers`.
        """
        for headers in self._possible(delivery, method, timestamp):
            if any(mark == _digest(key, delivery.url, method, headers) for key in self._marking):
                return headers
        return None

    def secret_names(self, delivery: Made) -> tuple[str, ...]:
        """The names of the headers whose values are secrets.

        :raises SecretError: as :meth:`headers`.
        """
        return self._opened(delivery).options.header_names

    def _possible(self, delivery: Made, method: str, timestamp: int) -> Iterator[Headers]:
        """What an attempt may have carried: with the secret of now, or with one before it."""
        keys = self._opened(delivery)
        yield self._made(keys, delivery, method, timestamp)
        retired = keys.options.retired
        for n, one in enumerate(retired, 1):
            options = replace(keys.options, retired=retired[n:])
            then = replace(keys, secrets=(one.secret,), options=options)
            yield self._made(then, delivery, method, timestamp)

    @functools.cached_property
    def _marking(self) -> list[Any]:
        """Begun digests, one for each key of the ring, the newest first."""
        keys = self._keyring().purpose_keys("attempt")
        return [hashlib.blake2b(key=key, digest_size=8) for key in keys]

    def _opened(self, delivery: Made) -> _Keys:
        return self._keys(
            delivery.sealed_secret,
            delivery.sealed_options,
            delivery.tenant,
            delivery.subscription_id,
            delivery.callback is not None,
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


def _digest(begun: Any, url: str, method: str, headers: Headers) -> int:
    digest = begun.copy()
    digest.update("\n".join([method, url, *map(": ".join, headers)]).encode())
    return int.from_bytes(digest.digest(), "big", signed=True)
