"""One example of a JSON Schema, always the same: what ``trigger`` sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .references import lookup

_STRINGS = {
    "date-time": "2026-01-31T09:30:00+00:00",
    "date": "2026-01-31",
    "time": "09:30:00",
    "duration": "PT15M",
    "decimal": "12.50",
    "email": "someone@example.com",
    "uuid": "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


class _EndlessError(Exception):
    """A schema holds itself on the way taken; another way is to be found."""


def example_of(schema: Any, components: Mapping[str, Any]) -> Any:
    """An example that a schema itself gives, or one made by its types, formats and bounds.

    What a ``pattern`` or a ``not`` asks for is not met: such a schema should give an example.

    :param components: where ``#/components/schemas/…`` is looked up.
    """
    try:
        return _Maker({"components": {"schemas": components}}).make(schema, frozenset())
    except _EndlessError:
        return {}


class _Maker:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def make(self, schema: Any, within: frozenset[str]) -> Any:
        """:param within: the references that were followed to come here."""
        if not isinstance(schema, Mapping) or not schema:
            return {}
        if (given := _given(schema)) is not None:
            return given[0]
        branches = [schema[word] for word in ("oneOf", "anyOf") if schema.get(word)]
        if branches and not _is_typed(schema):
            return self._first(branches[0], within)
        if "$ref" in schema or schema.get("allOf"):
            return self._merged(schema, within)
        return self._by_type(schema, within)

    def _first(self, branches: list[Any], within: frozenset[str]) -> Any:
        for branch in branches:
            try:
                return self.make(branch, within)
            except _EndlessError:
                continue
        raise _EndlessError

    def _referred(self, reference: str, within: frozenset[str]) -> Any:
        if reference in within:
            raise _EndlessError
        found = lookup(self._root, reference)
        return self.make(found[0] if found else {}, within | {reference})

    def _merged(self, schema: Mapping[str, Any], within: frozenset[str]) -> Any:
        """An example of everything that holds at the same place."""
        parts = [self.make(part, within) for part in schema.get("allOf", ())]
        if "$ref" in schema:
            parts.insert(0, self._referred(str(schema["$ref"]), within))
        rest = {key: value for key, value in schema.items() if key not in ("allOf", "$ref")}
        if _is_typed(rest):
            parts.append(self._by_type(rest, within))
        objects = [part for part in parts if isinstance(part, dict)]
        return {k: v for part in objects for k, v in part.items()} if objects else parts[-1]

    def _by_type(self, schema: Mapping[str, Any], within: frozenset[str]) -> Any:
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, within)
        if kind == "array":
            return self._array(schema, within)
        if kind in ("integer", "number"):
            return _number(schema, kind)
        return {"boolean": True, "null": None}[kind] if kind != "string" else _string(schema)

    def _object(self, schema: Mapping[str, Any], within: frozenset[str]) -> dict[str, Any]:
        required, made = schema.get("required", ()), {}
        for name, part in schema.get("properties", {}).items():
            try:
                made[name] = self.make(part, within)
            except _EndlessError:
                if _is_nullable(part):
                    made[name] = None
                elif name in required:
                    raise
        return made

    def _array(self, schema: Mapping[str, Any], within: frozenset[str]) -> list[Any]:
        first = [self.make(part, within) for part in schema.get("prefixItems", ())]
        least, items = schema.get("minItems", 0), schema.get("items", {})
        if items is False:
            return first
        try:
            rest = [self.make(items, within) for _ in range(max(1, least) - len(first))]
        except _EndlessError:
            if least > len(first):
                raise
            rest = []
        return [*first, *rest]


def _given(schema: Mapping[str, Any]) -> tuple[Any] | None:
    """What the schema says itself, in a tuple since ``None`` may be it."""
    for word in ("const", "example", "default"):
        if word in schema:
            return (schema[word],)
    for word in ("examples", "enum"):
        if isinstance(schema.get(word), list) and schema[word]:
            return (schema[word][0],)
    return None


def _is_typed(schema: Mapping[str, Any]) -> bool:
    return any(word in schema for word in ("type", "properties", "items", "prefixItems"))


def _is_nullable(schema: Any) -> bool:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return isinstance(kind, list) and "null" in kind


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        numeric = schema.keys() & {"minimum", "maximum", "multipleOf"}
        arrays = schema.keys() & {"items", "prefixItems", "minItems"}
        objects = schema.keys() & {"properties", "required", "additionalProperties"}
        kind = (
            "object" if objects else "array" if arrays else "number" if numeric else "string"
        )  # fmt: skip
    return str(kind)


def _number(schema: Mapping[str, Any], kind: str) -> float | int:
    """The number in the bounds that is nearest to 1."""
    step = schema.get("multipleOf") or (1 if kind == "integer" else None)
    number: float = 1
    if "minimum" in schema:
        number = max(number, schema["minimum"])
    if "maximum" in schema:
        number = min(number, schema["maximum"])
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and number <= low:
        number = low + (step or (1 if high is None else (high - low) / 2))
    if high is not None and number >= high:
        number = high - (step or (1 if low is None else (high - low) / 2))
    if step:
        down = low is None and "minimum" not in schema
        number = (number // step if down else -(-number // step)) * step
    return int(number) if kind == "integer" else number


def _string(schema: Mapping[str, Any]) -> str:
    text = _STRINGS.get(str(schema.get("format")), "text")
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    text = text.ljust(shortest, "x") if len(text) < shortest else text
    return text if longest is None else text[:longest]
