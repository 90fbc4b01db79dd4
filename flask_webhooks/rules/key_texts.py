"""Secrets and keys as texts: ``whsec_…`` (shared), ``whsk_…`` (private) and ``whpk_…`` (public)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from secrets import token_bytes

from ..exceptions import SecretError

SECRET = "whsec_"
PRIVATE = "whsk_"
PUBLIC = "whpk_"


def new_secret(randbytes: Callable[[int], bytes] = token_bytes) -> str:
    """A fresh secret for one subscription: ``whsec_`` and 32 random bytes in base64."""
    return SECRET + b64encode(randbytes(32)).decode()


def check_secret(secret: str) -> bytes:
    """The key bytes of a ``whsec_…`` secret.

    :raises SecretError: it breaks a rule: prefix, base64, or 24 to 64 bytes. The message names
        the rule and never shows the secret.
    """
    key = decode(secret, SECRET)
    if not 24 <= len(key) <= 64:
        raise SecretError(
            f"The secret holds {len(key)} bytes, but a {SECRET} secret holds 24 to 64 bytes "
            "before base64: make a new one of 32 random bytes."
        )
    return key


def decode(text: str, prefix: str) -> bytes:
    """The bytes behind the prefix; only canonical base64, which every receiver reads alike.

    :raises SecretError: the prefix is missing, or what follows is not base64.
    """
    if not isinstance(text, str):
        raise SecretError(f"A {prefix} text is a str, not {type(text).__name__}.")
    if not text.startswith(prefix):
        raise SecretError(
            f"The text doesn't begin with {prefix}: pass it whole, as {prefix} followed by base64."
        )
    raw = canonical_base64(text.removeprefix(prefix))
    if raw is None:
        raise SecretError(
            f"What follows {prefix} is not base64 (RFC 4648 section 4): only A-Z a-z 0-9 + /, "
            "padded with =, with no space or line end. Copy it again, whole."
        )
    return raw


def canonical_base64(text: str) -> bytes | None:
    """The bytes of a text, when no other text stands for them; else ``None``."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None  # the caller raises outside this block, so that nothing is chained
    return raw if b64encode(raw).decode() == text else None
