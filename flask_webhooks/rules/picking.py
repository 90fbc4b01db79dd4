"""Which of the due deliveries a worker takes: first tries first, and the tenants in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

#: Most deliveries taken at once that were claimed before without any outcome. A worker died with
#: them, for all we know by one of them: so few of them are in the next one's hands when it dies.
SUSPECTS = 32


class Candidate(NamedTuple):
    """A delivery that is due, and what is known of its subscription."""

    delivery_id: int
    subscription_id: str
    #: How often it was claimed without any outcome.
    claims: int
    attempts: int
    attempts_before_replay: int
    message_id: str
    #: The key of its line, when its subscription is ordered.
    line: str | None
    #: Whether its subscription is disabled, so that it is to be cancelled.
    disabled: bool
    paused: bool
    tenant: str | None


def pick(
    candidates: Sequence[Candidate], limit: int, room: Callable[[str], int]
) -> list[Candidate]:
    """As many as may be taken; those that are to be cancelled need no room.

    :param candidates: the oldest first.
    :param room: from the id of a subscription to how many of its deliveries may be taken.
    """
    picked: list[Candidate] = []
    left: dict[str, int] = {}
    suspects = SUSPECTS
    for one in in_turn(candidates):
        if len(picked) >= limit:
            break
        if one.disabled:
            picked.append(one)
        elif not one.paused and (suspects or not one.claims):
            subscription = one.subscription_id
            if subscription not in left:
                left[subscription] = room(subscription)
            if left[subscription] > 0:
                left[subscription] -= 1
                suspects -= one.claims > 0
                picked.append(one)
    return picked


def in_turn(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """All of them, first tries before retries; in each half one of every tenant, then the next."""
    lines: dict[tuple[bool, str | None], list[Candidate]] = {}
    for one in candidates:
        tried = one.attempts > one.attempts_before_replay
        lines.setdefault((tried, one.tenant), []).append(one)
    if len(lines) < 2:
        return candidates
    ranked = [
        ((late, rank), one) for (late, _), line in lines.items() for rank, one in enumerate(line)
    ]
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in ranked]
