"""Reads every operation of an OpenAPI document: where it really stands, and what belongs to it.

Source: OpenAPI Specification 3.1.1, "Path Item Object", "Callback Object" and "Reference Object".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from .references import lookup, tokens

#: Where something stands in a document: the unescaped tokens of a JSON Pointer.
At = tuple[str, ...]

#: The fields of a Path Item Object that hold an operation.
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


@dataclass(frozen=True, kw_only=True)
class Described:
    """One operation of a document.

    ``name`` is the path, the webhook's name or the callback's name. ``at`` is where the operation
    really stands, with every reference on the way followed.
    """

    kind: Literal["path", "webhook", "callback"]
    name: str
    method: str
    at: At
    operation: Mapping[str, Any]
    item: Mapping[str, Any]
    item_at: At
    #: The key of the Callback Object, and the operation that it belongs to.
    expression: str | None = None
    parent: Described | None = None


def pointer(at: At) -> str:
    """Input: ``("paths", "/orders")``. Output: ``"/paths/~1orders"``."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in at)


def fragment(at: At) -> str:
    """The same as a URI fragment (RFC 6901, section 6): ``"#/paths/~1orders"``."""
    return "#" + quote(pointer(at), safe="/~!$&'()*+,;=:@?")


def members(holder: Any, field: str) -> Mapping[str, Any]:
    """An object's field where it is an object itself; else nothing."""
    found = holder.get(field) if isinstance(holder, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def listed(holder: Any, field: str) -> Sequence[Any]:
    """An object's field where it is an array; else nothing."""
    found = holder.get(field) if isinstance(holder, Mapping) else None
    return found if isinstance(found, list | tuple) else ()


def resolved(document: Any, value: Any, at: At) -> tuple[Mapping[str, Any], At]:
    """What ``value`` is after its references are followed, and where that stands.

    What leads nowhere, in a circle or out of the document is an empty object.
    """
    seen: set[str] = set()
    while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
        reference = value["$ref"]
        found = lookup(document, reference)
        if found is None or reference in seen:
            return {}, at
        seen.add(reference)
        value, at = found[0], tokens(reference)
    return (value, at) if isinstance(value, Mapping) else ({}, at)


def operations(document: Mapping[str, Any]) -> Iterator[Described]:
    """Every operation: of paths with their callbacks, and of webhooks; references are followed."""
    for path, item in members(document, "paths").items():
        if not path.startswith("x-"):
            yield from _of_item(document, item, ("paths", path), kind="path", name=path)
    for name, item in members(document, "webhooks").items():
        yield from _of_item(document, item, ("webhooks", name), kind="webhook", name=name)


def _of_item(document: Any, item: Any, at: At, **told: Any) -> Iterator[Described]:
    item, at = resolved(document, item, at)
    found = [(method.upper(), item[method], (*at, method)) for method in METHODS if method in item]
    found += [
        (method, operation, (*at, "additionalOperations", method))
        for method, operation in members(item, "additionalOperations").items()
    ]
    for method, operation, stands in found:
        if isinstance(operation, Mapping):
            described = Described(
                method=method, operation=operation, at=stands, item=item, item_at=at, **told
            )
            yield described
            yield from _of_callbacks(document, described)


def _of_callbacks(document: Any, parent: Described) -> Iterator[Described]:
    above = {one.item_at for one in _upwards(parent)}
    for name, callback in members(parent.operation, "callbacks").items():
        callback, at = resolved(document, callback, (*parent.at, "callbacks", name))
        for expression, item in callback.items():
            stands = resolved(document, item, (*at, expression))[1]
            if not expression.startswith("x-") and stands not in above:
                yield from _of_item(
                    document, item, (*at, expression),
                    kind="callback", name=name, expression=expression, parent=parent,
                )  # fmt: skip


def _upwards(described: Described | None) -> Iterator[Described]:
    while described is not None:
        yield described
        described = described.parent


def parameters(
    document: Mapping[str, Any], described: Described
) -> list[tuple[At, Mapping[str, Any]]]:
    """The parameters of an operation and where they stand; its own hide those of its Path Item."""
    found: dict[tuple[Any, Any], tuple[At, Mapping[str, Any]]] = {}
    for holder, at in ((described.item, described.item_at), (described.operation, described.at)):
        for index, parameter in enumerate(listed(holder, "parameters")):
            stands = (*at, "parameters", str(index))
            value, _ = resolved(document, parameter, stands)
            if value:
                found[value.get("in"), value.get("name")] = (stands, value)
    return list(found.values())
