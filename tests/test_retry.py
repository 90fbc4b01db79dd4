"""What follows an attempt: a table of answers, and the arithmetic of waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webhooks.rules.retry import (
    DEFAULT_SCHEDULE,
    Decision,
    accepts,
    decide,
    parse_retry_after,
)

NOW = 1_792_567_680.0  # Wed, 21 Oct 2026 07:28:00 GMT


def most(low: float, high: float) -> float:
    """Jitter at its upper end."""
    return high


def decided(**changed: object) -> Decision:
    """What follows a first attempt that was answered with 500."""
    values: dict[str, object] = {
        "accepted": False, "reason": "refused", "status": 500, "attempts": 1,
        "schedule": (0.0, 5.0, 300.0), "uniform": most,
    }  # fmt: skip
    return decide(**(values | changed))  # type: ignore[arg-type]


def test_the_default_schedule_is_the_published_one() -> None:
    """Ten attempts: now, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; about 75 hours."""
    assert DEFAULT_SCHEDULE == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    assert sum(DEFAULT_SCHEDULE) / 3600 == pytest.approx(75.6, abs=0.05)


@pytest.mark.parametrize(
    ("declared", "status", "accepted"),
    [
        (("2XX",), 200, True),
        (("2XX",), 299, True),
        (("2XX",), 199, False),
        (("2XX",), 300, False),
        (("200",), 200, True),
        (("200",), 201, False),
        (("200", "4XX"), 404, True),
        (("200", "4XX"), 500, False),
        (("3XX",), 302, False),
        (("302",), 302, False),
        ((), 200, False),
    ],
)
def test_success_is_what_was_declared(
    declared: tuple[str, ...], status: int, accepted: bool
) -> None:
    """A code or a class that the declaration names; a redirect never, even when named."""
    assert accepts(declared, status) is accepted


def test_an_accepted_answer_ends_it() -> None:
    """Whatever its status code is."""
    assert decided(accepted=True, reason="accepted", status=404) == Decision(
        status="delivered", reason="accepted"
    )


@pytest.mark.parametrize("status", [None, 199, 301, 400, 401, 404, 408, 413, 422, 500, 501, 599])
def test_any_other_answer_is_tried_again(status: int | None) -> None:
    """After the schedule's next delay, and nothing else waits for it."""
    assert decided(status=status) == Decision(status="pending", reason="refused", delay=5.0)


def test_each_attempt_has_its_delay_and_the_last_has_none() -> None:
    """The delay stands before the attempt that follows; after the last it is exhausted."""
    assert [decided(attempts=n).delay for n in (1, 2)] == [5.0, 300.0]
    assert decided(attempts=3) == Decision(status="exhausted", reason="refused")
    assert decided(attempts=4).status == "exhausted"


@given(st.floats(0, 1), st.integers(1, 9))
def test_jitter_is_full(share: float, attempts: int) -> None:
    """The delay is anywhere between none and the schedule's."""
    decision = decided(
        attempts=attempts, schedule=DEFAULT_SCHEDULE,
        uniform=lambda low, high: low + share * (high - low),
    )  # fmt: skip
    assert decision.delay == pytest.approx(share * DEFAULT_SCHEDULE[attempts])


def test_gone_disables_the_subscription() -> None:
    """410 ends the delivery at its first attempt, and the subscription with it."""
    assert decided(status=410) == Decision(status="exhausted", reason="gone", disable=True)


def test_a_declared_410_is_a_success() -> None:
    """What the declaration accepts disables nothing."""
    assert decided(status=410, accepted=True).disable is False


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_too_much_slows_the_subscription_down(status: int) -> None:
    """It is paused for as long as the delivery itself waits."""
    assert decided(status=status) == Decision(
        status="pending", reason="refused", delay=5.0, pause=5.0
    )


def test_the_late_retry_of_one_delivery_does_not_stop_the_others() -> None:
    """However long the delivery waits, the pause of the rest is a minute at most."""
    assert decided(status=503, attempts=9, schedule=DEFAULT_SCHEDULE) == Decision(
        status="pending", reason="refused", delay=86400.0, pause=60.0
    )
    assert decided(status=503, attempts=3).pause == 60.0


@pytest.mark.parametrize(
    ("asked", "delay", "pause"),
    [
        (120.0, 120.0, 120.0),
        (1.0, 5.0, 5.0),
        (1e9, 86400.0, 86400.0),
        (-5.0, 5.0, 5.0),
        (7200.0, 7200.0, 7200.0),
    ],
)
def test_retry_after_is_obeyed_between_bounds(asked: float, delay: float, pause: float) -> None:
    """Never earlier than the schedule, never later than a day; the whole subscription waits."""
    decision = decided(status=429, retry_after=asked)
    assert (decision.delay, decision.pause) == (delay, pause)


def test_retry_after_of_another_answer_holds_back_one_delivery() -> None:
    """A 500 with the header delays the delivery, not the subscription."""
    assert decided(status=500, retry_after=120.0) == Decision(
        status="pending", reason="refused", delay=120.0
    )


def test_retry_after_opens_no_further_attempt() -> None:
    """After the last attempt the delivery is exhausted whatever is asked; the others still wait."""
    assert decided(status=429, attempts=3, retry_after=120.0) == Decision(
        status="exhausted", reason="refused", pause=120.0
    )


@pytest.mark.parametrize(
    ("failing_for", "pause"), [(0.0, None), (10.0, 1.0), (40.0, 4.0), (1e6, 5.0)]
)
def test_a_dead_receiver_is_tried_ever_more_rarely(failing_for: float, pause: float | None) -> None:
    """A tenth of the time that it has failed, but no longer than the delivery itself waits."""
    assert decided(status=None, reason="timeout", failing_for=failing_for).pause == pause


def test_a_dead_receiver_is_tried_once_a_minute_at_least() -> None:
    """The circuit breaker never closes for longer."""
    assert decided(status=None, attempts=2, failing_for=1e6).pause == 60.0


def test_a_receiver_that_answers_is_not_paused_for_failing() -> None:
    """An answer, even a bad one, costs no time: the breaker is for silence."""
    assert decided(status=500, failing_for=1e6).pause is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2026 07:29:00 GMT", 60.0),
        ("Wed, 21 Oct 2026 07:29:00 -0000", 60.0),
        ("Wednesday, 21-Oct-26 07:29:00 GMT", 60.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("Wed, 99 Oct 2026 07:29:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """RFC 9110 section 10.2.3; what is malformed asks for nothing."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text())
def test_no_header_raises(value: str) -> None:
    """Whatever a receiver sends is a number of seconds from 0, or nothing."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


def test_endless_digits_are_a_number() -> None:
    """A header of a thousand digits costs nothing, and is clamped like any other."""
    assert parse_retry_after("9" * 1000, NOW) == 999999999999.0
