"""Books trains and takes orders: the shop's plain Python, which knows neither Flask nor webhooks.

Everything is kept in memory and forgotten at a restart; a real shop has its database here,
and gives its session to ``Webhooks(session=...)``, so that one commit does both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_hex

from blinker import Signal

#: Sent when a passenger gets a better seat. The sender is the booking.
seat_upgraded = Signal()


@dataclass
class Booking:
    """A seat on a train."""

    train: str
    seat: str = "second class"
    id: str = field(default_factory=lambda: f"b-{token_hex(3)}")


@dataclass
class Order:
    """Something that is printed and sent by post."""

    item: str
    status: str = "accepted"
    id: str = field(default_factory=lambda: f"o-{token_hex(3)}")


bookings: dict[str, Booking] = {}
orders: dict[str, Order] = {}


def book(train: str) -> Booking:
    """Make a booking."""
    booking = Booking(train)
    bookings[booking.id] = booking
    return booking


def upgrade(booking: Booking) -> None:
    """Move the passenger to first class, and tell whoever listens."""
    booking.seat = "first class"
    seat_upgraded.send(booking)


def cancel(booking: Booking) -> None:
    """Give the seat back."""
    del bookings[booking.id]


def order(item: str) -> Order:
    """Take an order."""
    taken = Order(item)
    orders[taken.id] = taken
    return taken


def ship(parcel: Order) -> None:
    """Hand an order to the post."""
    parcel.status = "shipped"
