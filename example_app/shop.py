"""The shop's views, with what each of them sends declared beside it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, request
from marshmallow import Schema, fields

from flask_webhooks import RefusedURLError, UnknownWebhookError, Webhooks

from . import domain

webhooks = Webhooks()
shop = Blueprint("shop", __name__)


# Bookings: three webhooks for whoever has subscribed to them


class BookingRequest(Schema):
    train = fields.String(required=True)


class Booking(Schema):
    id = fields.String(required=True)
    train = fields.String(required=True)
    seat = fields.String(required=True)


class NewBooking(Booking):
    type = fields.Constant("newBooking")  # one URL takes several webhooks: say which this is


class SeatUpgraded(Booking):
    type = fields.Constant("seatUpgraded")


class BookingCancelled(Booking):
    type = fields.Constant("bookingCancelled")


new_booking = webhooks.webhook("newBooking", NewBooking, summary="A seat was booked")
booking_cancelled = webhooks.webhook(
    "bookingCancelled", BookingCancelled, summary="A booking was cancelled"
)
# This one nobody sends by hand: it listens to a signal that the domain sends anyway.
seat_upgraded = webhooks.webhook(
    "seatUpgraded",
    SeatUpgraded,
    summary="A passenger got a better seat",
    on=domain.seat_upgraded,
    payload=lambda booking: booking,
)


@shop.post("/bookings")
@webhooks.operation(summary="Book a seat", request=BookingRequest, responses={201: Booking})
@new_booking
def create_booking() -> tuple[Any, int]:
    booking = domain.book(**BookingRequest().load(request.get_json()))
    new_booking.send(booking)
    return Booking().dump(booking), 201


@shop.post("/bookings/<booking_id>/upgrade")
@webhooks.operation(summary="Move to first class", responses={200: Booking, 404: "No such booking"})
@seat_upgraded
def upgrade_booking(booking_id: str) -> Any:
    booking = domain.bookings.get(booking_id) or abort(404)
    domain.upgrade(booking)
    return Booking().dump(booking)


@shop.delete("/bookings/<booking_id>")
@webhooks.operation(summary="Cancel", responses={204: "Cancelled", 404: "No such booking"})
@booking_cancelled
def cancel_booking(booking_id: str) -> tuple[str, int]:
    booking = domain.bookings.get(booking_id) or abort(404)
    domain.cancel(booking)
    booking_cancelled.send(booking)
    return "", 204


# Orders: a callback to the URL that the client gave with its order


class OrderRequest(Schema):
    item = fields.String(required=True)
    callback_url = fields.Url(required=True, require_tld=False, data_key="callbackUrl")


class Order(Schema):
    id = fields.String(required=True)
    item = fields.String(required=True)
    status = fields.String(required=True)


order_status = webhooks.callback(
    "onOrderStatusChange",
    "{$request.body#/callbackUrl}",
    Order,
    key="{$response.body#/id}",
    summary="The status of your order changed",
)


@shop.post("/orders")
@webhooks.operation(
    summary="Order something by post",
    request=OrderRequest,
    responses={201: Order, 422: "The order or its callback URL is refused"},
)
@order_status
def create_order() -> tuple[Any, int]:
    # Nothing to do for the callback: its URL is captured from the call itself.
    wanted = OrderRequest().load(request.get_json())
    return Order().dump(domain.order(wanted["item"])), 201


@shop.post("/orders/<order_id>/shipment")
@webhooks.operation(summary="Ship an order", responses={200: Order, 404: "No such order"})
def ship_order(order_id: str) -> Any:
    order = domain.orders.get(order_id) or abort(404)
    domain.ship(order)
    order_status.send(order, key=order.id)
    return Order().dump(order)


# Subscriptions: how a partner asks for webhooks. A real shop asks who is calling first.


class SubscriptionRequest(Schema):
    url = fields.Url(required=True, require_tld=False)
    names = fields.List(fields.String(), required=True)


class Subscription(SubscriptionRequest):
    id = fields.String(required=True)
    secret = fields.String(required=True, metadata={"description": "Shown this once."})


@shop.post("/subscriptions")
@webhooks.operation(
    summary="Subscribe to webhooks",
    request=SubscriptionRequest,
    responses={201: Subscription, 422: "The URL or a name is refused"},
)
def create_subscription() -> tuple[Any, int]:
    wanted = SubscriptionRequest().load(request.get_json())
    try:
        made = webhooks.subscribe(wanted["url"], wanted["names"])
    except (RefusedURLError, UnknownWebhookError) as error:
        return {"errors": str(error)}, 422
    return Subscription().dump(made), 201


@shop.get("/account/webhooks")
def my_webhooks() -> Any:
    """A partner's own pages. A real shop names its tenant; this one has none."""
    return redirect(webhooks.portal_link(None))
