"""What an owner of a subscription sees of a failure."""

from __future__ import annotations

import pytest

from flask_webhooks.deliver.outcome import Reason
from flask_webhooks.rules.failures import failure_of, reason_shown


def test_blocked_and_refused_look_alike() -> None:
    """An address that the wall refuses and a port where nobody listens give the same, untimed."""
    blocked, refused = failure_of("blocked", None), failure_of("connect", None)
    assert blocked == refused
    assert blocked is not None and not blocked.timed


@pytest.mark.parametrize(
    "outcome, status, code",
    [
        ("dns", None, "dns"), ("tls", None, "tls"), ("timeout", None, "timeout"),
        ("protocol", None, "protocol"), ("unconfirmed", None, "unconfirmed"),
        ("refused", 500, "status"), ("gone", 410, "status"), ("internal", None, "sender"),
        ("anything-new", None, "sender"),
    ],
)  # fmt: skip
def test_every_outcome_has_a_class(outcome: str, status: int | None, code: str) -> None:
    """An outcome is shown as its class; what is unknown is the sender's own affair."""
    found = failure_of(outcome, status)
    assert found is not None and found.code == code


def test_a_status_is_told_in_words() -> None:
    """A status is named with its phrase, where it has one."""
    known, unknown = failure_of("refused", 503), failure_of("refused", 599)
    assert known is not None
    assert known.words.startswith("The receiver answered 503 Service Unavailable, which")
    assert unknown is not None and "answered 599, which" in unknown.words


@pytest.mark.parametrize(
    ("reason", "shown"),
    [("blocked", "unreachable"), ("connect", "unreachable"), ("timeout", "timeout"),
     ("refused", "refused"), ("gone", "gone"), ("rate-limited", "rate-limited"), (None, None)],
)  # fmt: skip
def test_a_deliverys_reason_is_shown_by_its_class(reason: str | None, shown: str | None) -> None:
    """What the wall blocked and what refused a connection have one reason."""
    assert reason_shown(reason) == shown


def test_success_is_no_failure() -> None:
    """An accepted attempt has no failure."""
    assert failure_of("accepted", 204) is None


def test_no_reason_of_the_transport_is_forgotten() -> None:
    """Every reason but an answer and our own faults has a class of its own to be shown as."""
    shown = {reason: failure_of(str(reason), None) for reason in Reason}
    own = {str(reason) for reason, found in shown.items() if found and found.code == "sender"}
    assert own == {"answered", "internal"}
