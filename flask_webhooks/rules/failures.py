"""What those who are not operators see of a failure: one of a few classes, in fixed words.

A URL that leads into the operator's network and one where nobody listens look alike, and neither
shows how long it took: otherwise a subscription would be a port scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt failed, as its subscription's owner may know it."""

    #: ``unreachable``, ``dns``, ``tls``, ``timeout``, ``protocol``, ``status``, ``unconfirmed`` or
    #: ``sender``.
    code: str
    words: str
    #: Whether the duration of the attempt may be shown.
    timed: bool = False


_WORDS = {
    "unreachable": "No connection could be made, or it broke before an answer. "
    "Check that the URL is public and its server runs.",
    "dns": "The name of the host could not be resolved. Check its DNS records.",
    "tls": "The TLS handshake failed. Check the certificate, its chain and its name.",
    "timeout": "No complete answer came in time. Answer first, and do the work later.",
    "protocol": "The answer was no HTTP. Check what listens there.",
    "unconfirmed": "The ownership check was not passed. Answer the challenge as the guide says.",
    "sender": "The sender had a fault of its own. It tries again; there is nothing to do.",
}
# The outcome of an attempt; what is not here is the sender's own affair.
_CODES = {
    "blocked": "unreachable", "connect": "unreachable", "dns": "dns", "tls": "tls",
    "timeout": "timeout", "protocol": "protocol", "unconfirmed": "unconfirmed",
}  # fmt: skip


_REFUSALS = {
    "length": "it is too long",
    "characters": "it holds characters that a URL may not hold as they are",
    "scheme": "its scheme is not https",
    "userinfo": "it holds a user name or password",
    "fragment": "it holds a fragment",
    "host": "its host is no proper host name or address",
    "name": "its host name is not a public one",
    "port": "its port is not an allowed one",
    "address": "its address is not a public one",
    "limit": "its host has as many subscriptions as it may",
}


def refusal_in_words(rule: str) -> str:
    """Why a URL is refused, as a client may know it: nothing about the settings of the app.

    :param rule: of :class:`~flask_webhooks.exceptions.RefusedURLError`.
    """
    return _REFUSALS.get(rule, "it is no absolute https URL")


def failure_of(outcome: str, status_code: int | None) -> Failure | None:
    """The class of one attempt's failure; ``None`` where it did not fail.

    :param outcome: the attempt's outcome, such as ``"accepted"`` or ``"timeout"``.
    :param status_code: the HTTP status of the answer, where there was one.
    """
    if outcome == "accepted":
        return None
    if status_code is not None:
        return Failure(code="status", words=_of_status(status_code), timed=True)
    code = _CODES.get(outcome, "sender")
    return Failure(code=code, words=_WORDS[code], timed=code == "timeout")


def reason_shown(reason: str | None) -> str | None:
    """Why a delivery stands as it does, as its owner may know it: a failure by its class alone."""
    return _CODES.get(reason or "", reason)


def _of_status(status_code: int) -> str:
    try:
        named = f"{status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        named = str(status_code)
    return f"The receiver answered {named}, which the webhook does not count as success."
