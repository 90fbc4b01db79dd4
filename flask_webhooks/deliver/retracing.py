"""Makes again, for people to look at, the headers that an attempt sent: those, or none.

Of an attempt's headers only a mark is kept. They follow from the message, the subscription, the
time and the sender's settings; where one of these has changed since, the mark tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..exceptions import SecretError
from ..rules.failures import failure_of
from ..rules.urls import authority_of
from ..store.records import Attempt, Carried
from .outcome import Failure
from .signer import Headers, Signer
from .transport import wire_headers

_GONE = "The subscription has been deleted meanwhile."
_NOTHING = "Nothing of the message was sent."
_UNKNOWN = "How far they got is not known."
_TRACED = "Where the app traced, a traceparent went with them."
_CHANGED = (
    "The others can’t be shown any more. Since this attempt the subscription’s secret, headers or "
    "URL have changed, or the message was erased, or the sender’s version or keys are others."
)
_CLOSED = "The others can’t be shown: no key at hand opens what the subscription keeps sealed."
#: Failures that come before anything is sent. Those that an owner can't tell apart are alike here.
_BEFORE = frozenset(("dns", "tls", "unconfirmed"))


@dataclass(frozen=True)
class Header:
    """A header that was sent; the value of a secret one is ``None``."""

    name: str
    value: str | None


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The headers of one attempt, in the order in which they were sent.

    :param words: what is to be said of them, if anything.
    """

    headers: tuple[Header, ...]
    words: str | None = None


def retraced(
    signer: Signer, carried: Carried | None, method: str, attempt: Attempt, propagates: bool
) -> Sent:
    """The headers of an attempt; where they can't be proven, the two that are known anyway.

    :param carried: what it carried; ``None`` when that was deleted meanwhile.
    :param propagates: whether receivers may see the trace of an attempt.
    """
    if carried is None:
        return Sent(headers=(), words=_GONE)
    if _is_unsent(attempt):
        return Sent(headers=(), words=_NOTHING)
    second = int(attempt.started_at.timestamp())
    known = (
        Header("webhook-id", carried.message_id),
        Header("webhook-timestamp", str(second)),
    )
    try:
        made = _made(signer, carried, method, second, attempt.mark)
    except SecretError:
        return Sent(headers=known, words=_CLOSED)
    if made is None:
        return Sent(headers=known, words=_CHANGED)
    words = [_UNKNOWN] if attempt.status_code is None else []
    words += [_TRACED] if propagates else []
    return Sent(headers=made, words=" ".join(words) or None)


def _is_unsent(attempt: Attempt) -> bool:
    """Whether it ended before anything of the message was sent."""
    failure = failure_of(attempt.outcome, attempt.status_code)
    unmade = attempt.outcome == "internal" and attempt.mark is None
    return unmade or (failure is not None and failure.code in _BEFORE)


def _made(
    signer: Signer, carried: Carried, method: str, second: int, mark: int | None
) -> tuple[Header, ...] | None:
    if mark is None:
        return None
    made = signer.made_before(carried, method, second, mark)
    if made is None:
        return None
    hidden = set(signer.secret_names(carried))
    return tuple(Header(n, None if n in hidden else v) for n, v in _on_the_wire(made, carried))


def _on_the_wire(made: Headers, carried: Carried) -> Headers:
    try:
        return tuple(wire_headers(made, carried.body, authority_of(carried.url)).items())
    except Failure:  # blocked by it when it was to be sent, as well
        return ()
