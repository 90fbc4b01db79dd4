"""Spells the paths of a document as another one does: ``/orders/{order_id}`` as ``/orders/{id}``.

Source: OpenAPI Specification 3.1.1, "Paths Object": templated paths that differ in nothing but the
names of their variables are the same path.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

#: A variable in a path: as OpenAPI writes it, or as Werkzeug does.
_VARIABLE = re.compile(r"\{(?P<openapi>[^}]*)\}|<(?:[^<>]*:)?(?P<werkzeug>[^<>:]*)>")


def spelled_as(
    host: Mapping[str, Any], ours: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A copy of ``ours`` with every path spelled as ``host`` does, and each path's new spelling.

    The variables of an operation, and of the expressions in its callbacks, are renamed with it.
    """
    document = copy.deepcopy(dict(ours))
    hosts = list(host.get("paths") or {})
    shapes = {_shape(path): path for path in reversed(hosts)}
    spelling = {
        path: path if path in hosts else shapes.get(_shape(path), path)
        for path in document.get("paths", {})
    }
    if "paths" in document:
        paths = document["paths"].items()
        document["paths"] = {
            spelling[path]: _respelled(path, spelling, item) for path, item in paths
        }
    for item in document.get("webhooks", {}).values():
        for operation in item.values():
            _tell_emitters(operation, spelling)
    return document, spelling


def _shape(path: str) -> str:
    return _VARIABLE.sub("{}", path)


def _names(path: str) -> list[str]:
    return [m["werkzeug"] or m["openapi"] or "" for m in _VARIABLE.finditer(path)]


def _respelled(path: str, spelling: Mapping[str, str], item: Mapping[str, Any]) -> dict[str, Any]:
    pairs = zip(_names(path), _names(spelling[path]), strict=True)
    names = {ours: theirs for ours, theirs in pairs if ours != theirs}
    return {method: _renamed(operation, names) for method, operation in item.items()}


def _renamed(operation: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    if not names:
        return operation
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "path":
            parameter["name"] = names.get(parameter["name"], parameter["name"])
    for name, callback in operation.get("callbacks", {}).items():
        operation["callbacks"][name] = {
            _with_names(expression, names): item for expression, item in callback.items()
        }
    return operation


def _with_names(expression: str, names: Mapping[str, str]) -> str:
    """Input: ``{$request.path.order_id}``. Output: ``{$request.path.id}``."""
    return re.sub(
        r"(?<=\$request\.path\.)[^{}]+", lambda found: names.get(found[0], found[0]), expression
    )


def _tell_emitters(operation: dict[str, Any], spelling: Mapping[str, str]) -> None:
    """Spell the paths in ``x-webhooks-emitted-by``, such as ``POST /bookings``."""
    emitters = [text.split(" ", 1) for text in operation.get("x-webhooks-emitted-by", ())]
    if emitters:
        operation["x-webhooks-emitted-by"] = [
            f"{method} {spelling.get(path, path)}" for method, path in emitters
        ]
