"""One example of a JSON Schema, always the same: what ``trigger`` sends and the document may show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STRINGS = {
    "date-time": "2026-01-31T09:30:00+00:00",
    "date": "2026-01-31",
    "time": "09:30:00",
    "email": "someone@example.com",
    "uuid": "6f9619ff-8b86-4011-b42d-00cf4fc964ff",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_DEEPEST = 8


def example_of(schema: Any, components: Mapping[str, Any]) -> Any:
    """An example that a schema itself gives, or one made by its types, formats and bounds.

    :param components: where ``#/components/schemas/…`` is looked up.
    """
    return _example(schema, components, 0)


def _example(schema: Any, components: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        return _example(components.get(name, {}), components, depth)
    if (given := _given(schema)) is not None:
        return given[0]
    for word in ("oneOf", "anyOf"):
        if schema.get(word):
            return _example(schema[word][0], components, depth)
    if schema.get("allOf"):
        return _merged(schema, components, depth)
    return _by_type(schema, components, depth)


def _given(schema: Mapping[str, Any]) -> tuple[Any] | None:
    """What the schema says itself, in a tuple since ``None`` may be it."""
    for word in ("const", "example", "default"):
        if word in schema:
            return (schema[word],)
    for word in ("examples", "enum"):
        if isinstance(schema.get(word), list) and schema[word]:
            return (schema[word][0],)
    return None


def _merged(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    parts = [_example(part, components, depth) for part in [*schema["allOf"], rest]]
    objects = [part for part in parts if isinstance(part, dict)]
    return {k: v for part in objects for k, v in part.items()} if objects else parts[0]


def _by_type(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema or depth == 0 else "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        return _object(schema, components, depth)
    if kind == "array":
        count = max(1, schema.get("minItems", 1)) if depth < _DEEPEST else schema.get("minItems", 0)
        return [_example(schema.get("items", {}), components, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return (
        {"boolean": True, "null": None}.get(kind, _string(schema))
        if kind != "string"
        else (_string(schema))
    )


def _object(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    shown = properties if depth < _DEEPEST else [n for n in properties if n in required]
    return {name: _example(properties[name], components, depth + 1) for name in shown}


def _number(schema: Mapping[str, Any], kind: str) -> float | int:
    number: float = 1
    if "minimum" in schema:
        number = max(number, schema["minimum"])
    if "exclusiveMinimum" in schema:
        number = max(number, schema["exclusiveMinimum"] + 1)
    if "maximum" in schema:
        number = min(number, schema["maximum"])
    if "exclusiveMaximum" in schema and number >= schema["exclusiveMaximum"]:
        number = schema["exclusiveMaximum"] - 1
    step = schema.get("multipleOf")
    if step:
        number = -(-number // step) * step
    return int(number) if kind == "integer" else number


def _string(schema: Mapping[str, Any]) -> str:
    text = _STRINGS.get(str(schema.get("format")), "text")
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    text = text.ljust(shortest, "x") if len(text) < shortest else text
    return text if longest is None else text[:longest]
