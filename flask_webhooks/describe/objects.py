"""Reads every object of an OpenAPI document, and tells what kind of object it is.

Source: OpenAPI Specification 3.1.1 and 3.2.0, the tables of fixed fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .reading import METHODS, At

_ITEM = {**dict.fromkeys(METHODS, "operation"), "parameters": "[]parameter"}
_ONE_SCHEMA = ("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
               "items", "not", "propertyNames", "then", "unevaluatedItems",
               "unevaluatedProperties")  # fmt: skip
_MANY_SCHEMAS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

#: The fields of each kind of object that hold others: one, ``[]`` an array, ``{}`` a map of them.
FIELDS: dict[str, dict[str, str]] = {
    "document": {"paths": "{}item", "webhooks": "{}item", "components": "components"},
    "components": {
        "schemas": "{}schema", "responses": "{}response", "parameters": "{}parameter",
        "examples": "{}example", "requestBodies": "{}body", "headers": "{}parameter",
        "securitySchemes": "{}scheme", "links": "{}link", "callbacks": "{}callback",
        "pathItems": "{}item", "mediaTypes": "{}media",
    },
    "item": {**_ITEM, "additionalOperations": "{}operation"},
    "operation": {
        "parameters": "[]parameter", "requestBody": "body", "responses": "{}response",
        "callbacks": "{}callback",
    },
    "body": {"content": "{}media"},
    "media": {
        "schema": "schema", "itemSchema": "schema", "examples": "{}example",
        "encoding": "{}encoding",
    },
    "encoding": {"headers": "{}parameter"},
    "parameter": {"schema": "schema", "content": "{}media", "examples": "{}example"},
    "response": {"headers": "{}parameter", "content": "{}media", "links": "{}link"},
    "schema": {
        **dict.fromkeys(_ONE_SCHEMA, "schema"),
        **dict.fromkeys(_MANY_SCHEMAS, "{}schema"),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "[]schema"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One object of a document."""

    #: Such as ``"operation"`` or ``"schema"``.
    kind: str
    at: At
    value: Mapping[Any, Any]
    #: The kind of object that it stands in.
    within: str


def objects(document: Mapping[str, Any]) -> Iterator[Node]:
    """Every object of a document, where it is written: no reference is followed."""
    todo = [Node("document", (), document, "")]
    while todo:
        node = todo.pop()
        yield node
        todo += [child for child in _children(node) if isinstance(child.value, Mapping)]


def _children(node: Node) -> Iterator[Node]:
    if node.kind == "callback":
        for key, item in node.value.items():
            if key != "$ref" and not str(key).startswith("x-"):
                yield Node("item", (*node.at, str(key)), item, node.kind)
    for field, target in FIELDS.get(node.kind, {}).items():
        value, at, kind = node.value.get(field), (*node.at, field), target.lstrip("[]{}")
        found: list[tuple[str, Any]] = []
        if target.startswith("{}") and isinstance(value, Mapping):
            found = [(str(key), member) for key, member in value.items()]
        elif target.startswith("[]") and isinstance(value, list):
            found = [(str(index), member) for index, member in enumerate(value)]
        elif target == kind and isinstance(value, Mapping):
            yield Node(kind, at, value, node.kind)
        for token, member in found:
            yield Node(kind, (*at, token), member, node.kind)
