"""``explain`` says why a message did, or did not, reach a subscription: each of its codes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

import flask_webhooks.reports as reports
from flask_webhooks import Explanation, Message, Subscription, Webhooks, WebhooksError
from flask_webhooks.deliver.transport import Transport
from flask_webhooks.testing import VirtualClock, WebhookReceiver

#: Every code that a test below has seen; the last one compares them with what is documented.
SEEN: set[str] = set()


class Shop:
    """An app with two webhooks, a receiver and a clock of its own."""

    def __init__(self, app: Flask, receiver: WebhookReceiver) -> None:
        self.webhooks = Webhooks()
        self.webhooks.webhook("paid", {"properties": {"total": {"type": "number"}}})
        self.webhooks.webhook("sent", {})
        self.webhooks.init_app(app)
        self.app, self.receiver = app, receiver
        self.state = app.extensions["webhooks"]
        self.clock = VirtualClock(app)
        self.clock.now = 1_800_000_000.0

    def subscribe(self, *names: str, **asked: Any) -> Subscription:
        made = self.webhooks.subscribe(self.receiver.url, names or ["paid"], **asked)
        self.clock.advance(1)
        return made

    def send(self, total: float = 1, **options: Any) -> Message:
        return self.webhooks["paid"].send({"total": total}, **options)

    def deliver(self) -> None:
        self.webhooks.run_until_idle()

    def fan_out(self) -> None:
        self.state.worker.intake.fan_out()

    def told(self, message: Message, subscription: Subscription) -> str:
        found: Explanation = self.webhooks.explain(message, subscription)
        SEEN.add(found.code)
        return f"{found.code}: {found.words}"


@pytest.fixture
def make_shop(make_app: Callable[..., Flask]) -> Any:
    """Makes shops, in the context of their app."""
    contexts: list[Any] = []

    def make(**settings: Any) -> Shop:
        app = make_app(WEBHOOKS_SCHEDULE=[0, 100, 100], **settings)
        receiver = WebhookReceiver()
        shop = Shop(app, receiver)
        receiver.allow(app)
        context = app.app_context()
        context.push()
        contexts.append((context, receiver))
        return shop

    yield make
    for context, receiver in contexts:
        context.pop()
        receiver.close()


@pytest.fixture
def shop(make_shop: Any) -> Shop:
    """A shop with ordinary settings."""
    made: Shop = make_shop()
    return made


def test_it_was_not_for_it(shop: Shop) -> None:
    """Name, tenant, key and filter, each in words of its own."""
    others = shop.subscribe("sent")
    of_ann = shop.subscribe(tenant="ann")
    of_key = shop.subscribe(key="7")
    large = shop.subscribe(filter={"total": {"gte": 100}})
    message = shop.send(5)
    shop.deliver()
    assert shop.told(message, others) == (
        "not-subscribed: It is subscribed to sent, and the message is paid."
    )
    assert shop.told(message, of_ann) == (
        "tenant: The message belongs to another tenant than the subscription."
    )
    assert shop.told(message, of_key) == "key: It takes messages with the key '7', not None."
    assert shop.told(message, large) == (
        'filter: The payload does not pass its filter {"total": {"gte": 100}}.'
    )


def test_it_was_not_there_then(shop: Shop) -> None:
    """Made later, disabled now, or disabled when the message was fanned out."""
    disabled, back, changed = shop.subscribe(), shop.subscribe(), shop.subscribe("sent")
    shop.webhooks.disable(disabled)
    shop.webhooks.disable(back)
    message = shop.send()
    shop.deliver()
    shop.clock.advance(1)
    later = shop.subscribe()
    shop.webhooks.enable(back)
    shop.webhooks.change(changed, names=["paid"])
    assert shop.told(message, disabled) == "disabled: It is disabled (by hand), and gets nothing."
    assert shop.told(message, back).startswith("not-then: As it is now it would get such")
    assert shop.told(message, changed).startswith("not-then: ")
    assert shop.told(message, later).startswith("later: It was made after the message was sent")


def test_nobody_has_taken_it_up(shop: Shop) -> None:
    """Stored and not fanned out, it waits for a worker; fanned out, it is due."""
    made = shop.subscribe()
    message = shop.send()
    assert shop.told(message, made).startswith("waiting: It is stored, and no worker has taken")
    shop.fan_out()
    assert shop.told(message, made) == (
        "due: It is due since 2027-01-15 08:00:01 UTC, and waits for its turn."
    )


@pytest.mark.parametrize(
    ("once", "expected"),
    [
        (False, "expired: It expired at 2027-01-15 08:00:01 UTC, before the message."),
        (True, "used: It takes one message only, and took that of 2027-01-15 08:00:01 UTC."),
    ],
)
def test_its_time_was_over(shop: Shop, once: bool, expected: str) -> None:
    """A captured URL expires; a one-shot one expires with its message."""
    made = shop.subscribe()
    database, c = shop.state.database, shop.state.database.tables.subscriptions.c
    at = {"once": once, "expires_at": 1_800_000_001_000_000}
    database.write(
        lambda connection: connection.execute(
            update(database.tables.subscriptions).where(c.id == made.id).values(**at)
        )
    )
    shop.clock.advance(1)
    message = shop.send()
    shop.deliver()
    assert shop.told(message, made) == expected


def test_it_arrived(shop: Shop) -> None:
    """With the answer and the number of the attempt."""
    made = shop.subscribe()
    shop.receiver.answer(500)
    message = shop.send()
    shop.clock.run_until_settled()
    assert shop.told(message, made) == "delivered: The receiver accepted it with 200 at attempt 2."


def test_it_is_tried_again(shop: Shop) -> None:
    """What failed, and when it is tried next; at last that it was given up, and by hand."""
    made = shop.subscribe()
    shop.receiver.answer(500, times=3)
    message = shop.send()
    shop.deliver()
    told = shop.told(message, made)
    assert told.startswith(
        "retry: The last attempt failed: The receiver answered 500 Internal Server Error, which "
        "the webhook does not count as success. The next attempt is due at 2027-01-15 08:0"
    )
    shop.clock.run_until_settled()
    assert shop.told(message, made).startswith(
        "exhausted: It was given up after 3 attempts. The last attempt failed: The receiver"
    )
    [delivery] = shop.webhooks.deliveries()
    shop.webhooks.cancel(delivery)
    assert shop.told(message, made) == (
        "cancelled: It was cancelled by hand. Replay it to send it after all."
    )


def test_the_receiver_asked_for_a_pause(shop: Shop) -> None:
    """``Retry-After`` holds back the whole subscription, and each delivery of it says so."""
    made = shop.subscribe()
    shop.receiver.answer(429, headers={"Retry-After": "600"})
    first = shop.send()
    shop.deliver()
    shop.clock.advance(10)
    second = shop.send()
    shop.deliver()
    assert shop.told(second, made) == (
        "paused: Its receiver asked for less, or did not answer, at another delivery. Nothing is "
        "sent to it until 2027-01-15 08:10:01 UTC."
    )
    assert "The next attempt is due at 2027-01-15 08:10:01 UTC." in shop.told(first, made)
    shop.clock.run_until_settled()
    assert shop.told(second, made).startswith("delivered: ")


def test_a_receiver_that_does_not_answer_is_paused(shop: Shop) -> None:
    """The circuit breaker's pause is told as one, too."""
    made = shop.subscribe()
    shop.receiver.drop(times=2)
    message = shop.send()
    shop.deliver()
    shop.clock.advance(100)
    shop.deliver()
    later = shop.send()
    shop.deliver()
    assert "The last attempt failed: No connection could be made, or it broke" in shop.told(
        message, made
    )
    assert shop.told(later, made).startswith("paused: ")


def test_a_blocked_url_looks_like_a_closed_port(shop: Shop) -> None:
    """A name that leads inside is told as unreachable: an explanation is no port scanner."""
    made, message = shop.webhooks.subscribe("https://inside.example/", ["paid"]), shop.send()
    inside = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))
    rules = shop.state.settings.url_rules()
    shop.state.worker._attempting._transport = Transport(rules, resolver=lambda *_: [inside])
    shop.deliver()
    [delivery] = shop.webhooks.deliveries()
    assert shop.webhooks.attempts(delivery)[0].outcome == "blocked"
    assert "No connection could be made, or it broke before an answer. Check" in shop.told(
        message, made
    )


def test_its_owner_did_not_agree(make_shop: Any) -> None:
    """An ownership check that is not passed is the failure of the attempt."""
    shop = make_shop(WEBHOOKS_OWNERSHIP_CHECK="echo")
    made, message = shop.subscribe(), shop.send()
    shop.deliver()
    assert "The ownership check was not passed." in shop.told(message, made)


@pytest.mark.parametrize(
    ("settings", "rate", "ends"),
    [
        ({"WEBHOOKS_HOST_RATE": 0.001}, None, "so that its receiver is not called too often."),
        (
            {},
            0.001,
            (
                "its subscription takes 0.001 a second.",
                "so that its receiver is not called too often.",
            ),
        ),
    ],
)
def test_it_is_put_off_by_a_rate(make_shop: Any, settings: Any, rate: Any, ends: Any) -> None:
    """Of two at once, one goes to its host or subscription, and the other is put off."""
    shop = make_shop(**settings)
    made = shop.subscribe(rate=rate)
    messages = [shop.send(), shop.send()]
    shop.deliver()
    [first, second] = sorted((shop.told(m, made) for m in messages), key=len)
    assert first == "delivered: The receiver accepted it with 200 at the first attempt."
    assert second.endswith(ends)


def test_it_stands_in_line(shop: Shop) -> None:
    """Behind an earlier one with the same key, of an ordered subscription."""
    made = shop.subscribe(order="skip")
    shop.receiver.answer(500)
    shop.send()
    shop.clock.advance(1)
    second = shop.send()
    shop.deliver()
    assert shop.told(second, made) == (
        "in-line: It waits in line: an earlier delivery with the same key has not ended."
    )


@pytest.mark.parametrize(
    ("token", "expected"),
    [("enqueued", "enqueued: An engine has been given it"), ("t", "under-way: Attempt 0 is under")],
)
def test_somebody_has_it(shop: Shop, token: str, expected: str) -> None:
    """A worker is at it, or an engine was given it."""
    made, message = shop.subscribe(), shop.send()
    shop.fan_out()
    database, d = shop.state.database, shop.state.database.tables.deliveries
    until = {"token": token, "due_at": 1_800_000_060_000_000}
    database.write(lambda connection: connection.execute(update(d).values(**until)))
    assert shop.told(message, made).startswith(expected)


def test_its_secret_does_not_open(shop: Shop) -> None:
    """It is parked until the key is back."""
    made, message = shop.subscribe(), shop.send()
    database, s = shop.state.database, shop.state.database.tables.subscriptions
    database.write(lambda c: c.execute(update(s).values(sealed_secret=b"swapped")))
    shop.deliver()
    assert shop.told(message, made).startswith("secret-unavailable: Its secret could not be opened")


def test_the_receiver_wants_no_more(shop: Shop) -> None:
    """410 ends it and disables the subscription; what waited is cancelled."""
    made = shop.subscribe()
    shop.receiver.answer(410)
    first = shop.send()
    shop.deliver()
    assert shop.told(first, made).startswith("gone: The receiver answered 410")
    shop.webhooks.enable(made)
    second = shop.send()
    shop.fan_out()
    shop.webhooks.disable(made)
    assert shop.told(second, made) == (
        "disabled: Its subscription was disabled before it was delivered. Enable it, then replay."
    )


def test_too_many_wait_for_it(make_shop: Any) -> None:
    """What goes beyond the bound is exhausted at once."""
    shop = make_shop(WEBHOOKS_PENDING_PER_SUBSCRIPTION=1)
    made = shop.subscribe()
    shop.send()
    shop.fan_out()
    second = shop.send()
    shop.fan_out()
    assert shop.told(second, made).startswith("overflow: Too many deliveries were pending")


def test_it_kills_its_workers(shop: Shop) -> None:
    """Claimed three times without an outcome, it is set aside."""
    made, message = shop.subscribe(), shop.send()
    shop.fan_out()
    database, d = shop.state.database, shop.state.database.tables.deliveries
    database.write(lambda c: c.execute(update(d).values(claims=3)))
    shop.deliver()
    assert shop.told(message, made).startswith("quarantined: Every process that began it died.")


def test_what_is_not_known_is_said(shop: Shop) -> None:
    """A message that was purged, or never was."""
    made, message = shop.subscribe(), shop.send()
    shop.deliver()
    shop.clock.advance(100)
    shop.webhooks.purge(older_than=50)
    with pytest.raises(WebhooksError, match="never made, or has been purged or deleted"):
        shop.webhooks.explain(message, made)


def test_every_code_was_reached() -> None:
    """What ``Explanation.code`` documents is what the tests above have seen."""
    source = Path(reports.__file__).read_text("utf-8")
    [documented] = re.findall(r"#: Without a delivery:.*?code: str", source, re.DOTALL)
    assert set(re.findall(r"``([a-z-]+)``", documented)) == SEEN
