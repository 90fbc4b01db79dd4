"""JSON out of the everyday Python values that ``json`` does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """The JSON form of a value: what ``json.dumps`` calls by its ``default``.

    :raises TypeError: it has none; names its type and never the value.
    """
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def as_json(value: Any) -> Any:
    """A fresh copy of ``value`` in its JSON form; keys are texts, tuples are lists.

    :raises TypeError, ValueError: something in it has no JSON form.
    """
    return json.loads(to_text(value))


def to_text(value: Any) -> str:
    """``value`` as compact JSON.

    :raises TypeError, ValueError: something in it has no JSON form.
    """
    return json.dumps(
        value, default=plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )


def without_form(value: Any, at: str = "") -> tuple[str, str]:
    """Where in ``value`` something has no JSON form, as a dotted place, and why."""
    members: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        members = list(value.items())
    elif isinstance(value, list | tuple):
        members = list(enumerate(value))
    for name, member in members:
        try:
            as_json({name: member} if isinstance(value, Mapping) else member)
        except (TypeError, ValueError, RecursionError):
            return without_form(member, f"{at}.{name}" if at else str(name))
    try:
        as_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        return at, str(error)
    return at, "one of its keys is no text"
