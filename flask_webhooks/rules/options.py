"""What a subscription's deliveries carry besides the standard: headers, and more signatures.

Legacy signatures serve receivers that come from a home-made sender or from another service, and
verify as they did there. Retired secrets go on signing for a while after a rotation, so that there
is no moment at which a receiver with either secret fails.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ..exceptions import SecretError
from .headers import check_header, check_headers

if TYPE_CHECKING:
    from .sealing import KeyRing

# Sealed options open as nothing else.
_PURPOSE = "options"
_SCHEMES = {"github": "X-Hub-Signature-256", "stripe": "Stripe-Signature"}
#: The most secrets that sign besides the current one; each costs time at both ends.
MOST_RETIRED = 4


@dataclass(frozen=True, kw_only=True)
class LegacySignature:
    """A signature that a receiver knows from before.

    ``"github"`` is ``sha256=`` and the HMAC-SHA256 of the body in hexadecimal. ``"stripe"`` is
    ``t=`` and the timestamp, ``,v1=`` and the HMAC-SHA256 of ``{timestamp}.{body}`` in hexadecimal.

    :param secret: the receiver's old secret; its UTF-8 bytes are the key.
    :param header: the name that the receiver looks for, if not the one of that service.
    """

    scheme: Literal["github", "stripe"]
    secret: str = field(repr=False)
    header: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in _SCHEMES:
            raise SecretError(
                f"{self.scheme!r} is no legacy signature: give one of {sorted(_SCHEMES)}."
            )
        if not isinstance(self.secret, str) or not 8 <= len(self.secret) <= 500:
            raise SecretError("The secret of a legacy signature is a text of 8 to 500 characters.")
        if not self.header:
            object.__setattr__(self, "header", _SCHEMES[self.scheme])
        check_header(self.header, "v")

    def sign(self, timestamp: int, body: bytes) -> tuple[str, str]:
        """The header for one attempt: its name and its value."""
        key = self.secret.encode()
        if self.scheme == "github":
            return self.header, f"sha256={hmac.digest(key, body, 'sha256').hex()}"
        content = f"{timestamp}.".encode() + body
        return self.header, f"t={timestamp},v1={hmac.digest(key, content, 'sha256').hex()}"


@dataclass(frozen=True, kw_only=True)
class Retired:
    """A secret that was replaced and signs until then, in seconds since 1970."""

    secret: str = field(repr=False)
    until: float


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one subscription's deliveries carry besides the standard."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    legacy: tuple[LegacySignature, ...] = ()
    retired: tuple[Retired, ...] = ()

    @property
    def header_names(self) -> tuple[str, ...]:
        """The names of the headers; their values are secrets."""
        return tuple(name for name, _ in self.headers)

    def with_retired(self, secret: str, *, until: float, now: float) -> Options:
        """These options, with one more secret that signs until then; the newest first.

        :raises SecretError: as many as may sign already. None is dropped before its time: a
            receiver was promised that it goes on.
        """
        live = [one for one in self.retired if one.until > now and one.secret != secret]
        retired = [Retired(secret=secret, until=until), *live] if until > now else live
        if len(retired) > MOST_RETIRED:
            raise SecretError(
                f"{MOST_RETIRED} secrets of before still sign for this subscription. Wait until "
                "the overlap of one has ended, or rotate without an overlap."
            )
        return replace(self, retired=tuple(retired))

    def retired_at(self, now: float) -> list[str]:
        """The secrets that still sign, the newest first."""
        return [one.secret for one in self.retired if one.until > now]

    def extra_headers(self, timestamp: int, body: bytes) -> tuple[tuple[str, str], ...]:
        """What an attempt carries besides the standard headers."""
        return (*self.headers, *(one.sign(timestamp, body) for one in self.legacy))

    def _as_text(self) -> str:
        return json.dumps(
            {
                "headers": dict(self.headers),
                "legacy": [[one.scheme, one.secret, one.header] for one in self.legacy],
                "retired": [[one.secret, one.until] for one in self.retired],
            }
        )

    def sealed(self, keyring: KeyRing, *, tenant: str | None, subscription: str) -> bytes | None:
        """The options as the store keeps them; ``None`` when there are none."""
        if self == Options():
            return None
        return keyring.seal(
            self._as_text(), tenant=tenant, subscription=subscription, purpose=_PURPOSE
        )

    @classmethod
    def opened(
        cls, sealed: bytes | None, keyring: KeyRing, *, tenant: str | None, subscription: str
    ) -> Options:
        """The options out of the store, judged again.

        :raises SecretError: they don't open with the keys at hand.
        :raises RefusedHeaderError: a header breaks a rule.
        """
        if sealed is None:
            return cls()
        text = keyring.open(sealed, tenant=tenant, subscription=subscription, purpose=_PURPOSE)
        stored = json.loads(text)
        return cls.of(
            stored["headers"],
            [LegacySignature(scheme=s, secret=t, header=h) for s, t, h in stored["legacy"]],
            [Retired(secret=secret, until=until) for secret, until in stored["retired"]],
        )

    @classmethod
    def of(
        cls,
        headers: Mapping[str, str] | None = None,
        legacy: Sequence[LegacySignature] = (),
        retired: Iterable[Retired] = (),
    ) -> Options:
        """Judged options.

        :raises RefusedHeaderError: a header breaks a rule, or two say the same name.
        """
        signed = {one.header: "v" for one in legacy}
        check_headers({**(headers or {}), **signed})
        return cls(
            headers=check_headers(headers or {}), legacy=tuple(legacy), retired=tuple(retired)
        )
