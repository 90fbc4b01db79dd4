"""A shop with the subscription API, and customers that ask it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort, request
from marshmallow import Schema, fields

from flask_webhooks import Webhooks

URL = "https://a.example/hook"


class Booking(Schema):
    """A booking."""

    id = fields.Integer(required=True)
    country = fields.String(required=True)


class Client:
    """Asks as one tenant, and gives status and JSON."""

    def __init__(self, app: Flask, tenant: str | None) -> None:
        self._client = app.test_client()
        self._headers = {} if tenant is None else {"X-Tenant": tenant}

    def __call__(self, method: str, path: str, json: Any = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._client.open(
            f"/hooks{path}", method=method, json=json, headers={**self._headers, **named}
        )
        self.headers = answer.headers
        return answer.status_code, answer.get_json(silent=True)

    def subscribe(self, url: str = URL, **more: Any) -> Any:
        status, made = self(
            "POST", "/subscriptions", {"url": url, "names": ["booking.new"], **more}
        )
        assert status == 201, made
        return made


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Webhooks:
    """An app with the API, whose tenants say their name in a header."""
    webhooks.webhook("booking.new", Booking, summary="New booking")
    webhooks.webhook("booking.gone", {"type": "object"})

    @webhooks.tenant_loader
    def tenant() -> str:
        return request.headers.get("X-Tenant") or abort(401, "Say who you are.")

    webhooks.init_app(app)
    app.register_blueprint(webhooks.api(), url_prefix="/hooks")
    return webhooks


@pytest.fixture
def ann(app: Flask, shop: Webhooks) -> Client:
    """A customer."""
    return Client(app, "ann")


@pytest.fixture
def bob(app: Flask, shop: Webhooks) -> Client:
    """Another customer."""
    return Client(app, "bob")
