"""Tells the story: calls the shop as its customers would, and prints what was sent and received."""

from __future__ import annotations

import time
from typing import Any

import requests

from flask_webhooks import Delivery, DeliveryStatus

from . import create_app
from .processes import Running
from .receiver import HEADERS
from .shop import webhooks

PATIENCE = 6.0  # seconds to wait for one webhook, its retries included


class Broken(Exception):
    """The story can't go on; says why."""


class Story:
    """One telling, from the subscription to the forgery.

    :param folder: the shop's instance folder.
    """

    def __init__(self, shop: Running, agency: Running, folder: str) -> None:
        self.shop, self.agency, self.folder = shop, agency, folder
        self.chapter = 0

    def tell(self) -> bool:
        """Tell it, as far as it goes; whether everything arrived and was verified."""
        wrong = []
        try:
            self._subscribe()
            self._book_and_change()
            self._order_and_ship()
            self._forge()
            self._wire()
        except Broken as error:
            wrong.append(str(error))
        wrong += self._records()
        print()
        if not wrong:
            print("Everything that was sent arrived and was verified; the forgery was refused.")
        for line in wrong:
            print(f"MISSING  {line}")
        return not wrong

    def _subscribe(self) -> None:
        self._title("The agency subscribes to newBooking, seatUpgraded, bookingCancelled")
        note = "keeps the secret, shown once"
        self._call(self.agency, "POST", "/connect", 200, note)

    def _book_and_change(self) -> None:
        self._title("A passenger books a seat; the agency is overloaded at that moment")
        wanted = {"train": "Night train 204"}
        note = "newBooking is sent"
        booking = self._call(self.shop, "POST", "/bookings", 201, note, json=wanted)
        self._arrival("newBooking", "v1", [503, 204])

        self._title("The passenger moves to first class")
        path = f"/bookings/{booking['id']}"
        note = "its signal sends seatUpgraded"
        self._call(self.shop, "POST", f"{path}/upgrade", 200, note)
        self._arrival("seatUpgraded", "v1", [204])

        self._title("The passenger cancels")
        self._call(self.shop, "DELETE", path, 204, "bookingCancelled is sent")
        self._arrival("bookingCancelled", "v1", [204])

    def _order_and_ship(self) -> None:
        self._title("The agency orders a printed ticket, and says where to call back")
        ticket = {"item": "Printed ticket", "callbackUrl": "https://10.0.0.7/order-status"}
        note = "refused: in a private network"
        self._call(self.shop, "POST", "/orders", 422, note, json=ticket)
        ticket["callbackUrl"] = f"{self.agency.url}/order-status"
        note = "captured for the order's id"
        order = self._call(self.shop, "POST", "/orders", 201, note, json=ticket)

        self._title("Days later the shop ships that order")
        note = "onOrderStatusChange is sent"
        self._call(self.shop, "POST", f"/orders/{order['id']}/shipment", 200, note)
        self._arrival("onOrderStatusChange", "v1a", [204])

    def _forge(self) -> None:
        self._title("Somebody else pretends to be the shop")
        headers = {
            "webhook-id": "msg_forged",
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1,bm90IHRoZSBzaG9wJ3Mgc2lnbmF0dXJl",
        }
        note, payload = "refused: no signature matches", {"type": "newBooking"}
        self._call(self.agency, "POST", "/webhooks", 400, note, json=payload, headers=headers)

    def _title(self, text: str) -> None:
        self.chapter += 1
        print(f"\n{self.chapter}. {text}")

    def _call(
        self, to: Running, method: str, path: str, expected: int, note: str, **request: Any
    ) -> Any:
        """Make a call, print it, and give the JSON of its answer."""
        answer = _request(to, method, path, **request)
        if answer.status_code != expected:
            raise Broken(f"{method} {path} was answered {answer.status_code}, not {expected}.")
        _line(to.name, f"{method} {path}", expected, note)
        return answer.json() if answer.ok and answer.content else None

    def _arrival(self, name: str, signature: str, answers: list[int]) -> None:
        """Wait until the agency has given its ``answers`` to a webhook, and print each."""
        until = time.monotonic() + PATIENCE
        while len(attempts := self._attempts(name)) < len(answers) and time.monotonic() < until:
            time.sleep(0.05)
        for attempt in attempts:
            waited = attempt["at"] - attempts[0]["at"]
            what = f"retry of {name}, {waited:.1f} s later" if waited else f"gets {name}"
            _line("agency", what, attempt["status"], attempt["verified"])
        _check(name, attempts, signature, answers)

    def _attempts(self, name: str) -> list[Any]:
        received = _request(self.agency, "GET", "/received").json()
        return [one for one in received if one["name"] == name]

    def _wire(self) -> None:
        """Print one delivery as it came."""
        print("\nOn the wire, newBooking for example")
        wire = self._attempts("newBooking")[-1]["wire"]
        for header in HEADERS:
            print(f"   {header}: {wire[header]}")
        print(f"\n   {wire['body']}")

    def _records(self) -> list[str]:
        """Print what the shop has on record, and give what of it is not delivered."""
        print("\nOn record at the shop")
        _row("webhook", "status", "receiver", "answers")
        with create_app(self.folder).app_context():
            deliveries = _settled()
            for delivery in reversed(deliveries):
                _row(delivery.name, delivery.status, delivery.url, _answers(delivery))
        left = [d for d in deliveries if d.status != DeliveryStatus.DELIVERED]
        return [f"{d.name} is {d.status} after {d.attempts} attempts." for d in left]


def _settled() -> list[Delivery]:
    """All deliveries, newest first, once the worker has noted the last answer."""
    until = time.monotonic() + 1.0
    while webhooks.deliveries(status="pending") and time.monotonic() < until:
        time.sleep(0.05)
    return webhooks.deliveries()


def _answers(delivery: Delivery) -> str:
    attempts = reversed(webhooks.attempts(delivery))
    return ", ".join(str(attempt.status_code or attempt.outcome) for attempt in attempts)


def _check(name: str, attempts: list[Any], signature: str, answers: list[int]) -> None:
    """Compare what the agency noted with what should have happened."""
    got = [attempt["status"] for attempt in attempts]
    if got != answers:
        raise Broken(f"{name} should get {answers} within {PATIENCE:g} s; it got {got}.")
    if len({attempt["wire"]["webhook-id"] for attempt in attempts}) != 1:
        raise Broken(f"{name} should keep its webhook-id over all attempts.")
    if not all(attempt["verified"].startswith(f"{signature} verified") for attempt in attempts):
        raise Broken(f"{name} should be verified by its {signature} signature.")


def _request(to: Running, method: str, path: str, **request: Any) -> requests.Response:
    try:
        return requests.request(method, to.url + path, timeout=5, **request)
    except requests.RequestException:
        raise Broken(f"The {to.name} gave no answer to {method} {path}.") from None


def _line(who: str, what: str, status: int, note: str) -> None:
    print(f"   {who:<8}{what:<34}{status}  {note}", flush=True)


def _row(name: str, status: str, url: str, answers: str) -> None:
    print(f"   {name:<21}{status:<11}{url:<37}{answers}")
