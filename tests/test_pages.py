"""The guide for integrators: what it says, and that what it tells receivers to do is right."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NoReturn

import pytest
import standardwebhooks
from conftest import Receiver
from flask import Flask
from marshmallow import Schema, fields, validate

from flask_webhooks import Webhooks, verify
from flask_webhooks.manage.fields import Note, Row, rows
from flask_webhooks.manage.guide import Sent, guide, place
from flask_webhooks.manage.languages import LANGUAGES, PUBLIC_KEY_LANGUAGES
from flask_webhooks.manage.prose import Piece, paragraphs
from flask_webhooks.manage.vector import RECEIVER, VECTOR, command
from flask_webhooks.rules import signing
from flask_webhooks.rules.signing_keys import SigningKey

NPM = Path(__file__).parent / "npm"


class Leg(Schema):
    train = fields.String(required=True, metadata={"description": "Such as `ICE 204`."})
    seats = fields.Integer(validate=validate.Range(min=1))


class Booking(Schema):
    type = fields.Constant("newBooking")
    id = fields.UUID(required=True)
    travel_class = fields.String(data_key="travelClass", validate=validate.OneOf(["1", "2"]))
    email = fields.Email(allow_none=True, metadata={"deprecated": True})
    legs = fields.List(fields.Nested(Leg), required=True, validate=validate.Length(min=1))


class OrderRequest(Schema):
    callback_url = fields.Url(data_key="callbackUrl", required=True)


class OrderStatus(Schema):
    status = fields.String(required=True)


@pytest.fixture
def tickets(app: Flask, webhooks: Webhooks) -> Flask:
    """An app with a webhook, a callback on two operations, and a webhook that nobody causes."""
    new_booking = webhooks.webhook(
        "newBooking", Booking, summary="A seat was booked", description="In `any` class.\n\nPaid."
    )
    webhooks.webhook("new booking", OrderStatus, responses={204: "Noted."}, deprecated=True)
    moved = webhooks.callback(
        "onOrderStatus",
        "{$request.body#/callbackUrl}",
        OrderStatus,
        examples={"shipped": {"status": "shipped"}},
    )

    @app.post("/bookings")
    @new_booking
    def book() -> str:
        return ""

    @app.post("/orders")
    @app.put("/orders")
    @webhooks.operation(request=OrderRequest)
    @moved
    def order() -> str:
        return ""

    webhooks.init_app(app)
    return app


def document_of(app: Flask) -> dict[str, Any]:
    document: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return document


def page_of(app: Flask) -> str:
    return app.test_client().get("/docs/guide").text


def names(found: tuple[Row, ...]) -> list[str]:
    return [row.heading or "".join(row.parents) + row.name for row in found]


# What it says


def test_the_guide_has_every_webhook_and_callback(tickets: Flask) -> None:
    """Each stands on the page once, a callback with every operation that it stands on."""
    made = guide(document_of(tickets))

    assert [sent.name for sent in made.webhooks] == ["newBooking", "new booking"]
    [callback] = made.callbacks
    assert callback.name == "onOrderStatus"
    assert sorted(origin.operation for origin in callback.origins) == [
        "POST /orders",
        "PUT /orders",
    ]
    page = page_of(tickets)
    for sent in (*made.webhooks, callback):
        assert page.count(f'<article id="{sent.anchor}"') == 1
        assert page.count(f'href="#{sent.anchor}"') == 1


def test_a_webhook_is_told_as_it_is_declared(tickets: Flask) -> None:
    """Summary, description, method, cause, answers and a made example are all there."""
    first, second = guide(document_of(tickets)).webhooks

    assert (first.summary, first.method, first.causes) == (
        "A seat was booked", "POST", ("POST /bookings",),
    )  # fmt: skip
    assert first.text == ((Piece("In "), Piece("any", True), Piece(" class.")), (Piece("Paid."),))
    assert json.loads(first.example)["type"] == "newBooking"
    assert list(json.loads(first.example)) == ["type", "id", "travelClass", "email", "legs"]
    assert (second.deprecated, second.causes, second.summary) == (True, (), "")
    assert [(a.status, a.text) for a in second.answers] == [("204", ((Piece("Noted."),),))]


def test_a_declared_example_is_shown(tickets: Flask) -> None:
    """An example of the declaration goes before a made one."""
    [callback] = guide(document_of(tickets)).callbacks

    assert json.loads(callback.example) == {"status": "shipped"}


def test_a_payload_is_a_table_of_its_fields(tickets: Flask) -> None:
    """Nested fields, types, presence, descriptions and rules stand in rows, in their order."""
    shown: Sent = guide(document_of(tickets)).webhooks[0]
    found = {"".join(row.parents) + row.name: row for row in shown.rows}

    assert [*found] == [
        "type", "id", "travelClass", "email", "legs", "legs[].train", "legs[].seats",
    ]  # fmt: skip
    assert found["type"].notes[0] == Note("always", ('"newBooking"',))
    assert found["id"].kind == "string (uuid), required"
    assert found["travelClass"].notes == (Note("one of", ('"1"', '"2"')),)
    assert (found["email"].kind, found["email"].deprecated) == (
        "string (email) or null, optional", True,
    )  # fmt: skip
    assert (found["legs"].kind, found["legs"].notes) == (
        "array of object, required", (Note("at least", ("1",), "item"),),
    )  # fmt: skip
    assert found["legs[].train"].text == ((Piece("Such as "), Piece("ICE 204", True), Piece(".")),)


def test_the_schedule_is_that_of_the_settings(make_app: Callable[..., Flask]) -> None:
    """Timeout, pauses and the end of trying are those that the worker runs with."""
    webhooks, app = Webhooks(), make_app(WEBHOOKS_TIMEOUT=7, WEBHOOKS_SCHEDULE=[0, 60, 3600])
    webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)
    promised = guide(document_of(app)).promised

    assert promised.timeout == "7 seconds"
    assert [(t.number, t.pause, t.latest) for t in promised.tries] == [
        (1, "none", "at once"), (2, "up to 1 minute", "1 minute"), (3, "up to 1 hour", "1 hour"),
    ]  # fmt: skip
    assert "is sent 3 times in all" in page_of(app)
    assert (promised.gone, promised.slow_down) == (("410",), ("429", "502", "503", "504"))


def test_public_keys_are_shown_where_urls_are_captured(tickets: Flask) -> None:
    """The keys of the document stand on the page, with a link to the key set."""
    [key] = document_of(tickets)["x-webhooks-delivery"]["publicKeys"]

    assert f"<code>{html.escape(key)}</code>" in page_of(tickets)
    assert 'href="/.well-known/webhooks-keys.json"' in page_of(tickets)


def test_without_callbacks_nothing_is_said_of_public_keys(app: Flask, webhooks: Webhooks) -> None:
    """An app that captures nothing doesn't confuse its receivers with keys."""
    webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)

    assert "whpk_" not in page_of(app) and 'id="callbacks"' not in page_of(app)


def test_an_app_that_declares_nothing_has_a_guide(app: Flask, webhooks: Webhooks) -> None:
    """The page says that nothing is declared."""
    webhooks.init_app(app)

    assert "this API sends no webhooks" in page_of(app)


def test_names_that_only_differ_in_signs_have_anchors_of_their_own() -> None:
    """Every anchor is an id of its own, without spaces."""
    operation = {"post": {"requestBody": {}}}
    made = guide({"webhooks": {"a b": operation, "a/b": operation, "日本": operation}})

    assert [sent.anchor for sent in made.webhooks] == [
        "webhook-a-b", "webhook-a-b-2", "webhook-unnamed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "expression, words",
    [
        ("{$request.body#/callbackUrl}", "`callbackUrl` in its body"),
        ("$request.body#/links/0/href", "`links.0.href` in its body"),
        ("{$request.query.url}", "its query parameter `url`"),
        ("{$request.header.X-Callback}", "its header `X-Callback`"),
        ("{$response.body#/url}", "`url` in our answer's body"),
        ("{$request.query.host}/a/{$request.path.id}", None),
        ("not an expression", None),
    ],
)
def test_an_expression_is_told_in_words(expression: str, words: str | None) -> None:
    """One expression alone is said in words; what is more than that is shown as it is."""
    told = "".join(f"`{p.text}`" if p.code else p.text for p in place(expression))

    assert told == (words or f"`{expression}`")


# What people wrote


HOSTILE = "</code></td></tr></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_what_people_wrote_is_escaped(make_app: Callable[..., Flask]) -> None:
    """No text of a declaration becomes markup: names, descriptions, examples, enums, titles."""
    webhooks = Webhooks()
    app = make_app(WEBHOOKS_TITLE=HOSTILE, WEBHOOKS_DESCRIPTION=HOSTILE, WEBHOOKS_VERSION=HOSTILE)
    schema = {
        "type": "object",
        "properties": {
            HOSTILE: {
                "type": "string",
                "description": f"{HOSTILE} `{HOSTILE}`",
                "enum": [HOSTILE],
                "pattern": "<script>",
                "format": HOSTILE,
                "default": HOSTILE,
            }
        },
    }
    webhooks.webhook(
        HOSTILE, schema, summary=HOSTILE, description=HOSTILE, responses={200: HOSTILE}
    )
    webhooks.init_app(app)

    for page in (page_of(app), app.test_client().get("/docs").text):
        assert "<img" not in page and "onerror=alert(1)>" not in page
        assert "<script>" not in page and "alert(1)</script>" not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "written, shown",
    [
        (None, []),
        ("", []),
        ("One.\nStill one.\n\nTwo.", [["One. Still one."], ["Two."]]),
        ("A list:\n- a\n  b\n* c\n1. d", [["A list:\n- a b\n* c\n1. d"]]),
        ("`a` and ``b`c``", [["`a`", " and ", "`b`c`"]]),
        ("a lone ` stays", [["a lone ` stays"]]),
        ("**bold** [link](javascript:x)", [["**bold** [link](javascript:x)"]]),
    ],
)
def test_descriptions_are_paragraphs_of_text_and_code(written: Any, shown: list[Any]) -> None:
    """Blank lines part, items keep their lines, backticks make code, and all else stays text."""
    found = [[f"`{p.text}`" if p.code else p.text for p in para] for para in paragraphs(written)]

    assert found == shown


# Schemas of every kind


def test_a_choice_of_forms_is_shown_form_by_form() -> None:
    """The fields of each form stand under its title; ``null`` is no form."""
    card = {"title": "Card", "type": "object", "properties": {"last4": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"paid": {"oneOf": [card, {"$ref": "#/components/schemas/Transfer"}]}},
    }
    components = {"Transfer": {"type": "object", "properties": {"iban": {"type": "string"}}}}

    found = rows(schema, components)

    assert names(found) == [
        "paid", "paid: form 1 of 2: Card", "paid.last4", "paid: form 2 of 2: Transfer", "paid.iban",
    ]  # fmt: skip
    assert found[0].kind == "Card or Transfer, optional"


def test_a_schema_or_null_is_no_choice() -> None:
    """``anyOf`` of a schema and ``null`` is that schema, which may be null."""
    leg = {"type": "object", "properties": {"train": {"type": "string"}}}
    schema = {"properties": {"leg": {"anyOf": [leg, {"type": "null"}]}}}

    found = rows(schema, {})

    assert names(found) == ["leg", "leg.train"]
    assert found[0].kind == "object or null, optional"


def test_a_schema_that_holds_itself_ends() -> None:
    """A component inside of itself is named, not opened again."""
    node = {"properties": {"next": {"$ref": "#/components/schemas/Node"}}, "type": "object"}

    found = rows({"$ref": "#/components/schemas/Node"}, {"Node": node})

    assert [(row.name, row.kind) for row in found] == [("next", "Node, as above, optional")]


def test_schemas_that_all_hold_each_other_end() -> None:
    """A tangle of components makes a table that can be read, and says that there is more."""
    some = [f"S{n}" for n in range(12)]
    properties = {name: {"$ref": f"#/components/schemas/{name}"} for name in some}
    components = {name: {"type": "object", "properties": properties} for name in some}

    found = rows({"$ref": "#/components/schemas/S0"}, components)

    assert len(found) < 1000
    assert any("more in the OpenAPI document" in row.kind for row in found)


@pytest.mark.parametrize(
    "schema, shown",
    [
        ({}, []),
        (True, []),
        ({"type": "string", "maxLength": 3}, [("the body itself", "string")]),
        ({"type": "array", "items": {"properties": {"a": {}}}},
         [("the body itself", "array of object"), ("[].a", "any JSON, optional")]),
        ({"type": "object", "additionalProperties": {"type": "number"}},
         [("the body itself", "object"), ("*", "number, any number")]),
        ({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"enum": ["x", None]}}, "required": ["b"]}]},
         [("a", "integer, required"), ("b", "string or null, required")]),
        ({"properties": {"a": {"$ref": "#/components/schemas/Gone"}}},
         [("a", "any JSON, optional")]),
        ({"properties": {"a": {"type": ["integer", "string"]}}},
         [("a", "integer or string, optional")]),
    ],
)  # fmt: skip
def test_every_kind_of_schema_has_rows(schema: Any, shown: list[tuple[str, str]]) -> None:
    """Bodies that are no object, empty schemas, and references to nothing are shown as they are."""
    found = rows(schema, {})

    assert [("".join(row.parents) + row.name, row.kind) for row in found] == shown


# How it is built


class Outline(HTMLParser):
    """Reads the order of headings, the ids, the links within the page, and the landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.landmarks: list[str] = []
        self.tables: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if str(given.get("href", "")).startswith("#"):
            self.links.append(str(given["href"])[1:])
        if tag in ("header", "nav", "main", "footer"):
            self.landmarks.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "caption" or (tag == "th" and "scope" not in given):
            self.tables[-1].append(tag)


def test_the_page_is_well_built(tickets: Flask) -> None:
    """One h1, no level left out, every id once, every link leads somewhere, tables are labelled."""
    outline = Outline()
    outline.feed(page_of(tickets))

    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.links) <= set(outline.ids)
    assert outline.landmarks == ["header", "nav", "main", "footer"]
    assert outline.tables == [["caption"]] * len(outline.tables)


def test_the_page_names_eight_languages(tickets: Flask) -> None:
    """Every language is a section that opens, with what to install."""
    page = page_of(tickets)

    assert [language.name for language in LANGUAGES] == [
        "Python", "JavaScript", "Go", "Ruby", "PHP", "Java", "C#", "Rust",
    ]  # fmt: skip
    for language in LANGUAGES:
        assert f"<summary>{language.name}</summary>" in page
        assert html.escape(language.install) in page


# What it tells receivers to do


def unavailable(reason: str) -> NoReturn:
    if "npm" in os.environ.get("WEBHOOKS_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)


def node(script: str) -> str:
    """What a script prints that may import the npm packages of the tests."""
    modules = Path(os.environ.get("WEBHOOKS_TEST_NODE_MODULES") or NPM / "node_modules").resolve()
    program = shutil.which("node")
    if program is None:
        unavailable("node is not installed")
    if not (modules / "standardwebhooks").is_dir():
        unavailable(f"no standardwebhooks in {modules}: run npm install --prefix tests/npm")
    done = subprocess.run(
        [program, "--input-type=module", "-e", script],
        capture_output=True, text=True, timeout=60, encoding="utf-8", cwd=modules.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_vector_is_signed_as_we_sign() -> None:
    """Both signatures of the test vector are those that this package makes and verifies."""
    body, headers = VECTOR.body.encode(), {
        "webhook-id": VECTOR.id,
        "webhook-timestamp": str(VECTOR.timestamp),
    }  # fmt: skip
    made = signing.sign(VECTOR.id, VECTOR.timestamp, body, secrets=[VECTOR.secret])
    assert made == VECTOR.signature
    for signature, key in (
        (VECTOR.signature, VECTOR.secret),
        (VECTOR.public_signature, VECTOR.public_key),
    ):
        signed = headers | {"webhook-signature": signature}
        assert verify(body, signed, key, now=lambda: VECTOR.timestamp)["text"] == "It works."


def test_the_vector_is_that_of_the_python_library() -> None:
    """The official PyPI package finds the same signature."""
    at = datetime.fromtimestamp(VECTOR.timestamp, UTC)
    checker = standardwebhooks.Webhook(VECTOR.secret)

    assert checker.sign(VECTOR.id, at, VECTOR.body) == VECTOR.signature


def test_the_vector_is_that_of_the_javascript_library() -> None:
    """The official npm package finds the same signature."""
    known = json.dumps([VECTOR.secret, VECTOR.id, VECTOR.timestamp * 1000, VECTOR.body])
    script = f"""
        import {{ Webhook }} from "standardwebhooks";
        const [secret, id, time, body] = {known};
        console.log(new Webhook(secret).sign(id, new Date(time), body));
    """

    assert node(script) == VECTOR.signature


def test_the_vector_stands_on_the_page(tickets: Flask) -> None:
    """Every value of the test vector, and the commands that send it, are on the page."""
    page = html.unescape(page_of(tickets))

    for value in (*vars(VECTOR).values(), command(VECTOR)):
        assert str(value) in page


def test_the_commands_make_a_request_that_verifies(receiver: Receiver) -> None:
    """What the shell commands send is accepted by us and by the official package, as of now."""
    missing = [tool for tool in ("sh", "curl", "openssl", "od") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    commands = command(VECTOR).replace(RECEIVER, receiver.url)
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}

    done = subprocess.run(
        ["sh", "-e"], input=commands, capture_output=True, text=True, timeout=60, env=environment
    )

    assert done.returncode == 0, done.stderr
    [received] = receiver.received
    payload = verify(received.body, received.headers, VECTOR.secret)
    assert payload == {"type": "test", "text": "It works."}
    standardwebhooks.Webhook(VECTOR.secret).verify(received.body, received.headers)


@pytest.mark.parametrize(
    "code, path, variable",
    [
        (LANGUAGES[0].code, "/webhooks", "secret"),
        (PUBLIC_KEY_LANGUAGES[0].code, "/order-status", "public_key"),
    ],
    ids=["secret", "public key"],
)
def test_the_python_lines_verify(code: str, path: str, variable: str) -> None:
    """The lines for Python, run as they stand, accept a signed message and refuse a changed one."""
    import flask

    key = SigningKey.derive(b"k" * 32)
    app = Flask("receiver")
    given = {"secret": VECTOR.secret, "public_key": key.public}[variable]
    names = {"app": app, variable: given, "request": flask.request, "abort": flask.abort}
    exec(compile(code, path, "exec"), names)
    client, now = app.test_client(), int(time.time())
    headers = signing.headers(
        "msg_1", now, b'{"a": 1}', secrets=[VECTOR.secret], signing_keys=[key]
    )

    assert client.post(path, data=b'{"a": 1}', headers=headers).status_code == 204
    assert client.post(path, data=b'{"a": 2}', headers=headers).status_code == 400


def test_the_javascript_lines_verify_by_a_public_key() -> None:
    """The lines for a public key accept a signed message, and refuse a changed or an old one."""
    key = SigningKey.derive(b"k" * 32)
    now = int(time.time())
    fresh = dict(signing.headers("msg_1", now, b'{"a": 1}', signing_keys=[key]))
    old = dict(signing.headers("msg_1", now - 400, b'{"a": 1}', signing_keys=[key]))
    script = f"""
        globalThis.publicKey = {json.dumps(key.public)};
        {PUBLIC_KEY_LANGUAGES[1].code}
        const [fresh, old] = {json.dumps([fresh, old])};
        const [body, changed] = ['{{"a": 1}}', '{{"a": 2}}'].map((text) => Buffer.from(text));
        console.log(JSON.stringify(
          [isVerified(body, fresh), isVerified(changed, fresh), isVerified(body, old)]));
    """

    assert json.loads(node(script)) == [True, False, False]


def test_the_javascript_lines_call_the_library_as_it_is() -> None:
    """The library takes what the lines for JavaScript give it: a Buffer and Node's headers."""
    assert "new Webhook(secret).verify(req.body, req.headers)" in LANGUAGES[1].code
    headers = dict(signing.headers("msg_1", int(time.time()), b'{"a": 1}', secrets=[VECTOR.secret]))
    script = f"""
        import {{ Webhook }} from "standardwebhooks";
        const req = {{ body: Buffer.from('{{"a": 1}}'), headers: {json.dumps(headers)} }};
        const secret = {json.dumps(VECTOR.secret)};
        console.log(JSON.stringify(new Webhook(secret).verify(req.body, req.headers)));
    """

    assert json.loads(node(script)) == {"a": 1}
