"""A travel agency's own program: takes what the shop sends, and believes only what it can verify.

It shows both ways to verify. A subscription has a secret, for which the official
``standardwebhooks`` package is enough. A callback URL that was given along with an order has none:
its deliveries are verified with the shop's public key.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import requests
import standardwebhooks
from flask import Flask, request, url_for
from standardwebhooks.webhooks import WebhookVerificationError
from werkzeug import Response

from flask_webhooks import VerificationError, verify

WANTED = ["newBooking", "seatUpgraded", "bookingCancelled"]
HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"]


@dataclass
class Agency:
    """What the agency remembers: in memory, where a real one uses its database."""

    secret: str = ""
    public_keys: list[str] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def accept(self, name: str, verified: str) -> Response:
        """Answer a verified webhook; the very first one with 503, to see it retried."""
        webhook_id = request.headers["webhook-id"]
        if not self.received:
            self.note(503, name, verified)
            return Response("Not now.", 503, {"Retry-After": "1"})
        if webhook_id not in self.done:  # what was delivered already may come again
            self.done.add(webhook_id)  # and here the agency's real work would begin
        self.note(204, name, verified)
        return Response(status=204)

    def refuse(self, error: Exception) -> Response:
        """Answer what could not be verified."""
        self.note(400, "", "")
        return Response(str(error), 400)

    def note(self, status: int, name: str, verified: str) -> None:
        """Remember the request at hand, for people to look at."""
        wire = {header: request.headers.get(header, "") for header in HEADERS}
        wire["body"] = request.get_data(as_text=True)
        self.received.append(
            {"status": status, "name": name, "verified": verified, "at": time.time(), "wire": wire}
        )


def create_receiver(shop_url: str) -> Flask:
    """Make the agency's program for the shop at ``shop_url``."""
    app = Flask(__name__)
    agency = Agency()

    @app.post("/webhooks")
    def take_webhook() -> Response:
        checker = standardwebhooks.Webhook(agency.secret)
        try:
            payload = checker.verify(request.get_data(), dict(request.headers))
        except WebhookVerificationError as error:
            return agency.refuse(error)
        return agency.accept(payload["type"], "v1 verified by standardwebhooks")

    @app.post("/order-status")
    def take_order_status() -> Response:
        try:
            verify(request.get_data(), dict(request.headers), agency.public_keys)
        except VerificationError as error:
            return agency.refuse(error)
        return agency.accept("onOrderStatusChange", "v1a verified by flask_webhooks")

    @app.post("/connect")
    def connect() -> dict[str, Any]:
        """Subscribe at the shop; keep the secret, which is shown once, and the public keys."""
        wanted = {"url": url_for("take_webhook", _external=True), "names": WANTED}
        agency.secret = _call("POST", f"{shop_url}/subscriptions", json=wanted)["secret"]
        document = _call("GET", f"{shop_url}/openapi.json")
        agency.public_keys = document["x-webhooks-delivery"]["publicKeys"]
        return {"subscribed": wanted, "publicKeys": agency.public_keys}

    @app.get("/received")
    def received() -> list[dict[str, Any]]:
        return agency.received

    return app


def _call(method: str, url: str, json: Any = None) -> Any:
    answer = requests.request(method, url, json=json, timeout=5)
    answer.raise_for_status()
    return answer.json()
