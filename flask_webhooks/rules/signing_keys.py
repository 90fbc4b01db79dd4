"""Keys of ``v1a``: ed25519 (RFC 8032), private ones that sign and public ones that check."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..exceptions import SecretError
from .key_texts import PRIVATE, PUBLIC, canonical_base64, decode


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
        raw = decode(text, PRIVATE)
        if len(raw) not in (32, 64):
            raise SecretError(
                f"The signing key holds {len(raw)} bytes, but a {PRIVATE} key holds 32 "
                "(the seed) or 64 (the seed and the public key): export it again."
            )
        key = cls._from_seed(raw[:32])
        if len(raw) == 64 and key.public != PUBLIC + b64encode(raw[32:]).decode():
            raise SecretError(
                f"The two halves of the {PRIVATE} key don't belong together: export it again."
            )
        return key

    @classmethod
    def _from_seed(cls, seed: bytes) -> SigningKey:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        raw = private.public_key().public_bytes_raw()
        return cls(PUBLIC + b64encode(raw).decode(), _thumbprint(raw)[:16], private)

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


class PublicKey:
    """The public half as receivers have it: it checks ``v1a`` signatures.

    :param text: ``whpk_…``.
    :raises SecretError: not such a text.
    """

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        raw = decode(text, PUBLIC)
        if len(raw) != 32:
            raise SecretError(f"It holds {len(raw)} bytes, but a {PUBLIC} key holds 32.")
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def matches(self, content: bytes, signature: str) -> bool:
        """Whether a ``v1a,…`` signature of the content is this key's."""
        version, _, encoded = signature.partition(",")
        raw = canonical_base64(encoded) if version == "v1a" else None
        if raw is None:
            return False
        try:
            self._key.verify(raw, content)
        except InvalidSignature:
            return False
        return True


def _jwk(raw: bytes) -> dict[str, str]:
    x = urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"crv": "Ed25519", "kty": "OKP", "x": x}


def _thumbprint(raw: bytes) -> str:
    """RFC 7638 section 3, RFC 8037 appendix A.3."""
    canonical = json.dumps(_jwk(raw), sort_keys=True, separators=(",", ":")).encode()
    return urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
