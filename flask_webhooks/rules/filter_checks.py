"""Judges a filter when it is made: against its own form, and against the published schemas.

A filter that could never hold is refused: nobody would notice that nothing comes.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from ..exceptions import FilterError
from .filters import COMPARISONS, comparisons_of

_LONGEST = 4000
#: How deep references are followed; a schema may refer to itself.
_DEEPEST = 20
_KNOWN = (*COMPARISONS, "exists")
_ORDERED = frozenset({"gt", "gte", "lt", "lte"})
#: Types of JSON Schema that a plain value of Python may be.
_TYPES: Mapping[type, frozenset[str]] = {
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"integer", "number"}),
    str: frozenset({"string"}),
    type(None): frozenset({"null"}),
}


def check_filter(given: Any, schemas: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    """The filter as the store keeps it, once it is known to be able to hold.

    :param schemas: the published schema of each webhook that the subscription wants, by name.
    :param components: what their references lead to, by name.
    :raises FilterError: it is malformed, or names a field that a payload does not have.
    """
    if not isinstance(given, Mapping) or not given:
        raise FilterError('A filter is an object that is not empty, such as {"country": "DE"}.')
    for path, condition in given.items():
        _check_condition(str(path), condition)
        for name, schema in schemas.items():
            places = _places(str(path), name, schema, components)
            _check_types(str(path), name, condition, places)
    text = json.dumps(given, sort_keys=True)
    if len(text) > _LONGEST:
        raise FilterError(f"The filter has more than {_LONGEST} characters.")
    return text


def _check_condition(path: str, condition: Any) -> None:
    comparisons = comparisons_of(condition)
    for comparison, value in comparisons.items():
        if comparison not in _KNOWN:
            raise FilterError(f"{path}: {comparison!r} is no comparison: use {', '.join(_KNOWN)}.")
        if comparison == "in" and not (value and isinstance(value, list)):
            raise FilterError(f"{path}: give a list of plain values, with one at least.")
        if comparison == "exists" and not isinstance(value, bool):
            raise FilterError(f"{path}: exists is true or false.")
        if comparison != "exists" and not all(map(_is_plain, _values(comparison, value))):
            raise FilterError(f"{path}: give a plain value: a text, a number, a boolean or null.")
    if not comparisons:
        raise FilterError(f"{path}: say what must stand there.")
    if comparisons.get("exists") is False and len(comparisons) > 1:
        raise FilterError(f"{path}: what does not exist can't be compared.")


def _values(comparison: str, value: Any) -> Sequence[Any]:
    return value if comparison == "in" else [value]


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, str | int)


def _places(
    path: str, name: str, schema: Any, components: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """The schemas of what may stand at a path; none where the schema does not say.

    :raises FilterError: nothing can stand there.
    """
    within = list(_plain_schemas(schema, components, 0))
    walked: list[str] = []
    for member in path.split("."):
        if any(map(_is_open, within)):
            return ()
        places = [one["properties"][member] for one in within if member in _members(one)]
        if not places:
            raise _unknown(name, [*walked, member], {m for one in within for m in _members(one)})
        walked.append(member)
        within = [one for place in places for one in _plain_schemas(place, components, 0)]
    return within


def _plain_schemas(
    schema: Any, components: Mapping[str, Any], depth: int
) -> Iterator[Mapping[str, Any]]:
    """The plain schemas that a schema leads to: by reference, as an item, or as an alternative."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        yield {}
        return
    further: list[Any] = []
    if "$ref" in schema:
        further.append(components.get(str(schema["$ref"]).rpartition("/")[2]))
    if "items" in schema:
        further.append(schema["items"])
    for word in ("allOf", "anyOf", "oneOf"):
        further += [s for s in schema.get(word, ()) if s != {"type": "null"}]
    if "properties" in schema or not further:
        yield schema
    for one in further:
        yield from _plain_schemas(one, components, depth + 1)


def _members(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("properties", {})
    return found


def _is_open(schema: Mapping[str, Any]) -> bool:
    """Whether an object may have members that the schema does not name one by one."""
    if schema.get("additionalProperties", False) is not False or "patternProperties" in schema:
        return True
    types = _types(schema)
    return "properties" not in schema and (types is None or "object" in types)


def _types(schema: Mapping[str, Any]) -> frozenset[str] | None:
    """The types that a schema allows; ``None`` where it does not say."""
    said = schema.get("type")
    if isinstance(said, str):
        return frozenset({said})
    return frozenset(map(str, said)) if isinstance(said, list) else None


def _check_types(path: str, name: str, condition: Any, places: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to compare with what can never stand there."""
    said = [_types(place) for place in places]
    if not places or None in said or any(types and "array" in types for types in said):
        return
    possible = frozenset().union(*(types for types in said if types))
    for comparison, value in comparisons_of(condition).items():
        if comparison in ("exists", "ne"):
            continue
        fitting = [v for v in _values(comparison, value) if _TYPES[type(v)] & possible]
        if not fitting or comparison in _ORDERED and isinstance(value, bool | None):
            told = ", ".join(sorted(possible))
            raise FilterError(
                f"{path} in the payload of {name} is of type {told}: {json.dumps(value)} "
                "never stands there."
            )


def _unknown(name: str, walked: Sequence[str], known: set[str]) -> FilterError:
    close = difflib.get_close_matches(walked[-1], known, n=1)
    hint = f" Did you mean {'.'.join([*walked[:-1], close[0]])!r}?" if close else ""
    has = f"It has: {', '.join(sorted(known))}." if known else "There is nothing in it."
    return FilterError(f"The payload of {name} has no field {'.'.join(walked)!r}.{hint} {has}")
