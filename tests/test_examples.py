"""Examples that are made out of a schema."""

from __future__ import annotations

import enum
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, validate

from flask_webhooks.describe.examples import example_of
from flask_webhooks.describe.schemas import Schemas


class Colour(enum.Enum):
    """An enumeration to choose from."""

    RED = "r"
    BLUE = "b"


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({}, {}),
        (True, {}),
        ({"type": "string"}, "text"),
        ({"type": ["null", "string"], "maxLength": 2}, "te"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "format": "uuid"}, "6f9619ff-8b86-4011-b42d-00cf4fc964ff"),
        ({"type": "string", "format": "decimal"}, "12.50"),
        ({"type": "string", "format": "email", "example": "me@x.example"}, "me@x.example"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": None}, None),
        ({"type": "integer", "examples": [7, 8]}, 7),
        ({"type": "null"}, None),
        ({"type": "boolean"}, True),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 1}, 0),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, 1.5),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array"}, [{}]),
        ({"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, ["text", 1]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"type": "string", "anyOf": [{"format": "ipv4"}]}, "text"),
        (
            {
                "allOf": [{"$ref": "#/components/schemas/Seat"}, {"properties": {"a": {}}}],
                "properties": {"b": {"type": "boolean"}},
            },
            {"row": 1, "a": {}, "b": True},
        ),
        ({"$ref": "#/components/schemas/Seat/properties/row"}, 1),
        ({"$ref": "#/components/schemas/Nowhere"}, {}),
    ],
)
def test_an_example_is_given_or_made(schema: Any, example: Any) -> None:
    """What the schema says itself comes first; else types, formats and bounds make one."""
    seat = {"type": "object", "properties": {"row": {"type": "integer"}}}
    assert example_of(schema, {"Seat": seat}) == example


def test_circles_end() -> None:
    """A schema that holds itself ends at a list, at null, at another branch, or is left out."""
    tree = {
        "type": "object",
        "properties": {
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
            "parent": {"anyOf": [{"$ref": "#/components/schemas/Tree"}, {"type": "null"}]},
            "twin": {"$ref": "#/components/schemas/Tree"},
            "name": {"type": "string"},
        },
    }
    assert example_of({"$ref": "#/components/schemas/Tree"}, {"Tree": tree}) == {
        "children": [],
        "parent": None,
        "name": "text",
    }


def test_a_schema_that_nothing_fits_gives_an_empty_object() -> None:
    """What must hold itself without end has no example."""
    endless = {
        "type": "object",
        "required": ["more"],
        "properties": {"more": {"$ref": "#/components/schemas/Endless"}},
    }
    assert example_of({"$ref": "#/components/schemas/Endless"}, {"Endless": endless}) == {}


POOL: list[Any] = [
    lambda **o: fields.String(**o),
    lambda **o: fields.String(validate=validate.Length(2, 9), **o),
    lambda **o: fields.String(validate=validate.OneOf(["a", "b"]), **o),
    lambda **o: fields.Integer(validate=validate.Range(5, 9, min_inclusive=False), **o),
    lambda **o: fields.Float(validate=validate.Range(max=-1, max_inclusive=False), **o),
    lambda **o: fields.Decimal(**o),
    lambda **o: fields.Boolean(**o),
    lambda **o: fields.DateTime(**o),
    lambda **o: fields.Date(format="%d.%m.%Y", **o),
    lambda **o: fields.TimeDelta(**o),
    lambda **o: fields.Url(**o),
    lambda **o: fields.IP(**o),
    lambda **o: fields.Enum(Colour, **o),
    lambda **o: fields.Enum(Colour, by_value=True, **o),
    lambda **o: fields.Constant(3, **o),
    lambda **o: fields.Raw(**o),
    lambda **o: fields.Dict(values=fields.Integer(), **o),
    lambda **o: fields.Tuple((fields.String(), fields.Integer()), **o),
    lambda **o: fields.List(fields.String(), validate=validate.Length(2, 3), **o),
    lambda **o: fields.Nested(Schema.from_dict({"x": fields.Integer(required=True)}), **o),
    lambda **o: fields.Nested(Schema.from_dict({"y": fields.UUID()}), many=True, **o),
]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(POOL), st.booleans(), st.booleans()), max_size=6))
def test_an_example_fits_its_own_schema(made: list[Any]) -> None:
    """Whatever kinds of field a schema has, the example made for it is allowed by it."""
    members = {
        f"f{index}": make(required=required, allow_none=nullable)
        for index, (make, required, nullable) in enumerate(made)
    }
    schemas = Schemas()
    published = schemas.outbound(Schema.from_dict(members, name="Made"), "made")
    components = schemas.components([published["$ref"]])
    oracle = jsonschema.Draft202012Validator({**published, "components": {"schemas": components}})
    oracle.validate(example_of(published, components))
