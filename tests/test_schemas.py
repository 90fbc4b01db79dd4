"""Component schemas: what marshmallow and JSON Schemas become in the document."""

from __future__ import annotations

import datetime as dt
import enum
import json
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from marshmallow import EXCLUDE, INCLUDE, Schema, fields, validate

from flask_webhooks import DeclarationError
from flask_webhooks.describe.patterns import pattern_of
from flask_webhooks.describe.schemas import Schemas


class Colour(enum.Enum):
    """An enumeration with an alias."""

    RED = 1
    BLUE = 2
    AZURE = 2


class Seat(Schema):
    """Something to nest."""

    row = fields.Integer(required=True)
    letter = fields.String()


def property_of(field: fields.Field[Any], *, outbound: bool = True) -> Any:
    """The schema that one field has in its component."""
    schemas = Schemas()
    cls = Schema.from_dict({"it": field}, name="Holder")
    reference = (schemas.outbound if outbound else schemas.inbound)(cls, "x")
    name = reference["$ref"].rpartition("/")[2]
    return schemas.components([reference["$ref"]])[name]["properties"].get("it")


def components_of(*schemas: Any, outbound: bool = True) -> dict[str, Any]:
    """All components that some schemas need."""
    book = Schemas()
    one = book.outbound if outbound else book.inbound
    found = [one(schema, f"thing{index}") for index, schema in enumerate(schemas)]
    return book.components(
        [shown["$ref"] if "$ref" in shown else shown["items"]["$ref"] for shown in found]
    )


class Shouting(fields.Mapping[dict[str, Any]]):
    """A mapping field of the user's own."""

    mapping_type = dict


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (fields.String(), {"type": "string"}),
        (fields.Url(), {"type": "string", "format": "uri"}),
        (fields.Email(), {"type": "string", "format": "email"}),
        (fields.UUID(), {"type": "string", "format": "uuid"}),
        (fields.IPv4(), {"type": "string", "format": "ipv4"}),
        (fields.IPv6(), {"type": "string", "format": "ipv6"}),
        (fields.IP(), {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
        (fields.IPv4Interface(), {"type": "string"}),
        (fields.Boolean(), {"type": "boolean"}),
        (fields.Float(), {"type": "number"}),
        (fields.Integer(as_string=True), {"type": "string"}),
        (fields.Decimal(), {"type": "string", "format": "decimal"}),
        (fields.Decimal(as_string=True), {"type": "string", "format": "decimal"}),
        (fields.DateTime(), {"type": "string", "format": "date-time"}),
        (fields.AwareDateTime(), {"type": "string", "format": "date-time"}),
        (fields.NaiveDateTime(), {"type": "string"}),
        (fields.DateTime(format="timestamp"), {"type": "number", "x-unit": "seconds"}),
        (fields.DateTime(format="timestamp_ms"), {"type": "number", "x-unit": "milliseconds"}),
        (fields.DateTime(format="%Y"), {"type": "string"}),
        (fields.Date(), {"type": "string", "format": "date"}),
        (fields.Date(format="%d.%m.%Y"), {"type": "string"}),
        (fields.Time(), {"type": "string"}),
        (fields.TimeDelta(precision="minutes"), {"type": "number", "x-unit": "minutes"}),
        (fields.Raw(), {}),
        (fields.Constant("booked"), {"const": "booked"}),
        (fields.Constant(None), {"const": None}),
        (fields.Enum(Colour), {"type": "string", "enum": ["RED", "BLUE"]}),
        (fields.Enum(Colour, by_value=True), {"type": "integer", "enum": [1, 2]}),
        (fields.Enum(Colour, by_value=fields.String), {"type": "string", "enum": ["1", "2"]}),
        (fields.List(fields.Integer()), {"type": "array", "items": {"type": "integer"}}),
        (fields.Dict(), {"type": "object", "additionalProperties": {}}),
        (
            fields.Dict(keys=fields.Enum(Colour), values=fields.Integer(allow_none=True)),
            {
                "type": "object",
                "additionalProperties": {"type": ["integer", "null"]},
                "propertyNames": {"type": "string", "enum": ["RED", "BLUE"]},
            },
        ),
        (
            Shouting(values=fields.Boolean()),
            {"type": "object", "additionalProperties": {"type": "boolean"}},
        ),
        (
            fields.Tuple((fields.String(), fields.Integer())),
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "integer"}],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (fields.Nested(Seat), {"$ref": "#/components/schemas/Seat"}),
        (
            fields.Nested(Seat, many=True),
            {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
        ),
        (
            fields.Nested(Seat(many=True)),
            {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
        ),
        (
            fields.List(fields.Nested(Seat)),
            {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
        ),
        (fields.Pluck(Seat, "row"), {"type": "integer"}),
        (fields.Pluck(Seat, "row", many=True), {"type": "array", "items": {"type": "integer"}}),
        (fields.Function(lambda obj: 1), {}),
        (fields.Function(lambda obj: 1, metadata={"type": "integer"}), {"type": "integer"}),
    ],
)
def test_each_kind_of_field_says_what_it_dumps(field: Any, expected: Any) -> None:
    """The schema is that of the wire, in JSON Schema's own words."""
    assert property_of(field) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (fields.String(allow_none=True), {"type": ["string", "null"]}),
        (
            fields.Nested(Seat, allow_none=True),
            {"anyOf": [{"$ref": "#/components/schemas/Seat"}, {"type": "null"}]},
        ),
        (
            fields.Enum(Colour, allow_none=True),
            {"type": ["string", "null"], "enum": ["RED", "BLUE", None]},
        ),
        (
            fields.String(validate=validate.Equal("a"), allow_none=True),
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (fields.Raw(allow_none=True), {}),
        (
            fields.Raw(allow_none=True, metadata={"oneOf": [{"type": "string"}]}),
            {"oneOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (fields.String(metadata={"nullable": True}), {"type": ["string", "null"]}),
    ],
)
def test_null_is_said_as_in_3_1(field: Any, expected: Any) -> None:
    """Null is a type, a branch or a member of the enumeration; ``nullable`` is no word any more."""
    assert property_of(field) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (
            fields.Integer(validate=validate.Range(1, 9, max_inclusive=False)),
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        ),
        (
            fields.Integer(validate=[validate.Range(min=1), validate.Range(min=0.5, max=4)]),
            {"type": "integer", "minimum": 1, "maximum": 4},
        ),
        (
            fields.TimeDelta(validate=validate.Range(max=dt.timedelta(minutes=1))),
            {"type": "number", "x-unit": "seconds", "maximum": 60.0},
        ),
        (
            fields.Decimal(validate=validate.Range(min=Decimal("1.5"))),
            {"type": "string", "format": "decimal"},
        ),
        (fields.DateTime(validate=validate.Range(min=dt.datetime(2020, 1, 1))),
         {"type": "string", "format": "date-time"}),
        (
            fields.String(validate=validate.And(validate.Length(1, 5), validate.Length(max=3))),
            {"type": "string", "minLength": 1, "maxLength": 3},
        ),
        (
            fields.List(fields.String(), validate=validate.Length(equal=2)),
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        ),
        (
            fields.Dict(validate=validate.Length(max=2)),
            {"type": "object", "additionalProperties": {}, "maxProperties": 2},
        ),
        (
            fields.String(validate=validate.OneOf(["b", "a"])),
            {"type": "string", "enum": ["b", "a"]},
        ),
        (
            fields.String(validate=validate.OneOf({"b", "a"})),
            {"type": "string", "enum": ["a", "b"]},
        ),
        (
            fields.Date(validate=validate.OneOf([dt.date(2026, 1, 1)])),
            {"type": "string", "format": "date", "const": "2026-01-01"},
        ),
        (fields.Integer(validate=validate.Equal(3)), {"type": "integer", "const": 3}),
        (
            fields.List(fields.String(), validate=validate.ContainsOnly(["a", "b"])),
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        ),
        (
            fields.String(validate=validate.Regexp("[A-Z]{3}")),
            {"type": "string", "pattern": "^(?:[A-Z]{3})"},
        ),
        (
            fields.String(validate=[validate.Regexp("^a"), validate.Regexp("^.b")]),
            {"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "^.b"}]},
        ),
    ],
)  # fmt: skip
def test_validators_become_json_schemas_words(field: Any, expected: Any) -> None:
    """Bounds, lengths, choices and patterns are stated where JSON Schema has a word for them."""
    assert property_of(field) == expected


@pytest.mark.parametrize(
    ("regex", "pattern"),
    [
        ("abc", "^(?:abc)"),
        ("^abc$", "^abc$"),
        ("^a|b", "^(?:^a|b)"),
        (r"\Aab\Z", "^ab$"),
        (r"a\\Z", r"^(?:a\\Z)"),
        ("(?P<year>[0-9]{4})", "^(?:([0-9]{4}))"),
        ("(?P<x>a)(?P=x)", None),
        ("(?i)abc", None),
    ],
)
def test_a_python_expression_becomes_a_pattern_or_nothing(regex: str, pattern: str | None) -> None:
    """What ECMA-262 can't say is left out, never said wrongly."""
    assert pattern_of(regex) == pattern


def test_metadata_has_the_last_word() -> None:
    """It adds JSON Schema's words and replaces what was derived; other keys stay private."""
    field = fields.String(
        metadata={
            "format": "iban", "contentEncoding": "base64", "example": Decimal("1.5"),
            "description": "Where to.", "x_team": "rail", "widget": "big", "required": True,
        }
    )  # fmt: skip
    assert property_of(field) == {
        "type": "string",
        "format": "iban",
        "contentEncoding": "base64",
        "example": "1.5",
        "description": "Where to.",
        "x-team": "rail",
    }


class User(Schema):
    """A schema that is sent otherwise than it is taken."""

    id = fields.Integer(dump_only=True)
    password = fields.String(load_only=True, required=True)
    mail = fields.Email(data_key="mailAddress", required=True)
    role = fields.String(load_default="guest")
    active = fields.Boolean(dump_default=True)


def test_a_payload_component_is_what_dump_gives() -> None:
    """No load_only, no readOnly, no default; required is what is always there."""
    assert components_of(User) == {
        "UserPayload": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "mailAddress": {"type": "string", "format": "email"},
                "role": {"type": "string"},
                "active": {"type": "boolean"},
            },
            "required": ["mailAddress", "active"],
        }
    }


def test_a_taken_component_keeps_its_direction() -> None:
    """A request says readOnly, writeOnly and default."""
    assert components_of(User, outbound=False) == {
        "User": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "readOnly": True},
                "password": {"type": "string", "writeOnly": True},
                "mailAddress": {"type": "string", "format": "email"},
                "role": {"type": "string", "default": "guest"},
                "active": {"type": "boolean"},
            },
            "required": ["password", "mailAddress"],
        }
    }


def test_one_key_may_be_taken_and_sent_as_two_fields() -> None:
    """Two fields that share a data_key keep their own schema in their own direction."""

    class Twofold(Schema):
        given = fields.Integer(load_only=True, data_key="it")
        shown = fields.String(dump_only=True, data_key="it")

    assert components_of(Twofold)["TwofoldPayload"]["properties"] == {"it": {"type": "string"}}


def test_direction_reaches_through_nesting() -> None:
    """A schema is sent otherwise if anything below it is; references lead to payload components."""

    class Team(Schema):
        lead = fields.Nested(User)

    class League(Schema):
        teams = fields.List(fields.Nested(Team))
        seat = fields.Nested(Seat)

    found = components_of(League)
    assert list(found) == ["LeaguePayload", "Seat", "TeamPayload", "UserPayload"]
    assert found["LeaguePayload"]["properties"] == {
        "teams": {"type": "array", "items": {"$ref": "#/components/schemas/TeamPayload"}},
        "seat": {"$ref": "#/components/schemas/Seat"},
    }


class Employee(Schema):
    """Part of a circle."""

    id = fields.Integer(dump_only=True)
    firm = fields.Nested(lambda: Firm())


class Firm(Schema):
    """The other part."""

    staff = fields.List(fields.Nested(Employee))
    owner = fields.Nested("Firm", allow_none=True)


def test_circles_are_followed_once() -> None:
    """Schemas that nest each other refer to each other, in the right direction."""
    found = components_of(Firm)
    assert list(found) == ["EmployeePayload", "FirmPayload"]
    assert found["FirmPayload"]["properties"] == {
        "staff": {"type": "array", "items": {"$ref": "#/components/schemas/EmployeePayload"}},
        "owner": {"anyOf": [{"$ref": "#/components/schemas/FirmPayload"}, {"type": "null"}]},
    }
    assert list(components_of(Firm, outbound=False)) == ["Employee", "Firm"]


class Trip(Schema):
    """Something to show parts of."""

    id = fields.Integer(required=True)
    seat = fields.Nested(Seat)
    start = fields.String(required=True)
    end = fields.String()
    price = fields.Decimal()


@pytest.mark.parametrize(
    ("schema", "name", "properties"),
    [
        (Trip(), "Trip", ["id", "seat", "start", "end", "price"]),
        (Trip(many=True), "Trip", ["id", "seat", "start", "end", "price"]),
        (Trip(only={"start", "id"}), "TripIdStart", ["id", "start"]),
        (Trip(only=("id", "seat", "start", "end")), "TripWithoutPrice",
         ["id", "seat", "start", "end"]),
        (Trip(exclude=("seat",)), "TripWithoutSeat", ["id", "start", "end", "price"]),
        (Trip(partial=True), "TripPartial", ["id", "seat", "start", "end", "price"]),
    ],
    ids=["plain", "many", "only", "most", "exclude", "partial"],
)  # fmt: skip
def test_a_part_of_a_schema_has_a_name_of_its_own(
    schema: Schema, name: str, properties: list[str]
) -> None:
    """The name tells the part; fields keep the order in which they are declared."""
    found = components_of(schema)
    assert name in found
    assert list(found[name]["properties"]) == properties


def test_partial_waives_what_is_required() -> None:
    """``partial=True`` waives all, ``partial=("id",)`` just that."""
    assert "required" not in components_of(Trip(partial=True))["TripPartial"]
    assert components_of(Trip(partial=("id",)))["TripPartial"]["required"] == ["start"]


def test_options_that_reach_into_nested_schemas_are_kept_apart() -> None:
    """``only`` and ``exclude`` with a dot make components of their own, on both levels."""
    found = components_of(Trip, Trip(exclude=("seat.row",)), Trip(only=("seat.row",)))
    assert sorted(found) == ["Seat", "SeatRow", "SeatWithoutRow", "Trip", "Trip2", "TripSeat"]
    assert found["Trip2"]["properties"]["seat"] == {"$ref": "#/components/schemas/SeatWithoutRow"}
    assert found["TripSeat"]["properties"]["seat"] == {"$ref": "#/components/schemas/SeatRow"}


def test_equal_parts_are_one_component() -> None:
    """It does not matter how a part is told, nor how often."""
    assert list(components_of(Seat(only=("row",)), Seat(exclude=("letter",)))) == ["SeatRow"]


def test_two_classes_of_one_name_are_two_components() -> None:
    """Neither hides the other, and a class called like another's payload is safe too."""
    first = type("Thing", (Schema,), {"a": fields.Integer(dump_only=True)})
    second = type("ThingSchema", (Schema,), {"b": fields.String()})
    third = type("ThingPayload", (Schema,), {"c": fields.String()})
    found = components_of(first, second, third)
    assert {name: list(schema["properties"]) for name, schema in found.items()} == {
        "ThingPayload": ["a"],
        "Thing2": ["b"],
        "ThingPayload2": ["c"],
    }


def test_names_of_components_are_legal() -> None:
    """Letters that OpenAPI does not allow in a component's name are left out."""
    odd = type("Ünï Schema", (Schema,), {"b": fields.String()})
    assert list(components_of(odd, {"title": "Order (paid)"}, {"type": "string"})) == [
        "N", "OrderPaid", "Thing2",
    ]  # fmt: skip


def test_objects_are_open() -> None:
    """Receivers must survive a new field, whatever ``unknown`` says of loading."""
    closed = [
        type("Open", (Schema,), {"Meta": type("Meta", (), {"unknown": unknown})})
        for unknown in (INCLUDE, EXCLUDE)
    ]
    for schema in [Seat, *closed]:
        assert "additionalProperties" not in json.dumps(components_of(schema))


def test_title_and_description_come_from_meta() -> None:
    """What ``class Meta`` says stands in the component."""

    class Told(Schema):
        class Meta:
            title = "A title"
            description = "In words."

    assert components_of(Told)["Told"] == {
        "type": "object",
        "properties": {},
        "title": "A title",
        "description": "In words.",
    }


def test_a_nested_class_that_is_not_there_is_refused() -> None:
    """The message names the webhook and the class."""
    lost = Schema.from_dict({"it": fields.Nested("Nowhere")})
    with pytest.raises(DeclarationError, match="^thing0: a nested schema can't be found.*Nowhere"):
        components_of(lost)


def test_a_json_schema_becomes_a_component() -> None:
    """It is called by its title; references to its own root and $defs are led to its new place."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://shop.example/order",
        "title": "Order",
        "type": "object",
        "properties": {
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "replaces": {"$ref": "#"},
            "price": {"$ref": "#/components/schemas/Money"},
            "anything": True,
            "$ref": {"type": "string"},
            "$schema": {"const": {"$ref": "#/x"}},
        },
        "$defs": {"Line": {"type": "object", "additionalProperties": False}},
    }
    before = json.dumps(schema)
    assert components_of(schema) == {
        "Order": {
            "title": "Order",
            "type": "object",
            "properties": {
                "lines": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Order/$defs/Line"},
                },
                "replaces": {"$ref": "#/components/schemas/Order"},
                "price": {"$ref": "#/components/schemas/Money"},
                "anything": True,
                "$ref": {"type": "string"},
                "$schema": {"const": {"$ref": "#/x"}},
            },
            "$defs": {"Line": {"type": "object", "additionalProperties": False}},
        }
    }
    assert json.dumps(schema) == before


def test_json_schemas_of_one_title_are_one_component_if_equal() -> None:
    """Equal ones share it; another one of that title gets the next name."""
    same, other = {"title": "Order"}, {"title": "Order", "type": "object"}
    assert list(components_of(same, dict(same), other)) == ["Order", "Order2"]


def test_a_json_schema_may_hold_marshmallow_schemas() -> None:
    """They are resolved in the direction of the whole."""
    schema = {"title": "Both", "properties": {"user": User, "seats": Seat(many=True)}}
    assert components_of(schema)["Both"]["properties"] == {
        "user": {"$ref": "#/components/schemas/UserPayload"},
        "seats": {"type": "array", "items": {"$ref": "#/components/schemas/Seat"}},
    }


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (3, "^thing0: 3 is no schema. Give a marshmallow schema"),
        ({"type": "strin"}, "^thing0: its schema is no JSON Schema 2020-12 at #/type: "),
        ({"default": {1, 2}}, "^thing0: its schema is no JSON at default: a set has no JSON form"),
    ],
)
def test_what_is_no_schema_is_refused(schema: Any, reason: str) -> None:
    """The message names the webhook, the place in the schema and the reason."""
    with pytest.raises(DeclarationError, match=reason):
        components_of(schema)


def test_models_of_other_libraries_join_by_two_methods() -> None:
    """An object with ``json_schema()`` and ``dump(payload)`` is a schema."""

    class Model:
        def json_schema(self) -> Mapping[str, Any]:
            return {"title": "Ticket", "type": "object"}

        def dump(self, payload: Any) -> Any:
            return payload

    assert components_of(Model()) == {"Ticket": {"title": "Ticket", "type": "object"}}


def test_the_text_is_the_same_in_every_process() -> None:
    """Sets in declarations make no difference to the order of anything."""
    script = (
        "import json; from marshmallow import Schema, fields, validate\n"
        "from flask_webhooks.describe.schemas import Schemas\n"
        "text = lambda: fields.String(required=True, validate=validate.OneOf(set('abcdef')))\n"
        "S = Schema.from_dict({name: text() for name in 'uvwxyz'}, name='S')\n"
        "s = Schemas(); r = s.outbound(S(only=set('uvwx')), 'x')\n"
        "print(json.dumps(s.components([r['$ref']])))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, text=True,
            capture_output=True, check=True,
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(texts) == 1
