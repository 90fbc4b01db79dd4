"""Which fields the objects of an OpenAPI document may have, of which type, and which they must.

The official JSON Schema of OpenAPI says the same, and is an oracle in the tests.

Source: OpenAPI Specification 3.1.1 and 3.2.0, the tables of fixed fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

from .finding import Finding, shortened

_Rule = Any
_ANY: _Rule = True
_TEXT: _Rule = {"type": "string"}
_TEXTS: _Rule = {"type": "array", "items": _TEXT}
_MAP_OF_TEXTS: _Rule = {"type": "object", "additionalProperties": _TEXT}
_FLAG: _Rule = {"type": "boolean"}
_SCHEMA: _Rule = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
_STATUS = "^([1-5]([0-9][0-9]|XX)|default)$"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_STYLES = {
    "path": ["matrix", "label", "simple"],
    "query": ["form", "spaceDelimited", "pipeDelimited", "deepObject"],
    "header": ["simple"],
    "cookie": ["form", "cookie"],
    "querystring": [],
}
#: The fields that a security scheme of each type must have, and that no other has.
_TYPES = {
    "apiKey": ["name", "in"],
    "http": ["scheme"],
    "mutualTLS": [],
    "oauth2": ["flows"],
    "openIdConnect": ["openIdConnectUrl"],
}


def misshapen(document: Mapping[str, Any]) -> Finding | None:
    """The first object that is not as OpenAPI defines it, deepest in the document."""
    newer = str(document.get("openapi", "")).startswith("3.2")
    errors = _validator(newer).iter_errors(document)
    found = ((tuple(map(str, e.instance_path)), str(e.message)) for e in errors)
    at, message = max(found, key=lambda one: len(one[0]), default=((), ""))
    return Finding(at=at, text=shortened(message)) if message else None


@lru_cache(maxsize=2)
def _validator(newer: bool) -> Any:
    shapes = {kind: _shape(kind, newer) for kind in _FIELDS}
    shapes |= {
        "responses": {**_map("response!", _STATUS), "not": {"propertyNames": {"pattern": "^x-"}}},
        # The official JSON Schema lets no x- field into a Callback Object, so neither does this.
        "callback": _rule("{}item!"),
        "paths": _map("item!", "^/"),
        "schema": _SCHEMA,
        "security": {"type": "array", "items": {"additionalProperties": _TEXTS, "type": "object"}},
        "reference": {
            "type": "object",
            "properties": dict.fromkeys(("$ref", "summary", "description"), _TEXT),
            "additionalProperties": False,
        },
    }
    return jsonschema_rs.Draft202012Validator({"$ref": "#/$defs/document", "$defs": shapes})


def _shape(kind: str, newer: bool) -> _Rule:
    fields = _FIELDS[kind] | (_NEWER.get(kind, {}) if newer else {})
    return {
        "type": "object",
        "properties": {name: _rule(rule) for name, rule in fields.items()},
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "required": [] if newer and kind == "response" else _REQUIRED.get(kind, []),
        **_MORE.get(kind, {}),
        **(_NEWER_MORE.get(kind, {}) if newer else {}),
    }


def _rule(rule: _Rule) -> _Rule:
    """A field's rule out of its shorthand, ``[]`` an array and ``{}`` a map: ``"{}response!"``."""
    if not isinstance(rule, str):
        return rule
    if rule.startswith("[]"):
        return {"type": "array", "items": _of_kind(rule[2:])}
    if rule.startswith("{}"):
        return {"type": "object", "additionalProperties": _of_kind(rule[2:])}
    return _of_kind(rule)


def _of_kind(kind: str) -> _Rule:
    """One object; with ``!`` at its end a Reference Object will do as well."""
    one = {"$ref": f"#/$defs/{kind.rstrip('!')}"}
    if not kind.endswith("!"):
        return one
    refers = {"type": "object", "required": ["$ref"]}
    return {"if": refers, "then": {"$ref": "#/$defs/reference"}, "else": one}


def _map(kind: str, names: str) -> _Rule:
    return {
        "type": "object",
        "patternProperties": {names: _of_kind(kind), "^x-": True},
        "additionalProperties": False,
    }


def _components(kind: str) -> _Rule:
    names = {"propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"}}
    return {"type": "object", "additionalProperties": _rule(kind), **names}


def _when(field: str, value: str, then: _Rule) -> _Rule:
    return {"if": {"properties": {field: {"const": value}}, "required": [field]}, "then": then}


def _type(name: str, fields: list[str]) -> _Rule:
    """A kind of security scheme has its own fields, and none of another kind's."""
    others = {other for known in _TYPES.values() for other in known} - set(fields)
    return _when("type", name, {"required": fields, "properties": dict.fromkeys(others, False)})


def _flow(*required: str) -> _Rule:
    return {**_of_kind("flow"), "required": list(required)}


def _style(place: str, styles: list[str]) -> _Rule:
    never = {} if place == "query" else {"allowReserved": False, "allowEmptyValue": False}
    return _when("in", place, {"properties": {"style": {"enum": styles}, **never}})


_EXAMPLES = {"example": _ANY, "examples": "{}example!"}
_ITEM = {
    "summary": _TEXT, "description": _TEXT, "servers": "[]server", "parameters": "[]parameter!",
    **dict.fromkeys(_METHODS, "operation"),
}  # fmt: skip
_HEADER = {
    "description": _TEXT, "required": _FLAG, "deprecated": _FLAG, "schema": _SCHEMA,
    "content": {"minProperties": 1, "maxProperties": 1, **_rule("{}media")}, "style": _TEXT,
    "explode": _FLAG, **_EXAMPLES,
}  # fmt: skip

_FIELDS: dict[str, dict[str, _Rule]] = {
    "document": {
        "openapi": _TEXT, "info": "info", "jsonSchemaDialect": _TEXT, "servers": "[]server",
        "paths": "paths", "webhooks": "{}item!", "components": "components",
        "security": "security", "tags": "[]tag", "externalDocs": "docs",
    },
    "info": {
        "title": _TEXT, "summary": _TEXT, "description": _TEXT, "termsOfService": _TEXT,
        "contact": "contact", "license": "license", "version": _TEXT,
    },
    "contact": {"name": _TEXT, "url": _TEXT, "email": _TEXT},
    "license": {"name": _TEXT, "identifier": _TEXT, "url": _TEXT},
    "server": {"url": _TEXT, "description": _TEXT, "variables": "{}variable"},
    "variable": {"enum": {**_TEXTS, "minItems": 1}, "default": _TEXT, "description": _TEXT},
    "components": {
        "schemas": _components("schema"), "responses": _components("response!"),
        "parameters": _components("parameter!"), "examples": _components("example!"),
        "requestBodies": _components("body!"), "headers": _components("header!"),
        "securitySchemes": _components("scheme!"), "links": _components("link!"),
        "callbacks": _components("callback!"), "pathItems": _components("item!"),
    },
    "item": _ITEM,
    "operation": {
        "tags": _TEXTS, "summary": _TEXT, "description": _TEXT, "externalDocs": "docs",
        "operationId": _TEXT, "parameters": "[]parameter!", "requestBody": "body!",
        "responses": "responses", "callbacks": "{}callback!", "deprecated": _FLAG,
        "security": "security", "servers": "[]server",
    },
    "docs": {"url": _TEXT, "description": _TEXT},
    "parameter": {
        "name": _TEXT, "in": {"enum": ["query", "header", "path", "cookie"]}, **_HEADER,
        "allowEmptyValue": _FLAG, "allowReserved": _FLAG,
    },
    "header": {**_HEADER, "style": {"const": "simple"}},
    "body": {"description": _TEXT, "content": "{}media", "required": _FLAG},
    "media": {"schema": _SCHEMA, "encoding": "{}encoding", **_EXAMPLES},
    "encoding": {
        "contentType": _TEXT, "headers": "{}header!", "style": {"enum": _STYLES["query"]},
        "explode": _FLAG, "allowReserved": _FLAG,
    },
    "response": {
        "description": _TEXT, "headers": "{}header!", "content": "{}media", "links": "{}link!",
    },
    "example": {"summary": _TEXT, "description": _TEXT, "value": _ANY, "externalValue": _TEXT},
    "link": {
        "operationRef": _TEXT, "operationId": _TEXT, "parameters": _MAP_OF_TEXTS,
        "requestBody": _ANY, "description": _TEXT, "server": "server",
    },
    "tag": {"name": _TEXT, "description": _TEXT, "externalDocs": "docs"},
    "scheme": {
        "type": {"enum": list(_TYPES)},
        "description": _TEXT, "name": _TEXT, "in": {"enum": ["query", "header", "cookie"]},
        "scheme": _TEXT, "bearerFormat": _TEXT, "flows": "flows", "openIdConnectUrl": _TEXT,
    },
    "flows": {
        "implicit": _flow("authorizationUrl"), "password": _flow("tokenUrl"),
        "clientCredentials": _flow("tokenUrl"),
        "authorizationCode": _flow("authorizationUrl", "tokenUrl"),
    },
    "flow": {
        "authorizationUrl": _TEXT, "tokenUrl": _TEXT, "refreshUrl": _TEXT, "scopes": _MAP_OF_TEXTS,
    },
}  # fmt: skip

#: What 3.2 adds.
_NEWER: dict[str, dict[str, _Rule]] = {
    "document": {"$self": _TEXT},
    "server": {"name": _TEXT},
    "components": {"mediaTypes": _components("media!")},
    "item": {"query": "operation", "additionalOperations": "{}operation"},
    "parameter": {"in": {"enum": ["query", "querystring", "header", "path", "cookie"]}},
    "media": {"itemSchema": _SCHEMA, "prefixEncoding": "[]encoding", "itemEncoding": "encoding"},
    "encoding": {
        "encoding": "{}encoding", "prefixEncoding": "[]encoding", "itemEncoding": "encoding",
    },
    "response": {"summary": _TEXT},
    "example": {"dataValue": _ANY, "serializedValue": _TEXT},
    "tag": {"summary": _TEXT, "parent": _TEXT, "kind": _TEXT},
    "scheme": {"deprecated": _FLAG, "oauth2MetadataUrl": _TEXT},
    "flows": {"deviceAuthorization": _flow("deviceAuthorizationUrl", "tokenUrl")},
    "flow": {"deviceAuthorizationUrl": _TEXT},
}  # fmt: skip

_REQUIRED = {
    "document": ["openapi", "info"],
    "info": ["title", "version"],
    "license": ["name"],
    "server": ["url"],
    "variable": ["default"],
    "docs": ["url"],
    "parameter": ["name", "in"],
    "body": ["content"],
    "response": ["description"],
    "tag": ["name"],
    "scheme": ["type"],
    "flow": ["scopes"],
}

_ONE_OF_TWO = {"oneOf": [{"required": ["schema"]}, {"required": ["content"]}]}
#: With ``content`` the media type says how a value is written.
_SERIALIZED = {
    "if": {"required": ["content"]},
    "then": {"properties": dict.fromkeys(("style", "explode", "allowReserved", *_EXAMPLES), False)},
}
#: What more there is to say of a kind of object than its fields one by one.
_MORE: dict[str, dict[str, _Rule]] = {
    "document": {"anyOf": [{"required": [n]} for n in ("paths", "components", "webhooks")]},
    "license": {"not": {"required": ["identifier", "url"]}},
    "header": {"allOf": [_ONE_OF_TWO, _SERIALIZED]},
    "parameter": {
        "allOf": [
            _ONE_OF_TWO, _SERIALIZED,
            _when("in", "path", {"properties": {"required": {"const": True}},
                                 "required": ["required"]}),
            *(_style(place, styles) for place, styles in _STYLES.items()),
        ]
    },
    "example": {"not": {"required": ["value", "externalValue"]}},
    "link": {"oneOf": [{"required": ["operationRef"]}, {"required": ["operationId"]}]},
    "scheme": {
        "allOf": [
            *(_type(name, fields) for name, fields in _TYPES.items()),
            {
                "if": {"required": ["bearerFormat"]},
                "then": {"properties": {"scheme": {"pattern": "^[Bb][Ee][Aa][Rr][Ee][Rr]$"}}},
            },
        ]
    },
}  # fmt: skip
_ONE_EXAMPLE = {"not": {"required": ["example", "examples"]}}
_NEWER_MORE: dict[str, dict[str, _Rule]] = {
    "media": _ONE_EXAMPLE,
    "header": {**_MORE["header"], **_ONE_EXAMPLE},
    "parameter": {**_MORE["parameter"], **_ONE_EXAMPLE},
}
