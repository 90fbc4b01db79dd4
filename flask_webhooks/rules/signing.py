"""Signs a message's bytes, and checks such signatures: Standard Webhooks 1.0.0, ``v1`` and ``v1a``.

What is signed is ``{id}.{timestamp}.{body}``. ``v1`` is HMAC-SHA256 under a secret that both
sides know (``whsec_…``). ``v1a`` is ed25519 (RFC 8032): the sender keeps a private key and
publishes the public one (``whpk_…``), so that a receiver who never got a secret can verify, too.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import re
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, NoReturn, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..exceptions import SecretError, VerificationError, WebhooksError

_SECRET = "whsec_"
_PRIVATE = "whsk_"
_PUBLIC = "whpk_"
_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
# Visible ASCII but ".": a dot in the id would let "a.1" at time 2 pass for "a" at time 1.
_ID = re.compile(r"[!-\-/-~]+")
# Canonical, so that one time has one text; twelve digits reach the year 33658.
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,11}")
# Room for some forty signatures: each costs the receiver a check.
_LONGEST_SIGNATURES = 4096


class Headers(Protocol):
    """Anything with header names and values: a ``dict``, or what Flask and others call headers."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Every name with its value; a name that came twice, twice."""


def new_secret(randbytes: Callable[[int], bytes] = token_bytes) -> str:
    """A fresh secret for one subscription: ``whsec_`` and 32 random bytes in base64."""
    return _SECRET + b64encode(randbytes(32)).decode()


def check_secret(secret: str) -> bytes:
    """The key bytes of a ``whsec_…`` secret.

    :raises SecretError: it breaks a rule: prefix, base64, or 24 to 64 bytes. The message names
        the rule and never shows the secret.
    """
    key = _decode(secret, _SECRET)
    if not 24 <= len(key) <= 64:
        raise SecretError(
            f"The secret holds {len(key)} bytes, but a {_SECRET} secret holds 24 to 64 bytes "
            "before base64: make a new one of 32 random bytes."
        )
    return key


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ed25519 private key that shows only its public half.

    ``public`` is ``whpk_`` and base64, for receivers; ``key_id`` is the beginning of the public
    key's RFC 7638 thumbprint.
    """

    public: str
    key_id: str
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def derive(cls, ring_key: bytes) -> SigningKey:
        """The one signing key that belongs to a key of the ring (HKDF-SHA256, RFC 5869)."""
        info = b"flask-webhooks ed25519 signing key"
        return cls._from_seed(HKDF(SHA256(), 32, salt=None, info=info).derive(ring_key))

    @classmethod
    def from_whsk(cls, text: str) -> SigningKey:
        """The key of a ``whsk_…`` text: a 32-byte seed, alone or with its public key behind it.

        :raises SecretError: not such a text; the message never shows it.
        """
        raw = _decode(text, _PRIVATE)
        if len(raw) not in (32, 64):
            raise SecretError(
                f"The signing key holds {len(raw)} bytes, but a {_PRIVATE} key holds 32 "
                "(the seed) or 64 (the seed and the public key): export it again."
            )
        key = cls._from_seed(raw[:32])
        if len(raw) == 64 and key.public != _PUBLIC + b64encode(raw[32:]).decode():
            raise SecretError(
                f"The two halves of the {_PRIVATE} key don't belong together: export it again."
            )
        return key

    @classmethod
    def _from_seed(cls, seed: bytes) -> SigningKey:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        raw = private.public_key().public_bytes_raw()
        return cls(_PUBLIC + b64encode(raw).decode(), _thumbprint(raw)[:16], private)

    def sign(self, content: bytes) -> str:
        """One ``v1a,…`` signature of the signed content."""
        return "v1a," + b64encode(self.sign_raw(content)).decode()

    def sign_raw(self, content: bytes) -> bytes:
        """The 64 bytes of an ed25519 signature."""
        return self._private.sign(content)

    def jwk(self) -> dict[str, str]:
        """The public key for a key set (RFC 7517, RFC 8037)."""
        raw = self._private.public_key().public_bytes_raw()
        return {**_jwk(raw), "kid": self.key_id, "use": "sig", "alg": "EdDSA"}


def sign(
    message_id: str,
    timestamp: int,
    body: bytes,
    *,
    secrets: Sequence[str] = (),
    signing_keys: Sequence[SigningKey] = (),
) -> str:
    """The value of ``webhook-signature``: one signature for each secret, then for each key.

    :param timestamp: Unix time of this attempt, in whole seconds.
    :param body: the very bytes that are sent.
    :raises SecretError: a secret is malformed, or there is nothing to sign with.
    """
    content = _content(message_id, timestamp, body)
    signatures = [_v1(_key(secret), content) for secret in secrets]
    signatures += [key.sign(content) for key in signing_keys]
    if not signatures:
        raise SecretError(
            f"There is nothing to sign message {message_id!r} with: "
            "give its subscription a secret, or set WEBHOOKS_SECRET_KEYS."
        )
    return " ".join(signatures)


def headers(
    message_id: str,
    timestamp: int,
    body: bytes,
    *,
    secrets: Sequence[str] = (),
    signing_keys: Sequence[SigningKey] = (),
) -> tuple[tuple[str, str], ...]:
    """The three headers of an attempt; parameters and errors as in `sign`."""
    signature = sign(message_id, timestamp, body, secrets=secrets, signing_keys=signing_keys)
    return tuple(zip(_NAMES, (message_id, str(timestamp), signature), strict=True))


def verify(
    body: bytes,
    headers: Headers,
    secret: str | Sequence[str],
    *,
    tolerance: int = 300,
    now: Callable[[], float] = time.time,
) -> Any:
    """The JSON payload of a received webhook, once its signature and its age are proven.

    Remember the ``webhook-id``: a message may arrive twice.

    :param body: the raw bytes of the request, before any decoding or parsing.
    :param headers: the request's headers; the case of names doesn't matter.
    :param secret: a ``whsec_…`` secret or a published ``whpk_…`` key, or a list of them while
        they are rotated.
    :param tolerance: how many seconds the timestamp may lie before or after ``now()``.
    :raises VerificationError: anything at all is wrong with what was given.
    """
    if not isinstance(body, bytes):
        _refuse(
            f"The body is {type(body).__name__}, not bytes: pass the request's raw bytes "
            "(in Flask request.get_data()), since re-encoded text may differ from what was signed."
        )
    keys = _verification_keys(secret)
    message_id, timestamp, signatures = _read(headers)
    _check_age(timestamp, tolerance, now())
    content = _content(message_id, timestamp, body)
    if not any(_matches(key, content, signatures) for key in keys):
        _refuse(
            f"No signature of message {message_id!r} matches: check that the secret is this "
            "subscription's, and that the body is passed exactly as it was received."
        )
    return _parse(body, message_id)


def _content(message_id: str, timestamp: int, body: bytes) -> bytes:
    if not _ID.fullmatch(message_id):
        raise WebhooksError(
            f"The message id {message_id!r} can't be signed: use visible ASCII without '.'."
        )
    return f"{message_id}.{timestamp:d}.".encode() + body


def _v1(key: bytes, content: bytes) -> str:
    # hmac.digest would give up the interpreter's lock each time, to win it back from busy threads.
    keyed = _keyed(key).copy()
    keyed.update(content)
    return "v1," + b2a_base64(keyed.digest(), newline=False).decode()


def _key(secret: str) -> bytes:
    return _key_of_text(secret) if isinstance(secret, str) else check_secret(secret)


_key_of_text = functools.lru_cache(1024)(check_secret)


@functools.lru_cache(1024)
def _keyed(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def _decode(text: str, prefix: str) -> bytes:
    """The bytes behind the prefix; only canonical base64, which every receiver reads alike."""
    if not isinstance(text, str):
        raise SecretError(f"A {prefix} text is a str, not {type(text).__name__}.")
    if not text.startswith(prefix):
        raise SecretError(
            f"The text doesn't begin with {prefix}: pass it whole, as {prefix} followed by base64."
        )
    raw = _canonical_base64(text.removeprefix(prefix))
    if raw is None:
        raise SecretError(
            f"What follows {prefix} is not base64 (RFC 4648 section 4): only A-Z a-z 0-9 + /, "
            "padded with =, with no space or line end. Copy it again, whole."
        )
    return raw


def _canonical_base64(text: str) -> bytes | None:
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None  # the caller raises outside this block, so that nothing is chained
    return raw if b64encode(raw).decode() == text else None


def _jwk(raw: bytes) -> dict[str, str]:
    x = urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"crv": "Ed25519", "kty": "OKP", "x": x}


def _thumbprint(raw: bytes) -> str:
    """RFC 7638 section 3, RFC 8037 appendix A.3."""
    canonical = json.dumps(_jwk(raw), sort_keys=True, separators=(",", ":")).encode()
    return urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def _refuse(message: str) -> NoReturn:
    raise VerificationError(message)


def _verification_keys(secret: str | Sequence[str]) -> list[bytes | Ed25519PublicKey]:
    texts = [secret] if isinstance(secret, str) else secret
    if isinstance(texts, (bytes, bytearray, memoryview)) or not isinstance(texts, Sequence):
        _refuse(
            f"The secret is {type(secret).__name__}: pass a {_SECRET} or {_PUBLIC} text, or a list."
        )
    if not texts:
        _refuse("The list of secrets is empty: pass at least one.")
    problem = ""
    try:
        return [_verification_key(text) for text in texts]
    except SecretError as error:
        problem = str(error)
    _refuse(f"The secret given to verify() is malformed. {problem}")


def _verification_key(text: str) -> bytes | Ed25519PublicKey:
    if isinstance(text, str) and text.startswith(_PRIVATE):
        raise SecretError(f"It is a private key: verify with the sender's {_PUBLIC} key.")
    if not (isinstance(text, str) and text.startswith(_PUBLIC)):
        return check_secret(text)
    raw = _decode(text, _PUBLIC)
    if len(raw) != 32:
        raise SecretError(f"It holds {len(raw)} bytes, but a {_PUBLIC} key holds 32.")
    return Ed25519PublicKey.from_public_bytes(raw)


def _read(headers: Headers) -> tuple[str, int, list[str]]:
    found = _find(headers)
    message_id, timestamp, signatures = (_text(found, name) for name in _NAMES)
    if not _ID.fullmatch(message_id):
        _refuse("The webhook-id is not visible ASCII without '.'.")
    if not _TIMESTAMP.fullmatch(timestamp):
        _refuse("The webhook-timestamp is not a Unix time in whole seconds, in plain digits.")
    if len(signatures) > _LONGEST_SIGNATURES:
        _refuse(f"The webhook-signature is longer than {_LONGEST_SIGNATURES} characters.")
    return message_id, int(timestamp), signatures.split(" ")


def _find(headers: Headers) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {name: [] for name in _NAMES}
    unreadable = False
    try:
        for name, value in headers.items():
            # isascii: the Kelvin sign, too, becomes a "k" in lower case
            if isinstance(name, str) and name.isascii() and name.lower() in found:
                found[name.lower()].append(value)
    except Exception:  # whatever was passed in place of a mapping may raise anything
        unreadable = True
    if unreadable:
        _refuse("The headers can't be read: pass a mapping, such as Flask's request.headers.")
    return found


def _text(found: dict[str, list[object]], name: str) -> str:
    values = found[name]
    if not values:
        _refuse(f"The header {name} is missing: pass all headers of the request.")
    if len(values) > 1:
        _refuse(f"The header {name} came {len(values)} times: it may come once.")
    value = values[0]
    if not (isinstance(value, str) and value.isascii()):
        _refuse(f"The header {name} is not ASCII text.")
    return value


def _check_age(timestamp: int, tolerance: int, now: float) -> None:
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)):
        _refuse(f"The tolerance is {type(tolerance).__name__}: pass a number of seconds.")
    age = now - timestamp
    # written so that a NaN is refused
    if not abs(age) <= tolerance:
        side = "old" if age > 0 else "far in the future"
        _refuse(
            f"The webhook-timestamp {timestamp} is too {side}: {abs(age):.0f} s from this "
            f"machine's clock, and {tolerance} s are tolerated. Check the clock."
        )


def _matches(key: bytes | Ed25519PublicKey, content: bytes, signatures: Sequence[str]) -> bool:
    """Whether one of the signatures is this key's, of the key's own version only."""
    if isinstance(key, bytes):
        expected = _v1(key, content)
        return any(hmac.compare_digest(expected, signature) for signature in signatures)
    return any(_matches_v1a(key, content, signature) for signature in signatures)


def _matches_v1a(key: Ed25519PublicKey, content: bytes, signature: str) -> bool:
    version, _, encoded = signature.partition(",")
    raw = _canonical_base64(encoded) if version == "v1a" else None
    if raw is None:
        return False
    try:
        key.verify(raw, content)
    except InvalidSignature:
        return False
    return True


def _parse(body: bytes, message_id: str) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass  # these errors hold the payload, so they are not chained
    _refuse(f"The body of message {message_id!r} is signed, but it is not JSON in UTF-8.")


def _no_constant(name: str) -> NoReturn:
    """RFC 8259 section 6: no NaN, no Infinity."""
    raise ValueError(name)
