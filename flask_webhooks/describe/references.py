"""Following ``$ref`` through a document: find references, change them, look them up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

#: Where component schemas stand.
SCHEMAS = "#/components/schemas/"

#: Keywords whose values are data: a "$ref" in there refers to nothing.
_DATA = frozenset({"const", "default", "enum", "example", "examples"})
#: Fields whose members have names that people chose, so that no name in there is a keyword.
_NAMED = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "schemas",
     "responses", "parameters", "headers", "requestBodies", "securitySchemes", "links",
     "callbacks", "pathItems", "paths", "webhooks", "content", "encoding"}
)  # fmt: skip
#: As a tuple: this is asked for each value of a document, and a union is made anew each time.
_HOLDERS = (dict, list)
#: What a discriminator maps to is a component's name, or else a reference.
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in ``value``, made of dicts and lists; what discriminators map to, too.

    Source: OpenAPI Specification 3.1.1, "Discriminator Object".
    """
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, list):
            todo.extend(found)
        elif isinstance(found, dict):
            for key, member in found.items():
                if isinstance(member, _HOLDERS):
                    todo.extend(_inside(key, member))
                elif key == "$ref" and isinstance(member, str):
                    yield member


def _inside(key: str, member: Any) -> Iterable[Any]:
    """What is to be read of a field that holds others."""
    if key in _NAMED and isinstance(member, dict):
        return member.values()
    if key in _DATA:
        return [{"$ref": reference} for _, reference in _examples(key, member)]
    if key == "discriminator":
        return [{"$ref": whole_reference(target)} for target in _mapping(member).values()]
    return (member,)


def _examples(key: str, member: Any) -> Iterator[tuple[str, str]]:
    """Of a map of Example Objects, those that are references; an array of examples is data."""
    if key == "examples" and isinstance(member, Mapping):
        for name, example in member.items():
            if isinstance(example, Mapping) and isinstance(example.get("$ref"), str):
                yield name, example["$ref"]


def _mapping(discriminator: Any) -> Mapping[str, str]:
    found = discriminator.get("mapping") if isinstance(discriminator, Mapping) else None
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {value: target for value, target in pairs if isinstance(target, str)}


def whole_reference(target: str) -> str:
    """What a discriminator maps to, as a reference: a name means a component schema."""
    return SCHEMAS + target if _NAME.fullmatch(target) else target


def rewritten(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of ``value`` in which ``change`` was made to all that :func:`references` finds."""
    if isinstance(value, Mapping):
        return {key: _rewritten_member(key, member, change) for key, member in value.items()}
    return [rewritten(item, change) for item in value] if isinstance(value, list) else value


def _rewritten_member(key: str, member: Any, change: Callable[[str], str]) -> Any:
    if key == "$ref" and isinstance(member, str):
        return change(member)
    if key == "discriminator" and (mapping := _mapping(member)):
        changed = {said: _rewritten_target(target, change) for said, target in mapping.items()}
        return {**member, "mapping": {**member["mapping"], **changed}}
    if key in _DATA:
        moved = {n: {**member[n], "$ref": change(ref)} for n, ref in _examples(key, member)}
        return {**member, **moved} if moved else member
    if key in _NAMED and isinstance(member, Mapping):
        return {name: rewritten(part, change) for name, part in member.items()}
    return rewritten(member, change)


def _rewritten_target(target: str, change: Callable[[str], str]) -> str:
    whole = whole_reference(target)
    changed = change(whole)
    return target if changed == whole else changed


def lookup(root: Any, reference: str) -> tuple[Any] | None:
    """What a local reference (``#/…``) leads to, in a tuple since it may be anything.

    Source: RFC 6901, sections 4 and 6.
    """
    if reference != "#" and not reference.startswith("#/"):
        return None  # an anchor, or another document
    found = root
    for name in tokens(reference):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return (found,)


def tokens(reference: str) -> tuple[str, ...]:
    """Input: ``"#/paths/~1orders"``. Output: ``("paths", "/orders")``."""
    parts = unquote(reference.removeprefix("#")).split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def unanchored(root: Any) -> Any:
    """A copy of ``root`` in which references to an ``$anchor`` are pointers to its place."""
    places = {f"#{name}": f"#{place}" for name, place in _anchors(root, "")}
    return rewritten(root, lambda reference: places.get(reference, reference)) if places else root


def _anchors(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if isinstance(name := value.get("$anchor"), str):
            yield name, at
        for key, member in value.items():
            if key not in _DATA:
                step = quote(str(key).replace("~", "~0").replace("/", "~1"), safe="$~")
                yield from _anchors(member, f"{at}/{step}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _anchors(member, f"{at}/{index}")


def component_name(reference: str) -> str | None:
    """Input: ``"#/components/schemas/Order/$defs/Line"``. Output: ``"Order"``."""
    if not reference.startswith(SCHEMAS):
        return None
    return unquote(reference.removeprefix(SCHEMAS).partition("/")[0])


def reachable(found: Iterable[str], schemas: Mapping[str, Any]) -> set[str]:
    """Names of the component schemas that references lead to, over any number of steps."""
    names: set[str] = set()
    todo = list(found)
    while todo:
        name = component_name(todo.pop())
        if name is not None and name not in names and name in schemas:
            names.add(name)
            todo.extend(references(schemas[name]))
    return names
