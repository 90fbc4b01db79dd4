"""Signs a request as RFC 9421, HTTP Message Signatures, says, beside Standard Webhooks.

Covered are the method, the target URI, the digest of the body (RFC 9530) and the message's id. The
algorithm is ed25519, the key that of ``v1a``, which receivers find in the key set by its ``keyid``.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from .signing_keys import SigningKey

_LABEL = "sig1"
_COVERED = ("@method", "@target-uri", "content-digest", "webhook-id")


def message_signature(
    key: SigningKey, *, method: str, url: str, message_id: str, timestamp: int, body: bytes
) -> tuple[tuple[str, str], ...]:
    """``Content-Digest``, ``Signature-Input`` and ``Signature`` for one attempt.

    :param url: the target URI, as its receiver puts it together (RFC 9421, section 2.2.2).
    :param timestamp: unix time of the attempt in whole seconds.
    """
    digest = f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"
    covered = " ".join(f'"{name}"' for name in _COVERED)
    parameters = f'({covered});created={timestamp};keyid="{key.key_id}";alg="ed25519"'
    values = (method, url, digest, message_id)
    lines = [f'"{name}": {value}' for name, value in zip(_COVERED, values, strict=True)]
    # RFC 9421 section 2.5: the signature base, without a line end after its last line.
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = b64encode(key.sign_raw(base.encode("ascii"))).decode()
    return (
        ("Content-Digest", digest),
        ("Signature-Input", f"{_LABEL}={parameters}"),
        ("Signature", f"{_LABEL}=:{signature}:"),
    )
