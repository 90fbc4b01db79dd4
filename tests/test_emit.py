"""A payload becomes one stored message, or an error and nothing."""

from __future__ import annotations

from typing import Any

import pytest
from blinker import Signal
from flask import Flask
from marshmallow import Schema, fields, validate
from sqlalchemy import func, select

from flask_webhooks import Message, PayloadError, Webhooks, WebhooksError
from tests.conftest import Receiver


class Booking(Schema):
    id = fields.UUID(required=True)
    train = fields.String(required=True, validate=validate.OneOf(["IC1", "IC2"]))
    note = fields.String(load_only=True)


GOOD = {"id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff", "train": "IC1", "note": "not for you"}


def _stored(app: Flask) -> int:
    database = app.extensions["webhooks"].database
    count = select(func.count()).select_from(database.tables.messages)
    return int(database.read(lambda c: c.execute(count).scalar_one()))


def test_send_stores_one_message_and_returns_it(app: Flask, webhooks: Webhooks) -> None:
    """One row, whose body is the compact JSON of what the schema dumps."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context():
        message = booking.send(GOOD)

    assert message.body == b'{"id":"6f9619ff-8b86-4011-b42d-00cf4fc964ff","train":"IC1"}'
    assert message.id.startswith("msg_") and "." not in message.id
    assert _stored(app) == 1


def test_the_signal_does_what_send_does(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """A signal and a send arrive as the same body."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context():
        webhooks.subscribe(receiver.url, ["newBooking"])
        booking.send(GOOD)
    booking.signal.send(app, payload=GOOD)
    with app.app_context():
        webhooks.run_until_idle()

    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_sending_tells_every_receiver_of_the_signal(app: Flask, webhooks: Webhooks) -> None:
    """The declaration's signal is an ordinary one: others may listen."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)
    heard: list[Any] = []

    def audit(sender: Flask, **extra: Any) -> str:
        heard.append((sender, extra["payload"]))
        return "not a message"

    with booking.signal.connected_to(audit), app.app_context():
        message = booking.send(GOOD)

    assert isinstance(message, Message)
    assert heard == [(app, GOOD)]


@pytest.mark.parametrize(
    "make",
    [
        lambda sender, **extra: extra["booking"],
        lambda sender, booking, **extra: booking,
        lambda booking, **extra: booking,
        lambda booking, user: booking,
    ],
)
def test_a_foreign_signal_is_adopted(app: Flask, webhooks: Webhooks, make: Any) -> None:
    """``payload=`` is called as a receiver would be, with or without the sender."""
    booked = Signal()
    webhooks.webhook("newBooking", Booking, on=booked, payload=make)
    webhooks.init_app(app)

    booked.send(app, booking=GOOD, user="ann")

    assert _stored(app) == 1


def test_a_foreign_signal_whose_sender_is_no_app(app: Flask, webhooks: Webhooks) -> None:
    """Then the app at hand counts."""
    booked = Signal()
    webhooks.webhook("newBooking", Booking, on=booked)
    webhooks.init_app(app)

    with app.app_context():
        booked.send(object(), payload=GOOD)

    assert _stored(app) == 1


def test_a_foreign_signal_without_payload_says_what_to_do(app: Flask, webhooks: Webhooks) -> None:
    """The error names the arguments that came."""
    booked = Signal()
    webhooks.webhook("newBooking", Booking, on=booked)
    webhooks.init_app(app)

    with pytest.raises(WebhooksError, match=r"came with \['user'\] and no 'payload'"):
        booked.send(app, user="ann")


@pytest.mark.parametrize(
    "payload, told",
    [
        ({"train": "IC1"}, 'newBooking: payload .*"id" is a required property'),
        ({**GOOD, "train": "XX"}, r"newBooking: payload\.train .*the value is not one of"),
        ({**GOOD, "train": None}, r"newBooking: payload\.train "),
        (None, "newBooking: payload"),
        ([], "newBooking: payload"),
    ],
)
def test_an_invalid_payload_stores_nothing(
    app: Flask, webhooks: Webhooks, payload: Any, told: str
) -> None:
    """The error names webhook, field and reason, and no row is written."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context(), pytest.raises(PayloadError, match=told):
        booking.send(payload)

    assert _stored(app) == 0


def test_an_invalid_payload_is_not_shown(app: Flask, webhooks: Webhooks) -> None:
    """The error says what is wrong without the value that is wrong."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context(), pytest.raises(PayloadError) as raised:
        booking.send({**GOOD, "train": "hunter2"})

    assert "hunter2" not in str(raised.value)


def test_a_keyed_callback_needs_its_key(app: Flask, webhooks: Webhooks) -> None:
    """Without ``key=`` nobody could be meant."""

    @app.post("/a")
    @webhooks.callback("onA", "{$request.query.url}", Booking, key="{$request.query.id}")
    def view() -> str:
        return ""

    webhooks.init_app(app)

    with app.app_context(), pytest.raises(WebhooksError, match="send\\(payload, key="):
        webhooks["onA"].send(GOOD)


def test_an_idempotency_key_stores_once(app: Flask, webhooks: Webhooks) -> None:
    """A second send with the same key returns the first message."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context():
        first = booking.send(GOOD, idempotency_key="b-1")
        again = booking.send({**GOOD, "train": "IC2"}, idempotency_key="b-1")
        other = booking.send(GOOD, idempotency_key="b-1", tenant="acme")

    assert again == first
    assert other.id != first.id
    assert _stored(app) == 2


def test_sending_to_nobody_is_no_error(app: Flask, webhooks: Webhooks) -> None:
    """Without a subscription the message is stored and delivered to nobody."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context():
        booking.send(GOOD)
        webhooks.run_until_idle()
        assert webhooks.deliveries() == []


def test_a_tenant_gets_only_its_own(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """A message reaches the subscriptions of its tenant, and no others."""
    booking = webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    with app.app_context():
        for tenant in ("acme", "bolt", None):
            webhooks.subscribe(f"{receiver.url}/{tenant}", ["newBooking"], tenant=tenant)
        booking.send(GOOD, tenant="acme")
        webhooks.run_until_idle()

    assert [received.path for received in receiver.received] == ["/hook/acme"]
