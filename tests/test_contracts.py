"""Contracts: which payloads go out, as which bytes, and how a refusal is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from marshmallow import Schema, fields, post_dump, validate

from flask_webhooks import DeclarationError, PayloadError
from flask_webhooks.describe.contracts import Contract
from flask_webhooks.describe.schemas import Schemas

SECRET = "s3cr3t-value"


class Seat(Schema):
    """Something to nest."""

    row = fields.Integer(required=True)


class Booking(Schema):
    """What most tests send."""

    id = fields.Integer(required=True)
    train = fields.String(data_key="trainName", validate=validate.OneOf(["ICE", "TGV"]))
    seats = fields.List(fields.Nested(Seat))
    tags = fields.Dict(fields.String(), fields.Integer())
    window = fields.Nested(Seat, allow_none=True)
    code = fields.String(validate=validate.Regexp("^[A-Z]{3}$"))
    when = fields.Date()


def contract(schema: Any, name: str = "newBooking") -> Contract:
    """The contract of a webhook with this schema."""
    schemas = Schemas()
    published = schemas.outbound(schema, name)
    names = [published["$ref"]] if "$ref" in published else []
    names += [published["items"]["$ref"]] if "items" in published else []
    return Contract(name, schema, published, schemas.components(names))


def refusal(schema: Any, payload: Any) -> str:
    """How the refusal of a payload is told; the secret is never in it, nor behind it."""
    with pytest.raises(PayloadError) as told:
        contract(schema).encode(payload)
    assert told.value.__suppress_context__ or told.value.__context__ is None
    assert SECRET not in str(told.value)
    return str(told.value)


def test_a_payload_becomes_compact_json() -> None:
    """Objects and mappings alike, in the order of declaration, in UTF-8."""
    assert contract(Booking).encode({"train": "ICE", "id": 3}) == b'{"id":3,"trainName":"ICE"}'
    assert contract(Seat()).encode(SimpleNamespace(row="4", other=1)) == b'{"row":4}'
    assert contract(Seat(many=True)).encode([{"row": 1}]) == b'[{"row":1}]'
    assert contract({"type": "string"}).encode("Zürich") == '"Zürich"'.encode()


def test_without_a_schema_any_json_goes() -> None:
    """``None`` publishes ``{}``; everyday Python values have their JSON form."""

    class Colour(Enum):
        RED = "r"

    @dataclass
    class Point:
        x: int

    payload = {
        "a": UUID(int=1), "b": Decimal("1.50"), "c": date(2026, 1, 2), "d": Colour.RED,
        "e": Point(1), "f": (1,), "g": MappingProxyType({"x": 1}), 1: None,
    }  # fmt: skip
    assert json.loads(contract(None).encode(payload)) == {
        "a": "00000000-0000-0000-0000-000000000001", "b": "1.50", "c": "2026-01-02", "d": "r",
        "e": {"x": 1}, "f": [1], "g": {"x": 1}, "1": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({}, 'payload is not what the document publishes: "id" is a required property'),
        (
            {"id": None},
            "payload.id is not what the document publishes: null instead of integer; "
            "allow_none=True would allow it",
        ),
        (
            {"id": 1, "train": SECRET},
            'payload.trainName is not what the document publishes: the value is not one of "ICE" '
            'or "TGV"',
        ),
        (
            {"id": 1, "seats": [{"row": 1}, {}]},
            'payload.seats[1] is not what the document publishes: "row" is a required property',
        ),
        (
            {"id": 1, "tags": {SECRET: None}},
            "payload.tags.* is not what the document publishes: null instead of integer; "
            "allow_none=True would allow it",
        ),
        (
            {"id": 1, "window": {}},
            'payload.window is not what the document publishes: "row" is a required property',
        ),
        (
            {"id": 1, "code": SECRET},
            "payload.code is not what the document publishes: the value does not match "
            '"^[A-Z]{3}$"',
        ),
    ],
)
def test_what_the_component_refuses_is_told_by_field_and_reason(
    payload: dict[str, Any], words: str
) -> None:
    """The message names the webhook, the field as it is on the wire, and the rule."""
    assert refusal(Booking, payload) == f"newBooking: {words}. Nothing was stored."


@pytest.mark.parametrize(
    ("schema", "payload", "words"),
    [
        ({"additionalProperties": False}, {SECRET: 1}, "a part that the document does not allow"),
        (
            {"unevaluatedProperties": False},
            {SECRET: 1},
            "it has a member that the document does not allow",
        ),
        (
            {"propertyNames": {"maxLength": 3}},
            {SECRET: 1},
            "the name of one of its members is not what the document allows",
        ),
        ({"type": ["integer", "null"]}, SECRET, "string instead of integer or null"),
        ({"not": {"type": "string"}}, SECRET, "payload is not what"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, SECRET, "payload is not what"),
        ({"const": 1}, SECRET, "payload is not what"),
        ({"uniqueItems": True}, [SECRET, SECRET], "payload is not what"),
        ({"contains": {"type": "integer"}}, [SECRET], "payload is not what"),
        ({"dependentRequired": {SECRET[:2]: ["b"]}}, {SECRET[:2]: SECRET}, "payload is not what"),
    ],
)
def test_no_kind_of_refusal_shows_a_value(schema: dict[str, Any], payload: Any, words: str) -> None:
    """Names of undeclared members are values too."""
    assert words in refusal(schema, payload)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"id": SECRET}, "payload.id can't be dumped by Booking: ValueError at "),
        ({"id": 1, "when": SECRET}, "payload.when can't be dumped by Booking: TypeError at "),
        (
            {"id": 1, "seats": [{"row": SECRET}]},
            "payload.seats can't be dumped by Booking: ValueError at ",
        ),
    ],
)
def test_what_can_not_be_dumped_is_told_by_field_and_kind(
    payload: dict[str, Any], words: str
) -> None:
    """The error's type and its line are told; its text may show a value, and is not."""
    assert refusal(Booking, payload).startswith(f"newBooking: {words}")


def test_the_item_that_can_not_be_dumped_is_told() -> None:
    """Of many, the message names the first bad one."""
    said = refusal(Seat(many=True), [{"row": 1}, {"row": SECRET}])
    assert said.startswith("newBooking: payload[1].row can't be dumped by Seat: ValueError at ")
    assert refusal(Seat(many=True), 5).startswith("newBooking: payload can't be dumped by Seat: Ty")


def test_a_hook_that_raises_is_told_by_its_line() -> None:
    """A hook of the user's own is found by file and line."""

    class Broken(Schema):
        @post_dump
        def burn(self, data: Any, **_: Any) -> Any:
            raise RuntimeError(SECRET)

    assert "can't be dumped by Broken: RuntimeError at " in refusal(Broken, {})
    assert "test_contracts.py:" in refusal(Broken, {})


def test_what_a_hook_makes_of_a_payload_is_judged() -> None:
    """The wire counts, not the object: a hook may mend or spoil it."""

    class Wrapped(Schema):
        id = fields.Integer(required=True)

        @post_dump
        def wrap(self, data: Any, **_: Any) -> Any:
            return {"data": data}

    assert '"id" is a required property' in refusal(Wrapped, {"id": 1})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (float("nan"), "a number in it is not finite, or it holds itself"),
        ({"a": {1, 2}}, "a set has no JSON form"),
        ({(1,): 1}, "keys must be str, int, float, bool or None, not tuple"),
        ("\ud800", "a text in it is no Unicode (a lone surrogate)"),
        (SimpleNamespace(a=SECRET), "a SimpleNamespace has no JSON form"),
    ],
)
def test_what_is_no_json_is_told_by_its_kind(payload: Any, reason: str) -> None:
    """The reason is a type or a rule of JSON."""
    said = refusal(None, payload)
    assert said == f"newBooking: the payload is no JSON: {reason}. Nothing was stored."


def test_a_payload_that_holds_itself_is_refused() -> None:
    """Circles and bottomless nesting are no JSON."""
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert "or it holds itself" in refusal(None, circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deeply" in refusal(None, deep)


def test_whole_numbers_of_any_size_are_kept() -> None:
    """A number beyond 64 bits is still an integer, to the last digit."""
    assert contract(Booking).encode({"id": 2**80}) == b'{"id":1208925819614629174706176}'


def test_a_model_dumps_its_own_payloads() -> None:
    """A schema of another library is asked for the JSON form, which is then judged like any."""

    class Ticket:
        def json_schema(self) -> Mapping[str, Any]:
            return {"title": "Ticket", "required": ["seat"]}

        def dump(self, payload: Any) -> Any:
            return {"seat": payload} if payload else {}

    assert contract(Ticket()).encode(4) == b'{"seat":4}'
    assert '"seat" is a required property' in refusal(Ticket(), 0)


def test_json_that_is_given_as_json_is_not_dumped() -> None:
    """``encode_json`` validates only."""
    assert contract(Booking).encode_json({"id": 1, "more": 2}) == b'{"id":1,"more":2}'
    with pytest.raises(PayloadError, match="string instead of integer"):
        contract(Booking).encode_json({"id": "1"})


def test_a_schema_that_can_not_be_used_is_refused() -> None:
    """A reference that leads out of the document is never fetched."""
    with pytest.raises(DeclarationError, match="^newBooking: its schema can't be used"):
        Contract("newBooking", None, {"$ref": "https://x.example/a.json"}, {})
