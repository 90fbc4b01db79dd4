"""Says in OpenAPI 3.0 what a document of this package says in 3.1.

Source: OpenAPI Specification 3.0.4, "Schema Object" and "Responses Object". What 3.0 has no word
for, such as ``if``, is left out: the result allows what the original does, and sometimes more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..definitions import hoisted

#: What an operation that declares no response says where it must declare one.
ANY_RESPONSE = {"default": {"description": "Any response."}}

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
#: Fields whose values are shown as they are.
_DATA = frozenset({"default", "enum", "example", "examples"})
#: Fields whose members have names that people chose.
_NAMED = frozenset(
    {"paths", "webhooks", "callbacks", "responses", "parameters", "headers", "content", "encoding",
     "requestBodies", "securitySchemes", "links"}
)  # fmt: skip
#: The words of a Schema Object in 3.0 that take anything but a schema, and mean the same in 3.1.
_SAME = frozenset(
    {"title", "multipleOf", "maximum", "minimum", "maxLength", "minLength", "pattern", "maxItems",
     "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type",
     "description", "format", "default", "nullable", "discriminator", "readOnly", "writeOnly",
     "example", "externalDocs", "deprecated", "xml", "$ref"}
)  # fmt: skip

Schema = dict[str, Any]


def as_3_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a 3.1 document whose schemas and operations are those of 3.0.

    ``webhooks`` stay under that name: where they go is for the caller to say.
    """
    converted: dict[str, Any] = _converted(hoisted(document))
    return converted


def _converted(value: Any) -> Any:
    """Any part of a document that is no schema."""
    if isinstance(value, list):
        return [_converted(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _member(key, member) for key, member in value.items()}


def _member(key: str, member: Any) -> Any:
    if key == "schema":
        return schema_3_0(member)
    if key in _DATA or key.startswith("x-"):
        return member
    if not isinstance(member, Mapping):
        return _converted(member)
    if key == "schemas":
        return {name: schema_3_0(schema) for name, schema in member.items()}
    if key in _NAMED:
        return {name: _converted(part) for name, part in member.items()}
    if key in _METHODS:
        return _operation(member)
    return _converted(member)


def _operation(operation: Mapping[str, Any]) -> dict[str, Any]:
    """In 3.0 an operation must have responses."""
    converted: dict[str, Any] = _converted(operation)
    converted.setdefault("responses", ANY_RESPONSE)
    return converted


def schema_3_0(schema: Any) -> Schema:
    """One Schema Object, with all schemas inside it."""
    if not isinstance(schema, Mapping):
        return {"not": {}} if schema is False else {}
    nested = dict(_nested(schema))
    found: Schema = {
        word: nested.get(word, said)
        for word, said in schema.items()
        if word in _SAME or word in nested or word.startswith("x-")
    }
    _convert_values(schema, found)
    _convert_bounds(schema, found)
    _convert_content(schema, found)
    _convert_items(schema, found)
    _convert_null(found)
    if not found.get("required", True):
        del found["required"]
    if "$ref" in found and len(found) > 1:
        # In 3.0 nothing counts beside a $ref.
        found["allOf"] = [{"$ref": found.pop("$ref")}, *found.pop("allOf", [])]
    return found


def _nested(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for word in ("allOf", "anyOf", "oneOf"):
        if word in schema:
            yield word, [schema_3_0(part) for part in schema[word]]
    for word in ("not", "items"):
        if word in schema:
            yield word, schema_3_0(schema[word])
    if "properties" in schema:
        properties = schema["properties"].items()
        yield "properties", {name: schema_3_0(part) for name, part in properties}
    if "additionalProperties" in schema:
        rest = schema["additionalProperties"]
        if not (rest is False and "patternProperties" in schema):
            yield "additionalProperties", rest if isinstance(rest, bool) else schema_3_0(rest)


def _convert_values(schema: Mapping[str, Any], found: Schema) -> None:
    if "const" in schema:
        found["enum"] = [schema["const"]]
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        found.setdefault("example", examples[0])


def _convert_bounds(schema: Mapping[str, Any], found: Schema) -> None:
    """In 3.0 ``exclusiveMinimum`` says whether ``minimum`` itself is excluded."""
    for side, sign in (("minimum", 1), ("maximum", -1)):
        word = "exclusive" + side.capitalize()
        bound = schema.get(word)
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            continue
        if side not in found or bound * sign >= found[side] * sign:
            found[side], found[word] = bound, True


def _convert_content(schema: Mapping[str, Any], found: Schema) -> None:
    if schema.get("contentEncoding") == "base64":
        found.setdefault("format", "byte")
    elif schema.get("contentMediaType") == "application/octet-stream":
        found.setdefault("format", "binary")


def _convert_items(schema: Mapping[str, Any], found: Schema) -> None:
    first = schema.get("prefixItems")
    if isinstance(first, list) and first:
        rest = schema.get("items", True)
        kinds = [schema_3_0(part) for part in (first if rest is False else [*first, rest])]
        found["items"] = {} if {} in kinds else {"anyOf": kinds}
    kinds_of = found.get("type")
    if kinds_of == "array" or (isinstance(kinds_of, list) and "array" in kinds_of):
        # In 3.0 an array must say what its items are.
        found.setdefault("items", {})


def _convert_null(found: Schema) -> None:
    """In 3.0 null is no type: it is allowed by ``nullable``."""
    kinds = found.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        del found["type"]
        if len(named) == 1:
            found["type"] = named[0]
            found |= {"nullable": True} if "null" in kinds else {}
        elif named:
            choices = [{"type": kind, **_items_of(kind, found)} for kind in named]
            _choose(found, choices, nullable="null" in kinds)
            return
        else:
            found["enum"] = [None]
    elif kinds == "null":
        del found["type"]
        found["enum"] = [None]
    _convert_choices(found)


def _items_of(kind: str, found: Schema) -> Schema:
    return {"items": found["items"]} if kind == "array" else {}


def _choose(found: Schema, choices: list[Schema], *, nullable: bool) -> None:
    if nullable:
        choices = [{**choice, "nullable": True} for choice in choices]
    found.pop("items", None)
    if "anyOf" in found:
        found["allOf"] = [*found.get("allOf", []), {"anyOf": choices}]
    else:
        found["anyOf"] = choices


def _convert_choices(found: Schema) -> None:
    """Beside a choice ``nullable`` is a hint only: it counts where there is a ``type``."""
    if any({"enum": [None]} in found.get(word, []) for word in ("anyOf", "oneOf")):
        found["nullable"] = True
