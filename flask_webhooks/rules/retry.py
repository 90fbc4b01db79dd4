"""The retry policy: from one attempt's outcome to what becomes of its delivery, as a value.

Source: Standard Webhooks 1.0.0, "Deliverability and reliability"; RFC 9110 section 10.2.3 for
``Retry-After``.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

#: Now, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten attempts in about 75 hours.
DEFAULT_SCHEDULE: tuple[float, ...] = (
    0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0,
)  # fmt: skip

#: Seconds that one delay of a schedule may last.
LONGEST_DELAY = 366 * 86400.0

#: No receiver can ask for a longer pause than this many seconds.
RETRY_AFTER_CAP = 86400.0

#: Answers that mean "too much at once": the whole subscription slows down, not one delivery.
SLOW_DOWN = frozenset({429, 502, 503, 504})

#: Nobody but the receiver itself can hold back a whole subscription for longer, in seconds.
PAUSE_CAP = 60.0

#: "Gone": the receiver wants no more of it, so the subscription is disabled.
GONE = 410


def schedule_of(value: Any) -> tuple[float, ...]:
    """A retry schedule: delays in seconds, one before each attempt.

    :raises ValueError: it is none; says what to give.
    """
    delays = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    wrong = [d for d in delays if isinstance(d, bool) or not isinstance(d, int | float)]
    if not delays or wrong or not all(0 <= delay <= LONGEST_DELAY for delay in delays):
        raise ValueError(
            "give a list of delays in seconds, one before each attempt, none below 0 or above a "
            "year."
        )
    return tuple(float(delay) for delay in delays)


@dataclass(slots=True, kw_only=True)
class Decision:
    """What becomes of a delivery after an attempt.

    ``status`` is the delivery's new status. ``delay`` is the pause before the next attempt in
    seconds, ``None`` when there is none. ``pause`` holds back the whole subscription for as many
    seconds. ``disable`` says that the subscription is to be disabled.
    """

    status: str
    reason: str
    delay: float | None = None
    pause: float | None = None
    disable: bool = False


@functools.lru_cache(1024)
def accepts(declared: tuple[str, ...], status: int) -> bool:
    """Whether a status code is among the declared answers: ``("2XX",)``, ``("200", "4XX")``.

    Input: ``("200", "2XX"), 204``. Output: ``True``. A redirect is never accepted.
    """
    if 300 <= status < 400:
        return False
    return str(status) in declared or f"{status // 100}XX" in declared


def decide(
    *,
    accepted: bool,
    reason: str,
    status: int | None,
    attempts: int,
    schedule: Sequence[float],
    retry_after: float | None = None,
    failing_for: float = 0.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> Decision:
    """Decide what follows an attempt.

    :param accepted: whether the answer is one that the declaration asks for.
    :param reason: the outcome's reason code, kept with the decision.
    :param status: the answer's status code, ``None`` when there was no answer.
    :param attempts: how many attempts were made, this one included.
    :param schedule: delays in seconds, one before each attempt.
    :param retry_after: what the receiver asked for, in seconds.
    :param failing_for: for how many seconds the subscription has only failed.
    :param uniform: the source of jitter.
    """
    if accepted:
        return Decision(status="delivered", reason=reason)
    if status == GONE:
        return Decision(status="exhausted", reason="gone", disable=True)
    asked = 0.0 if retry_after is None else min(max(retry_after, 0.0), RETRY_AFTER_CAP)
    if attempts >= len(schedule):
        pause = _pause(status, PAUSE_CAP, asked, failing_for)
        return Decision(status="exhausted", reason=reason, pause=pause)
    # Full jitter: anything less leaves the receivers of one outage marching back in step.
    delay = uniform(0.0, schedule[attempts])
    pause = _pause(status, delay, asked, failing_for)
    return Decision(status="pending", reason=reason, delay=max(delay, asked), pause=pause)


def _pause(status: int | None, delay: float, asked: float, failing_for: float) -> float | None:
    """Seconds to hold back the whole subscription; no long delay of one delivery is a reason."""
    if status in SLOW_DOWN:
        return max(asked, min(delay, PAUSE_CAP))
    if status is None and failing_for > 0.0:
        # A circuit breaker: the longer nothing answers, the rarer it is tried.
        return min(delay, PAUSE_CAP, failing_for / 10)
    return None


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for; ``None`` when it is absent or malformed.

    Input: ``"120"`` or ``"Wed, 21 Oct 2026 07:28:00 GMT"``. Output: ``120.0``, or the seconds from
    ``now`` (unix time) until then.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        date = parsedate_to_datetime(text)
        # RFC 9110 section 5.6.7: a date without a zone is in UTC.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(date.timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
