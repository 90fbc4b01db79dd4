"""Filters of a subscription: what a payload must hold to reach it.

A filter is a JSON object. Each key is a path into the payload, with dots between the members:
``customer.country``. Each value is what must stand there: a value (``"DE"``), a list of which one
must (``["DE", "FR"]``), or an object of comparisons (``{"gte": 100}``: ``eq``, ``ne``, ``gt``,
``gte``, ``lt``, ``lte``, ``in``, ``exists``). All keys must hold. Where the path leads through a
list, one item of it is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..exceptions import FilterError

Filter = Mapping[str, Any]

_LONGEST = 4000

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, given: _same(found, given),
    "ne": lambda found, given: not _same(found, given),
    "in": lambda found, given: any(_same(found, one) for one in given),
    "gt": lambda found, given: _ordered(found, given) and found > given,
    "gte": lambda found, given: _ordered(found, given) and found >= given,
    "lt": lambda found, given: _ordered(found, given) and found < given,
    "lte": lambda found, given: _ordered(found, given) and found <= given,
}


def passes(given: Filter, payload: Any) -> bool:
    """Whether a payload, in its JSON form, reaches a subscription with this filter."""
    return all(_holds(condition, list(_at(payload, path))) for path, condition in given.items())


def _holds(condition: Any, found: Sequence[Any]) -> bool:
    comparisons = dict(_comparisons(condition))
    if "exists" in comparisons and comparisons.pop("exists") != bool(found):
        return False
    if not comparisons:
        return True
    return any(all(_COMPARISONS[c](one, v) for c, v in comparisons.items()) for one in found)


def _comparisons(condition: Any) -> Mapping[str, Any]:
    if isinstance(condition, Mapping):
        return condition
    return {"in": condition} if isinstance(condition, list) else {"eq": condition}


def _at(value: Any, path: str) -> Iterator[Any]:
    """What stands at a path; of a list, what stands there in each item."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
        return
    name, _, rest = path.partition(".")
    if isinstance(value, Mapping) and name in value:
        if rest:
            yield from _at(value[name], rest)
        else:
            yield from value[name] if isinstance(value[name], list) else [value[name]]


def _same(one: Any, other: Any) -> bool:
    # In JSON true is not 1.
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _ordered(one: Any, other: Any) -> bool:
    both_numbers = _is_number(one) and _is_number(other)
    return both_numbers or (isinstance(one, str) and isinstance(other, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
            _check_path(str(path), name, schema, components)
    text = json.dumps(given, sort_keys=True)
    if len(text) > _LONGEST:
        raise FilterError(f"The filter has more than {_LONGEST} characters.")
    return text


def _check_condition(path: str, condition: Any) -> None:
    comparisons = _comparisons(condition)
    known = (*_COMPARISONS, "exists")
    for comparison, value in comparisons.items():
        if comparison not in known:
            raise FilterError(f"{path}: {comparison!r} is no comparison: use {', '.join(known)}.")
        if comparison == "in" and not (isinstance(value, list) and all(map(_is_plain, value))):
            raise FilterError(f"{path}: give a list of plain values.")
        if comparison == "exists" and not isinstance(value, bool):
            raise FilterError(f"{path}: exists is true or false.")
        if comparison not in ("in", "exists") and not _is_plain(value):
            raise FilterError(f"{path}: give a plain value: a text, a number, a boolean or null.")
    if not comparisons:
        raise FilterError(f"{path}: say what must stand there.")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _check_path(path: str, name: str, schema: Any, components: Mapping[str, Any]) -> None:
    places: list[Any] = [schema]
    walked = ""
    for member in path.split("."):
        within = [one for place in places for one in _objects(place, components, 0)]
        if not all("properties" in one for one in within):
            return  # the schema does not say what is in there
        places = [one["properties"][member] for one in within if member in one["properties"]]
        walked = f"{walked}.{member}".lstrip(".")
        if not places:
            known = sorted({p for one in within for p in one["properties"]})
            raise FilterError(
                f"The payload of {name} has no field {walked!r}. It has: {', '.join(known)}."
            )


def _objects(schema: Any, components: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """The plain schemas that a schema leads to: by reference, as an item, or as an alternative."""
    if not isinstance(schema, Mapping) or depth > 20:
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
        yield from _objects(one, components, depth + 1)
