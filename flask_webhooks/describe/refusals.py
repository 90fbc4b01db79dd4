"""What a document is refused for: names that clash, references that lead nowhere, and the like."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..declarations import Callback, Operation, Place, Webhook
from ..exceptions import DeclarationError, ExpressionError
from ..rules.expressions import impossible
from .contracts import Contract
from .converter import JSONSchema
from .description import Description
from .places import place_of, places
from .plain import as_json
from .reading import At, Described, operations
from .references import lookup, reachable, references
from .routes import Route
from .shapes import misshapen

_JSON = "application/json"


def check_carried(
    declarations: Sequence[Webhook], routes: Sequence[Route], elsewhere: Collection[Callback]
) -> None:
    """Refuse callbacks that no route carries: neither one of this app, nor one of another."""
    carried = {id(callback) for route in routes for callback in route.callbacks}
    carried |= {id(callback) for callback in elsewhere}
    for declared in declarations:
        if isinstance(declared, Callback) and id(declared) not in carried:
            raise DeclarationError(
                f"Callback {declared.name!r}, declared at {declared.place}, stands on no view in "
                "the URL map, so it could never be captured. Decorate a view with it and register "
                "that view, or remove it."
            )


def check_variables(routes: Sequence[Route]) -> None:
    """Refuse described path parameters that no rule of their view has."""
    variables: dict[int, set[str]] = {}
    operations: dict[int, Operation] = {}
    for route in routes:
        if operation := route.operation:
            operations[id(operation)] = operation
            names = variables.setdefault(id(operation), set())
            names |= {parameter["name"] for parameter in route.parameters}
    for key, operation in operations.items():
        _check_variables(operation, variables[key])


def _check_variables(operation: Operation, variables: set[str]) -> None:
    for parameter in operation.documentation.parameters:
        if parameter.get("in") == "path" and parameter.get("name") not in variables:
            known = ", ".join(sorted(variables)) or "none"
            raise DeclarationError(
                f"The operation declared at {operation.place} describes the path parameter "
                f"{parameter.get('name')!r}, but its rule has no such variable. It has: {known}."
            )


def check_shown(declarations: Sequence[Webhook], routes: Sequence[Route]) -> None:
    """Refuse two declarations that the document would have at one and the same place."""
    taken: dict[At, Webhook] = {}
    for declared in declarations:
        if not isinstance(declared, Callback):
            _take(taken, ("webhooks", declared.shown, declared.method), declared)
    for route in routes:
        named = [callback.shown for callback in route.callbacks]
        for one in route.callbacks:
            at = (f"{route.method} {route.path}", one.shown)
            if one.shared and named.count(one.shown) > 1:
                raise DeclarationError(
                    f"{one.name}, declared at {one.place}, can't be shared: {at[0]} shows another "
                    f"callback as {one.shown!r}. Give one of them another shown_as=."
                )
            for expression in one.expressions:
                _take(taken, (*at, expression.text, one.method), one)


def _take(taken: dict[At, Webhook], at: At, declared: Webhook) -> None:
    first = taken.setdefault(at, declared)
    if first is not declared:
        raise DeclarationError(
            f"{first.name}, declared at {first.place}, and {declared.name}, declared at "
            f"{declared.place}, would both be {' → '.join(at)} in the document. Give one of them "
            "another shown_as= or method=."
        )


def check_document(
    description: Description, declarations: Sequence[Webhook], routes: Sequence[Route]
) -> None:
    """Refuse a finished document that contradicts itself or its declarations."""
    document, known = description.document, places(declarations, routes)
    _check_shapes(document, known)
    everything = list(operations(document))
    _check_operation_ids(everything, known)
    _check_security(document, everything, known)
    _check_references(document, everything, known)
    _check_payloads(description, declarations)
    _check_examples(description, declarations)
    _check_expressions(routes, document)


def _check_shapes(document: Mapping[str, Any], known: Mapping[At, Place]) -> None:
    found = misshapen(document)
    if found is not None:
        own = " A field of your own begins with x-." if "Additional prop" in found.text else ""
        where = _told(found.at, known) if found.at else "The document"
        raise DeclarationError(f"{where} is not as OpenAPI has it: {found.text}{own}")


def _told(at: At, known: Mapping[At, Place]) -> str:
    """Input: ``("webhooks", "newBooking", "post")``. Output: that, and the file and line."""
    place = place_of(at, known)
    return " → ".join(at) + (f" (declared at {place})" if place else " (added by hand)")


def _check_operation_ids(everything: Sequence[Described], known: Mapping[At, Place]) -> None:
    first: dict[str, At] = {}
    for one in everything:
        name = one.operation.get("operationId")
        if name is not None and first.setdefault(name, one.at) != one.at:
            raise DeclarationError(
                f"operationId {name!r} is given twice: to {_told(first[name], known)} and to "
                f"{_told(one.at, known)}. Give each operation its own."
            )


def _check_security(
    document: Mapping[str, Any], everything: Sequence[Described], known: Mapping[At, Place]
) -> None:
    schemes = document.get("components", {}).get("securitySchemes", {})
    holders = [((), document), *((one.at, one.operation) for one in everything)]
    for at, holder in holders:
        for rule in holder.get("security", ()):
            for name in rule:
                if name not in schemes:
                    where = _told(at, known) if at else "The document"
                    listed = ", ".join(sorted(schemes)) or "no scheme"
                    raise DeclarationError(
                        f"{where} asks for the security scheme {name!r}, but the document has "
                        f"{listed}. Add it to components.securitySchemes of the document."
                    )


def _check_references(
    document: Mapping[str, Any], everything: Sequence[Described], known: Mapping[At, Place]
) -> None:
    lost = {ref for ref in set(references(document)) if not _leads(document, ref)}
    if not lost:
        return
    schemas = document.get("components", {}).get("schemas", {})
    holders = [(f"components.schemas.{name}", schema) for name, schema in schemas.items()]
    holders += [(_told(one.at, known), one.operation) for one in reversed(everything)]
    for where, holder in holders:
        for reference in references(holder):
            if reference in lost:
                raise DeclarationError(_nowhere(reference, where))
    raise DeclarationError(_nowhere(min(lost), "the document"))


def _leads(document: Mapping[str, Any], reference: str) -> bool:
    return not reference.startswith("#") or lookup(document, reference) is not None


def _nowhere(reference: str, where: str) -> str:
    return (
        f"The reference {reference!r} in {where} leads nowhere. Put what it means into that "
        "schema's own $defs, or into the components of the document."
    )


def _check_payloads(description: Description, declarations: Sequence[Webhook]) -> None:
    """What is sent is validated here, so that nothing of it may stand in another document."""
    components = description.components
    outside = {name for name, schema in components.items() if _leads_out(schema)}
    for webhook in declarations:
        payload = description.payloads[webhook.name]
        used = reachable(references(payload), components) & outside
        if used or _leads_out(payload):
            which = f"the schema {min(used)}" if used else "its schema"
            raise DeclarationError(
                f"{webhook.name}, declared at {webhook.place}: {which} refers to another "
                "document, which is never fetched. Put it into the schema instead."
            )


def _leads_out(schema: Mapping[str, Any]) -> bool:
    return any(not reference.startswith("#") for reference in references(schema))


def _check_examples(description: Description, declarations: Sequence[Webhook]) -> None:
    for webhook in declarations:
        if examples := webhook.documentation.examples:
            payload = description.payloads[webhook.name]
            contract = Contract(webhook.name, None, payload, description.components)
            for name, example in examples.items():
                if (reason := contract.refusal(as_json(example))) is not None:
                    raise DeclarationError(
                        f"{webhook.name}, declared at {webhook.place}: the example {name!r} does "
                        f"not fit its schema: {reason}. Give it as it is sent, in JSON."
                    )


def _check_expressions(routes: Sequence[Route], document: Mapping[str, Any]) -> None:
    for route in routes:
        if not route.callbacks:
            continue
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
