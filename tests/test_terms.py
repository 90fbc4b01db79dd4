"""What a subscription asks of its deliveries."""

from __future__ import annotations

from typing import Any

import pytest

from flask_webhooks.exceptions import WebhooksError
from flask_webhooks.rules.terms import Terms, terms_of


def test_what_is_asked_for_comes_out_of_the_store_as_it_went_in() -> None:
    """Schedule, rate and order survive as text; nothing asked for is no text."""
    asked = Terms.of(schedule=[0, 5], rate=2, order="park")
    assert asked.as_text() == '{"schedule": [0.0, 5.0], "rate": 2, "order": "park"}'
    assert terms_of(asked.as_text()) == asked
    assert Terms.of().as_text() is None
    assert terms_of(None) == Terms()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"schedule": []}, "give a list of delays"),
        ({"schedule": [-1]}, "none below 0"),
        ({"schedule": "5"}, "give a list of delays"),
        ({"schedule": [True]}, "give a list of delays"),
        ({"schedule": [1e12]}, "above a year"),
        ({"schedule": [float("nan")]}, "give a list of delays"),
        ({"rate": 0}, "requests a second, above 0"),
        ({"rate": "5"}, "requests a second, above 0"),
        ({"rate": float("nan")}, "requests a second, above 0"),
        ({"order": "fifo"}, "'skip' or 'park'"),
    ],
)
def test_what_cannot_work_is_refused(asked: dict[str, Any], said: str) -> None:
    """The error names the argument, what was given, and what to give."""
    [(name, value)] = asked.items()
    with pytest.raises(WebhooksError) as refused:
        Terms.of(**asked)
    assert f"{name}={value!r}" in str(refused.value)
    assert said in str(refused.value)
