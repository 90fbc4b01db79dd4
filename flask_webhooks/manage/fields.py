"""Turns a payload's schema into the rows of a table: one row for each field, nested ones included.

Source: JSON Schema 2020-12, "Validation"; a reference beside other keywords is allowed there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..rules.privacy import PRIVATE
from .prose import Paragraph, paragraphs

# Schemas that all refer to each other would fill a table without end.
_DEEPEST = 8
_LONGEST = 400

#: What a keyword says about a value: the words before it and the unit after it.
_BOUNDS = {
    "minimum": ("at least", ""),
    "exclusiveMinimum": ("more than", ""),
    "maximum": ("at most", ""),
    "exclusiveMaximum": ("less than", ""),
    "multipleOf": ("a multiple of", ""),
    "minLength": ("at least", "characters"),
    "maxLength": ("at most", "characters"),
    "pattern": ("matches", ""),
    "minItems": ("at least", "items"),
    "maxItems": ("at most", "items"),
}


@dataclass(frozen=True)
class Note:
    """A rule for a value: words, values in their JSON form, and a unit."""

    words: str
    values: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One field of a payload.

    ``parents`` is the way down to it, such as ``("order.", "lines[].")``, and ``name`` its own
    name. ``kind`` is its type, and whether it is required. A row with a ``heading`` instead is the
    beginning of one of several possible forms.
    """

    heading: str = ""
    parents: tuple[str, ...] = ()
    name: str = ""
    kind: str = ""
    deprecated: bool = False
    private: bool = False
    text: tuple[Paragraph, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Seen:
    """A schema with its references followed, and the names of the components on the way to it."""

    schema: Mapping[str, Any]
    name: str
    way: tuple[str, ...]
    again: bool = False


def rows(schema: Any, components: Mapping[str, Any]) -> tuple[Row, ...]:
    """The rows of a payload.

    :param components: where ``#/components/schemas/…`` is looked up.
    """
    table = _Table(components)
    root = table.look(schema, ())
    found = tuple(table.inside(root, (), 0))
    if "properties" in root.schema or not root.schema:
        return found
    return (table.row(root, (), "the body itself"), *found)


class _Table:
    """Follows the references of one document's schemas."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = components
        self._left = _LONGEST

    def look(self, schema: Any, way: tuple[str, ...]) -> _Seen:
        """Follow references, merge ``allOf``, and take ``null`` out of a choice of two."""
        found = dict(schema) if isinstance(schema, Mapping) else {}
        name, again = "", False
        while isinstance(found.get("$ref"), str):
            name = found.pop("$ref").rpartition("/")[2]
            again = name in way
            way = (*way, name)
            target = self._components.get(name)
            found = {**target, **found} if isinstance(target, Mapping) and not again else found
            if again:
                break
        return self._merged(_Seen(found, name, way, again))

    def _merged(self, seen: _Seen) -> _Seen:
        schema: dict[str, Any] = {}
        for part in _list(seen.schema.get("allOf")):
            schema = _both(schema, self.look(part, seen.way).schema)
        schema = _both(schema, {k: v for k, v in seen.schema.items() if k != "allOf"})
        choice = [s for s in _list(schema.get("oneOf") or schema.get("anyOf")) if not _null(s)]
        if len(choice) == 1:
            nullable = len(_list(schema.pop("oneOf", None) or schema.pop("anyOf", None))) > 1
            only = self.look(choice[0], seen.way)
            merged = {**only.schema, **schema, **({"nullable": True} if nullable else {})}
            return _Seen(merged, only.name, only.way, only.again)
        return _Seen(schema, seen.name, seen.way, seen.again)

    def inside(self, seen: _Seen, way: tuple[str, ...], depth: int) -> Iterator[Row]:
        """The rows of what a value holds: members, items, and the forms that it may have.

        :param way: the names down to the value, as ``parents`` of a row but for the last dot.
        """
        if seen.again or self._closed(depth):
            return
        schema = seen.schema
        required = _list(schema.get("required"))
        for name, inner in _mapping(schema.get("properties")).items():
            presence = "required" if name in required else "optional"
            yield from self._field(inner, seen, (*way, str(name)), presence, depth)
        others = schema.get("additionalProperties")
        if isinstance(others, Mapping) and others:
            yield from self._field(others, seen, (*way, "*"), "any number", depth)
        if isinstance(schema.get("items"), Mapping):
            items = (*way[:-1], f"{way[-1]}[]") if way else ("[]",)
            yield from self.inside(self.look(schema["items"], seen.way), items, depth + 1)
        yield from self._forms(seen, way, depth)

    def _field(
        self, schema: Any, within: _Seen, way: tuple[str, ...], presence: str, depth: int
    ) -> Iterator[Row]:
        seen = self.look(schema, within.way)
        self._left -= 1
        if self._closed(depth + 1) and "properties" in seen.schema:
            presence += "; more in the OpenAPI document"
        yield self.row(seen, way[:-1], way[-1], presence)
        yield from self.inside(seen, way, depth + 1)

    def _closed(self, depth: int) -> bool:
        return depth >= _DEEPEST or self._left <= 0

    def _forms(self, seen: _Seen, way: tuple[str, ...], depth: int) -> Iterator[Row]:
        forms = [self.look(s, seen.way) for s in _forms(seen.schema) if not _null(s)]
        of = f"{'.'.join(way)}: form" if way else "Form"
        for number, form in enumerate(forms, 1):
            inner = tuple(self.inside(form, way, depth + 1))
            if inner:
                yield Row(heading=f"{of} {number} of {len(forms)}: {_title(form)}")
                yield from inner

    def row(self, seen: _Seen, way: tuple[str, ...], name: str, presence: str = "") -> Row:
        """The row of one field."""
        schema = seen.schema
        return Row(
            parents=tuple(f"{parent}." for parent in way),
            name=name,
            kind=self._type(seen) + (f", {presence}" if presence else ""),
            deprecated=schema.get("deprecated") is True,
            private=bool(schema.get(PRIVATE) or _mapping(schema.get("items")).get(PRIVATE)),
            text=paragraphs(schema.get("description") or schema.get("title")),
            notes=tuple(_notes(schema)),
        )

    def _type(self, seen: _Seen) -> str:
        """The types in words, such as ``string (uuid) or null``."""
        schema = seen.schema
        if seen.again:
            return f"{seen.name}, as above"
        kinds = [kind for kind in _kinds(schema) if kind != "null"]
        words = [self._kind(kind, seen) for kind in kinds]
        if not words and _forms(schema):
            forms = (self.look(s, seen.way) for s in _forms(schema) if not _null(s))
            words = list(dict.fromkeys(_title(form) for form in forms))
        if len(kinds) < len(_kinds(schema)) or schema.get("nullable") is True or _optional(schema):
            words.append("null")
        return " or ".join(words) or "any JSON"

    def _kind(self, kind: str, seen: _Seen) -> str:
        schema = seen.schema
        if kind == "array" and isinstance(schema.get("items"), Mapping):
            return f"array of {self._type(self.look(schema['items'], seen.way))}"
        if kind in ("string", "integer", "number") and isinstance(schema.get("format"), str):
            return f"{kind} ({schema['format']})"
        return kind


def _both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two schemas that hold both; of what only one can say, the second's."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    return merged


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema allows, out of ``type`` or out of its own values."""
    declared = schema.get("type")
    if declared is None and "const" in schema:
        return [_kind_of(schema["const"])]
    if declared is None and _list(schema.get("enum")):
        return list(dict.fromkeys(_kind_of(value) for value in schema["enum"]))
    if declared is None and "properties" in schema:
        return ["object"]
    return [declared] if isinstance(declared, str) else [str(kind) for kind in _list(declared)]


def _kind_of(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object"}
    return {**kinds, list: "array", type(None): "null"}.get(type(value), "")


def _notes(schema: Mapping[str, Any]) -> Iterator[Note]:
    if "const" in schema:
        yield Note("always", (_json(schema["const"]),))
    elif _list(schema.get("enum")):
        yield Note("one of", tuple(_json(value) for value in schema["enum"]))
    for keyword, (words, unit) in _BOUNDS.items():
        value = schema.get(keyword)
        if value is not None and not isinstance(value, bool | dict | list):
            yield Note(words, (str(value),), unit[:-1] if value == 1 else unit)
    if "default" in schema:
        yield Note("by default", (_json(schema["default"]),))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _title(seen: _Seen) -> str:
    kinds = " or ".join(_kinds(seen.schema))
    return str(seen.schema.get("title") or seen.name or kinds or "any JSON")


def _forms(schema: Mapping[str, Any]) -> Sequence[Any]:
    return _list(schema.get("oneOf") or schema.get("anyOf"))


def _optional(schema: Mapping[str, Any]) -> bool:
    return any(_null(form) for form in _forms(schema))


def _null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
