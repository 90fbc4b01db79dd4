"""Declarations at random, sensible or not: what is accepted makes a valid document."""

from __future__ import annotations

from typing import Any

from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields

from flask_webhooks import Webhooks, WebhooksError
from flask_webhooks.describe.check import findings
from tests.test_shapes import OFFICIAL


class Seat(Schema):
    row = fields.Integer(required=True)
    url = fields.Url()
    secret = fields.String(load_only=True)


class Train(Schema):
    seats = fields.List(fields.Nested(Seat))
    next = fields.Nested(lambda: Train(exclude=("next",)), allow_none=True)


WORDS = [
    "$ref", "schema", "content", "application/json", "type", "properties", "x-a", "description",
    "name", "in", "200", "headers", "example", "examples", "required", "$defs", "links",
]  # fmt: skip
JUNK = st.recursive(
    st.sampled_from([None, True, 1, "x", "", "#/components/schemas/Seat", "2XX", Seat, Train()]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=5,
)
SCHEMAS: st.SearchStrategy[Any] = st.sampled_from(
    [None, Seat, Train, Seat(many=True), Train(only=("next",)), {}, {"type": "string"},
     {"type": "object", "properties": {"seat": Seat}, "title": "Seat"},
     {"$defs": {"q": {"type": "null"}}, "$ref": "#/$defs/q"}]
) | JUNK  # fmt: skip
RESPONSES = st.none() | st.dictionaries(
    st.sampled_from([200, "2XX", "default", "404", "5xx"]),
    st.sampled_from(["It came.", "", None, Seat]) | JUNK,
    max_size=2,
)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["q", "X-A", "Webhook-Id"]),
            "in": st.sampled_from(["query", "header", "cookie"]),
            "schema": SCHEMAS,
        },
        optional={"required": st.booleans(), "style": st.sampled_from(["form", "simple"])},
    ),
    max_size=2,
)
EXTRA = st.none() | st.dictionaries(
    st.sampled_from(["requestBody", "responses", "callbacks", "servers", "tags", "x-a"]),
    JUNK,
    max_size=1,
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "summary": st.sampled_from(["", "It came."]),
        "tags": st.sampled_from([(), ["a"]]),
        "responses": RESPONSES,
        "parameters": PARAMETERS,
        "security": st.sampled_from([None, [], [{"webhookSignature": []}], [{"nobody": []}]]),
        "extra": EXTRA,
    },
)
WEBHOOKS = st.tuples(
    st.sampled_from(["a", "a b", "/A", "a.b", "é", "x-y", "200", "$ref", "{a}", "get"]),
    SCHEMAS,
    st.sampled_from(["POST", "GET", "PUT", "DELETE"]),
    st.sampled_from([None, "a", "s"]),
    SAID,
)
EXPRESSIONS = st.none() | st.sampled_from(
    ["{$request.query.q}", "$url", "https://x.example/{$request.path.id}", ["$url", "{$method}"]]
)


@settings(max_examples=400, deadline=None)
@given(
    declared=st.lists(st.tuples(WEBHOOKS, EXPRESSIONS, st.booleans()), max_size=3),
    request=SCHEMAS,
    operation=SAID,
)
def test_what_is_accepted_makes_a_valid_document(
    declared: Any, request: Any, operation: Any
) -> None:
    """A declaration is refused with an error of this package, or the document is valid."""
    app, webhooks = Flask("any"), Webhooks()
    app.config.update(TESTING=True, SECRET_KEY="x" * 40)

    def view(**_: Any) -> str:
        return ""

    try:
        for (name, schema, method, shown_as, said), expression, shared in declared:
            said = {"method": method, "shown_as": shown_as, **said}
            if expression is None:
                webhooks.webhook(name, schema, **said)
            else:
                webhooks.callback(name, expression, schema, shared=shared, **said)(view)
        webhooks.operation(request=request, **operation)(view)
        app.add_url_rule("/x/<int:id>", view_func=view, methods=["POST"])
        webhooks.init_app(app)
        with app.app_context():
            document = webhooks.document()
    except WebhooksError:
        return
    assert OFFICIAL["3.1"].is_valid(document)
    # What a view takes may be described in another document: nothing is validated by it here.
    assert [one for one in findings(document) if "leads out of the document" not in one.text] == []
