"""Following ``$ref`` through a document: find references, change them, look them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

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


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in ``value``, which is made of dicts and lists."""
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, list):
            todo.extend(found)
        elif isinstance(found, dict):
            for key, member in found.items():
                if isinstance(member, str):
                    if key == "$ref":
                        yield member
                elif key in _NAMED and isinstance(member, dict):
                    todo.extend(member.values())
                elif key not in _DATA and isinstance(member, dict | list):
                    todo.append(member)


def rewritten(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of ``value`` in which ``change`` was made to every ``$ref``."""
    if isinstance(value, Mapping):
        return {key: _rewritten_member(key, member, change) for key, member in value.items()}
    return [rewritten(item, change) for item in value] if isinstance(value, list) else value


def _rewritten_member(key: str, member: Any, change: Callable[[str], str]) -> Any:
    if key == "$ref" and isinstance(member, str):
        return change(member)
    if key in _DATA:
        return member
    if key in _NAMED and isinstance(member, Mapping):
        return {name: rewritten(part, change) for name, part in member.items()}
    return rewritten(member, change)


def lookup(root: Any, reference: str) -> tuple[Any] | None:
    """What a local reference (``#/…``) leads to, in a tuple since it may be anything.

    Source: RFC 6901, sections 4 and 6.
    """
    found = root
    for token in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return (found,)


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
