"""Which due deliveries are taken, and how many threads there are to be: pure rules."""

from __future__ import annotations

from flask_webhooks.rules.picking import Candidate, in_turn, pick


def one(
    delivery_id: int,
    subscription: str = "sub_1",
    *,
    tenant: str | None = None,
    first_try: bool = True,
    disabled: bool = False,
    paused: bool = False,
) -> Candidate:
    attempts = 2 if first_try else 3
    return Candidate(
        delivery_id, subscription, 0, attempts, 2, "msg_1", None, disabled, paused, tenant
    )


def ids(candidates: object) -> list[int]:
    return [candidate.delivery_id for candidate in candidates]  # type: ignore[attr-defined]


def test_the_oldest_first_within_one_tenant() -> None:
    """Without a second tenant or a retry the order stays as it was."""
    assert ids(in_turn([one(1), one(2), one(3)])) == [1, 2, 3]


def test_first_tries_go_before_retries_and_tenants_in_turn() -> None:
    """One of each tenant, then the next of each; retries last, in the same way."""
    rows = [one(1, tenant="a", first_try=False), one(2, tenant="a"), one(3, tenant="a"),
            one(4, tenant="b"), one(5, tenant="b", first_try=False)]  # fmt: skip
    assert ids(in_turn(rows)) == [2, 4, 3, 1, 5]


def test_room_is_asked_for_once_for_each_subscription() -> None:
    """And never exceeded, however many of its deliveries are due."""
    asked = []

    def room(subscription: str) -> int:
        asked.append(subscription)
        return 2

    rows = [one(n, f"sub_{n % 2}") for n in range(10)]
    assert ids(pick(rows, 10, room)) == [0, 1, 2, 3]
    assert asked == ["sub_0", "sub_1"]


def test_paused_ones_stay_and_disabled_ones_need_no_room() -> None:
    """The first wait; the second are to be cancelled."""
    rows = [one(1, paused=True), one(2, disabled=True), one(3, "sub_2")]
    assert ids(pick(rows, 10, lambda subscription: 0)) == [2]


def test_few_are_taken_at_once_whose_worker_died() -> None:
    """Of fifty that were claimed before without an outcome 32; what is new goes past them."""
    suspects = [one(n)._replace(claims=1) for n in range(50)]
    picked = pick([*suspects, one(99)], 100, lambda subscription: 100)
    assert ids(picked) == [*range(32), 99]
