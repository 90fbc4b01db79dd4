"""Docs are wire: random schemas and payloads, judged by another validator than our own."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, validate
from openapi_spec_validator import validate as validate_document

from flask_webhooks import PayloadError, Webhooks
from flask_webhooks.describe.contracts import Contract
from flask_webhooks.describe.plain import plain
from flask_webhooks.describe.references import lookup, references


class Colour(enum.Enum):
    """An enumeration to choose from."""

    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Kind:
    """A kind of field: how it is made, and objects that it may meet."""

    make: Callable[..., fields.Field[Any]]
    values: st.SearchStrategy[Any]


_texts = st.text(st.characters(codec="utf-8"), max_size=6)
_odd = st.one_of(st.none(), st.booleans(), st.integers(), st.lists(st.integers(), max_size=2))
_moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
_numbers = st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.just(float("nan")))

KINDS = {
    "text": Kind(fields.String, _texts),
    "short": Kind(lambda **o: fields.String(validate=validate.Length(1, 3), **o), _texts),
    "code": Kind(
        lambda **o: fields.String(validate=validate.Regexp(r"[A-Z]{2}"), **o),
        st.one_of(st.sampled_from(["AB", "ab", "xAB"]), _texts),
    ),
    "choice": Kind(
        lambda **o: fields.String(validate=validate.OneOf({"a", "b"}), **o),
        st.sampled_from(["a", "b", "c"]),
    ),
    "equal": Kind(
        lambda **o: fields.Integer(validate=validate.Equal(3), **o), st.sampled_from([3, 4, "3"])
    ),
    "integer": Kind(fields.Integer, st.one_of(st.integers(), _odd)),
    "ranged": Kind(
        lambda **o: fields.Float(validate=validate.Range(0, 5, max_inclusive=False), **o), _numbers
    ),
    "integer-text": Kind(lambda **o: fields.Integer(as_string=True, **o), st.integers()),
    "decimal": Kind(
        lambda **o: fields.Decimal(validate=validate.Range(min=Decimal(1)), **o), st.decimals(0, 9)
    ),
    "decimal-text": Kind(lambda **o: fields.Decimal(as_string=True, **o), st.decimals(0, 9)),
    "boolean": Kind(fields.Boolean, st.one_of(st.booleans(), st.just("yes"))),
    "uuid": Kind(fields.UUID, st.one_of(st.uuids(), _texts)),
    "url": Kind(fields.Url, st.one_of(st.just("https://a.example/"), _texts)),
    "moment": Kind(fields.DateTime, _moments),
    "timestamp": Kind(lambda **o: fields.DateTime(format="timestamp", **o), _moments),
    "http-date": Kind(lambda **o: fields.DateTime(format="rfc", **o), _moments),
    "german": Kind(lambda **o: fields.Date(format="%d.%m.%Y", **o), st.dates()),
    "date": Kind(fields.Date, st.one_of(st.dates(), st.just("2026-01-01"))),
    "time": Kind(fields.Time, st.times()),
    "delta": Kind(
        lambda **o: fields.TimeDelta(precision="minutes", **o),
        st.integers(0, 9).map(lambda n: timedelta(seconds=n)),
    ),
    "name": Kind(lambda **o: fields.Enum(Colour, **o), st.sampled_from([*Colour, "r"])),
    "value": Kind(lambda **o: fields.Enum(Colour, by_value=True, **o), st.sampled_from(Colour)),
    "constant": Kind(lambda **o: fields.Constant("booked", **o), _odd),
    "ip": Kind(fields.IP, st.one_of(st.ip_addresses(), st.just("nowhere"))),
    "raw": Kind(fields.Raw, st.one_of(_odd, _texts, st.just({1, 2}))),
    "list": Kind(
        lambda **o: fields.List(fields.Integer(), validate=validate.Length(max=2), **o),
        st.lists(st.one_of(st.integers(), st.none()), max_size=3),
    ),
    "subset": Kind(
        lambda **o: fields.List(fields.String(), validate=validate.ContainsOnly(["a", "b"]), **o),
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
    ),
    "tuple": Kind(
        lambda **o: fields.Tuple((fields.String(), fields.Integer()), **o),
        st.lists(st.one_of(st.integers(0, 9), _texts), max_size=3),
    ),
    "map": Kind(
        lambda **o: fields.Dict(fields.String(), fields.Integer(), **o),
        st.dictionaries(_texts, st.one_of(st.integers(), st.none()), max_size=2),
    ),
    "function": Kind(
        lambda **o: fields.Function(lambda obj: obj.get("a"), metadata={"type": "integer"}), _odd
    ),
}


@dataclass(frozen=True)
class Case:
    """A schema, and payloads for it."""

    schema: Any
    payloads: list[Any]


def _flags(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    flags: dict[str, Any] = {"required": draw(st.booleans()), "allow_none": draw(st.booleans())}
    if draw(st.integers(0, 4)) == 0:
        flags[draw(st.sampled_from(["load_only", "dump_only"]))] = True
    if draw(st.integers(0, 4)) == 0:
        flags["data_key"] = draw(st.sampled_from(["$ref", "default", "a/b", "été", "camelCase"]))
    if kind == "integer" and draw(st.booleans()):
        flags["required"], flags["dump_default"], flags["load_default"] = False, 7, 8
    return flags


@st.composite
def cases(draw: st.DrawFn, depth: int = 2) -> Case:
    """Schemas of one to five fields, some nested, and payloads that often fit."""
    members: dict[str, fields.Field[Any]] = {}
    values: dict[str, st.SearchStrategy[Any]] = {}
    keys: set[str] = set()
    for name in draw(st.lists(st.sampled_from("abcde"), min_size=1, unique=True)):
        kind = draw(st.sampled_from([*KINDS, "nested", "many", "plucked"]))
        flags = _flags(draw, kind)
        if flags.get("data_key") in keys:
            del flags["data_key"]
        keys.add(flags.get("data_key", name))
        if kind in KINDS:
            members[name], values[name] = KINDS[kind].make(**flags), KINDS[kind].values
        elif depth:
            inner = draw(cases(depth=depth - 1))
            members[name], values[name] = _nested(draw, kind, inner, flags)
    name = draw(st.sampled_from(["Booking", "BookingSchema", "Booking2", "BookingPayload"]))
    cls = type(name, (Schema,), members)
    objects = st.fixed_dictionaries({}, optional=values)
    whole = st.fixed_dictionaries(values)
    payloads = draw(st.lists(st.one_of(whole, whole, objects), min_size=1, max_size=3))
    return Case(_instance(draw, cls, members), payloads)


def _nested(
    draw: st.DrawFn, kind: str, inner: Case, flags: dict[str, Any]
) -> tuple[fields.Field[Any], st.SearchStrategy[Any]]:
    objects = st.sampled_from(inner.payloads)
    if kind == "nested":
        return fields.Nested(inner.schema, **flags), objects
    if kind == "many":
        field = fields.List(fields.Nested(inner.schema), **flags)
        return field, st.lists(objects, max_size=2)
    schema = inner.schema if isinstance(inner.schema, type) else type(inner.schema)
    picked = draw(st.sampled_from(sorted(schema().fields) or ["a"]))
    if not schema().fields:
        return fields.Raw(), st.none()
    return fields.Pluck(schema, picked, **flags), objects


def _instance(draw: st.DrawFn, cls: type[Schema], members: dict[str, Any]) -> Any:
    names = sorted(members)
    how = draw(st.sampled_from(["class", "class", "instance", "only", "exclude", "partial"]))
    if how == "only":
        return cls(only=draw(st.sets(st.sampled_from(names), min_size=1)) if names else None)
    if how == "exclude" and names:
        return cls(exclude=draw(st.sets(st.sampled_from(names), max_size=1)))
    return cls if how == "class" else cls(partial=how == "partial")


def _wire(schema: Any, payload: Any) -> tuple[Any] | None:
    """The JSON that a dump gives, by marshmallow and ``json`` alone; ``None`` if there is none."""
    instance = schema() if isinstance(schema, type) else schema
    try:
        return (json.loads(json.dumps(instance.dump(payload), allow_nan=False, default=plain)),)
    except Exception:
        return None


def _check_document(document: dict[str, Any]) -> None:
    json.dumps(document, sort_keys=True)
    validate_document(document)
    for reference in references(document):
        assert lookup(document, reference) is not None, reference
    for path in document["paths"].values():
        for operation in path.values():
            assert all(isinstance(code, str) for code in operation["responses"])


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(), other=cases())
def test_what_is_sent_is_what_the_published_component_allows(case: Case, other: Case) -> None:
    """A payload is accepted exactly if the document, read by another validator, allows its JSON."""
    webhooks, app = Webhooks(), Flask("shop")
    sent = webhooks.webhook("sent", case.schema)
    webhooks.webhook("other", other.schema)

    @app.post("/taken")
    @webhooks.operation(request=case.schema, responses={200: other.schema, "4XX": "Wrong."})
    @sent
    def take() -> str:
        return ""

    webhooks.init_app(app)
    with app.app_context():
        document = webhooks.document()
    _check_document(document)
    body = document["webhooks"]["sent"]["post"]["requestBody"]["content"]["application/json"]
    published = json.loads(json.dumps(body["schema"], sort_keys=True))
    oracle = jsonschema.Draft202012Validator({**published, "components": document["components"]})
    contract = Contract("sent", case.schema, published, document["components"]["schemas"])
    for payload in case.payloads:
        wire = _wire(case.schema, payload)
        allowed = wire is not None and oracle.is_valid(wire[0])
        try:
            accepted = json.loads(contract.encode(payload))
        except PayloadError:
            assert not allowed, (wire, published)
        else:
            assert allowed, (wire, published)
            assert wire == (accepted,)
