"""Private fields: marked once in the schema, and hidden wherever people look."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from flask_webhooks import Webhooks
from flask_webhooks.rules.echoes import decoded, without
from flask_webhooks.rules.privacy import UNKNOWN, Privacy
from tests.conftest import Receiver

PRIVATE: dict[str, Any] = {"x-private": True}
TREE: dict[str, Any] = {
    "properties": {
        "mail": PRIVATE,
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
    }
}


def masked(schema: Any, payload: Any, **components: Any) -> Any:
    return Privacy(schema, components).masked(payload)


@pytest.mark.parametrize(
    ("schema", "payload", "expected"),
    [
        ({"properties": {"mail": PRIVATE}}, {"mail": "a", "id": 1}, {"mail": "•••", "id": 1}),
        ({"items": {"properties": {"m": PRIVATE}}}, [{"m": "a"}, {"n": 1}],
         [{"m": "•••"}, {"n": 1}]),
        ({"prefixItems": [PRIVATE], "items": {}}, ["a", "b"], ["•••", "b"]),
        ({"prefixItems": [{}], "items": PRIVATE}, ["a", "b"], ["a", "•••"]),
        ({"contains": PRIVATE}, ["a"], ["•••"]),
        ({"unevaluatedItems": PRIVATE}, ["a"], ["•••"]),
        ({"additionalProperties": PRIVATE, "properties": {"id": {}}}, {"id": 1, "x": 2},
         {"id": 1, "x": "••• number"}),
        ({"unevaluatedProperties": PRIVATE}, {"x": True}, {"x": "••• boolean"}),
        ({"patternProperties": {"^m": PRIVATE}}, {"mail": "a", "id": "b"},
         {"mail": "•••", "id": "b"}),
        ({"patternProperties": {r"^\p{L}": PRIVATE}}, {"mail": "a"}, {"mail": "•••"}),
        ({"anyOf": [{"type": "null"}, PRIVATE]}, "a", "•••"),
        ({"oneOf": [{"properties": {"a": PRIVATE}}, {"properties": {"b": {}}}]},
         {"a": "x", "b": "y"}, {"a": "•••", "b": "y"}),
        ({"allOf": [{"properties": {"a": {}}}, {"properties": {"a": PRIVATE}}]}, {"a": {}},
         {"a": "••• object"}),
        ({"if": {}, "then": PRIVATE}, [1], "••• list"),
        ({"dependentSchemas": {"a": {"properties": {"b": PRIVATE}}}}, {"b": 1.5},
         {"b": "••• number"}),
        ({"propertyNames": PRIVATE}, {"a@b.example": 1}, {"•••": 1}),
        ({"propertyNames": PRIVATE}, {"a": 1, "b": 2}, {"••• 1": 1, "••• 2": 2}),
        ({"properties": {"a": PRIVATE}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"x-private": False}}}, {"a": 1}, {"a": 1}),
        ({"properties": {"a": {"$ref": "elsewhere"}, "b": PRIVATE}}, {"a": 1}, {"a": "••• number"}),
        ({"properties": {"a": True, "b": PRIVATE}}, {"a": 1}, {"a": 1}),
        (True, {"a": 1}, {"a": 1}),
        ({}, {"a": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_what_is_marked_is_hidden(schema: Any, payload: Any, expected: Any) -> None:
    """Whatever may apply to a value and is marked hides it; the type of what is hidden is told."""
    assert masked(schema, payload) == expected


def test_references_are_followed_in_circles_and_into_definitions() -> None:
    """A schema that refers to itself is walked as deep as the payload goes, and no deeper."""
    payload = {"mail": "a", "children": [{"mail": "b", "children": [{"mail": "c"}]}]}
    assert masked({"$ref": "#/components/schemas/Tree"}, payload, Tree=TREE) == {
        "mail": "•••", "children": [{"mail": "•••", "children": [{"mail": "•••"}]}],
    }  # fmt: skip
    loop = {"$ref": "#/components/schemas/A"}
    assert masked(loop, {"a": 1}, A={"allOf": [loop]}, B=PRIVATE) == {"a": 1}
    owner = {"$defs": {"in/side": PRIVATE}}
    assert masked({"$ref": "#/components/schemas/A/$defs/in~1side"}, "a", A=owner) == "•••"


def test_what_lies_too_deep_to_be_looked_at_is_hidden() -> None:
    """A payload that is nested beyond all measure is masked, not refused."""
    deep: Any = "secret"
    for _ in range(5000):
        deep = [deep]
    privacy = Privacy({"properties": {"a": PRIVATE}}, {})
    assert "secret" not in repr(_flattened(privacy.masked(deep)))
    assert privacy.texts(deep) == {"secret"}


def _flattened(value: Any) -> list[Any]:
    found = []
    while isinstance(value, list):
        value = value[0]
        found.append(value if not isinstance(value, list) else "list")
    return found


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_json)
def test_masking_twice_is_masking_once(payload: Any) -> None:
    """What is masked stays as it is, and an undeclared webhook's payload shows nothing."""
    once = UNKNOWN.masked(payload)
    assert UNKNOWN.masked(once) == once
    assert UNKNOWN.texts(once) == set()


def test_the_private_texts_are_those_inside_of_what_is_private() -> None:
    """Texts and numbers count, at any depth; booleans and what is not private do not."""
    schema = {"properties": {"person": PRIVATE}}
    payload = {"person": {"mail": "a@b", "tags": ["x", 42, True, None, 1.5]}, "id": "public"}
    assert Privacy(schema, {}).texts(payload) == {"a@b", "x", "42", "1.5"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("no user Zoë Smith", "no user •••"),
        ("no user zoë smith", "no user •••"),
        ('{"name": "Zo\\u00eb Smith"}', '{"name": "•••"}'),
        ("/?q=Zo%C3%AB+Smith&r=Zo%C3%AB%20Smith", "/?q=•••&r=•••"),
        ("<b>a&lt;b</b>", "<b>•••</b>"),
        ("age 42 is not 142", "age ••• is not 142"),
        ("cut off: Zoë S", "cut off: •••"),
        ("nothing private", "nothing private"),
        ("", ""),
    ],
)
def test_echoes_are_hidden_in_the_spellings_of_the_web(answer: str, expected: str) -> None:
    """A private text is found as JSON, HTML and URLs write it; a short one only as a word."""
    assert without({"Zoë Smith", "a<b", "42", " "}, answer) == expected


def test_an_answer_is_read_in_utf_8_that_may_be_cut_off_or_in_latin_1() -> None:
    """No way of decoding makes a private text look like another."""
    assert decoded("Zoë".encode()[:-1]) == "Zo"
    assert decoded("Zoë!".encode("latin-1")) == "Zoë!"


class Address(Schema):
    """An address."""

    street = fields.String(metadata={"private": True})
    country = fields.String()


class Person(Schema):
    """A person."""

    id = fields.Integer(required=True)
    mail = fields.Email(metadata={"private": True, "description": "Where to write."})
    home = fields.Nested(Address)
    lover = fields.Nested(Address, metadata={"private": True}, allow_none=True)
    phones = fields.List(fields.String(metadata={"private": True}))
    scores = fields.Dict(keys=fields.Email(metadata={"private": True}), values=fields.Integer())


ZOE = {
    "id": 7, "mail": "zoe@x.example", "home": {"street": "Elm 1", "country": "DE"},
    "lover": {"street": "Oak 2"}, "phones": ["0123"], "scores": {"bob@x.example": 3},
}  # fmt: skip


@pytest.fixture
def person(app: Flask, webhooks: Webhooks) -> Any:
    made = webhooks.webhook("person.changed", Person)
    webhooks.init_app(app)
    return made


def test_the_published_schema_says_what_is_private(
    app: Flask, webhooks: Webhooks, person: Any
) -> None:
    """``metadata={"private": True}`` is ``x-private`` in the document, where the field stands."""
    with app.app_context():
        shown = webhooks.document()["components"]["schemas"]["Person"]["properties"]
    assert shown["mail"] == {
        "type": "string", "format": "email", "description": "Where to write.", "x-private": True,
    }  # fmt: skip
    assert shown["lover"]["x-private"] is True
    assert "x-private" not in shown["home"]


def test_the_guide_says_what_is_private(app: Flask, webhooks: Webhooks, person: Any) -> None:
    """Receivers read at the field itself that they hold something private."""
    page = app.test_client().get("/docs/guide").text
    rows = [row for row in page.split("<tr") if '<span class="kind">private</span>' in row]
    names = [re.findall('<code class="field">(.*?)</code>', row)[0] for row in rows]
    assert [re.sub("<.*?>", "", name) for name in names] == [
        "mail", "home.street", "lover", "lover.street", "phones",
    ]  # fmt: skip


def test_people_see_a_payload_without_what_is_private(
    app: Flask, webhooks: Webhooks, person: Any
) -> None:
    """What is shown keeps its shape, and what the webhook never declared is not shown at all."""
    state = app.extensions["webhooks"]
    with app.app_context():
        message = person.send(ZOE)
        assert state.shown_payload(message.name, message.body) == {
            "id": 7, "mail": "•••", "home": {"street": "•••", "country": "DE"},
            "lover": "••• object", "phones": ["•••"], "scores": {"•••": 3},
        }  # fmt: skip
        assert state.shown_payload("gone.since", message.body) == "••• object"


def test_no_command_shows_what_is_private(
    app: Flask, webhooks: Webhooks, person: Any, receiver: Receiver
) -> None:
    """Neither ``trigger`` nor ``show`` does, nor what it shows of the receiver's answer."""
    receiver.answers = [(422, {}), 200]
    receiver.words = "zoe@x.example of ELM 1 is unknown, id 7"
    run = app.test_cli_runner().invoke
    with app.app_context():
        subscription = webhooks.subscribe(receiver.url, ["person.changed"])
        person.send(ZOE)
        webhooks.run_until_idle()
        [delivery] = webhooks.deliveries()
    told = [
        run(args=["webhooks", "trigger", "person.changed", "--data", json.dumps(ZOE)]).output,
        *(run(args=["webhooks", "show", str(thing)]).output
          for thing in (delivery.id, delivery.message_id, subscription.id)),
    ]  # fmt: skip
    assert all("of ••• is unknown, id 7" in shown for shown in told[1:])
    for secret in ("zoe@", "Elm", "Oak", "0123", "bob@"):
        assert secret not in "".join(told)


def test_what_was_stored_before_a_field_was_marked_is_hidden_too(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """The schema of today decides about what is shown, also of messages from before."""
    app = make_app()
    noted = webhooks.webhook("noted", {"type": "object", "properties": {"a": PRIVATE}})
    webhooks.init_app(app)
    with app.app_context():
        noted.send({"a": 1})
        assert app.extensions["webhooks"].shown_payload("noted", b'{"a":"x"}') == {"a": "•••"}
