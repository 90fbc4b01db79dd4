"""Patterns of webhook names: ``booking.*`` wants all whose names begin with ``booking.``."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def is_pattern(name: str) -> bool:
    """Whether it stands for more than one name: ``*`` alone, or after a dot at the end."""
    return name == "*" or name.endswith(".*")


def matches(pattern: str, name: str) -> bool:
    """Whether a name, or a pattern, is one of those that ``pattern`` stands for."""
    if not is_pattern(pattern):
        return pattern == name
    return name.startswith(pattern[:-1])


def patterns_of(name: str) -> list[str]:
    """All that a subscription may say to get a webhook.

    Input: ``"a.b.c"``. Output: ``["a.b.c", "*", "a.*", "a.b.*"]``.
    """
    parts = name.split(".")[:-1]
    return [name, "*", *(".".join(parts[: n + 1]) + ".*" for n in range(len(parts)))]


def distinct(names: Iterable[str]) -> list[str]:
    """The names without those that another of them stands for, in their order.

    A message then reaches a subscription by one name at most.
    """
    found = list(dict.fromkeys(names))
    return [n for n in found if not any(o != n and matches(o, n) for o in found)]


def wanted(names: Collection[str], name: str) -> bool:
    """Whether who asked for ``names`` gets the webhook ``name``."""
    return any(matches(pattern, name) for pattern in names)
