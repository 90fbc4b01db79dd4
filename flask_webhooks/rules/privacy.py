"""What of a payload is private: marked in the published schema once, hidden wherever people look.

A field is private when its schema says ``"x-private": true``. Whatever may apply to a value counts:
every branch of ``oneOf``, every pattern that its name matches. Where it can't be told what applies,
the value is private.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

#: The keyword of the schema; legal in OpenAPI 3.1 and in JSON Schema 2020-12.
PRIVATE = "x-private"
#: What people see of a private text; of other values the type is said besides.
HIDDEN = "•••"

_KINDS = {bool: "boolean", int: "number", float: "number", dict: "object", list: "list"}
_MARKERS = frozenset({HIDDEN, *(f"{HIDDEN} {kind}" for kind in _KINDS.values())})
#: Levels of a payload that are looked into; what lies deeper is private.
_DEEPEST = 200
#: Keywords whose schemas apply to the value itself: one schema, several, or one for each name.
_ONE, _SEVERAL, _NAMED = (
    ("if", "then", "else"), ("allOf", "anyOf", "oneOf"), ("dependentSchemas",),
)  # fmt: skip

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Privacy:
    """What is private in the payloads of one webhook.

    :param schema: the published schema, usually a reference.
    :param components: the component schemas that references lead to, by name.
    """

    schema: Any
    components: Mapping[str, Any]

    def masked(self, payload: Any) -> Any:
        """A copy of a payload, in its JSON form, in which every private value is a marker.

        Input: ``{"id": 1, "mail": "a@b.example"}``. Output: ``{"id": 1, "mail": "•••"}``. Another
        type than a text is named: ``"••• number"``. ``None`` stays, as it says nothing.
        """
        return self._replaced(payload, [self.schema], marker, 0) if self._any else payload

    def texts(self, payload: Any) -> frozenset[str]:
        """Every private text of a payload, and every private number as JSON writes it."""
        return frozenset(text for value in self._values(payload) for text in _texts(value))

    def speaks_of(self, payload: Any, text: str) -> bool:
        """Whether a private value is the text, or holds it as a value or a member's name."""
        values = self._values(payload)
        return any(text in _texts(value) or text in _members(value) for value in values)

    def _values(self, payload: Any) -> list[Any]:
        """The values that are private, and the names of members that are."""
        found: list[Any] = []

        def keep(value: Any) -> Any:
            found.append(value)
            return value

        if self._any:
            self._replaced(payload, [self.schema], keep, 0)
        return found

    @cached_property
    def _any(self) -> bool:
        """Whether anything at all is marked."""
        return _is_marked_within([self.schema, *self.components.values()])

    def _replaced(
        self, value: Any, schemas: Sequence[Any], hide: Callable[[Any], Any], depth: int
    ) -> Any:
        applying = self._applying(schemas)
        if depth > _DEEPEST or any(map(_is_private, applying)):
            return hide(value)
        if isinstance(value, list):
            return [
                self._replaced(item, list(_of_item(applying, index)), hide, depth + 1)
                for index, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            return value
        names = self._names(value, applying, hide)
        return {
            names[name]: self._replaced(member, list(_of_member(applying, name)), hide, depth + 1)
            for name, member in value.items()
        }

    def _names(
        self, value: Mapping[str, Any], applying: Sequence[Schema], hide: Callable[[Any], Any]
    ) -> Mapping[str, str]:
        """The member names of an object; of a map by private keys each hidden one is numbered."""
        rules = self._applying([schema.get("propertyNames") for schema in applying])
        if not any(map(_is_private, rules)):
            return {name: name for name in value}
        hidden = {name: str(hide(name)) for name in value}
        alike = len(set(hidden.values())) < len(hidden)
        return {n: f"{h} {i}" if alike else h for i, (n, h) in enumerate(hidden.items(), 1)}

    def _applying(self, schemas: Sequence[Any]) -> list[Schema]:
        """The schemas that apply, or may apply, to one value, and all that they refer to."""
        todo, found, seen = list(schemas), [], set()
        while todo:
            schema = todo.pop()
            if isinstance(schema, Mapping) and id(schema) not in seen:
                seen.add(id(schema))
                found.append(schema)
                todo += _beside(schema)
                if "$ref" in schema:
                    todo.append(_led_to(str(schema["$ref"]), self.components))
        return found


#: Of a webhook that nobody declares any more: what is private in there can't be told.
UNKNOWN = Privacy({PRIVATE: True}, {})


def marker(value: Any) -> Any:
    """What is shown in place of a value."""
    if value is None or isinstance(value, str) and value in _MARKERS:
        return value
    return f"{HIDDEN} {_KINDS[type(value)]}" if type(value) in _KINDS else HIDDEN


def _is_private(schema: Schema) -> bool:
    return bool(schema.get(PRIVATE)) or "$dynamicRef" in schema


def _is_marked_within(schemas: Sequence[Any]) -> bool:
    todo = list(schemas)
    while todo:
        schema = todo.pop()
        if isinstance(schema, Mapping):
            if schema.get(PRIVATE):
                return True
            todo += schema.values()
        elif isinstance(schema, list):
            todo += schema
    return False


def _beside(schema: Schema) -> Iterator[Any]:
    yield from (schema.get(word) for word in _ONE)
    for word in _SEVERAL:
        yield from schema.get(word, ())
    for word in _NAMED:
        yield from schema.get(word, {}).values()


def _of_member(applying: Sequence[Schema], name: str) -> Iterator[Any]:
    """What says something of the member ``name`` of an object."""
    for schema in applying:
        known = [schema["properties"][name]] if name in schema.get("properties", ()) else []
        patterns = schema.get("patternProperties", {})
        known += [rule for pattern, rule in patterns.items() if _may_match(pattern, name)]
        yield from known or [schema.get("additionalProperties")]
        yield schema.get("unevaluatedProperties")


def _may_match(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # JSON Schema's patterns are ECMAScript's
        return True


def _of_item(applying: Sequence[Schema], index: int) -> Iterator[Any]:
    """What says something of an item of a list."""
    for schema in applying:
        first = schema.get("prefixItems", ())
        yield first[index] if index < len(first) else schema.get("items")
        yield schema.get("contains")
        yield schema.get("unevaluatedItems")


def _led_to(reference: str, components: Mapping[str, Any]) -> Any:
    """What a reference leads to; where that can't be told, all of it is private."""
    found: Any = {"components": {"schemas": components}}
    for token in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return {PRIVATE: True}
    return found if reference.startswith("#/") else {PRIVATE: True}


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in a value, at any depth."""
    for one in _inside(value):
        if isinstance(one, str) and one not in _MARKERS:
            yield one
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield json.dumps(one)


def _members(value: Any) -> Iterator[str]:
    """The name of every member in a value, at any depth."""
    for one in _inside(value):
        yield from one if isinstance(one, dict) else ()


def _inside(value: Any) -> Iterator[Any]:
    todo = [value]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one, dict | list):
            todo += one.values() if isinstance(one, dict) else one
