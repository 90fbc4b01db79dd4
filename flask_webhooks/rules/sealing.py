"""Seals secrets for the database: AES-256-GCM (NIST SP 800-38D) under a ring of keys.

A sealed secret is a version byte, the 4-byte id of its key, a 12-byte nonce, and the ciphertext
with its 16-byte tag. It opens only for the tenant and the subscription that it was sealed for.
Every key of the ring is used through subkeys (HKDF-SHA256, RFC 5869), one for each purpose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..exceptions import SecretError
from .key_texts import new_secret
from .signing_keys import SigningKey

_VERSION = b"\x01"
_HEADER = 5
_NONCE = 12
_TAG = 16
_SHORTEST_KEY = 32
_MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


class KeyRing:
    """The keys of ``WEBHOOKS_SECRET_KEYS``, newest first: the first seals, all open.

    It holds subkeys alone and shows only their ids.

    :param keys: each of 32 characters (or bytes) or more, from a random source.
    :raises SecretError: no keys, one that is too short, or the same one twice. No key is shown.
    """

    __slots__ = ("_ciphers", "_newest", "_purpose_keys", "_tenant_keys", "signing_keys")

    signing_keys: tuple[SigningKey, ...]

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        raw = _check_keys(keys)
        ids = [_subkey(key, b"flask-webhooks sealing key id", 4) for key in raw]
        _check_distinct(ids)
        self._newest = ids[0]
        self._ciphers = {
            key_id: AESGCM(_subkey(key, b"flask-webhooks sealing key", 32))
            for key_id, key in zip(ids, raw, strict=True)
        }
        self._tenant_keys = tuple(_subkey(key, b"flask-webhooks tenant secrets", 32) for key in raw)
        self._purpose_keys = tuple(_subkey(key, b"flask-webhooks purposes", 32) for key in raw)
        self.signing_keys = tuple(SigningKey.derive(key) for key in raw)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(key_id.hex() for key_id in self._ciphers)})"

    def seal(
        self,
        secret: str,
        *,
        tenant: str | None,
        subscription: str,
        purpose: str = "secret",
        randbytes: Callable[[int], bytes] = os.urandom,
    ) -> bytes:
        """The secret, sealed with the newest key for this tenant's subscription alone.

        :param purpose: what it is to the subscription; it opens as nothing else.
        :raises SecretError: the secret is not text that UTF-8 can hold.
        """
        header = _VERSION + self._newest
        nonce = randbytes(_NONCE)
        bound = _bound_to(header, tenant, subscription, purpose)
        text = _utf8(secret, f"The secret of subscription {subscription!r}")
        return header + nonce + self._ciphers[self._newest].encrypt(nonce, text, bound)

    def open(
        self, sealed: bytes, *, tenant: str | None, subscription: str, purpose: str = "secret"
    ) -> str:
        """The secret again.

        :raises SecretError: its key is not in the ring; or it was changed, cut, or sealed for
            another tenant or subscription.
        """
        header, nonce, rest = _split(sealed, subscription)
        cipher = self._cipher(header[1:], subscription)
        bound = _bound_to(header, tenant, subscription, purpose)
        try:
            return cipher.decrypt(nonce, rest, bound).decode()
        except InvalidTag:
            pass
        raise SecretError(
            f"The sealed {purpose} of subscription {subscription!r} (tenant {tenant!r}) doesn't "
            "open: it was changed, or sealed for another. Restore the row, or give it a new secret."
        )

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the newest key."""
        return sealed[:_HEADER] == _VERSION + self._newest

    def tenant_secrets(self, tenant: str) -> tuple[str, ...]:
        """The tenant's own signing secrets, ``whsec_…``: one for each key, newest first.

        They are derived, not stored: the same on every machine that has the ring.
        """
        info = b"tenant" + _field(tenant)
        return tuple(new_secret(partial(_subkey, key, info)) for key in self._tenant_keys)

    def purpose_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Keys for something of this package's own, such as links: one for each, newest first."""
        info = b"purpose" + _field(purpose)
        return tuple(_subkey(key, info, 32) for key in self._purpose_keys)

    def _cipher(self, key_id: bytes, subscription: str) -> AESGCM:
        if key_id not in self._ciphers:
            raise SecretError(
                f"The secret of subscription {subscription!r} was sealed with key {key_id.hex()}, "
                f"but WEBHOOKS_SECRET_KEYS has {', '.join(map(bytes.hex, self._ciphers))}: "
                "put that key back at the end of the list, until all is sealed anew."
            )
        return self._ciphers[key_id]


def _check_keys(keys: Sequence[str | bytes]) -> list[bytes]:
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Sequence):
        raise SecretError(
            f"WEBHOOKS_SECRET_KEYS is {type(keys).__name__}: write a list of keys, newest first."
        )
    if not keys:
        raise SecretError(f"WEBHOOKS_SECRET_KEYS is empty: give it a key; {_MAKE_ONE}")
    return [_check_key(key, place) for place, key in enumerate(keys, 1)]


def _check_key(key: str | bytes, place: int) -> bytes:
    name = f"Key {place} of WEBHOOKS_SECRET_KEYS"
    if not isinstance(key, (str, bytes)):
        raise SecretError(f"{name} is {type(key).__name__}: write it as text or bytes.")
    if len(key) < _SHORTEST_KEY:
        unit = "characters" if isinstance(key, str) else "bytes"
        raise SecretError(f"{name} has {len(key)} {unit}, fewer than {_SHORTEST_KEY}: {_MAKE_ONE}")
    return _utf8(key, name) if isinstance(key, str) else key


def _check_distinct(ids: Sequence[bytes]) -> None:
    for place, key_id in enumerate(ids):
        first = ids.index(key_id)
        if first != place:
            raise SecretError(
                f"Keys {first + 1} and {place + 1} of WEBHOOKS_SECRET_KEYS are the same, or share "
                f"the id {key_id.hex()}: remove one, or replace the newer."
            )


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass  # this error holds the text, so it is not chained
    raise SecretError(f"{name} holds a lone surrogate, which UTF-8 can't encode: write it anew.")


def _subkey(key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=info).derive(key)


def _split(sealed: bytes, subscription: str) -> tuple[bytes, bytes, bytes]:
    if sealed[:1] != _VERSION or len(sealed) < _HEADER + _NONCE + _TAG:
        raise SecretError(
            f"What is stored as the secret of subscription {subscription!r} was not sealed by this "
            "version of Flask-Webhooks: restore the row, or give the subscription a new secret."
        )
    return sealed[:_HEADER], sealed[_HEADER : _HEADER + _NONCE], sealed[_HEADER + _NONCE :]


def _bound_to(header: bytes, tenant: str | None, subscription: str, purpose: str) -> bytes:
    """The associated data: no two different owners or purposes give the same."""
    return b"flask-webhooks " + purpose.encode() + header + _field(tenant) + _field(subscription)


def _field(text: str | None) -> bytes:
    if text is None:
        return b"\x00"
    # surrogatepass: any str has bytes, and no two the same
    raw = text.encode("utf-8", "surrogatepass")
    return b"\x01" + len(raw).to_bytes(8, "big") + raw
