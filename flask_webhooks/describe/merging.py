"""Merging what the user adds by hand into a generated object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(generated: Mapping[str, Any], added: Mapping[Any, Any]) -> dict[str, Any]:
    """Objects are merged key by key, at any depth; anything else replaces its like."""
    result = dict(generated)
    for key, value in added.items():
        name, known = str(key), result.get(str(key))
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        result[name] = merge(known, value) if both and known is not None else value
    return result
