"""How often each host and each subscription may be called."""

from __future__ import annotations

from flask_webhooks.rules.rates import Rates


def test_a_burst_of_one_second_goes_at_once_and_then_evenly() -> None:
    """At four a second four go at once, and what follows is put off a quarter of a second each."""
    rates, rate = Rates(), 4
    assert [rates.wait("a", rate, 100.0) for _ in range(7)] == [0, 0, 0, 0, 0.25, 0.5, 0.75]


def test_what_was_put_off_goes_at_its_moment() -> None:
    """Requests that come back when they were told to are let through."""
    rates, rate = Rates(), 2
    waits = [rates.wait("a", rate, 0.0) for _ in range(5)]
    assert waits == [0, 0, 0.5, 1.0, 1.5]
    assert [rates.wait("a", rate, wait) for wait in waits[2:]] == [0, 0, 0]


def test_over_a_minute_the_rate_holds() -> None:
    """Asked a hundred times a second, a host of ten a second gets ten a second and the burst."""
    rates, rate = Rates(), 10
    through = sum(rates.wait("a", rate, tick / 100) == 0 for tick in range(6000))
    assert 600 <= through <= 610


def test_hosts_do_not_share() -> None:
    """One host's requests put nothing off that goes to another."""
    rates, rate = Rates(), 1
    assert rates.wait("a", rate, 0.0) == 0
    assert rates.wait("a", rate, 0.0) > 0
    assert rates.wait("b", rate, 0.0) == 0


def test_a_slow_rate_has_no_burst() -> None:
    """At one a minute the second has to wait for a minute."""
    rates, rate = Rates(), 1 / 60
    assert [round(rates.wait("a", rate, 0.0), 6) for _ in range(3)] == [0, 60, 120]


def test_what_is_free_is_what_goes() -> None:
    """At four a second four are free, then none, and one more after a quarter of a second."""
    rates, rate = Rates(), 4
    free = [rates.free("a", rate, 100.0)]
    for _ in range(4):
        rates.wait("a", rate, 100.0)
        free.append(rates.free("a", rate, 100.0))
    assert free == [4, 3, 2, 1, 0]
    assert [rates.free("a", rate, 100.0 + later) for later in (0.2, 0.25, 0.5, 9)] == [0, 1, 2, 4]
