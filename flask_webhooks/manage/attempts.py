"""An attempt as somebody may see it: its subscription's owner less than the operator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..rules.failures import failure_of
from ..store.records import Attempt

if TYPE_CHECKING:
    # The room brings requests and TLS: it is entered on first need.
    from ..deliver.retracing import Sent


@dataclass(frozen=True, kw_only=True)
class ShownAttempt:
    """What is shown of an attempt."""

    number: int
    succeeded: bool
    status_code: int | None
    #: The class of its failure, and the sentence of that class.
    failure: str | None
    words: str | None
    #: The first bytes of the answer.
    answer: str | None
    started_at: datetime
    #: ``None`` where the time would tell an owner what is behind a URL.
    seconds: float | None
    #: Its headers; ``None`` where they were not asked for.
    sent: Sent | None = field(default=None, repr=False)
    #: What the sender itself noted; for operators only.
    detail: str | None = None


def for_owner(attempt: Attempt, sent: Sent | None = None) -> ShownAttempt:
    """An attempt as its subscription's owner may see it."""
    failure = failure_of(attempt.outcome, attempt.status_code)
    return ShownAttempt(
        number=attempt.number,
        succeeded=failure is None,
        status_code=attempt.status_code,
        failure=None if failure is None else failure.code,
        words=None if failure is None else failure.words,
        answer=None if attempt.excerpt is None else attempt.excerpt.decode("utf-8", "replace"),
        started_at=attempt.started_at,
        seconds=attempt.duration if failure is None or failure.timed else None,
        sent=sent,
    )


def for_operator(attempt: Attempt, sent: Sent | None = None) -> ShownAttempt:
    """An attempt with all that is known of it."""
    failed = attempt.outcome != "accepted"
    return replace(
        for_owner(attempt, sent),
        failure=attempt.outcome if failed and attempt.status_code is None else None,
        seconds=attempt.duration,
        detail=attempt.detail or None,
    )
