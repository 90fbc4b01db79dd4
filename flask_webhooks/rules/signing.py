"""Signs a message's bytes, and checks such signatures: Standard Webhooks 1.0.0, ``v1`` and ``v1a``.

What is signed is ``{id}.{timestamp}.{body}``. ``v1`` is HMAC-SHA256 under a secret that both
sides know (``whsec_…``). ``v1a`` is ed25519 (RFC 8032): the sender keeps a private key and
publishes the public one (``whpk_…``), so that a receiver who never got a secret can verify, too.
"""

from __future__ import annotations

import functools
import hmac
import json
import re
import time
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ..exceptions import SecretError, VerificationError, WebhooksError
from .key_texts import PRIVATE, PUBLIC, SECRET, check_secret

if TYPE_CHECKING:
    from .signing_keys import PublicKey, SigningKey

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


def _refuse(message: str) -> NoReturn:
    raise VerificationError(message)


def _verification_keys(secret: str | Sequence[str]) -> list[bytes | PublicKey]:
    texts = [secret] if isinstance(secret, str) else secret
    if isinstance(texts, (bytes, bytearray, memoryview)) or not isinstance(texts, Sequence):
        _refuse(
            f"The secret is {type(secret).__name__}: pass a {SECRET} or {PUBLIC} text, or a list."
        )
    if not texts:
        _refuse("The list of secrets is empty: pass at least one.")
    problem = ""
    try:
        return [_verification_key(text) for text in texts]
    except SecretError as error:
        problem = str(error)
    _refuse(f"The secret given to verify() is malformed. {problem}")


def _verification_key(text: str) -> bytes | PublicKey:
    if isinstance(text, str) and text.startswith(PRIVATE):
        raise SecretError(f"It is a private key: verify with the sender's {PUBLIC} key.")
    if not (isinstance(text, str) and text.startswith(PUBLIC)):
        return check_secret(text)
    # It brings cryptography, which shared secrets do without.
    from .signing_keys import PublicKey

    return PublicKey(text)


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


def _matches(key: bytes | PublicKey, content: bytes, signatures: Sequence[str]) -> bool:
    """Whether one of the signatures is this key's, of the key's own version only."""
    if isinstance(key, bytes):
        expected = _v1(key, content)
        return any(hmac.compare_digest(expected, signature) for signature in signatures)
    return any(key.matches(content, signature) for signature in signatures)


def _parse(body: bytes, message_id: str) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass  # these errors hold the payload, so they are not chained
    _refuse(f"The body of message {message_id!r} is signed, but it is not JSON in UTF-8.")


def _no_constant(name: str) -> NoReturn:
    """RFC 8259 section 6: no NaN, no Infinity."""
    raise ValueError(name)
