"""Bounds of numbers, lengths and counts: which of two lets more through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .change import Change, Spot
from .conjunction import LOWER, UPPER

#: A number; 1 if it is in the range itself, else 0 from above and 2 from below; the word for it.
_Bound = tuple[float, int, str]


def of_bounds(spot: Spot, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Every bound that moved."""
    for word in UPPER:
        yield from _of_bound(spot, _bound(old, word), _bound(new, word), upper=True)
    for word in LOWER:
        yield from _of_bound(spot, _bound(old, word), _bound(new, word), upper=False)
    yield from _of_bound(spot, _highest(old), _highest(new), upper=True)
    yield from _of_bound(spot, _lowest(old), _lowest(new), upper=False)


def _of_bound(
    spot: Spot, old: _Bound | None, new: _Bound | None, *, upper: bool
) -> Iterator[Change]:
    if old is not None and new is None:
        yield spot.breaks(f"{old[2]} {old[0]:g} no longer holds")
    elif old is None and new is not None:
        yield spot.ok(f"{new[2]} is {new[0]:g} now")
    elif old is not None and new is not None and old[:2] != new[:2]:
        looser = new[:2] > old[:2] if upper else new[:2] < old[:2]
        told = f"{old[2]} {old[0]:g} became {new[2]} {new[0]:g}"
        yield spot.breaks(told) if looser else spot.ok(told)


def _bound(words: Mapping[str, Any], word: str, inclusion: int = 1) -> _Bound | None:
    value = words.get(word)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (value, inclusion, word) if number and value is not None else None


def _highest(words: Mapping[str, Any]) -> _Bound | None:
    # In OpenAPI 3.0 the exclusive word is a flag beside the other.
    included = 0 if words.get("exclusiveMaximum") is True else 1
    both = (_bound(words, "maximum", included), _bound(words, "exclusiveMaximum", 0))
    return min((bound for bound in both if bound is not None), default=None)


def _lowest(words: Mapping[str, Any]) -> _Bound | None:
    included = 2 if words.get("exclusiveMinimum") is True else 1
    both = (_bound(words, "minimum", included), _bound(words, "exclusiveMinimum", 2))
    return max((bound for bound in both if bound is not None), default=None)
