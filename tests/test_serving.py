"""What the app serves: the documents, the pages that show them, and the public keys."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from flask import Flask
from marshmallow import Schema, fields
from openapi_spec_validator import validate

from flask_webhooks import Webhooks
from flask_webhooks.manage import documents as served
from flask_webhooks.manage import pages
from flask_webhooks.manage.formats import to_yaml
from flask_webhooks.manage.viewers import VIEWERS


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


def test_the_document_is_written_out_once(
    app: Flask, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests share one text of the document, until something is declared."""
    written: list[str] = []

    def to_json(document: Any) -> str:
        written.append(json.dumps(document))
        return written[-1]

    monkeypatch.setattr(served, "to_json", to_json)
    client = _client(app, webhooks)
    for _ in range(3):
        assert client.get("/openapi.json").status_code == 200
    assert len(written) == 1

    webhooks.webhook("cancelled", Booking)
    client.get("/openapi.json")

    assert len(written) == 2


def test_the_document_is_served_as_yaml(app: Flask, webhooks: Webhooks) -> None:
    """The YAML says what the JSON says, in the same order."""
    client = _client(app, webhooks)
    answer = client.get("/openapi.yaml")

    assert answer.mimetype == "application/yaml"
    assert yaml.safe_load(answer.text) == client.get("/openapi.json").json
    assert answer.text.startswith("openapi: 3.1.1\ninfo:\n")
    etag = answer.headers["ETag"]
    assert client.get("/openapi.yaml", headers={"If-None-Match": etag}).status_code == 304


def test_without_pyyaml_there_is_no_yaml(
    app: Flask, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyYAML is not installed, the YAML is not found, and the JSON is."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    client = _client(app, webhooks)

    assert client.get("/openapi.yaml").status_code == 404
    assert client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize(
    "text",
    ["y", "N", "yes", "Off", "true", "null", "1e3", "0o17", "1_000", "012", "-1.5", "1.", ""],
)
def test_texts_stay_texts_in_yaml(text: str) -> None:
    """What YAML 1.1 or 1.2 takes for a boolean, null or a number is quoted when it is a text."""
    written = to_yaml({"value": text}) or ""

    assert written.removeprefix("value: ")[0] in "'\""
    assert yaml.safe_load(written) == {"value": text}


def test_yaml_repeats_instead_of_pointing() -> None:
    """What stands twice in the document is written twice: not every reader knows aliases."""
    shared = {"type": "string"}

    assert to_yaml({"a": shared, "b": shared}) == "a:\n  type: string\nb:\n  type: string\n"


def test_the_asyncapi_document_is_served(app: Flask, webhooks: Webhooks) -> None:
    """The AsyncAPI document stands beside the OpenAPI one, with an ETag of its own."""
    client = _client(app, webhooks)
    answer = client.get("/asyncapi.json")

    assert answer.json["asyncapi"].startswith("3.")
    assert answer.headers["ETag"] != client.get("/openapi.json").headers["ETag"]


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

    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger.js", "docs.css", "guide.css"):
        with client.get(f"/docs/assets/{name}") as answer:
            assert answer.status_code == 200
    assert "https://" not in client.get("/docs").text
    for name in ("index.html", "..%2fdocuments.py", "bundles/redoc.standalone.js", ""):
        assert client.get(f"/docs/assets/{name}").status_code == 404


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
    """The documents and the pages can stand elsewhere."""
    app = make_app(
        WEBHOOKS_OPENAPI_URL="/api/v1.json",
        WEBHOOKS_ASYNCAPI_URL="/api/async.json",
        WEBHOOKS_DOCS_URL="/reference/",
        WEBHOOKS_GUIDE_URL="/webhooks",
    )
    client = _client(app, webhooks)

    for url in ("/api/v1.json", "/api/v1.yaml", "/api/async.json", "/reference/", "/webhooks"):
        assert client.get(url).status_code == 200
    assert 'href="/webhooks"' in client.get("/reference/").text
    assert 'href="/reference/assets/guide.css"' in client.get("/webhooks").text
    for url in ("/openapi.json", "/openapi.yaml", "/asyncapi.json", "/docs", "/docs/guide"):
        assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    "setting, gone, left",
    [
        ("DOCS_UI", ["/docs"], ["/openapi.json", "/docs/guide", "/docs/assets/guide.css"]),
        ("GUIDE_URL", ["/docs/guide"], ["/docs", "/docs/assets/docs.css"]),
        ("ASYNCAPI_URL", ["/asyncapi.json"], ["/openapi.json"]),
        (
            "OPENAPI_URL",
            ["/openapi.json", "/openapi.yaml", "/asyncapi.json", "/docs", "/docs/guide"],
            ["/.well-known/webhooks-keys.json"],
        ),
    ],
)
def test_each_page_can_be_switched_off(
    make_app: Callable[..., Flask],
    webhooks: Webhooks,
    setting: str,
    gone: list[str],
    left: list[str],
) -> None:
    """``None`` for a setting takes away what it names, and no link leads there any more."""
    client = _client(make_app(**{f"WEBHOOKS_{setting}": None}), webhooks)

    assert [client.get(url).status_code for url in gone] == [404] * len(gone)
    for url in left:
        with client.get(url) as answer:
            assert answer.status_code == 200
            assert f'href="{gone[0]}"' not in answer.text


@pytest.mark.parametrize("ui", sorted(VIEWERS))
def test_each_viewer_is_pinned(
    make_app: Callable[..., Flask],
    webhooks: Webhooks,
    ui: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a viewer loads from elsewhere has a version and a hash, and the policy names no more."""
    monkeypatch.setattr(pages, "installed_files", lambda name: None)
    answer = _client(make_app(WEBHOOKS_DOCS_UI=ui), webhooks).get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    foreign = [VIEWERS[ui].url(path) for path in VIEWERS[ui].files]

    assert re.findall(r'(?:src|href)="(https://[^"]+)"', answer.text) != []
    assert set(re.findall(r'(?:src|href)="(https://[^"]+)"', answer.text)) == set(foreign)
    assert set(re.findall(r"https://[^ ;]+", policy)) == set(foreign)
    assert all(f"@{VIEWERS[ui].version}/" in url for url in foreign)
    assert answer.text.count('integrity="sha384-') == len(foreign)
    assert answer.text.count('crossorigin="anonymous"') == len(foreign)
    assert policy.startswith("default-src 'none';") and "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


def test_the_guide_runs_no_script(app: Flask, webhooks: Webhooks) -> None:
    """The guide's policy allows its stylesheet and its icon, and the page holds nothing inline."""
    answer = _client(app, webhooks).get("/docs/guide")

    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "style-src 'self'; img-src 'self'"
    )
    for forbidden in ("<script", "<style", " style=", " onclick", "javascript:"):
        assert forbidden not in answer.text


def test_the_guide_has_an_etag(app: Flask, webhooks: Webhooks) -> None:
    """A client that has the guide is told so, without a body."""
    client = _client(app, webhooks)
    etag = client.get("/docs/guide").headers["ETag"]

    answer = client.get("/docs/guide", headers={"If-None-Match": etag})

    assert (answer.status_code, answer.data) == (304, b"")


def test_the_pages_dont_depend_on_the_apps_templates(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """An app may set Jinja up otherwise, without escaping or with other delimiters."""
    app = make_app(WEBHOOKS_TITLE="<b>Trains</b>")
    app.jinja_options = {"variable_start_string": "[[", "variable_end_string": "]]"}
    app.jinja_env.autoescape = False
    client = _client(app, webhooks)

    for url in ("/docs", "/docs/guide"):
        page = client.get(url).text
        assert "&lt;b&gt;Trains&lt;/b&gt;" in page and "<b>Trains" not in page


def test_the_document_is_served_under_a_prefix(app: Flask, webhooks: Webhooks) -> None:
    """Behind a SCRIPT_NAME the page asks for the document where it is."""
    client = _client(app, webhooks)

    page = client.get("/docs", environ_overrides={"SCRIPT_NAME": "/v1"}).text

    assert 'data-url="/v1/openapi.json"' in page


def test_a_setting_adds_to_the_document(make_app: Callable[..., Flask], webhooks: Webhooks) -> None:
    """``WEBHOOKS_DOCUMENT`` is merged last, and beside what was there."""
    app = make_app(
        WEBHOOKS_DOCUMENT={"info": {"contact": {"name": "Ops"}}, "tags": [{"name": "x"}]}
    )

    document = _client(app, webhooks).get("/openapi.json").json

    assert document["info"] == {"title": "shop", "version": "1.0.0", "contact": {"name": "Ops"}}
    assert document["tags"] == [{"name": "x"}]


def test_the_document_can_be_one_of_openapi_3_2(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """On request the document states version 3.2 and is a valid one."""
    app = make_app(WEBHOOKS_OPENAPI_VERSION="3.2.0")

    document = _client(app, webhooks).get("/openapi.json").json

    assert document["openapi"] == "3.2.0"
    validate(document)
