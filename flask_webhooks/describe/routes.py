"""The app's URL map as OpenAPI sees it: paths, methods, path parameters, and the marks on views."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..declarations import Callback, Declaration, Operation, Webhook, marks

_UNSHOWN = {"HEAD", "OPTIONS"}


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one rule, with what its view declares."""

    #: OpenAPI path, such as ``/orders/{order_id}``.
    path: str
    method: str
    endpoint: str
    #: OpenAPI Parameter Objects of the rule's variables.
    parameters: tuple[dict[str, Any], ...]
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


def routes(app: Any) -> list[Route]:
    """Every rule and method of ``app`` whose view carries a declaration, in the order of the URL map.

    :param app: a Flask app.
    """
    return [route for rule in app.url_map.iter_rules() for route in _of_rule(app, rule)]


def _of_rule(app: Any, rule: Any) -> Iterator[Route]:
    view = app.view_functions.get(rule.endpoint)
    methods = sorted(rule.methods or ())
    for method in methods:
        declared = marks(view, method) if view is not None else ()
        if declared and not (method in _UNSHOWN and _automatic(view, method)):
            yield Route(
                path=openapi_path(rule),
                method=method,
                endpoint=rule.endpoint,
                parameters=tuple(_parameters(rule)),
                declarations=declared,
                doc=_doc(view, method),
                shared=len(set(methods) - _UNSHOWN) > 1,
            )


def _automatic(view: Any, method: str) -> bool:
    """Whether Flask, and not the view, answers this method."""
    return not hasattr(getattr(view, "view_class", None), method.lower())


def _doc(view: Any, method: str) -> str | None:
    view_class = getattr(view, "view_class", None)
    documented = getattr(view_class, method.lower(), None) if view_class else view
    return inspect.getdoc(documented) if documented and documented.__doc__ else None


def openapi_path(rule: Any) -> str:
    """Input: ``/orders/<int:order_id>``. Output: ``/orders/{order_id}``."""
    parts = (f"{{{part}}}" if variable else part for variable, part in rule._trace)
    return "".join(parts).replace("|", "", 1)


def _parameters(rule: Any) -> Iterator[dict[str, Any]]:
    for variable, name in rule._trace:
        if variable:
            schema = _schema(rule._converters[name])
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _schema(converter: Any) -> dict[str, Any]:
    kind = type(converter).__name__
    if kind in ("IntegerConverter", "FloatConverter"):
        return _number(converter, "integer" if kind == "IntegerConverter" else "number")
    if kind == "UUIDConverter":
        return {"type": "string", "format": "uuid"}
    if kind == "AnyConverter":
        return {"type": "string", "enum": sorted(converter.items)}
    return {"type": "string", **_length(converter)}


def _number(converter: Any, kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": kind}
    lowest = converter.min if converter.signed or converter.min is not None else 0
    for word, bound in (("minimum", lowest), ("maximum", converter.max)):
        if bound is not None:
            schema[word] = bound
    return schema


def _length(converter: Any) -> dict[str, Any]:
    # UnicodeConverter keeps its bounds in its regular expression only.
    text = str(getattr(converter, "regex", ""))
    if type(converter).__name__ != "UnicodeConverter" or not text.startswith("[^/]{"):
        return {}
    low, _, high = text[len("[^/]{") :].rstrip("}").partition(",")
    bounds = {"minLength": int(low)}
    if high or "," not in text:
        bounds["maxLength"] = int(high or low)
    return bounds
