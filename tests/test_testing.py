"""What users test with: it tells the truth about what was sent, and what came of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_webhooks import UnknownWebhookError, VerificationError, Webhooks, message_stored
from flask_webhooks.testing import VirtualClock, WebhookReceiver


@pytest.fixture
def shop(webhooks: Webhooks, tmp_path: Path) -> Iterator[Webhooks]:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(TESTING=True, WEBHOOKS_SCHEDULE=[0, 5, 300], WEBHOOKS_TIMEOUT=0.3)
    webhooks.webhook("booked", {"properties": {"train": {"type": "string"}}})
    webhooks.webhook("left", {})
    callback = webhooks.callback("told", "{$request.query.url}", {}, key="{$request.query.key}")
    app.post("/orders")(callback(lambda: ""))
    webhooks.init_app(app)
    with app.app_context():
        yield webhooks


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


# ---- recording


def test_a_recording_has_what_was_sent_while_it_ran(shop: Webhooks) -> None:
    """Name, JSON, key and tenant of each message are recorded, and nothing before or after."""
    shop["booked"].send({"train": "before"})
    with shop.record() as box:
        shop["booked"].send({"train": "Owl"}, tenant="acme")
        shop["told"].signal.send(shop.current_app(), payload={}, key=42)
    shop["left"].send({})
    assert [(s.name, s.payload, s.key, s.tenant) for s in box] == [
        ("booked", {"train": "Owl"}, None, "acme"), ("told", {}, "42", None)
    ]  # fmt: skip
    assert len(box) == 2
    assert box.one("booked").payload == {"train": "Owl"}
    assert [sent.name for sent in box.all()] == ["booked", "told"]


def test_what_was_recorded_can_be_asserted(shop: Webhooks) -> None:
    """Members at any depth, functions, keys, tenants and counts are compared."""
    with shop.record() as box:
        shop["booked"].send({"train": "Owl", "seat": {"coach": 5, "row": 7}}, tenant="acme")
        shop["told"].send({}, key=42)
    box.assert_sent("booked")
    box.assert_sent("booked", where={"seat": {"row": 7}}, tenant="acme", times=1)
    box.assert_sent("booked", where=lambda payload: payload["train"].startswith("O"))
    box.assert_sent("told", key=42)
    box.assert_sent("left", times=0)
    box.assert_not_sent("left")


@pytest.mark.parametrize(
    "claim, told",
    [
        (lambda box: box.one("left"), "0 messages of 'left' were sent, not one."),
        (lambda box: box.assert_sent("left"), "'left' was to be sent at least once, and was 0"),
        (lambda box: box.assert_sent("booked", times=2), "to be sent 2 times, and was 1 times"),
        (lambda box: box.assert_sent("booked", where={"train": "x"}), "with where={'train': 'x'}"),
        (lambda box: box.assert_sent("booked", where={"seat": None}), "with where={'seat': None}"),
        (lambda box: box.assert_sent("booked", tenant="b"), "'booked' with tenant='b' was to be"),
        (lambda box: box.assert_not_sent("booked"), "'booked' was not to be sent."),
        (lambda box: box.assert_not_sent(), "'booked' was not to be sent."),
    ],
)
def test_a_false_claim_fails_and_shows_what_was_sent(
    shop: Webhooks, claim: Callable[[Any], None], told: str
) -> None:
    """Every assertion can fail, and says what was sent instead."""
    with shop.record() as box:
        shop["booked"].send({"train": "Owl"}, tenant="acme")
    with pytest.raises(AssertionError) as failed:
        claim(box)
    assert told in str(failed.value)
    assert """Sent were:\n  booked {"train": "Owl"} tenant='acme'""" in str(failed.value)


def test_a_claim_about_nothing_declared_is_an_error(shop: Webhooks) -> None:
    """A slip in a name makes no claim true."""
    with shop.record() as box:
        pass
    for claim in (box.one, box.all, box.assert_sent, box.assert_not_sent):
        with pytest.raises(UnknownWebhookError, match="Did you mean 'booked'?"):
            claim("boked")


def test_nothing_recorded_is_said_so(shop: Webhooks) -> None:
    """An empty recording says that nothing was sent."""
    with shop.record() as box:
        pass
    with pytest.raises(AssertionError, match="Nothing was sent."):
        box.one("booked")


def test_the_signal_of_a_message_hurts_nobody(shop: Webhooks) -> None:
    """An exception in a receiver of ``message_stored`` is logged, and the message is sent."""

    def fail(sender: Any, **said: Any) -> None:
        raise RuntimeError

    with message_stored.connected_to(fail):
        assert shop["left"].send({}).id.startswith("msg_")


# ---- receiving


def test_a_receiver_gets_and_verifies(shop: Webhooks, receiver: WebhookReceiver) -> None:
    """What arrives verifies by the official package, without any setting of the app's."""
    made = receiver.subscribe(shop, "booked")
    message = shop["booked"].send({"train": "Owl"})
    shop.run_until_idle()
    assert made.url == receiver.url
    assert receiver.last.verify() == receiver.last.json == {"train": "Owl"}
    assert (receiver.last.method, receiver.last.id) == ("POST", message.id)


def test_a_captured_callback_verifies(shop: Webhooks, receiver: WebhookReceiver) -> None:
    """A URL that a call gave is reached, and the app's public key verifies what comes."""
    receiver.allow(shop.current_app())
    client = shop.current_app().test_client()
    client.post("/orders", query_string={"url": receiver.url, "key": "42"})
    shop["told"].send({"n": 1}, key=42)
    shop.run_until_idle()
    assert receiver.last.verify() == {"n": 1}


def test_a_forgery_does_not_verify(shop: Webhooks, receiver: WebhookReceiver) -> None:
    """A request that someone else made is refused by ``verify``, and by its age alone as well."""
    receiver.subscribe(shop, "booked")
    shop["booked"].send({"train": "Owl"})
    shop.run_until_idle()
    clock = VirtualClock(shop.current_app())
    clock.advance(301)
    with pytest.raises(VerificationError, match="too old"):
        receiver.last.verify()


def _attempts(shop: Webhooks) -> list[str]:
    [delivery] = shop.deliveries()
    return [f"{a.outcome} {a.status_code}" for a in reversed(shop.attempts(delivery))]


def test_answers_are_scripted(shop: Webhooks, receiver: WebhookReceiver) -> None:
    """A status and a dropped connection come in the order of the script, then 200."""
    clock = VirtualClock(shop.current_app())
    receiver.subscribe(shop, "booked")
    receiver.answer(503, headers={"Retry-After": "7200"}, body=b"busy")
    receiver.drop()
    shop["booked"].send({})
    started = clock.now
    clock.run_until_settled()
    assert _attempts(shop) == ["refused 503", "connect None", "accepted 200"]
    assert clock.now - started >= 7200
    assert len(receiver.requests) == 3


def test_a_hanging_receiver_is_given_up_at_the_timeout(
    shop: Webhooks, receiver: WebhookReceiver
) -> None:
    """A request that is never answered ends as a timeout; a redirect is not followed."""
    clock = VirtualClock(shop.current_app())
    receiver.subscribe(shop, "booked")
    receiver.hang()
    receiver.redirect("http://127.0.0.1:1/")
    shop["booked"].send({})
    clock.run_until_settled()
    assert _attempts(shop) == ["timeout None", "refused 302", "accepted 200"]


def test_nothing_received_is_said_so(receiver: WebhookReceiver) -> None:
    """Asking for the last request of none names the likely reason."""
    with pytest.raises(AssertionError, match=r"Was run_until_idle\(\) called\?"):
        receiver.last  # noqa: B018


# ---- the clock


def test_days_pass_in_a_moment(shop: Webhooks, receiver: WebhookReceiver) -> None:
    """The default schedule of three days is gone through without sleeping."""
    clock = VirtualClock(shop.current_app())
    receiver.subscribe(shop, "booked")
    receiver.answer(500, times=3)
    shop["booked"].send({})
    shop.run_until_idle()
    assert len(receiver.requests) == 1
    clock.advance(5)
    shop.run_until_idle()
    assert len(receiver.requests) == 2
    clock.run_until_settled()
    [delivery] = shop.deliveries()
    assert (delivery.status, delivery.attempts) == ("exhausted", 3)


# ---- the plugin

CONFTEST = """
import pytest
from flask import Flask
from flask_webhooks import Webhooks

webhooks = Webhooks()
webhooks.webhook("booked", {})

@pytest.fixture
def app(tmp_path):
    app = Flask("shop", instance_path=str(tmp_path))
    app.testing = True
    webhooks.init_app(app)
    with app.app_context():
        yield app
"""
TESTS = """
from conftest import webhooks

def test_it_arrives(app, webhook_receiver, webhook_clock):
    webhook_receiver.subscribe(webhooks)
    webhook_receiver.answer(500)
    webhooks["booked"].send({"train": "Owl"})
    webhook_clock.run_until_settled()
    assert webhook_receiver.last.verify() == {"train": "Owl"}
    assert len(webhook_receiver.requests) == 2
"""


def test_the_fixtures_come_by_themselves(tmp_path: Path) -> None:
    """In a folder that has no more than an app, pytest knows the fixtures."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_shop.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
