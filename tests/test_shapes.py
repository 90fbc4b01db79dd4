"""The shapes of OpenAPI's objects, against the official JSON Schemas of OpenAPI."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_webhooks import DeclarationError, Webhooks
from flask_webhooks.describe.shapes import misshapen

TEXT = {"type": "string"}
PARAMETER = {"name": "a", "in": "query", "schema": TEXT, "style": "form", "explode": True}
RESPONSE = {
    "description": "Good.",
    "headers": {
        "X-A": {"schema": TEXT, "required": True},
        "X-B": {"$ref": "#/components/headers/B"},
    },
    "content": {"application/json": {"schema": TEXT, "examples": {"a": {"value": 1}}}},
    "links": {"next": {"operationId": "a", "parameters": {"b": "$url"}}},
}
OPERATION = {
    "tags": ["a"],
    "summary": "s",
    "description": "d",
    "externalDocs": {"url": "https://a.example", "description": "d"},
    "operationId": "a",
    "parameters": [
        PARAMETER,
        {"$ref": "#/components/parameters/P"},
        {"name": "h", "in": "header", "required": True, "content": {"text/plain": {}}},
    ],
    "requestBody": {
        "description": "d",
        "required": True,
        "content": {"multipart/form-data": {"schema": TEXT, "encoding": {"a": {"style": "form"}}}},
    },
    "responses": {"200": RESPONSE, "default": {"$ref": "#/components/responses/R"}},
    "callbacks": {"c": {"{$url}": {"post": {"responses": {"2XX": {"description": "d"}}}}}},
    "deprecated": False,
    "security": [{"s": ["a"]}, {}],
    "servers": [{"url": "/", "variables": {"v": {"default": "a", "enum": ["a"]}}}],
    "x-own": 1,
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.1",
    "info": {
        "title": "t", "version": "1", "contact": {"name": "n", "email": "e@a.example"},
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "https://a.example", "description": "d"}],
    "paths": {
        "/a/{b}": {
            "summary": "s",
            "parameters": [{"name": "b", "in": "path", "required": True, "schema": TEXT}],
            "post": OPERATION,
        }
    },
    "webhooks": {"w": {"put": OPERATION}, "v": {"$ref": "#/components/pathItems/I"}},
    "components": {
        "schemas": {"S": TEXT},
        "responses": {"R": RESPONSE},
        "parameters": {"P": PARAMETER},
        "examples": {"E": {"summary": "s", "externalValue": "https://a.example"}},
        "requestBodies": {"B": {"content": {"a/b": {"example": 1}}}},
        "headers": {"B": {"schema": TEXT}},
        "securitySchemes": {
            "s": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "k": {"type": "apiKey", "name": "a", "in": "header"},
            "o": {"type": "oauth2", "flows": {"password": {"tokenUrl": "/t", "scopes": {}}}},
            "i": {"type": "openIdConnect", "openIdConnectUrl": "https://a.example"},
            "m": {"type": "mutualTLS", "description": "d"},
        },
        "links": {"L": {"operationRef": "#/paths", "requestBody": 1, "description": "d"}},
        "callbacks": {"C": {"{$url}": {"$ref": "#/components/pathItems/I"}}},
        "pathItems": {"I": {"get": {}}},
    },
    "security": [{"s": []}],
    "tags": [{"name": "a", "externalDocs": {"url": "https://a.example"}}],
    "externalDocs": {"url": "https://a.example"},
}  # fmt: skip
VALUES: list[Any] = [
    None, True, 1, "x", "simple", "deepObject", "path", "cookie", "oauth2", [], ["x"], [1], {},
    {"x": "y"}, {"x-y": 1}, {"$ref": "#/a"}, {"description": "d"}, [{}],
]  # fmt: skip
NAMES = [
    "x", "x-y", "$ref", "200", "2xx", "default", "style", "example", "examples", "content",
    "schema", "allowEmptyValue", "allowReserved", "required", "in", "name", "value", "query",
    "itemSchema", "identifier", "url", "operationRef", "scheme", "flows", "server", "/p",
]  # fmt: skip


def official(version: str) -> Any:
    """OpenAPI's own JSON Schema, as openapi-spec-validator has it."""
    folder = files("openapi_spec_validator") / "resources" / "schemas" / f"v{version}"
    schema = json.loads((folder / "schema.json").read_text("utf-8"))
    link = schema["$defs"]["link"]["properties"]
    # In the version of 2022 the server of a link is called body: an erratum of theirs.
    link["server"] = link.pop("body", link.get("server"))
    return jsonschema_rs.Draft202012Validator(schema)


OFFICIAL = {version: official(version) for version in ("3.1", "3.2")}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a document, but for what is a schema or data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, member in inner:
        if key not in ("schema", "schemas", "value", "openapi"):
            found.append((*at, key))
            if isinstance(member, dict | list):
                found += places(member, (*at, key))
    return found


PLACES = places(DOCUMENT)


def changed(document: dict[str, Any], change: tuple[str, int, str, Any]) -> dict[str, Any]:
    """A copy in which one member was taken away, replaced or added."""
    how, place, name, value = change
    copied = copy.deepcopy(document)
    *above, last = PLACES[place % len(PLACES)]
    holder = copied
    for key in above:
        holder = holder[key]
    if how == "drop":
        del holder[last]
    elif how == "replace":
        holder[last] = copy.deepcopy(value)
    elif isinstance(holder[last], dict):
        holder[last][name] = copy.deepcopy(value)
    return copied


CHANGES = st.tuples(
    st.sampled_from(["drop", "replace", "add"]),
    st.integers(0, len(PLACES) - 1),
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
)


@settings(max_examples=1500, deadline=None)
@given(change=CHANGES)
def test_what_is_refused_is_what_openapi_refuses(change: Any) -> None:
    """A document of 3.1 is misshapen if and only if the official JSON Schema refuses it."""
    document = changed(DOCUMENT, change)
    assert (misshapen(document) is None) == OFFICIAL["3.1"].is_valid(document)


@settings(max_examples=500, deadline=None)
@given(change=CHANGES)
def test_what_passes_is_valid_in_3_2(change: Any) -> None:
    """What passes, 3.2 allows; of what stands beside a ``$ref`` it allows more than passes."""
    document = changed({**DOCUMENT, "openapi": "3.2.0"}, change)
    assert misshapen(document) is not None or OFFICIAL["3.2"].is_valid(document)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"owner": "sales"}, "('owner' was unexpected). A field of your own begins with x-."),
        ({"tags": "sales"}, "tags (declared at"),
        ({"servers": [{}]}, '"url" is a required property'),
        ({"externalDocs": "https://a.example"}, "is not of type"),
        ({"callbacks": {"a": {"{$url}": []}}}, "is not of type"),
        ({"security": [["a"]]}, "is not of type"),
    ],
)
def test_the_escape_hatch_is_typed(webhooks: Webhooks, app: Any, extra: Any, told: str) -> None:
    """What ``extra`` adds must be as OpenAPI defines it: the error names place and declaration."""
    webhooks.webhook("sold", {}, extra=extra)
    webhooks.init_app(app)
    with app.app_context(), pytest.raises(DeclarationError) as error:
        webhooks.document()
    assert str(error.value).startswith("webhooks → sold → post")
    assert f"(declared at {webhooks['sold'].place})" in str(error.value)
    assert told in str(error.value)
