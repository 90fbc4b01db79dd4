"""Says what came of one attempt: what passes from the transport to retry policy and store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """How far an attempt got."""

    #: The receiver answered: its status is known, whatever it is.
    answered = "answered"
    #: A rule of ours refused the URL, an address or a header; nothing was sent.
    blocked = "blocked"
    #: The host's name has no address, or the resolver failed.
    dns = "dns"
    #: No connection could be opened, or it broke before the answer's head was complete.
    connect = "connect"
    #: The TLS handshake failed, a bad certificate included; no payload was sent.
    tls = "tls"
    #: The deadline passed before the answer's head was complete.
    timeout = "timeout"
    #: What came back is not HTTP/1, or is larger than a head may be.
    protocol = "protocol"
    #: The owner of the URL did not pass the ownership check; the message was not sent.
    unconfirmed = "unconfirmed"
    #: A fault on this side: a bug, or no descriptors or threads left.
    internal = "internal"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The result of one attempt.

    :param reason: how far it got. Only with ``answered`` are the next four filled.
    :param status: the HTTP status of the final answer.
    :param fields: the header fields of the final answer, in order, as sent.
    :param body: raw bytes, never decoded, at most the transport's cap.
    :param truncated: the body went on, or broke off; its connection was closed.
    :param detail: one line for operators; holds no secret, body or query string.
    :param duration: seconds from the call to the result.
    """

    reason: Reason
    status: int | None = None
    fields: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False
    detail: str = ""
    duration: float

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header fields as text (latin-1). Hardly ever does anybody ask for them."""
        return tuple(
            (name.decode("latin-1"), value.decode("latin-1").strip(" \t"))
            for name, value in self.fields
        )


class Failure(Exception):
    """An attempt came to nothing. Not an ``OSError``, which requests would wrap."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def explained(error: OSError) -> str:
    """Word a system's or TLS error in one line, without what a peer could have written."""
    text = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error.strerror
    return str(text or type(error).__name__)
