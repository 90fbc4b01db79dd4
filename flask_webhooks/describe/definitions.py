"""Makes each definition inside of a component schema a component of its own.

``$defs`` mean nothing to OpenAPI 3.0, and some generators take them for a property.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from .reading import members, pointer
from .references import SCHEMAS, rewritten


def hoisted(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document in which no component schema has ``$defs`` of its own."""
    schemas: dict[str, Any] = dict(document.get("components", {}).get("schemas", {}))
    moved: dict[str, str] = {}
    for owner in list(schemas):
        _hoist(schemas, owner, moved)
    if not moved:
        return document
    components = {**document["components"], "schemas": schemas}
    # The longest first: a definition may stand inside another.
    places = sorted(moved, key=len, reverse=True)

    def change(reference: str) -> str:
        plain = unquote(reference)
        inside = (p for p in places if plain == p or plain.startswith(p + "/"))
        place = next(inside, None)
        return reference if place is None else moved[place] + quote(plain.removeprefix(place))

    made: dict[str, Any] = rewritten({**document, "components": components}, change)
    return made


def _hoist(schemas: dict[str, Any], owner: str, moved: dict[str, str]) -> None:
    for word in ("$defs", "definitions"):
        for name, definition in members(schemas[owner], word).items():
            if not _is_movable(definition):
                continue
            free = _free(owner + name[:1].upper() + name[1:], schemas)
            schemas[free] = definition
            schemas[owner] = _without(schemas[owner], word, name)
            place = f"{SCHEMAS}{owner}{pointer((word, name))}"
            moved[place] = SCHEMAS + free
            _hoist(schemas, free, moved)
            for inner, target in list(moved.items()):
                if inner.startswith(f"{SCHEMAS}{free}/"):
                    moved[inner.replace(f"{SCHEMAS}{free}", place, 1)] = target


def _is_movable(definition: Any) -> bool:
    """Whether a definition means the same elsewhere: one with an ``$id`` is looked up by that."""
    own = isinstance(definition, Mapping) and {"$id", "$dynamicAnchor"} & definition.keys()
    return not own


def _without(schema: Mapping[str, Any], word: str, name: str) -> dict[str, Any]:
    left = {key: definition for key, definition in schema[word].items() if key != name}
    rest = {key: said for key, said in schema.items() if key != word}
    return {**rest, word: left} if left else rest


def _free(wish: str, taken: Mapping[str, Any]) -> str:
    wish = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in wish)
    candidates = (wish + (str(n) if n > 1 else "") for n in range(1, len(taken) + 2))
    return next(name for name in candidates if name not in taken)
