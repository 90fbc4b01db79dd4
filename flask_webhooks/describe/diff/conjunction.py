"""Puts a schema with its references and its ``allOf`` into one piece that says the same.

Source: JSON Schema 2020-12; ``nullable`` and the flags of exclusive bounds are OpenAPI 3.0's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..reading import listed, members
from ..references import lookup
from .change import WORDING, as_text

#: Constraints from above and from below, where a number says all.
UPPER = ("maxLength", "maxItems", "maxProperties")
LOWER = ("minLength", "minItems", "minProperties")
#: Assertions that don't tell how they widen: any change of one may let more through.
OPAQUE = (
    "contains", "contentSchema", "dependentRequired", "dependentSchemas", "if", "not",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
#: Words that mean nothing without the first of them.
_TOGETHER = (("if", "then", "else"), ("contains", "minContains", "maxContains"))
#: What nothing fits.
_NEVER: Mapping[str, Any] = {"enum": []}

Words = Mapping[str, Any]


def in_one(document: Any, schema: Any, seen: frozenset[str] = frozenset()) -> Words:
    """The words of a schema, of what it refers to and of its ``allOf``, as one schema.

    :param seen: the references that were followed to come here: a circle adds nothing.
    """
    if schema is False:
        return _NEVER
    if not isinstance(schema, Mapping):
        return {}
    parts: list[Words] = []
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        found = lookup(document, reference)
        parts = [in_one(document, found[0], seen | {reference})] if found else []
    parts += [in_one(document, part, seen) for part in listed(schema, "allOf")]
    words = _normal({k: v for k, v in schema.items() if k not in ("$ref", "allOf")})
    for part in reversed(parts):
        words = _both(part, words)
    return words


def _normal(words: dict[str, Any]) -> Words:
    """The same with one word for each thing."""
    if "const" in words:
        known = words.get("enum", [words["const"]])
        words["enum"] = _common(known, [words.pop("const")]) if isinstance(known, list) else []
    kinds = words.get("type")
    if words.get("nullable") is True and kinds:
        words["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    for first, *others in _TOGETHER:
        said = {word: words[word] for word in (first, *others) if word in words}
        words = {word: value for word, value in words.items() if word not in said}
        if first in said:
            words[first] = said if len(said) > 1 else said[first]
    return words


def member_schema(words: Words, name: str) -> Any:
    """What a schema says of a member that its ``properties`` don't name."""
    found = [
        schema
        for pattern, schema in members(words, "patternProperties").items()
        if _matches(pattern, name)
    ]
    if found:
        return found[0] if len(found) == 1 else {"allOf": found}
    return words.get("additionalProperties", True)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # Python's syntax is not quite that of JSON Schema
        return False


def _both(first: Words, second: Words) -> Words:
    """What holds where two schemas must hold; the second has the last word in mere words."""
    one, other = _spread(first, second), _spread(second, first)
    return {
        word: _both_say(word, one[word], other[word])
        if word in one and word in other
        else one.get(word, other.get(word))
        for word in dict.fromkeys([*one, *other])
    }


def _spread(words: Words, other: Words) -> Words:
    """A schema whose members and items say of themselves what the other says of those unnamed."""
    result = dict(words)
    if named := members(words, "properties"):
        known = members(other, "properties")
        said = {name: member_schema(other, name) for name in named if name not in known}
        result["properties"] = _with(named, said)
    if named := members(words, "patternProperties"):
        known = members(other, "patternProperties")
        rest = other.get("additionalProperties", True)
        said = {pattern: rest for pattern in named if pattern not in known}
        result["patternProperties"] = _with(named, said)
    if "prefixItems" in words or "prefixItems" in other:
        first, second = listed(words, "prefixItems"), listed(other, "prefixItems")
        result["prefixItems"] = [*first, *[words.get("items", True)] * (len(second) - len(first))]
    return result


def _with(named: Words, said: Words) -> Words:
    more = {name: schema for name, schema in said.items() if schema not in (True, {})}
    return {**named, **{name: {"allOf": [named[name], more[name]]} for name in more}}


def _both_say(word: str, first: Any, second: Any) -> Any:
    """What holds where two schemas say the same word and both must hold."""
    if as_text(first) == as_text(second) or word in WORDING:
        return second
    if word in ("properties", "patternProperties"):
        shared = {n: {"allOf": [first[n], second[n]]} for n in first if n in second}
        return {**first, **second, **{n: s for n, s in shared.items() if first[n] != second[n]}}
    if word == "prefixItems":
        return [{"allOf": [one, other]} for one, other in zip(first, second, strict=True)]
    if word == "required":
        return list(dict.fromkeys([*first, *second]))
    if word in ("anyOf", "oneOf"):
        return [{"allOf": [one, other]} for one in first for other in second]
    if word == "type":
        return _shared(first, second)
    if word == "enum":
        return _common(first, second)
    if word in ("items", "additionalProperties", *OPAQUE):
        return False if False in (first, second) else {"allOf": [first, second]}
    return _tighter(word, first, second)


def _common(first: Any, second: Any) -> list[Any]:
    known = {as_text(value) for value in second} if isinstance(second, list) else set()
    return [value for value in first if as_text(value) in known] if isinstance(first, list) else []


def _shared(first: Any, second: Any) -> list[Any]:
    one, other = (value if isinstance(value, list) else [value] for value in (first, second))
    found = [kind for kind in one if kind in other]
    if {"integer", "number"} <= {*map(str, [*one, *other])} and "number" not in found:
        return list(dict.fromkeys([*found, "integer"]))
    return found


def _tighter(word: str, first: Any, second: Any) -> Any:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (first, second))
    if numbers and word in (*UPPER, "maximum", "exclusiveMaximum"):
        return min(first, second)
    if numbers and word in (*LOWER, "minimum", "exclusiveMinimum"):
        return max(first, second)
    if word == "multipleOf" and isinstance(first, int) and isinstance(second, int):
        return math.lcm(first, second)
    if word in ("pattern", "format", "multipleOf"):
        return " and ".join(sorted((str(first), str(second))))
    return second
