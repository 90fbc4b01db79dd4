"""Filters of a subscription: what a payload must hold to reach it.

A filter is a JSON object. Each key is a path into the payload, with dots between the members:
``customer.country``. Each value is what must stand there: a value (``"DE"``), a list of which one
must (``["DE", "FR"]``), or an object of comparisons (``{"gte": 100}``: ``eq``, ``ne``, ``gt``,
``gte``, ``lt``, ``lte``, ``in``, ``exists``). All keys must hold. Where the path leads through a
list, one item of it is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Filter = Mapping[str, Any]

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
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
    comparisons = dict(comparisons_of(condition))
    if "exists" in comparisons and comparisons.pop("exists") != bool(found):
        return False
    if not comparisons:
        return True
    return any(all(COMPARISONS[c](one, v) for c, v in comparisons.items()) for one in found)


def comparisons_of(condition: Any) -> Mapping[str, Any]:
    """A condition as comparisons: a plain value is ``eq``, and a list is ``in``."""
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
