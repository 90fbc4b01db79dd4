"""Operation Objects: of views, of the callbacks on them, and of webhooks.

Source: OpenAPI Specification 3.1.1, "Operation", "Request Body", "Responses" and "Callback".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from ..declarations import Callback, Documentation, Operation, Webhook
from ..exceptions import DeclarationError
from .converter import JSONSchema
from .merging import merge
from .models import is_marshmallow, is_model
from .names import Owner, owners
from .parameters import merged, referred
from .promises import HEADERS, SIGNATURE_SCHEME, own_schedule
from .reading import members
from .routes import Route
from .schemas import Schemas

_JSON = "application/json"
_RESPONSE_FIELDS = {"$ref", "summary", "description", "headers", "content", "links"}
_PHRASES = {str(int(status)): status.phrase for status in HTTPStatus}


class Operations:
    """Writes the operations of one document.

    :param ids: every operation's operationId.
    :param payloads: the published schema of every webhook, by name.
    :param parameters: the component parameters that the user adds to the document.
    """

    def __init__(
        self,
        schemas: Schemas,
        ids: Mapping[Owner, str],
        payloads: Mapping[str, JSONSchema],
        parameters: Mapping[str, Any],
    ) -> None:
        self._schemas = schemas
        self._ids = ids
        self._payloads = payloads
        self._parameters = parameters
        #: The Callback Objects that operations share, by the name of their component.
        self.shared: dict[str, dict[str, Any]] = {}

    def of_view(self, index: int, route: Route) -> dict[str, Any]:
        """The operation of a view, with its callbacks."""
        declared = route.operation or _undocumented(route)
        documentation, operation_id = declared.documentation, self._ids[Owner(index)]
        subject = f"{route.method} {route.path}, declared at {declared.place}"
        variables = {parameter["name"] for parameter in route.parameters}
        # A view may have several rules, and not each of them every variable.
        given = [
            p for p in documentation.parameters if _fits(referred(p, self._parameters), variables)
        ]
        parameters = merged(route.parameters, given, subject, self._parameters)
        operation = self._documented(documentation, operation_id, route.doc)
        operation["parameters"] = self._schemas.resolve(parameters, f"{operation_id}Parameter")
        operation["requestBody"] = self._request_body(declared.request, f"{operation_id}Request")
        operation["responses"] = self._responses(documentation, operation_id, subject)
        operation["callbacks"] = self._callbacks(index, route)
        operation["x-webhooks-emits"] = [webhook.name for webhook in route.emits]
        return self._finished(operation, documentation)

    def of_webhook(self, webhook: Webhook, emitters: Iterable[str]) -> dict[str, Any]:
        """The operation of a webhook.

        :param emitters: the operations that cause it, such as ``POST /bookings``.
        """
        operation = self._outbound(webhook, self._ids[Owner(name=webhook.name)])
        operation["x-webhooks-emitted-by"] = list(emitters)
        return self._sent(operation, webhook)

    def _callbacks(self, index: int, route: Route) -> dict[str, Any]:
        """The Callback Objects of a view, by the names under which they are shown."""
        found: dict[str, Any] = {}
        for callback in route.callbacks:
            if not callback.shared:
                self._add_callback(found.setdefault(callback.shown, {}), index, callback)
                continue
            found[callback.shown] = {"$ref": f"#/components/callbacks/{callback.name}"}
            if callback.name not in self.shared:
                self._add_callback(self.shared.setdefault(callback.name, {}), index, callback)
        return found

    def _add_callback(self, found: dict[str, Any], index: int, callback: Callback) -> None:
        """Add one operation for each expression to a Callback Object."""
        for owner in owners(index, callback):
            sent = self._sent(self._outbound(callback, self._ids[owner]), callback)
            found.setdefault(str(owner.expression), {})[callback.method.lower()] = sent

    def _outbound(self, webhook: Webhook, operation_id: str) -> dict[str, Any]:
        documentation = webhook.documentation
        subject = f"{webhook.name}, declared at {webhook.place}"
        _check_no_path([referred(p, self._parameters) for p in documentation.parameters], subject)
        operation = self._documented(documentation, operation_id, None)
        headers = [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS]
        parameters = merged(headers, documentation.parameters, subject, self._parameters)
        operation["parameters"] = self._schemas.resolve(parameters, f"{operation_id}Parameter")
        content: dict[str, Any] = {"schema": self._payloads[webhook.name]}
        if documentation.examples:
            content["examples"] = {
                name: {"value": value} for name, value in documentation.examples.items()
            }
        operation["requestBody"] = {"required": True, "content": {_JSON: content}}
        responses = self._responses(documentation, operation_id, subject)
        if not any(code.startswith("2") for code in responses):
            responses = {"2XX": {"description": "The webhook was received."}, **responses}
        operation["responses"] = responses
        if webhook.shown != webhook.name:
            operation["x-webhooks-name"] = webhook.name
        if webhook.schedule is not None:
            operation["x-webhooks-delivery"] = own_schedule(webhook.schedule)
        # Stated always: without it the document's own security would seem to guard what it sends.
        operation.setdefault("security", [{SIGNATURE_SCHEME: []}])
        return operation

    def _sent(self, operation: dict[str, Any], webhook: Webhook) -> dict[str, Any]:
        """The finished operation of a webhook, whose JSON body ``extra`` must leave alone."""
        finished = self._finished(operation, webhook.documentation, outbound=True)
        body = members(finished, "requestBody")
        schema = members(members(body, "content"), _JSON).get("schema")
        if schema != self._payloads[webhook.name] or "$ref" in body:
            raise DeclarationError(
                f"{webhook.name}, declared at {webhook.place}: extra= changes the schema of its "
                "JSON body, but what is sent is validated against the declared one. Give the "
                "schema as that of the declaration."
            )
        return finished

    def _documented(
        self, documentation: Documentation, operation_id: str, doc: str | None
    ) -> dict[str, Any]:
        """What every kind of operation says, in the order in which people read it."""
        first, _, rest = (doc or "").partition("\n")
        operation: dict[str, Any] = {
            "tags": list(documentation.tags),
            "summary": str(documentation.summary or first).strip(),
            "description": str(documentation.description or rest).strip(),
            "operationId": operation_id,
            "parameters": None,
            "requestBody": None,
            "responses": None,
            "callbacks": None,
            "deprecated": documentation.deprecated or None,
        }
        if documentation.security is not None:
            operation["security"] = [dict(rule) for rule in documentation.security]
        return operation

    def _request_body(self, request: Any, name: str) -> dict[str, Any] | None:
        if request is None:
            return None
        if isinstance(request, Mapping) and "content" in request:
            body: dict[str, Any] = self._schemas.resolve(request, name)
            return {"required": True, **body}
        schema = self._schemas.inbound(request, name)
        return {"required": True, "content": {_JSON: {"schema": schema}}}

    def _responses(
        self, documentation: Documentation, operation_id: str, subject: str
    ) -> dict[str, Any]:
        found = {}
        for code, value in (documentation.responses or {}).items():
            text = str(code).upper() if str(code).lower() != "default" else "default"
            name = f"{operation_id}Response" + ("" if text.startswith("2") else text.capitalize())
            found[text] = self._response(text, value, name, subject)
        return found

    def _response(self, code: str, value: Any, name: str, subject: str) -> dict[str, Any]:
        if value is None or isinstance(value, str) or not _is_schema_or_mapping(value):
            return {"description": str(value or _phrase(code))}
        if not isinstance(value, Mapping):
            schema = self._schemas.inbound(value, name)
            return {"description": _phrase(code), "content": {_JSON: {"schema": schema}}}
        _check_response(code, value, subject)
        response: dict[str, Any] = self._schemas.resolve(value, name)
        if "$ref" not in response:
            response.setdefault("description", _phrase(code))
        return response

    def _finished(
        self, operation: dict[str, Any], documentation: Documentation, *, outbound: bool = False
    ) -> dict[str, Any]:
        """The operation without what it does not say, and ``extra`` merged into it.

        :param outbound: its request is what this app sends.
        """
        said = {
            key: value
            for key, value in operation.items()
            if key == "security" or value not in (None, "", [], {})
        }
        if not documentation.extra:
            return said
        name = f"{operation['operationId']}Schema"
        extra = {
            key: self._schemas.resolve(value, name, outbound=outbound and key == "requestBody")
            for key, value in documentation.extra.items()
            if key != "operationId"
        }
        return merge(said, extra)


def _phrase(code: str) -> str:
    """Input: ``"201"``. Output: ``"Created"``."""
    return _PHRASES.get(code, f"Status {code}." if code != "default" else "Any other status.")


def _undocumented(route: Route) -> Operation:
    """An operation for a view that only declares what it causes."""
    return Operation(documentation=Documentation(), place=route.declarations[0].place)


def _fits(parameter: Mapping[str, Any], variables: set[str]) -> bool:
    return parameter.get("in") != "path" or parameter.get("name") in variables


def _is_schema_or_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) or is_marshmallow(value) or is_model(value)


def _check_no_path(parameters: Iterable[Mapping[str, Any]], subject: str) -> None:
    for parameter in parameters:
        if parameter.get("in") == "path":
            raise DeclarationError(
                f"{subject}: the parameter {parameter.get('name')!r} is in the path, but what is "
                "sent goes to the receiver's URL, which has no variables of yours. Put it into "
                "the payload."
            )


def _check_response(code: str, response: Mapping[str, Any], subject: str) -> None:
    unknown = [k for k in response if k not in _RESPONSE_FIELDS and not str(k).startswith("x-")]
    if unknown:
        raise DeclarationError(
            f"{subject}: the response {code} has {unknown[0]!r}, which is no field of a Response "
            'Object. Put a JSON Schema into {"content": {"application/json": {"schema": …}}}.'
        )
