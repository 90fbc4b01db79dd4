"""The OpenAPI 3.1 document: ``paths`` from the marked views, their callbacks, and ``webhooks``.

Source: OpenAPI Specification 3.1.1, "Path Item", "Operation", "Callback" and "Runtime Expressions".
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..declarations import Callback, Documentation, Operation, Place, Webhook
from ..exceptions import DeclarationError, ExpressionError
from ..rules.expressions import impossible
from .promises import HEADERS, SIGNATURE_SCHEME, Promises, security_scheme
from .routes import Route
from .schemas import JSONSchema, Schemas, is_marshmallow

OPENAPI_VERSION = "3.1.1"

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Description:
    """A finished description: the document, and each webhook's published payload schema by name."""

    document: dict[str, Any]
    payloads: Mapping[str, JSONSchema]

    @property
    def components(self) -> Mapping[str, JSONSchema]:
        """The document's component schemas."""
        found: Mapping[str, JSONSchema] = self.document.get("components", {}).get("schemas", {})
        return found


def describe(
    declarations: Sequence[Webhook],
    routes: Sequence[Route],
    *,
    info: Mapping[str, Any],
    promises: Promises,
    public_keys: Sequence[str],
) -> Description:
    """Build the document and check what only shows when everything is known.

    :param declarations: every webhook and callback, in the order of declaration.
    :param routes: the marked views, in the order of the URL map.
    :param info: the Info Object.
    :param public_keys: ``whpk_…`` texts that verify captured callbacks.
    :raises DeclarationError: a callback that no route carries, an operationId given twice.
    :raises ExpressionError: an expression that a view can never give a value.
    """
    _check_carried(declarations, routes)
    book = _Book(declarations)
    paths = book.paths(routes)
    webhooks = book.webhooks(_emitters(routes))
    document: dict[str, Any] = {"openapi": OPENAPI_VERSION, "info": dict(info)}
    if paths or not webhooks:
        document["paths"] = paths
    if webhooks:
        document["webhooks"] = webhooks
    if declarations:
        document["components"] = book.components(promises, public_keys)
        document["x-webhooks-delivery"] = promises.as_object(public_keys)
    elif schemas := book.schemas.components():
        document["components"] = {"schemas": schemas}
    _check_expressions(routes, document)
    return Description(document=document, payloads=book.payloads)


class _Book:
    """Writes the operations of one document, and keeps what they share."""

    def __init__(self, declarations: Sequence[Webhook]) -> None:
        self.schemas = Schemas(OPENAPI_VERSION)
        self._declarations = declarations
        self._ids = _OperationIds()
        self.payloads: dict[str, JSONSchema] = {}
        for webhook in declarations:
            # First of all, so that the variants of a payload are known before anyone refers to one.
            self.schemas.outbound(webhook.schema, webhook.name)
        for webhook in declarations:
            self.payloads[webhook.name] = self.schemas.outbound(webhook.schema, webhook.name)

    def paths(self, routes: Sequence[Route]) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for route in routes:
            paths.setdefault(route.path, {})[route.method.lower()] = self._view(route)
        return paths

    def webhooks(self, emitters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for webhook in self._declarations:
            if not isinstance(webhook, Callback):
                wish = webhook.documentation.operation_id or camel(webhook.name)
                operation = self._outbound(webhook, wish)
                if webhook.name in emitters:
                    operation["x-webhooks-emitted-by"] = list(emitters[webhook.name])
                found[webhook.name] = {webhook.method.lower(): _merged(operation, webhook)}
        return found

    def components(self, promises: Promises, public_keys: Sequence[str]) -> dict[str, Any]:
        captured = any(isinstance(webhook, Callback) for webhook in self._declarations)
        scheme = security_scheme(promises.keys_url, public_keys if captured else ())
        components: dict[str, Any] = {"schemas": self.schemas.components()}
        if not components["schemas"]:
            del components["schemas"]
        components["parameters"] = copy.deepcopy(HEADERS)
        components["securitySchemes"] = {SIGNATURE_SCHEME: scheme}
        return components

    def _view(self, route: Route) -> dict[str, Any]:
        declared = route.operation or _undocumented(route)
        documentation = declared.documentation
        wish = documentation.operation_id or _operation_id(route)
        operation_id = self._ids.take(wish, declared.place, given=documentation.operation_id)
        operation = self._documented(documentation, operation_id, route.doc)
        operation["parameters"] = [*copy.deepcopy(route.parameters), *operation["parameters"]]
        if declared.request is not None:
            schema = self.schemas.inbound(declared.request, f"{operation_id}Request")
            operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
        operation["responses"] = self._responses(documentation, operation_id)
        if route.callbacks:
            operation["callbacks"] = self._callbacks(route.callbacks, operation_id)
        if route.emits:
            operation["x-webhooks-emits"] = [webhook.name for webhook in route.emits]
        return _merged(_without_empty(operation), declared)

    def _callbacks(self, callbacks: Iterable[Callback], operation_id: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for callback in callbacks:
            wish = callback.documentation.operation_id
            default = operation_id + camel(callback.name)[0].upper() + camel(callback.name)[1:]
            operation = self._outbound(callback, wish or default)
            item = {callback.method.lower(): _merged(operation, callback)}
            found.setdefault(callback.name, {})[callback.expression.text] = item
        return found

    def _outbound(self, webhook: Webhook, operation_id: str) -> dict[str, Any]:
        documentation = webhook.documentation
        given = documentation.operation_id
        operation_id = self._ids.take(operation_id, webhook.place, given=given)
        operation = self._documented(documentation, operation_id, None)
        headers = [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS]
        operation["parameters"] = [*headers, *operation["parameters"]]
        content: dict[str, Any] = {"schema": copy.deepcopy(self.payloads[webhook.name])}
        if documentation.examples:
            content["examples"] = {
                name: {"value": value} for name, value in documentation.examples.items()
            }
        operation["requestBody"] = {"required": True, "content": {_JSON: content}}
        responses = self._responses(documentation, operation_id)
        operation["responses"] = responses or {"2XX": {"description": "The webhook was received."}}
        # Stated always: without it the document's own security would seem to guard what it sends.
        if documentation.security is None:
            operation["security"] = [{SIGNATURE_SCHEME: []}]
        return _without_empty(operation)

    def _documented(
        self, documentation: Documentation, operation_id: str, doc: str | None
    ) -> dict[str, Any]:
        """What every kind of operation says, in the order in which people read it."""
        first, _, rest = (doc or "").partition("\n")
        operation: dict[str, Any] = {
            "tags": list(documentation.tags),
            "summary": documentation.summary or first.strip() or None,
            "description": documentation.description or rest.strip() or None,
            "operationId": operation_id,
            "parameters": [copy.deepcopy(dict(p)) for p in documentation.parameters],
            "requestBody": None,
            "responses": None,
            "callbacks": None,
            "deprecated": documentation.deprecated or None,
        }
        if documentation.security is not None:
            operation["security"] = [dict(rule) for rule in documentation.security]
        return operation

    def _responses(self, documentation: Documentation, operation_id: str) -> dict[str, Any]:
        return {
            str(code) if str(code) == "default" else str(code).upper(): self._response(
                str(code), value, f"{operation_id}Response"
            )
            for code, value in (documentation.responses or {}).items()
        }

    def _response(self, code: str, value: Any, name: str) -> dict[str, Any]:
        if value is None or isinstance(value, str):
            return {"description": value or _phrase(code)}
        if is_marshmallow(value):
            schema = self.schemas.inbound(value, name)
            return {"description": _phrase(code), "content": {_JSON: {"schema": schema}}}
        response = dict(value)
        if "$ref" not in response:
            response.setdefault("description", _phrase(code))
        for media_type, media in response.get("content", {}).items():
            if is_marshmallow(media.get("schema")):
                resolved = {**media, "schema": self.schemas.inbound(media["schema"], name)}
                response["content"] = {**response["content"], media_type: resolved}
        return response


def _phrase(code: str) -> str:
    """Input: ``"201"``. Output: ``"Created"``."""
    known = {str(int(status)): status.phrase for status in HTTPStatus}
    return known.get(code, f"Status {code}.")


class _OperationIds:
    """Keeps operationIds unique over paths, callbacks and webhooks."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    def take(self, wish: str, place: Place, *, given: str | None) -> str:
        """The operationId to use: what was given must be free; what was derived is made so.

        A view that stands in the URL map several times keeps what was given for the first.
        """
        if given and given in self._places and self._places[given] != place:
            raise DeclarationError(
                f"operationId {given!r} is given twice: at {self._places[given]} and at {place}. "
                "Give each operation its own."
            )
        candidates = (wish + (str(n) if n > 1 else "") for n in range(1, 10_000))
        free = next(c for c in candidates if c not in self._places)
        self._places[free] = place
        return free


def _undocumented(route: Route) -> Operation:
    """An operation for a view that only declares what it causes."""
    return Operation(documentation=Documentation(), place=route.declarations[0].place)


def _operation_id(route: Route) -> str:
    """Input: ``shop.create_order``. Output: ``shopCreateOrder``."""
    name = camel(route.endpoint)
    return route.method.lower() + name[0].upper() + name[1:] if route.shared else name


def camel(text: str) -> str:
    """Input: ``create_order`` or ``order.paid``. Output: ``createOrder`` or ``orderPaid``."""
    first, *rest = [w for w in re.split(r"[^0-9A-Za-z]+", text) if w] or ["webhook"]
    return first + "".join(word[0].upper() + word[1:] for word in rest)


def _merged(operation: dict[str, Any], declared: Webhook | Operation) -> dict[str, Any]:
    return {**operation, **copy.deepcopy(dict(declared.documentation.extra or {}))}


def _without_empty(operation: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in operation.items()
        if key == "security" or value not in (None, [], {})
    }


def _emitters(routes: Sequence[Route]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for route in routes:
        for webhook in route.emits:
            found.setdefault(webhook.name, []).append(f"{route.method} {route.path}")
    return found


def _check_carried(declarations: Sequence[Webhook], routes: Sequence[Route]) -> None:
    carried = {id(callback) for route in routes for callback in route.callbacks}
    for declared in declarations:
        if isinstance(declared, Callback) and id(declared) not in carried:
            raise DeclarationError(
                f"Callback {declared.name!r}, declared at {declared.place}, stands on no view in "
                "the URL map, so it could never be captured. Decorate a view with it and register "
                "that view, or remove it."
            )


def _check_expressions(routes: Sequence[Route], document: Mapping[str, Any]) -> None:
    for route in routes:
        operation = document["paths"][route.path][route.method.lower()]
        for callback in route.callbacks:
            for argument, template in callback.templates:
                for expression in template.expressions:
                    problem = impossible(
                        expression,
                        path_names=[p["name"] for p in route.parameters],
                        method=route.method,
                        query_names=_query_names(operation),
                        has_request_schema="requestBody" in operation,
                        request_schema=_schema_at(operation.get("requestBody")),
                        response_schema=_answer_schema(operation, callback.when),
                        components=document.get("components", {}),
                    )
                    if problem:
                        raise ExpressionError(
                            f"{callback.name} on {route.method} {route.path}, {argument}=: "
                            f"{problem} It is declared at {callback.place}."
                        )


def _query_names(operation: Mapping[str, Any]) -> list[str]:
    return [p["name"] for p in operation.get("parameters", ()) if p.get("in") == "query"]


def _schema_at(holder: Any) -> JSONSchema | None:
    """The JSON schema of a Request Body or Response Object, where it has no other media type."""
    content = (holder or {}).get("content", {})
    return content[_JSON].get("schema") if set(content) == {_JSON} else None


def _answer_schema(operation: Mapping[str, Any], when: str) -> JSONSchema | None:
    """The declared body of the answers that capture, where it is declared for just one of them."""
    responses = operation.get("responses", {})
    fitting = [r for code, r in responses.items() if code == when or code[0] + "XX" == when]
    return _schema_at(fitting[0]) if len(fitting) == 1 and "default" not in responses else None
