"""The app's URL map as OpenAPI sees it: paths, methods, path parameters, and the marks on views."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..declarations import Callback, Declaration, Operation, Webhook, marks
from ..exceptions import DeclarationError
from .parameters import Parameter, path_parameters, path_trace

#: The methods that a Path Item Object of OpenAPI 3.1 has fields for.
_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one rule, with what its view declares."""

    #: OpenAPI path, such as ``/orders/{order_id}``.
    path: str
    method: str
    endpoint: str
    #: OpenAPI Parameter Objects of the rule's variables.
    parameters: tuple[Parameter, ...]
    declarations: tuple[Declaration, ...]
    #: The view's docstring.
    doc: str | None
    #: Whether the view answers other methods too.
    shared: bool

    @property
    def operation(self) -> Operation | None:
        """The declared operation; the outermost where several stand on the view."""
        found = [d for d in self.declarations if isinstance(d, Operation)]
        return found[-1] if found else None

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """The declared callbacks, in the order in which they stand on the view."""
        return tuple(d for d in reversed(self.declarations) if isinstance(d, Callback))

    @property
    def emits(self) -> tuple[Webhook, ...]:
        """The webhooks that the view causes."""
        found = [d for d in self.declarations if isinstance(d, Webhook)]
        return tuple(d for d in reversed(found) if not isinstance(d, Callback))


def routes(app: Any, declared: Iterable[Webhook] | None = None) -> list[Route]:
    """Every rule and method whose view carries a declaration, in the order of the URL map.

    :param app: a Flask app.
    :param declared: the webhooks and callbacks that count; others are another extension's.
    """
    known = None if declared is None else {id(webhook) for webhook in declared}
    return [route for rule in app.url_map.iter_rules() for route in _of_rule(app, rule, known)]


def _of_rule(app: Any, rule: Any, known: set[int] | None) -> Iterator[Route]:
    view = app.view_functions.get(rule.endpoint)
    if view is None or rule.build_only or rule.websocket:
        return
    methods = [m for m in _METHODS if m in (rule.methods or ()) and not _automatic(rule, view, m)]
    for method in methods:
        declared = marks(view, method)
        if known is not None:
            declared = tuple(d for d in declared if isinstance(d, Operation) or id(d) in known)
        if declared:
            yield Route(
                path=openapi_path(rule),
                method=method,
                endpoint=rule.endpoint,
                parameters=tuple(path_parameters(rule)),
                declarations=declared,
                doc=_doc(view, method),
                shared=len(methods) > 1,
            )


def _automatic(rule: Any, view: Any, method: str) -> bool:
    """Whether Flask, and not the view, answers this method."""
    if hasattr(getattr(view, "view_class", None), method.lower()):
        return False
    if method == "OPTIONS":
        return bool(getattr(rule, "provide_automatic_options", True))
    return method == "HEAD" and "GET" in rule.methods


def _doc(view: Any, method: str) -> str | None:
    view_class = getattr(view, "view_class", None)
    documented = getattr(view_class, method.lower(), None) if view_class else view
    return inspect.getdoc(documented) if documented and documented.__doc__ else None


def distinct(found: Iterable[Route]) -> list[Route]:
    """One route for each path and method; OpenAPI has room for no more.

    Rules of one view that only differ in their converters, or in their host, become one route.

    :raises DeclarationError: two views share a path and a method, or two paths differ in nothing
        but the names of their variables.
    """
    known: dict[tuple[str, str], Route] = {}
    spellings: dict[str, str] = {}
    for route in found:
        if not route.declarations:
            continue
        spelling = spellings.setdefault(re.sub(r"\{[^}]*\}", "{}", route.path), route.path)
        if spelling != route.path:
            raise DeclarationError(
                f"{spelling} and {route.path} are the same path in OpenAPI. Give their variables "
                f"the same names. One is declared at {route.declarations[-1].place}."
            )
        key = route.path, route.method
        known[key] = _together(known[key], route) if key in known else route
    return list(known.values())


def _together(first: Route, second: Route) -> Route:
    if first.declarations != second.declarations:
        raise DeclarationError(
            f"{first.method} {first.path} is answered by two views in the document: "
            f"{first.endpoint} (declared at {first.declarations[-1].place}) and {second.endpoint} "
            f"(at {second.declarations[-1].place}). Give one of their rules another path."
        )
    pairs = zip(first.parameters, second.parameters, strict=True)
    return replace(first, parameters=tuple(_either(one, other) for one, other in pairs))


def _either(one: Parameter, other: Parameter) -> Parameter:
    known = one["schema"].get("anyOf", [one["schema"]])
    if other["schema"] in known:
        return one
    return {**one, "schema": {"anyOf": [*known, other["schema"]]}}


def openapi_path(rule: Any) -> str:
    """Input: ``/orders/<int:order_id>``. Output: ``/orders/{order_id}``."""
    return "".join(
        f"{{{part}}}" if variable else part.replace("{", "%7B").replace("}", "%7D")
        for variable, part in path_trace(rule)
    )
