"""The log: one line for each attempt, with its facts as fields, and nothing that is private."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_webhooks import Webhooks
from tests.conftest import Receiver

LOGGER = "flask_webhooks.delivery"


@pytest.fixture
def app(make_app: Callable[..., Flask], webhooks: Webhooks) -> Flask:
    made = make_app(WEBHOOKS_SCHEDULE=[0, 0])
    webhooks.webhook("noted")
    webhooks.init_app(made)
    return made


def _lines(app: Flask, webhooks: Webhooks, url: str) -> str:
    with app.app_context():
        subscription = webhooks.subscribe(f"{url}?token=canary", ["noted"])
        webhooks["noted"].send({"text": "canary"})
        webhooks.run_until_idle()
    return subscription.id


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k.startswith("webhook_")}


def test_every_attempt_is_one_line(
    app: Flask, webhooks: Webhooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what was sent where, and what came of it; the facts are flat fields besides."""
    receiver.answers = [503]
    with caplog.at_level(logging.INFO, LOGGER):
        subscription = _lines(app, webhooks, receiver.url)
    first, second = (r for r in caplog.records if r.name == LOGGER)

    assert (first.levelname, first.getMessage()) == (
        "WARNING", "noted to 127.0.0.1: attempt 1 503, pending",
    )  # fmt: skip
    assert (second.levelname, second.getMessage()) == (
        "INFO", "noted to 127.0.0.1: attempt 2 200, delivered",
    )  # fmt: skip
    fields = _fields(first)
    assert fields.pop("webhook_seconds") > 0
    assert fields == {
        "webhook_id": receiver.received[0].headers["webhook-id"], "webhook_name": "noted",
        "webhook_subscription": subscription, "webhook_delivery": 1, "webhook_attempt": 1,
        "webhook_outcome": "refused", "webhook_status": 503, "webhook_host": "127.0.0.1",
    }  # fmt: skip
    assert "canary" not in repr([vars(r) for r in caplog.records])


def test_what_was_given_up_is_an_error(
    app: Flask, webhooks: Webhooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The last attempt is logged at ERROR, as is one that disables its subscription."""
    receiver.answers = [500, 500, 410]
    for _ in range(2):
        _lines(app, webhooks, receiver.url)
    found = [(r.levelname, _fields(r)["webhook_status"]) for r in caplog.records
             if r.name == LOGGER]  # fmt: skip
    assert found == [("WARNING", 500), ("ERROR", 500), ("ERROR", 410)]


def test_an_attempt_without_an_answer_names_its_reason(
    app: Flask, webhooks: Webhooks, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is no status, the outcome stands in its place."""
    _lines(app, webhooks, "http://127.0.0.1:9/")
    [first, _] = [r for r in caplog.records if r.name == LOGGER]
    assert first.getMessage() == "noted to 127.0.0.1: attempt 1 connect, pending"
    fields = _fields(first)
    assert (fields["webhook_outcome"], fields["webhook_status"]) == ("connect", None)
