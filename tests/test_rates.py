"""How often each host may be called."""

from __future__ import annotations

from flask_webhooks.rules.rates import Rates


def test_a_burst_of_one_second_goes_at_once_and_then_evenly() -> None:
    """At four a second four go at once, and what follows is put off a quarter of a second each."""
    rates = Rates(4)
    assert [rates.wait("a", 100.0) for _ in range(7)] == [0, 0, 0, 0, 0.25, 0.5, 0.75]


def test_what_was_put_off_goes_at_its_moment() -> None:
    """Requests that come back when they were told to are let through."""
    rates = Rates(2)
    waits = [rates.wait("a", 0.0) for _ in range(5)]
    assert waits == [0, 0, 0.5, 1.0, 1.5]
    assert [rates.wait("a", wait) for wait in waits[2:]] == [0, 0, 0]


def test_over_a_minute_the_rate_holds() -> None:
    """Asked a hundred times a second, a host of ten a second gets ten a second and the burst."""
    rates = Rates(10)
    through = sum(rates.wait("a", tick / 100) == 0 for tick in range(6000))
    assert 600 <= through <= 610


def test_hosts_do_not_share() -> None:
    """One host's requests put nothing off that goes to another."""
    rates = Rates(1)
    assert rates.wait("a", 0.0) == 0
    assert rates.wait("a", 0.0) > 0
    assert rates.wait("b", 0.0) == 0


def test_a_slow_rate_has_no_burst() -> None:
    """At one a minute the second has to wait for a minute."""
    rates = Rates(1 / 60)
    assert [round(rates.wait("a", 0.0), 6) for _ in range(3)] == [0, 60, 120]
