"""From the outcome of an attempt to what is written about it: pure, as the decision is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..rules import retry
from ..store.claims import Claimed, Settlement
from ..store.records import Attempt, DeliveryStatus, microseconds, moment
from .outcome import Outcome, Reason

#: Bytes of an answer that are kept for people to look at.
EXCERPT = 4096


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the declaration of a webhook asks of its delivery."""

    method: str = "POST"
    #: Status codes and classes that count as success.
    answers: tuple[str, ...] = ("2XX",)
    schedule: Sequence[float] = retry.DEFAULT_SCHEDULE
    #: Total deadline of an attempt in seconds.
    timeout: float = 15.0


class Policies:
    """The policies of webhooks, each asked for once in a round: a declaration may still come.

    :param policy_of: from the name of a webhook to its policy.
    """

    def __init__(self, policy_of: Callable[[str], Policy]) -> None:
        self._policy_of = policy_of
        self._known: dict[str, Policy] = {}

    def of(self, name: str) -> Policy:
        policy = self._known.get(name)
        if policy is None:
            policy = self._known[name] = self._policy_of(name)
        return policy

    def forget(self) -> None:
        """Begin another round."""
        self._known.clear()


def judge(
    claimed: Claimed,
    policy: Policy,
    outcome: Outcome,
    *,
    started: int,
    now: float,
    confirmed: bool,
    uniform: Callable[[float, float], float],
    mark: int | None = None,
) -> Settlement:
    """What follows from an attempt.

    :param started: when it began, in microseconds since 1970.
    :param now: unix time in seconds.
    :param confirmed: whether the owner of the URL has passed the ownership check.
    :param uniform: draws a number between two.
    :param mark: of the headers that were made for it.
    """
    accepted = outcome.status is not None and retry.accepts(policy.answers, outcome.status)
    reason = _reason(outcome, accepted)
    decision = retry.decide(
        accepted=accepted,
        reason=reason,
        status=outcome.status,
        attempts=claimed.position,
        schedule=claimed.terms.schedule or policy.schedule,
        retry_after=None if accepted else retry.parse_retry_after(_asked(outcome), now),
        failing_for=_failing_for(claimed, outcome, now),
        uniform=uniform,
    )
    return Settlement(
        claimed=claimed,
        attempt=_attempt(claimed, outcome, reason, started, mark),
        status=DeliveryStatus(decision.status),
        reason=decision.reason,
        due_at=microseconds(now + (decision.delay or 0.0)),
        paused_until=None if decision.pause is None else microseconds(now + decision.pause),
        disable=decision.reason if decision.disable else None,
        confirmed=confirmed and not claimed.confirmed,
    )


def put_off(claimed: Claimed, reason: str, now: int, delay: float) -> Settlement:
    """No attempt now, and none counted.

    :param now: microseconds since 1970.
    :param delay: seconds until it is due again.
    """
    return Settlement(
        claimed=claimed,
        attempt=None,
        status=DeliveryStatus.PENDING,
        reason=reason,
        due_at=now + microseconds(delay),
    )


def _asked(outcome: Outcome) -> str | None:
    """The answer's ``Retry-After``."""
    return next((v for name, v in outcome.headers if name.lower() == "retry-after"), None)


def _failing_for(claimed: Claimed, outcome: Outcome, now: float) -> float:
    """Seconds for which the subscription has only failed; 0 where this says nothing of it."""
    if claimed.failing_since is None or outcome.reason is Reason.internal:
        return 0.0
    return max(now - claimed.failing_since / 1e6, 0.0)


def _reason(outcome: Outcome, accepted: bool) -> str:
    if outcome.reason is not Reason.answered:
        return str(outcome.reason)
    return "accepted" if accepted else "refused"


def _attempt(
    claimed: Claimed, outcome: Outcome, reason: str, started: int, mark: int | None
) -> Attempt:
    return Attempt(
        delivery_id=claimed.delivery_id,
        number=claimed.number,
        outcome=reason,
        status_code=outcome.status,
        detail=outcome.detail,
        # A stranger's answer to a captured URL is nobody's to read: it could show an inside page.
        excerpt=None if claimed.callback else outcome.body[:EXCERPT],
        started_at=moment(started),
        duration=outcome.duration,
        mark=mark,
    )
