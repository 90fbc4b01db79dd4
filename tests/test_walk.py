"""The two walks of the design, one line for each step: read this first."""

from __future__ import annotations

from flask import Flask, request
from flask.typing import ResponseReturnValue
from marshmallow import Schema, fields
from standardwebhooks import Webhook as OfficialReceiver

from flask_webhooks import Webhooks, callback_captured, delivery_succeeded, verify
from tests.conftest import Receiver


class Booking(Schema):
    id = fields.UUID(required=True)
    train = fields.String(required=True)


class OrderStatus(Schema):
    orderId = fields.String(required=True)
    status = fields.String(required=True)


BOOKING = {"id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff", "train": "Night Owl"}


def test_one_message_from_birth_to_delivery(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """A declared webhook is documented, sent, stored, retried, signed, delivered and told of."""
    # declared (declarations.py): the view is marked, and stays the same function
    new_booking = webhooks.webhook("newBooking", Booking, summary="New booking")

    @app.post("/bookings")
    @new_booking
    def book() -> ResponseReturnValue:
        new_booking.send(request.json)
        return {}, 201

    webhooks.init_app(app)
    client = app.test_client()

    # documented (describe/): by the same declaration
    operation = client.get("/openapi.json").json["webhooks"]["newBooking"]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert body == {"schema": {"$ref": "#/components/schemas/Booking"}}

    with app.app_context():
        # subscribed (subscribing.py, store/subscriptions.py): the secret is shown once
        subscription = webhooks.subscribe(receiver.url, ["newBooking"])
        assert subscription.secret is not None

        # emitted (emit.py) and stored (store/outbox.py): one row, before anything is sent
        assert client.post("/bookings", json=BOOKING).status_code == 201
        assert receiver.received == []

        # fanned out, claimed, signed, sent (deliver/): the first answer is a failure
        receiver.answers = [503]
        webhooks.run_until_idle()
        [delivery] = webhooks.deliveries()
        assert (delivery.status, delivery.reason, delivery.attempts) == ("pending", "refused", 1)

        # decided (rules/retry.py): the next attempt is due within the schedule's five seconds
        assert 0 <= (delivery.due_at - delivery.created_at).total_seconds() <= 6

        # retried: the second attempt comes due, and is accepted
        told: list[str] = []

        def note(sender: Flask, **extra: object) -> None:
            told.append(str(extra["delivery"].message_id))  # type: ignore[attr-defined]

        with delivery_succeeded.connected_to(note, app):
            _a_minute_later(app)
            webhooks.run_until_idle()

        # settled (store/queue.py): both attempts are kept, newest first
        [delivery] = webhooks.deliveries(status="delivered")
        codes = [attempt.status_code for attempt in webhooks.attempts(delivery)]
        assert codes == [200, 503]

        # told (signals.py)
        assert told == [delivery.message_id]

    # received: the same message twice, verified by the official library
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.message_id
    assert OfficialReceiver(subscription.secret).verify(second.body, second.headers) == BOOKING


def test_one_callback_url_from_a_call_to_a_delivery(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """A callback's URL is taken out of a live call, stored under its key, delivered to later."""

    # declared: the expression is parsed here (rules/expressions.py)
    @app.post("/orders")
    @webhooks.callback(
        "onOrderStatusChange",
        "{$request.body#/callbackUrl}",
        OrderStatus,
        key="{$response.body#/id}",
    )
    def order() -> ResponseReturnValue:
        return {"id": 42}, 201

    webhooks.init_app(app)
    client = app.test_client()

    # documented, under its operation and with the expression as key
    operation = client.get("/openapi.json").json["paths"]["/orders"]["post"]
    assert list(operation["callbacks"]["onOrderStatusChange"]) == ["{$request.body#/callbackUrl}"]

    # captured (watching.py, capture.py): evaluated on the request and the final response
    captured: list[object] = []

    def note(sender: Flask, **extra: object) -> None:
        captured.append(extra["subscription"])

    with callback_captured.connected_to(note, app):
        assert client.post("/orders", json={"callbackUrl": receiver.url}).status_code == 201

    with app.app_context():
        # stored: a subscription like any other, with a key
        [subscription] = webhooks.subscriptions(key="42")
        assert captured == [subscription]

        # from here it is the road above
        webhooks["onOrderStatusChange"].send({"orderId": "42", "status": "shipped"}, key="42")
        webhooks["onOrderStatusChange"].send({"orderId": "43", "status": "shipped"}, key="43")
        webhooks.run_until_idle()

    # received once, verified by the public key that is published
    [received] = receiver.received
    public_keys = client.get("/openapi.json").json["x-webhooks-delivery"]["publicKeys"]
    payload = verify(received.body, received.headers, public_keys)
    assert payload == {"orderId": "42", "status": "shipped"}


def _a_minute_later(app: Flask) -> None:
    """Let the clock of the app stand a minute later."""
    state = app.extensions["webhooks"]
    later = state.clock() + 60
    state.clock = lambda: later
