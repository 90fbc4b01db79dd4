"""Chooses the components that a part of our document needs, under names that are free in another.

Source: OpenAPI Specification 3.1.1, "Components Object", "Reference Object", "Security Requirement
Object" and "Discriminator Object".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..references import lookup, references, rewritten
from .operation_ids import operations

_COMPONENTS = "#/components/"

#: A component: its kind, such as ``"schemas"``, and its name.
Component = tuple[str, str]
Components = dict[str, dict[str, Any]]


def needed_components(
    host: Mapping[str, Any], ours: Mapping[str, Any], part: Mapping[str, Any]
) -> tuple[dict[str, Any], Components]:
    """A copy of ``part`` that fits into ``host``, and the components of ours that it brings along.

    A component that the host has already, with all that it refers to, is shared. One whose name
    means something else there gets a free name, and every reference in ``part`` follows.

    :param part: paths and webhooks out of ``ours``.
    """
    needed = _needed(part, ours)
    names = _Names(host, ours, needed).chosen

    def change(reference: str) -> str:
        found = _component(reference)
        if found is None:
            return reference
        old, (kind, name) = found[1], found
        rest = reference.removeprefix(f"{_COMPONENTS}{kind}/{old}")
        return f"{_COMPONENTS}{kind}/{names.get((kind, name), name)}{rest}"

    components: Components = {}
    for kind, name in needed:
        renamed = rewritten(ours["components"][kind][name], change)
        components.setdefault(kind, {}).setdefault(names[kind, name], renamed)
    result: dict[str, Any] = rewritten(part, change)
    for operation in [*operations(result), *operations({"components": components})]:
        if "security" in operation:
            operation["security"] = _secured(operation["security"], names)
    return result, {kind: _new(host, kind, found) for kind, found in components.items()}


def _new(host: Mapping[str, Any], kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    known = (host.get("components") or {}).get(kind) or {}
    return {name: component for name, component in found.items() if name not in known}


def _component(reference: str) -> Component | None:
    """Input: ``"#/components/schemas/Order/$defs/Line"``. Output: ``("schemas", "Order")``."""
    kind, _, rest = reference.removeprefix(_COMPONENTS).partition("/")
    return (kind, rest.partition("/")[0]) if reference.startswith(_COMPONENTS) and rest else None


def _needed(part: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Component]:
    """The components that ``part`` leads to, over any number of steps, sorted."""
    known = ours.get("components", {})
    todo = list(_mentioned(part))
    todo += _secured_by(part)
    found: set[Component] = set()
    while todo:
        kind, name = todo.pop()
        if (kind, name) not in found and name in known.get(kind, {}):
            found.add((kind, name))
            todo += _mentioned(known[kind][name])
            todo += _secured_by({"components": {kind: {name: known[kind][name]}}})
    return sorted(found)


def _mentioned(value: Any) -> Iterator[Component]:
    for reference in references(value):
        if (found := _component(reference)) is not None:
            yield found


def _secured_by(part: Mapping[str, Any]) -> Iterator[Component]:
    for operation in operations(part):
        for rule in operation.get("security", ()):
            yield from (("securitySchemes", name) for name in rule)


class _Names:
    """The name of each component in the host's document."""

    def __init__(
        self, host: Mapping[str, Any], ours: Mapping[str, Any], needed: list[Component]
    ) -> None:
        self._host, self._ours = host, ours
        self._taken = {
            (kind, name) for kind, found in ours.get("components", {}).items() for name in found
        }
        self.chosen: dict[Component, str] = {}
        for kind, name in needed:
            self.chosen[kind, name] = next(self._wishes(kind, name))
            self._taken.add((kind, self.chosen[kind, name]))

    def _wishes(self, kind: str, name: str) -> Iterator[str]:
        if self._fits(kind, name, name):
            yield name
        # What is sent is what differs: the host's own schema usually says what it takes.
        base = name + "Payload" if kind == "schemas" and not name.endswith("Payload") else name
        count = 1
        while True:
            wish = base if count == 1 else f"{base}{count}"
            if (kind, wish) not in self._taken and self._fits(kind, name, wish):
                yield wish
            count += 1

    def _fits(self, kind: str, name: str, wish: str) -> bool:
        theirs = lookup(self._host, f"{_COMPONENTS}{kind}/{wish}")
        mine = self._ours["components"][kind][name]
        return theirs is None or _alike(self._ours, mine, self._host, theirs[0], set())


def _alike(ours: Any, mine: Any, host: Any, theirs: Any, seen: set[tuple[str, str]]) -> bool:
    """Whether two values say the same, whatever the components they refer to are called."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        if mine.keys() != theirs.keys():
            return False
        return all(
            _alike_references(ours, mine[key], host, theirs[key], seen)
            if key == "$ref"
            else _alike(ours, mine[key], host, theirs[key], seen)
            for key in mine
        )
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = zip(mine, theirs, strict=True)
        return all(_alike(ours, one, host, other, seen) for one, other in pairs)
    return bool(mine == theirs)


def _alike_references(ours: Any, mine: Any, host: Any, theirs: Any, seen: set[Any]) -> bool:
    if (mine, theirs) in seen:
        return True
    found, other = lookup(ours, str(mine)), lookup(host, str(theirs))
    if found is None or other is None or not str(mine).startswith("#"):
        return bool(mine == theirs)
    # Taken for granted below, or a schema that refers to itself would never end.
    seen.add((mine, theirs))
    return _alike(ours, found[0], host, other[0], seen)


def _secured(rules: list[Any], names: Mapping[Component, str]) -> list[Any]:
    return [
        {names.get(("securitySchemes", name), name): scopes for name, scopes in rule.items()}
        for rule in rules
    ]
