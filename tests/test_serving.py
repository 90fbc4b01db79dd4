"""What the app serves: the document, the page that shows it, and the public keys."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from flask import Flask
from marshmallow import Schema, fields
from openapi_spec_validator import validate

from flask_webhooks import Webhooks


class Booking(Schema):
    zone = fields.String()
    area = fields.String()


def _client(app: Flask, webhooks: Webhooks) -> Any:
    webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)
    return app.test_client()


def test_the_document_is_served_in_order(app: Flask, webhooks: Webhooks) -> None:
    """Keys keep their order, and the document is a valid one."""
    answer = _client(app, webhooks).get("/openapi.json")

    assert answer.mimetype == "application/json"
    assert list(answer.json) == ["openapi", "info", "webhooks", "components", "x-webhooks-delivery"]
    assert list(answer.json["components"]["schemas"]["Booking"]["properties"]) == ["zone", "area"]
    validate(answer.json)


def test_the_document_has_an_etag(app: Flask, webhooks: Webhooks) -> None:
    """A client that has the document is told so, without a body."""
    client = _client(app, webhooks)
    etag = client.get("/openapi.json").headers["ETag"]

    answer = client.get("/openapi.json", headers={"If-None-Match": etag})

    assert (answer.status_code, answer.data) == (304, b"")


def test_a_later_declaration_is_served(app: Flask, webhooks: Webhooks) -> None:
    """The document is built once, and anew when something was declared since."""
    client = _client(app, webhooks)
    assert list(client.get("/openapi.json").json["webhooks"]) == ["newBooking"]

    webhooks.webhook("cancelled", Booking)

    assert list(client.get("/openapi.json").json["webhooks"]) == ["newBooking", "cancelled"]


def test_a_document_is_nobodys_but_the_callers(app: Flask, webhooks: Webhooks) -> None:
    """Changing what ``document()`` returned changes nothing that is served."""
    client = _client(app, webhooks)
    with app.app_context():
        webhooks.document()["webhooks"].clear()

    assert list(client.get("/openapi.json").json["webhooks"]) == ["newBooking"]


def test_the_page_has_a_strict_policy(app: Flask, webhooks: Webhooks) -> None:
    """The page runs no inline script and names its title and language."""
    answer = _client(app, webhooks).get("/docs")

    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "<script>" not in answer.text
    assert '<html lang="en">' in answer.text and "<title>shop</title>" in answer.text


def test_the_assets_are_local_with_the_extra(app: Flask, webhooks: Webhooks) -> None:
    """With the ``ui`` extra every file comes from the app, and no other file does."""
    client = _client(app, webhooks)

    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "docs.js"):
        with client.get(f"/docs/assets/{name}") as answer:
            assert answer.status_code == 200
    assert client.get("/docs/assets/index.html").status_code == 404
    assert client.get("/docs/assets/..%2fdocuments.py").status_code == 404


def test_the_public_keys_are_served(app: Flask, webhooks: Webhooks) -> None:
    """The key set has the key that the document shows, in the form of RFC 8037."""

    @app.post("/a")
    @webhooks.callback("onA", "{$request.query.url}", Booking)
    def view() -> str:
        return ""

    client = _client(app, webhooks)
    [key] = client.get("/.well-known/webhooks-keys.json").json["keys"]
    [public] = client.get("/openapi.json").json["x-webhooks-delivery"]["publicKeys"]

    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    raw = base64.b64decode(public.removeprefix("whpk_"))
    assert base64.urlsafe_b64decode(key["x"] + "=") == raw


def test_urls_are_settings(make_app: Callable[..., Flask], webhooks: Webhooks) -> None:
    """The document and the page can stand elsewhere, or nowhere."""
    app = make_app(WEBHOOKS_OPENAPI_URL="/api/v1.json", WEBHOOKS_DOCS_UI=None)
    client = _client(app, webhooks)

    assert client.get("/api/v1.json").status_code == 200
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/docs").status_code == 404


def test_the_document_is_served_under_a_prefix(app: Flask, webhooks: Webhooks) -> None:
    """Behind a SCRIPT_NAME the page asks for the document where it is."""
    client = _client(app, webhooks)

    page = client.get("/docs", environ_overrides={"SCRIPT_NAME": "/v1"}).text

    assert 'data-url="/v1/openapi.json"' in page
