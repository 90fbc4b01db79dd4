"""The OpenAPI 3.1 document: ``paths`` from the marked views, their callbacks, and ``webhooks``.

Source: OpenAPI Specification 3.1.1, "OpenAPI Object", "Path Item" and "Components".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..declarations import Callback, Webhook
from ..exceptions import DeclarationError
from . import refusals
from .converter import JSONSchema
from .definitions import hoisted
from .description import Description
from .merging import merge
from .names import operation_ids
from .operations import Operations
from .plain import as_json, to_text, without_form
from .promises import HEADERS, SIGNATURE_SCHEME, Promises, security_scheme
from .references import references
from .routes import Route, distinct
from .schemas import Schemas

__all__ = ["OPENAPI_VERSION", "Description", "describe"]

OPENAPI_VERSION = "3.1.1"

_ROOT_FIELDS = ("openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks",
                "components", "security", "tags", "externalDocs")  # fmt: skip


def describe(
    declarations: Sequence[Webhook],
    routes: Sequence[Route],
    *,
    info: Mapping[str, Any],
    promises: Promises,
    public_keys: Sequence[str],
    openapi_version: str = OPENAPI_VERSION,
    extra: Mapping[str, Any] | None = None,
    elsewhere: Collection[Callback] = (),
) -> Description:
    """Build the document and check what only shows when everything is known.

    :param declarations: every webhook and callback, in the order of declaration.
    :param routes: the marked views, in the order of the URL map.
    :param info: the Info Object.
    :param public_keys: ``whpk_…`` texts that verify captured callbacks.
    :param openapi_version: 3.1 or 3.2; what is said is the same in both.
    :param extra: merged last into the document: contact, servers, tags, securitySchemes, ….
    :param elsewhere: callbacks that views of other apps carry, which need not be in this one.
    :raises DeclarationError: a callback that no route carries, an operationId given twice, a name
        or a reference that leads nowhere, an example that its schema refuses.
    :raises ExpressionError: an expression that a view can never give a value.
    """
    refusals.check_carried(declarations, routes, elsewhere)
    refusals.check_variables(routes)
    routes = distinct(routes)
    refusals.check_shown(declarations, routes)
    schemas = Schemas()
    payloads = {w.name: schemas.outbound(w.schema, w.name) for w in declarations}
    given = ((extra or {}).get("components") or {}).get("parameters") or {}
    operations = Operations(schemas, operation_ids(declarations, routes), payloads, given)
    document: dict[str, Any] = {"openapi": openapi_version, "info": dict(info)}
    _add_operations(document, operations, declarations, routes)
    if declarations:
        captures = any(isinstance(webhook, Callback) for webhook in declarations)
        keys = public_keys if captures else ()
        document["components"] = _components(promises, keys, operations.shared)
        document["x-webhooks-delivery"] = promises.as_object(list(keys))
    if extra:
        document = merge(document, schemas.resolve(extra, "Document"))
    _add_schemas(document, schemas, payloads)
    # What is validated refers to the same components as what is published.
    moved = dict(hoisted({**document, "payloads": list(payloads.values())}))
    payloads = dict(zip(payloads, moved.pop("payloads"), strict=True))
    document = moved
    description = Description(text=_text(document), payloads=as_json(payloads))
    refusals.check_document(description, declarations, routes)
    return description


def _add_operations(
    document: dict[str, Any],
    operations: Operations,
    declarations: Sequence[Webhook],
    routes: Sequence[Route],
) -> None:
    paths: dict[str, Any] = {}
    for index, route in enumerate(routes):
        item = paths.setdefault(route.path, {})
        item[route.method.lower()] = operations.of_view(index, route)
    emitters = _emitters(routes)
    webhooks: dict[str, Any] = {}
    for webhook in declarations:
        if not isinstance(webhook, Callback):
            operation = operations.of_webhook(webhook, emitters.get(webhook.name, ()))
            webhooks.setdefault(webhook.shown, {})[webhook.method.lower()] = operation
    if paths or not webhooks:
        document["paths"] = paths
    if webhooks:
        document["webhooks"] = webhooks


def _components(
    promises: Promises, public_keys: Sequence[str], callbacks: Mapping[str, Any]
) -> dict[str, Any]:
    scheme = security_scheme(promises.keys_url, public_keys)
    components = {"parameters": HEADERS, "securitySchemes": {SIGNATURE_SCHEME: scheme}}
    return {**components, "callbacks": dict(callbacks)} if callbacks else components


def _add_schemas(
    document: dict[str, Any], schemas: Schemas, payloads: Mapping[str, JSONSchema]
) -> None:
    """Add every component schema that is referred to; what the user says of it wins.

    The payload of a callback that another app documents may be sent from here all the same.
    """
    components = dict(document.get("components", {}))
    referred = {*references(document), *references(list(payloads.values()))}
    found = merge(schemas.components(referred), components.pop("schemas", {}))
    components = {"schemas": found, **components} if found else components
    if components:
        document["components"] = components


def _text(document: dict[str, Any]) -> str:
    """The document as JSON: nobody's dict is in it, and every status code is a text."""
    try:
        return to_text({key: document[key] for key in _ordered(document)})
    except (TypeError, ValueError, RecursionError):
        place, reason = without_form(document)
        raise DeclarationError(f"The document is no JSON at {place}: {reason}.") from None


def _ordered(document: Mapping[str, Any]) -> list[str]:
    known = [field for field in _ROOT_FIELDS if field in document]
    return known + [field for field in document if field not in known]


def _emitters(routes: Sequence[Route]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for route in routes:
        for webhook in route.emits:
            found.setdefault(webhook.name, []).append(f"{route.method} {route.path}")
    return found
