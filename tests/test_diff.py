"""``describe/diff`` and ``flask webhooks diff``: what changed, and what breaks receivers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from flask_webhooks import Webhooks
from flask_webhooks.describe.diff import changes

KEY = "{$request.body#/url}"


def _document(schema: Any, /, components: Any = None, **operation: Any) -> dict[str, Any]:
    """A document with the webhook ``paid``, whose payload is ``schema``."""
    content = {"application/json": {"schema": schema}}
    described = {"requestBody": {"required": True, "content": content}, **operation}
    return {
        "openapi": "3.1.1",
        "info": {"title": "Shop", "version": "1"},
        "webhooks": {"paid": {"post": described}},
        "components": {"schemas": components or {}},
    }


def _told(old: Any, new: Any, *, wording: bool = False) -> list[str]:
    """Each change in a line: whether it breaks, where, and what it is."""
    return [
        f"{'BREAKS' if change.breaks else 'ok'} {change.path} {change.what}"
        for change in changes(old, new)
        if wording or not change.wording
    ]


def _of(old: Any, new: Any) -> list[str]:
    """What is told of two payload schemas."""
    return _told(_document(old), _document(new))


STRING = {"type": "string"}
CARD = {"title": "Card", "type": "object", "properties": {"number": STRING}}
BANK = {"title": "Bank", "type": "object", "properties": {"iban": STRING}}
CASH = {"title": "Cash", "type": "object"}


def _object(required: Any = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    "old, new, there, back",
    [
        # types
        (STRING, {"type": "integer"}, "BREAKS $ string became integer",
         "BREAKS $ integer became string"),
        (STRING, {"type": ["string", "null"]}, "BREAKS $ may be null now",
         "ok $ is never null any more"),
        ({"type": "integer"}, {"type": "number"}, "BREAKS $ integer became number",
         "ok $ number became integer"),
        (STRING, {}, "BREAKS $ string became anything",
         "ok $ could be anything, is string now"),
        (STRING, {"type": ["string", "integer"]}, "BREAKS $ may be integer now",
         "ok $ is never integer any more"),
        (STRING, {"type": "string", "nullable": True}, "BREAKS $ may be null now",
         "ok $ is never null any more"),
        (STRING, {"anyOf": [STRING, {"type": "null"}]}, "BREAKS $ may be null now",
         "ok $ is never null any more"),
        # values
        ({"enum": ["a"], "type": "string"}, {"enum": ["a", "b"], "type": "string"},
         'BREAKS $ may be "b" now', 'ok $ is never "b" any more'),
        ({"enum": ["a", "b"]}, STRING, 'BREAKS $ any value may come now, not only "a" or "b"',
         'ok $ only "a" or "b" may come now'),
        ({"const": 1}, {"const": 2}, "BREAKS $ was 1, is 2 now", "BREAKS $ was 2, is 1 now"),
        ({"const": "a"}, {"enum": ["a", "b"]}, 'BREAKS $ may be "b" now',
         'ok $ is never "b" any more'),
        ({"type": "boolean", "const": True}, {"type": "boolean"},
         "BREAKS $ any value may come now, not only true", "ok $ only true may come now"),
        # bounds
        ({**STRING, "maxLength": 5}, {**STRING, "maxLength": 9},
         "BREAKS $ maxLength 5 became maxLength 9", "ok $ maxLength 9 became maxLength 5"),
        ({**STRING, "maxLength": 5}, STRING, "BREAKS $ maxLength 5 no longer holds",
         "ok $ maxLength is 5 now"),
        ({**STRING, "minLength": 2}, {**STRING, "minLength": 1},
         "BREAKS $ minLength 2 became minLength 1", "ok $ minLength 1 became minLength 2"),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0},
         "BREAKS $ minimum 1 became minimum 0", "ok $ minimum 0 became minimum 1"),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0},
         "BREAKS $ exclusiveMinimum 0 became minimum 0",
         "ok $ minimum 0 became exclusiveMinimum 0"),
        ({"type": "number", "exclusiveMaximum": 9}, {"type": "number", "maximum": 9},
         "BREAKS $ exclusiveMaximum 9 became maximum 9",
         "ok $ maximum 9 became exclusiveMaximum 9"),
        ({"type": "array", "maxItems": 1}, {"type": "array"},
         "BREAKS $ maxItems 1 no longer holds", "ok $ maxItems is 1 now"),
        ({"type": "integer", "multipleOf": 4}, {"type": "integer", "multipleOf": 2},
         "BREAKS $ multipleOf 4 became 2", "ok $ multipleOf 2 became 4"),
        ({"type": "array", "uniqueItems": True}, {"type": "array"},
         "BREAKS $ uniqueItems True no longer holds", "ok $ uniqueItems is True now"),
        # rules
        ({**STRING, "format": "uuid"}, {**STRING, "format": "uri"},
         "BREAKS $ format uuid became uri", "BREAKS $ format uri became uuid"),
        ({**STRING, "pattern": "^a"}, STRING, "BREAKS $ pattern ^a no longer holds",
         "ok $ pattern is ^a now"),
        ({**STRING, "pattern": "^a"}, {**STRING, "pattern": "^b"},
         "BREAKS $ pattern ^a became ^b", "BREAKS $ pattern ^b became ^a"),
        (STRING, {**STRING, "contentEncoding": "base64"},
         "BREAKS $ contentEncoding is base64 now",
         "BREAKS $ contentEncoding base64 no longer holds"),
        ({"type": "object", "not": {"required": ["a"]}}, {"type": "object"},
         "BREAKS $ not changed, and may allow more now", "ok $ not restricts it now"),
        # objects
        (_object(a=STRING), _object(), "BREAKS $.a removed", "ok $.a added"),
        (_object("a", a=STRING), _object(a=STRING),
         "BREAKS $.a was required, and may be missing now", "ok $.a is always there now"),
        (_object(a=_object(b=STRING)), _object(a=_object(b={"type": "integer"})),
         "BREAKS $.a.b string became integer", "BREAKS $.a.b integer became string"),
        (_object(**{"unit price": STRING}), _object(), "BREAKS $['unit price'] removed",
         "ok $['unit price'] added"),
        ({"type": "object", "required": ["a"]}, {"type": "object"},
         "BREAKS $.a was required, and may be missing now", None),
        ({"type": "object", "additionalProperties": False}, {"type": "object"},
         "BREAKS $.* other properties may come now",
         "ok $.* no other properties come any more"),
        ({"type": "object", "additionalProperties": False},
         {**_object(a=STRING), "additionalProperties": False},
         "BREAKS $.a added where nothing more was allowed", "BREAKS $.a removed"),
        ({"type": "object", "additionalProperties": STRING}, {"type": "object"},
         "BREAKS $.* string became anything", "ok $.* could be anything, is string now"),
        ({"type": "object", "patternProperties": {"^x": STRING}}, {"type": "object"},
         "BREAKS $[/^x/] removed", "ok $[/^x/] added"),
        ({"type": "object", "patternProperties": {"^x": STRING}},
         {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
         "BREAKS $[/^x/] string became integer", "BREAKS $[/^x/] integer became string"),
        # arrays
        ({"type": "array", "items": STRING}, {"type": "array", "items": {"type": "integer"}},
         "BREAKS $[] string became integer", "BREAKS $[] integer became string"),
        ({"type": "array", "items": _object(a=STRING)}, {"type": "array", "items": _object()},
         "BREAKS $[].a removed", "ok $[].a added"),
        ({"type": "array", "prefixItems": [STRING], "items": False},
         {"type": "array", "prefixItems": [STRING, STRING], "items": False},
         "BREAKS $[1] may be string now", "ok $[1] is never string any more"),
        # what held for all that was not named holds for what is named now
        ({"type": "object", "additionalProperties": STRING},
         {**_object(a={"type": "integer"}), "additionalProperties": STRING},
         ["ok $.a added", "BREAKS $.a string became integer"], "BREAKS $.a removed"),
        ({"type": "object", "patternProperties": {"^a": STRING}},
         {**_object(a={"type": ["string", "null"]}), "patternProperties": {"^a": STRING}},
         "ok $.a added", "BREAKS $.a removed"),
        ({"type": "object", "additionalProperties": False},
         {"type": "object", "additionalProperties": False, "patternProperties": {"^x": STRING}},
         "BREAKS $[/^x/] added where nothing more was allowed", "BREAKS $[/^x/] removed"),
        ({"type": "object", "unevaluatedProperties": False},
         {**_object(a=STRING), "unevaluatedProperties": False},
         "BREAKS $.a added where nothing more was allowed", "BREAKS $.a removed"),
        (_object("a"), _object(a=STRING),
         ["ok $.a added", "BREAKS $.a was required, and may be missing now"], None),
        # no type is any type, but not without limits
        ({"maxLength": 5}, STRING,
         ["ok $ could be anything, is string now", "BREAKS $ maxLength 5 no longer holds"],
         "BREAKS $ string became anything"),
        ({"maxLength": 5}, {"type": "integer"}, "ok $ could be anything, is integer now",
         "BREAKS $ integer became anything"),
        (STRING, {**STRING, "maxItems": 3}, None, None),
        ({"pattern": "^a"}, {"enum": ["a", "b"]},
         ['ok $ could be anything, is "a" or "b" now', 'BREAKS $ may be "b" now'],
         'BREAKS $ "a" or "b" became anything'),
        ({**STRING, "maxLength": 1}, {"enum": ["a", "b"]}, 'ok $ only "a" or "b" may come now',
         None),
        # nothing at all
        ({"anyOf": [STRING, False]}, STRING, None, None),
        (_object(a=False), _object(a=STRING), "BREAKS $.a may be string now",
         "ok $.a is never string any more"),
        # formats that are a special case of others, and numbers that are the same
        ({"type": "integer", "format": "int64"}, {"type": "integer", "format": "int32"},
         "ok $ format int64 became int32", "BREAKS $ format int32 became int64"),
        ({"const": 1}, {"const": 1.0}, None, None),
        # allOf
        ({"allOf": [{**STRING, "pattern": "^a"}, {"pattern": "b$"}]}, {**STRING, "pattern": "b$"},
         "BREAKS $ pattern ^a and b$ became b$", None),
        ({"allOf": [{"type": ["number", "string"]}, {"type": ["integer", "string"]}]},
         {"type": ["integer", "string"]}, None, None),
        ({"allOf": [{**STRING, "enum": ["a", "b"]}, {"maxLength": 0}]}, {"enum": ["a"]},
         'BREAKS $ may be "a" now', None),
        ({"allOf": [{"items": STRING, "type": "array"}, {"prefixItems": [{"const": "a"}]}]},
         {"type": "array", "items": STRING, "prefixItems": [{"const": "b", "type": "string"}]},
         'BREAKS $[0] was "a", is "b" now', None),
        # alternatives
        ({"oneOf": [CARD, BANK]}, {"oneOf": [CARD, BANK, CASH]},
         "BREAKS $ may be Cash (object) now", "ok $ is never Cash (object) any more"),
        ({"oneOf": [CARD, BANK]}, {"anyOf": [CASH, BANK, CARD]},
         "BREAKS $ may be Cash (object) now", "ok $ is never Cash (object) any more"),
        ({"oneOf": [CARD, BANK]}, {"oneOf": [{**CARD, "properties": {}}, BANK]},
         "BREAKS $.number removed (where it is Card)", "ok $.number added (where it is Card)"),
        (CARD, {"oneOf": [CARD, BANK]}, "BREAKS $ may be Bank (object) now",
         "ok $ is never Bank (object) any more"),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, {"oneOf": [{"const": "a"}]},
         'ok $ is never "b" any more', 'BREAKS $ may be "b" now'),
        # the same, written otherwise
        ({"allOf": [_object("a", a=STRING), _object(b=STRING)]},
         _object("a", a=STRING, b=STRING), None, None),
        ({"allOf": [{**STRING, "maxLength": 9}, {"maxLength": 5}]}, {**STRING, "maxLength": 5},
         None, None),
        ({"allOf": [{"type": ["string", "null"]}, STRING]}, STRING, None, None),
        ({"anyOf": [STRING, {"type": "integer"}]}, {"type": ["integer", "string"]}, None, None),
        ({"properties": {"a": STRING}}, _object(a=STRING), None, None),
        ({"type": "object", "properties": {"a": True}}, _object(a={}), None, None),
    ],
)  # fmt: skip
def test_payload_changes(
    old: Any, new: Any, there: str | list[str] | None, back: str | None
) -> None:
    """What widens what can arrive breaks receivers, the same change backwards does not."""
    assert _of(old, new) == ([there] if isinstance(there, str) else there or [])
    if back is not None:
        assert _of(new, old) == [back]


@pytest.mark.parametrize(
    "word", ["title", "description", "default", "example", "examples", "deprecated", "$comment"]
)
def test_words_about_the_payload_are_only_wording(word: str) -> None:
    """They change nothing that is sent, and are marked so."""
    old, new = _document(_object(a=STRING)), _document(_object(a={**STRING, word: "x"}))
    [change] = changes(old, new)
    assert (change.path, change.what, change.breaks) == ("$.a", f"{word} changed", False)
    assert change.wording


def test_references_are_followed_in_both_documents() -> None:
    """A component that changed is told at each place, whatever its name is."""
    old = _document(
        _object(a={"$ref": "#/components/schemas/Old"}, b={"$ref": "#/components/schemas/Old"}),
        components={"Old": _object(x={"$ref": "#/components/schemas/Deep"}), "Deep": STRING},
    )
    new = _document(
        _object(a={"$ref": "#/components/schemas/New"}, b={"$ref": "#/components/schemas/New"}),
        components={"New": _object(x={"$ref": "#/components/schemas/Deep"}), "Deep": {}},
    )
    assert _told(old, new) == [
        "BREAKS $.a.x string became anything", "BREAKS $.b.x string became anything"
    ]  # fmt: skip


def test_anchors_are_followed() -> None:
    """A reference to an ``$anchor`` leads to where that stands, at any depth."""
    old = _object(a={"$ref": "#it"}) | {"$defs": {"A/B": {"$anchor": "it", "type": "string"}}}
    new = _object(a={"$ref": "#it"}) | {"$defs": {"A/B": {"$anchor": "it", "type": "integer"}}}
    assert _of(old, new) == ["BREAKS $.a string became integer"]


def test_words_beside_a_reference_count() -> None:
    """What stands beside a ``$ref`` holds besides what that leads to."""
    components = {"A": _object(x=STRING)}
    one = {"$ref": "#/components/schemas/A"}
    old = _document({**one, "required": ["x"]}, components=components)
    new = _document(one, components=components)
    assert _told(old, new) == ["BREAKS $.x was required, and may be missing now"]


def _pets(name: str, **mapping: str) -> Any:
    parts = [{"$ref": "#/components/schemas/Cat"}, STRING]
    told = {"propertyName": name, "mapping": mapping}
    return _document({"oneOf": parts, "discriminator": told}, components={"Cat": _object()})


@pytest.mark.parametrize(
    "old, new, told",
    [
        (_pets("kind", cat="Cat"), _pets("kind", cat="#/components/schemas/Cat"), []),
        (_pets("kind", cat="Cat"), _pets("type", cat="Cat"),
         ["BREAKS $ was told apart by kind, now by type"]),
        (_pets("kind", cat="Cat"), _pets("kind", cat="Cat", lynx="Cat"),
         ['BREAKS $ may be told apart by "lynx" now']),
        (_pets("kind", cat="Cat", lynx="Cat"), _pets("kind", cat="Cat"),
         ['ok $ is never told apart by "lynx" any more']),
    ],
)  # fmt: skip
def test_discriminators(old: Any, new: Any, told: list[str]) -> None:
    """The property and its values are what receivers switch on; names of components are not."""
    assert _told(old, new) == told


def _promised(**more: Any) -> Any:
    promises = {"timeout": 20, "disableAfter": 432000, "retrySchedule": [0, 5], "publicKeys": ["a"]}
    return {"openapi": "3.1.1", "x-webhooks-delivery": {**promises, **more}}


@pytest.mark.parametrize(
    "new, told",
    [
        (_promised(timeout=5), ["BREAKS timeout 20 seconds became 5 seconds"]),
        (_promised(timeout=30), ["ok timeout 20 seconds became 30 seconds"]),
        (_promised(retrySchedule=[0]), ["BREAKS attempts 2 became 1"]),
        (_promised(retrySchedule=[0, 9]), []),
        (_promised(disableAfter=86400), ["BREAKS disabled after 5 days became 1 day"]),
        (_promised(publicKeys=["b"]), []),
        ({"openapi": "3.1.1"}, []),
    ],
)
def test_promises_about_deliveries(new: Any, told: list[str]) -> None:
    """Less time or fewer attempts break receivers; public keys differ from place to place."""
    assert _told(_promised(), new) == told


def test_a_reference_may_be_written_out() -> None:
    """What a reference leads to is the same as the reference."""
    old = _document({"$ref": "#/components/schemas/A"}, components={"A": _object(x=STRING)})
    assert _told(old, _document(_object(x=STRING))) == []


@pytest.mark.parametrize(
    "schema",
    [
        _object(next={"$ref": "#/components/schemas/Node"}),
        {"anyOf": [{"$ref": "#/components/schemas/Node"}, STRING]},
        {"allOf": [{"$ref": "#/components/schemas/Node"}, _object(a=STRING)]},
        {"$ref": "#/components/schemas/Node"},
        {"allOf": [_object(n={"$ref": "#/components/schemas/Node"}),
                   _object(n={"$ref": "#/components/schemas/Node", "minProperties": 1})]},
    ],
)  # fmt: skip
def test_schemas_that_contain_themselves_end(schema: Any) -> None:
    """A recursive component is entered once, and its changes are still told."""
    old = _document({"$ref": "#/components/schemas/Node"}, components={"Node": schema})
    new = copy.deepcopy(old)
    assert _told(old, new) == []
    new["components"]["schemas"]["Node"] = {**schema, "maxProperties": 3}
    assert all(line.startswith("ok $") for line in _told(old, new))
    assert all(line.startswith("BREAKS $") for line in _told(new, old))


def test_shared_components_do_not_explode() -> None:
    """Twenty layers that each refer twice to the next have a million paths; it takes no time."""
    layers = {
        f"L{n}": _object(
            a={"$ref": f"#/components/schemas/L{n + 1}"},
            b={"$ref": f"#/components/schemas/L{n + 1}"},
        )
        for n in range(20)
    }
    old, new = (
        _document({"$ref": "#/components/schemas/L0"}, components={**layers, "L20": last})
        for last in (STRING, {"type": "integer"})
    )
    told = _told(old, new)
    assert 0 < len(told) <= 20
    assert told[0] == f"BREAKS ${'.a' * 20} string became integer"


def _body(schema: Any) -> Any:
    return {"description": "Fine", "content": {"application/json": {"schema": schema}}}


def _request(**operation: Any) -> Any:
    return _document(STRING, **operation)


def _header(**more: Any) -> Any:
    return [{"in": "header", "name": "X-Id", "schema": STRING, **more}]


@pytest.mark.parametrize(
    "old, new, told",
    [
        (_request(), _request(requestBody=None), "BREAKS body no longer sent"),
        (_request(requestBody=None), _request(), "ok body added"),
        (_request(), _request(requestBody={"content": {"application/json": {"schema": STRING}}}),
         "BREAKS body was required, and may be missing now"),
        (_request(), _request(requestBody={"required": True, "content": {
            "application/json": {"schema": STRING}, "text/plain": {}}}),
         "BREAKS content type text/plain may arrive now"),
        (_request(parameters=_header()), _request(), "BREAKS header x-id removed"),
        (_request(), _request(parameters=_header()), "ok header x-id added"),
        (_request(parameters=_header(required=True)), _request(parameters=_header()),
         "BREAKS header x-id was required, and may be missing now"),
        (_request(parameters=_header()), _request(parameters=_header(schema={"type": "integer"})),
         "BREAKS header x-id string became integer"),
        (_request(parameters=[{"in": "query", "name": "q", "schema": {}}]), _request(),
         "BREAKS query q removed"),
        (_request(security=[{"sign": []}]), _request(security=[]),
         "BREAKS security how the request proves its sender changed"),
        (_request(responses={"200": {}, "202": {}}), _request(responses={"200": {}}),
         "BREAKS answers success was 200, 202, now 200"),
        (_request(responses={"2XX": {}}), _request(responses={"204": {}}),
         "BREAKS answers success was 2XX, now 204"),
        (_request(), _request(responses={"204": {}}), "BREAKS answers success was 2XX, now 204"),
        (_request(responses={"200": {}}), _request(responses={"200": _body(STRING)}),
         "BREAKS answers 200 is to carry a body now"),
        (_request(responses={"200": _body(_object())}),
         _request(responses={"200": _body(_object("a", a=STRING))}),
         "BREAKS answers the body of 200 must be another: see $.a"),
        (_request(responses={"200": _body(STRING)}),
         _request(responses={"200": {"content": {"text/plain": {}}}}),
         "BREAKS answers 200 is no longer to be application/json"),
        (_request(parameters=_header()), _request(parameters=_header(explode=True)),
         "BREAKS header x-id was written as one for all values, now as one for each value"),
        (_request(parameters=_header()), _request(parameters=_header(style="label")),
         "BREAKS header x-id was written as simple, now as label"),
        (_request(security=[{"a": []}]), _request(security=[{"a": []}, {"b": []}]),
         "BREAKS security how the request proves its sender changed"),
        (_request(security=[{"a": []}, {"b": []}]), _request(security=[{"a": []}]),
         "ok security one of the ways to prove the sender is gone"),
        (_request(security=[]), _request(security=[{"a": []}]),
         "ok security the request proves its sender now"),
        (_request(security=[{"a": []}]), _request(security=[{"a": []}, {}]),
         "BREAKS security how the request proves its sender changed"),
        (_request(responses={"204": {}}), _request(), "ok answers success was 204, now 2XX"),
        (_request(responses={"410": {}}), _request(), "ok answers 410 is no longer documented"),
    ],
)  # fmt: skip
def test_request_changes(old: Any, new: Any, told: str) -> None:
    """Body, parameters, security and answers: what a receiver relied on must stay."""
    assert _told(old, new) == [told]


@pytest.mark.parametrize(
    "old, new",
    [
        (_request(parameters=_header()), _request(parameters=_header(name="x-ID"))),
        (_request(responses={"2XX": {}}), _request()),
        (_request(responses={"200": {}, "2XX": {}}), _request()),
        (_request(), {**_request(), "servers": [{"url": "https://example.com"}]}),
        (_request(security=[]), _request()),
        (_request(security=[{"a": ["x", "y"]}]), _request(security=[{"a": ["y", "x"]}])),
        (
            _request(responses={"200": _body({"enum": ["a"]})}),
            _request(responses={"200": _body({"enum": ["a", "b"]})}),
        ),
        (
            _request(),
            _request(
                requestBody={
                    "required": True,
                    "content": {"Application/JSON; charset=utf-8": {"schema": STRING}},
                }
            ),
        ),
        (_request(parameters=_header()), _request(parameters=_header(style="simple"))),
    ],
)
def test_what_is_the_same_request(old: Any, new: Any) -> None:
    """Names of headers and media types ignore case; what is the default may be said or not."""
    assert _told(old, new) == []


def test_a_security_scheme_may_be_described_otherwise() -> None:
    """Other words are no change, another header is."""
    scheme = {"type": "apiKey", "in": "header", "name": "X-A"}
    documents = []
    for more in ({}, {"description": "New words."}, {"name": "X-B"}):
        document = _request(security=[{"sign": []}])
        document["components"]["securitySchemes"] = {"sign": {**scheme, **more}}
        documents.append(document)
    assert _told(documents[0], documents[1]) == []
    assert _told(documents[0], documents[2]) == [
        "BREAKS security how the request proves its sender changed"
    ]


def _webhooks(**items: Any) -> Any:
    return {"openapi": "3.1.1", "info": {}, "webhooks": items}


@pytest.mark.parametrize(
    "old, new, told",
    [
        (_webhooks(a={"post": {}}), _webhooks(), ["BREAKS  removed"]),
        (_webhooks(), _webhooks(a={"post": {}}), ["ok  added"]),
        (_webhooks(a={"post": {}}), _webhooks(a={"put": {}}), ["BREAKS method POST became PUT"]),
        (_webhooks(a={"post": {}, "put": {}}), _webhooks(a={"put": {}}),
         ["BREAKS method POST is no longer sent"]),
        (_webhooks(a={"put": {}}), _webhooks(a={"post": {}, "put": {}}),
         ["BREAKS method POST is sent besides"]),
    ],
)  # fmt: skip
def test_webhooks_and_methods(old: Any, new: Any, told: list[str]) -> None:
    """What is gone breaks receivers, and so does a request that they have never seen."""
    assert _told(old, new) == told


def _callbacks(path: str = "/orders", name: str = "onOrder", key: str = KEY, **more: Any) -> Any:
    callbacks = {name: {key: {"post": {}}, **more}}
    return {"openapi": "3.1.1", "info": {}, "paths": {path: {"post": {"callbacks": callbacks}}}}


@pytest.mark.parametrize(
    "old, new, told",
    [
        (_callbacks(), _callbacks(), []),
        (_callbacks("/a/{b}"), _callbacks("/a/{c}"), []),
        (_callbacks(), _callbacks(name="other"), ["BREAKS  removed", "ok  added"]),
        (_callbacks("/a"), _callbacks("/b"), ["BREAKS  removed", "ok  added"]),
        (_callbacks(), _callbacks(key="{$request.body#/uri}"),
         ["BREAKS url was taken from {$request.body#/url}, now from {$request.body#/uri}"]),
        (_callbacks(), _callbacks(**{"{$url}": {"put": {}}}), ["ok  added"]),
    ],
)  # fmt: skip
def test_callbacks(old: Any, new: Any, told: list[str]) -> None:
    """A callback is the same one while its name and its call are; its expression may change."""
    assert _told(old, new) == told


def test_callbacks_are_named_with_their_call() -> None:
    """Two of the same name on two calls can be told apart."""
    [change] = changes(_callbacks("/shops/{shop}/orders"), {"openapi": "3.1.1"})
    assert (change.kind, change.name) == ("callback", "onOrder on POST /shops/{shop}/orders")


_TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null"])
_LEAVES = st.one_of(
    _TYPES.map(lambda kind: {"type": kind}),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(1, 3)),
    st.builds(lambda v: {"enum": v}, st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
    st.just({}),
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda p, r: {"type": "object", "properties": p, "required": sorted(r & set(p))},
            st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
            st.sets(st.sampled_from("xyz")),
        ),
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"allOf": parts}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=8,
)


@given(_SCHEMAS)
def test_nothing_changed_in_the_same_document(schema: Any) -> None:
    """A document compared with a copy of itself has no changes."""
    assert changes(_document(schema), _document(copy.deepcopy(schema))) == []


@given(_SCHEMAS, _SCHEMAS)
def test_any_two_schemas_can_be_compared(old: Any, new: Any) -> None:
    """Every pair of schemas is compared without an error."""
    changes(_document(old), _document(new))


_LIMITED = st.sampled_from(
    [{"maxLength": 1}, {"minimum": 1}, {"pattern": "^a"}, {"const": "a"}, {"enum": ["a", 1, None]},
     {"not": {"type": "string"}}, {"multipleOf": 2}, {"type": ["integer", "string"]}, True, False,
     {"type": "array", "prefixItems": [{"const": "a"}], "items": False},
     {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": False},
     {"type": "object", "additionalProperties": {"type": "integer"}},
     {"type": "object", "patternProperties": {"^x": {"type": "string"}}}]
)  # fmt: skip
_WIDE = st.one_of(
    _SCHEMAS,
    _LIMITED,
    st.builds(lambda a, b: {"allOf": [a, b]}, _LIMITED, st.one_of(_LIMITED, _SCHEMAS)),
    st.builds(lambda a, b: {"anyOf": [a, b]}, _LIMITED, st.one_of(_LIMITED, _SCHEMAS)),
    st.builds(
        lambda a, rest: {"type": "object", "properties": {"x": a}, "additionalProperties": rest},
        _LIMITED, _LIMITED,
    ),
)  # fmt: skip
_PRIMITIVES: list[Any] = ["", "a", "b", "ab", 0, 1, 2, 1.5, -1, True, None]
_VALUES: list[Any] = [
    *_PRIMITIVES, [], {}, *([value] for value in _PRIMITIVES), ["a", "a"], ["a", 1],
    *({name: value} for name in "xyz" for value in _PRIMITIVES),
    {"x": "a", "y": 1}, {"x": 1, "y": "a", "z": None}, {"x": {"x": 1}}, {"x": ["a"]}, [[1]], [{}],
]  # fmt: skip


@settings(max_examples=300)
@given(_WIDE, _WIDE)
def test_what_does_not_break_lets_nothing_new_through(old: Any, new: Any) -> None:
    """Unless a change breaks receivers, each value that the new schema takes the old one took."""
    if not any(change.breaks for change in changes(_document(old), _document(new))):
        before, after = Draft202012Validator(old), Draft202012Validator(new)
        assert [v for v in _VALUES if after.is_valid(v) and not before.is_valid(v)] == []


@pytest.mark.parametrize(
    "strange",
    [
        {"openapi": "3.1.1", "paths": [], "webhooks": {"a": 1, "b": {"post": []}}},
        {"openapi": "3.1.1", "webhooks": {"paid": {"post": {"parameters": {}, "security": 1}}}},
        _document({"type": 3, "properties": [], "enum": "x", "anyOf": {}, "required": "no"}),
        _document({"$ref": "#/nowhere", "allOf": [1, False], "maxLength": "x"}),
        _document({"enum": 3, "items": [1], "prefixItems": {}, "minimum": True}),
        _document([]),
    ],
)
def test_strange_documents_are_survived(strange: Any) -> None:
    """What stands where an object should is passed over, in either place."""
    good = _document(_object("a", a=STRING))
    changes(good, strange)
    changes(strange, good)


# flask webhooks diff


@pytest.fixture
def diff(app: Flask, webhooks: Webhooks) -> Any:
    """Runs the command for a small app."""
    schema = _object(["id"], id=STRING, note=STRING)
    webhooks.webhook("paid", schema, summary="Paid")
    webhooks.init_app(app)

    def run(*arguments: str, **more: Any) -> Result:
        return app.test_cli_runner().invoke(args=["webhooks", "diff", *arguments], **more)

    return run


@pytest.fixture
def old(app: Flask, webhooks: Webhooks, diff: Any) -> Any:
    """The app's document as it is, to be changed into an older one."""
    with app.app_context():
        return webhooks.document()


def _payload(document: Any) -> Any:
    [component] = document["components"]["schemas"].values()
    return component


def test_the_same_document_has_no_changes(diff: Any, old: Any) -> None:
    """One line says so, and the exit status is 0."""
    result = diff("-", input=json.dumps(old))
    assert (result.output, result.exit_code) == ("Nothing changed for receivers.\n", 0)


def test_what_breaks_is_told_with_its_name_and_place(diff: Any, old: Any, tmp_path: Path) -> None:
    """A line for each change, breaking or not; the exit status is 1."""
    payload = _payload(old)
    payload["properties"] = {"id": {"type": "integer"}, "gone": STRING}
    old["webhooks"]["held"] = old["webhooks"]["paid"]
    old["webhooks"]["paid"]["post"]["summary"] = "Once"
    (tmp_path / "old.json").write_text(json.dumps(old), "utf-8")
    result = diff(str(tmp_path / "old.json"))
    assert result.output == (
        "BREAKS  paid  $.id    integer became string\n"
        "BREAKS  paid  $.gone  removed\n"
        "ok      paid  $.note  added\n"
        "BREAKS  held  -       removed\n"
        "3 changes break receivers.\n"
        "1 more in mere words: --all shows them.\n"
    )
    assert result.exit_code == 1
    assert (
        "ok      paid  -       summary changed\n"
        in diff("--all", "-", input=json.dumps(old)).output
    )


def test_harmless_changes_end_well(diff: Any, old: Any) -> None:
    """They are shown, and the exit status is 0."""
    del _payload(old)["properties"]["note"]
    result = diff("-", input=json.dumps(old))
    assert result.output == "ok  paid  $.note  added\nNothing breaks receivers.\n"
    assert result.exit_code == 0


def test_json_has_an_object_for_each_change(diff: Any, old: Any) -> None:
    """With ``--json`` a program can read them, with the same exit status."""
    _payload(old)["properties"]["gone"] = STRING
    result = diff("--json", "-", input=json.dumps(old))
    assert json.loads(result.output) == {
        "kind": "webhook", "name": "paid", "path": "$.gone", "what": "removed",
        "breaks": True, "wording": False,
    }  # fmt: skip
    assert result.exit_code == 1


def test_a_file_that_is_no_document_is_refused(diff: Any, tmp_path: Path) -> None:
    """The file is named, and the exit status is not that of a breaking change."""
    (tmp_path / "old.json").write_text("{}", "utf-8")
    result = diff(str(tmp_path / "old.json"))
    assert "old.json is no OpenAPI 3 document: it has no field 'openapi'." in result.output
    assert result.exit_code == 2
    assert diff(str(tmp_path / "none.json")).exit_code == 2
