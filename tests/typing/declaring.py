"""Types that users rely on; checked by mypy, never run."""

from __future__ import annotations

from typing import Any, assert_type

from flask import Flask
from marshmallow import Schema

from flask_webhooks import Callback, Message, Subscription, Webhook, Webhooks, verify

app = Flask(__name__)
webhooks = Webhooks(app)

new_booking = webhooks.webhook("newBooking", Schema, responses={200: "Received."})
assert_type(new_booking, Webhook)

on_change = webhooks.callback("onChange", "{$request.body#/url}", new_booking)
assert_type(on_change, Callback)


@webhooks.operation(request=Schema, responses={201: Schema})
@new_booking
@on_change
def view(order_id: int) -> str:
    return str(order_id)


assert_type(view(1), str)

assert_type(webhooks["newBooking"], Webhook)
assert_type(webhooks.subscribe("https://example.com", ["newBooking"]), Subscription)
assert_type(new_booking.send({}), Message)
assert_type(verify(b"", {}, ""), Any)


@webhooks.tenant_loader
def tenant() -> str | None:
    return None


assert_type(tenant(), str | None)
