"""Reads every operation of an OpenAPI document, and finds what is wrong with it.

Validators leave out much of webhooks and callbacks, and read no expression and no example.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote

import jsonschema_rs

from ..declarations import Place, Webhook
from ..exceptions import ExpressionError
from ..rules.expressions import impossible, parse
from .references import lookup
from .routes import Route

#: Where something stands in a document: the unescaped tokens of a JSON Pointer.
At = tuple[str, ...]

#: The fields of a Path Item Object that hold an operation.
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")

_COMPONENT_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_STATUS = re.compile(r"[1-5](?:[0-9][0-9]|XX)|default|x-.*")
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\b")
_METASCHEMA = "https://json-schema.org/draft/2020-12/schema"
_DOCUMENT = "urn:document"
_LONGEST = 200


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One thing that is wrong: where, and what in a sentence."""

    at: At
    text: str

    @property
    def pointer(self) -> str:
        """Where it stands, as a JSON Pointer (RFC 6901)."""
        return pointer(self.at)


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
        found = lookup(document, reference) if reference.startswith("#/") else None
        if found is None or reference in seen:
            return {}, at
        seen.add(reference)
        value, at = found[0], _target(reference)
    return (value, at) if isinstance(value, Mapping) else ({}, at)


def _target(reference: str) -> At:
    tokens = unquote(reference[1:]).split("/")[1:]
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


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


def places(declared: Sequence[Webhook], routes: Sequence[Route]) -> dict[At, Place]:
    """Where in the source each part of an app's own document was declared."""
    found: dict[At, Place] = {("webhooks", webhook.name): webhook.place for webhook in declared}
    for route in routes:
        at = ("paths", route.path, route.method.lower())
        if route.operation is not None:
            found[at] = route.operation.place
        found |= {(*at, "callbacks", one.name): one.place for one in route.callbacks}
    return found


def place_of(at: At, known: Mapping[At, Place]) -> Place | None:
    """The place of the nearest known part that ``at`` stands in."""
    parts = (known.get(at[:length]) for length in range(len(at), 0, -1))
    return next((place for place in parts if place is not None), None)


def findings(document: Mapping[str, Any]) -> list[Finding]:
    """What is wrong that validators miss, in the order of the pointers.

    :param document: an OpenAPI document, also one whose status codes are numbers.
    """
    nodes = list(_walk(document))
    readable = plain(document)
    everything = list(operations(readable))
    found = {
        *_references(readable, nodes),
        *_component_names(nodes),
        *_statuses(nodes),
        *_operation_ids(everything),
        *_templates(readable, everything),
        *_security(readable, everything),
        *_expressions(readable, everything),
    }
    if str(document.get("openapi", "")).startswith("3.0"):
        # Its schemas are no JSON Schema, so nothing here can judge their examples.
        return sorted(found)
    return sorted(found | set(_values(readable)))


def structure(
    document: Mapping[str, Any], known: Sequence[Finding] = ()
) -> Sequence[Finding] | None:
    """What openapi-spec-validator finds besides ``known``; ``None`` when it isn't installed."""
    if importlib.util.find_spec("openapi_spec_validator") is None:
        return None
    if not hasattr(jsonschema_rs, "validator_cls_for"):
        # It would take an older jsonschema-rs for one that it can use.
        os.environ.setdefault("OPENAPI_SPEC_VALIDATOR_SCHEMA_VALIDATOR_BACKEND", "jsonschema")
    import openapi_spec_validator

    minor = ".".join(str(document.get("openapi", "")).split(".")[:2])
    name = f"OpenAPIV{minor.replace('.', '')}SpecValidator"
    validator = getattr(openapi_spec_validator, name, None)
    if validator is None:
        shown = document.get("openapi")
        return [Finding(at=("openapi",), text=f"{shown!r} is no version that can be validated.")]
    errors = _errors(validator, plain(document), whole=not known)
    found = {
        Finding(at=tuple(str(token) for token in error.absolute_path), text=_shortened(error))
        for error in errors
    }
    told = {finding.at for finding in known}
    return sorted(finding for finding in found if finding.at not in told)


def _errors(validator: Any, document: Any, *, whole: bool) -> list[Any]:
    # What it checks besides the structure follows references: out of the document, and in circles.
    closed = type(validator.__name__, (validator,), {"resolver_handlers": {}})
    if whole:
        try:
            return list(closed(document).iter_errors())
        except Exception:  # it takes a "$ref" among data for a reference, and may raise anything
            pass
    return list(validator.schema_validator.iter_errors(document))


def _shortened(error: Any) -> str:
    text = str(error.message).partition("\n")[0]
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return text if text.endswith((".", "…")) else text + "."


def plain(value: Any) -> Any:
    """A copy in which every key is a text, as it will be in JSON."""
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


# The walk: every object of a document, and what kind of object it is

_ITEM = {**dict.fromkeys(METHODS, "operation"), "parameters": "[]parameter"}
_ONE_SCHEMA = ("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
               "items", "not", "propertyNames", "then", "unevaluatedItems",
               "unevaluatedProperties")  # fmt: skip
_MANY_SCHEMAS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

#: The fields of each kind of object that hold others: one, ``[]`` an array, ``{}`` a map of them.
_FIELDS: dict[str, dict[str, str]] = {
    "document": {"paths": "{}item", "webhooks": "{}item", "components": "components"},
    "components": {
        "schemas": "{}schema", "responses": "{}response", "parameters": "{}parameter",
        "examples": "{}example", "requestBodies": "{}body", "headers": "{}parameter",
        "securitySchemes": "{}scheme", "links": "{}link", "callbacks": "{}callback",
        "pathItems": "{}item", "mediaTypes": "{}media",
    },
    "item": {**_ITEM, "additionalOperations": "{}operation"},
    "operation": {
        "parameters": "[]parameter", "requestBody": "body", "responses": "{}response",
        "callbacks": "{}callback",
    },
    "body": {"content": "{}media"},
    "media": {
        "schema": "schema", "itemSchema": "schema", "examples": "{}example",
        "encoding": "{}encoding",
    },
    "encoding": {"headers": "{}parameter"},
    "parameter": {"schema": "schema", "content": "{}media", "examples": "{}example"},
    "response": {"headers": "{}parameter", "content": "{}media", "links": "{}link"},
    "schema": {
        **dict.fromkeys(_ONE_SCHEMA, "schema"),
        **dict.fromkeys(_MANY_SCHEMAS, "{}schema"),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "[]schema"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class _Node:
    kind: str
    at: At
    value: Mapping[Any, Any]
    #: The kind of object that it stands in.
    within: str


def _walk(document: Mapping[str, Any]) -> Iterator[_Node]:
    todo = [_Node("document", (), document, "")]
    while todo:
        node = todo.pop()
        yield node
        todo += [child for child in _children(node) if isinstance(child.value, Mapping)]


def _children(node: _Node) -> Iterator[_Node]:
    if node.kind == "callback":
        for key, item in node.value.items():
            if key != "$ref" and not str(key).startswith("x-"):
                yield _Node("item", (*node.at, str(key)), item, node.kind)
    for field, target in _FIELDS.get(node.kind, {}).items():
        value, at, kind = node.value.get(field), (*node.at, field), target.lstrip("[]{}")
        found: list[tuple[str, Any]] = []
        if target.startswith("{}") and isinstance(value, Mapping):
            found = [(str(key), member) for key, member in value.items()]
        elif target.startswith("[]") and isinstance(value, list):
            found = [(str(index), member) for index, member in enumerate(value)]
        elif target == kind and isinstance(value, Mapping):
            yield _Node(kind, at, value, node.kind)
        for token, member in found:
            yield _Node(kind, (*at, token), member, node.kind)


# The checks


def _references(document: Mapping[str, Any], nodes: Sequence[_Node]) -> Iterator[Finding]:
    known = {str(n.value[word]) for n in nodes for word in ("$id", "$anchor") if word in n.value}
    based = {node.at for node in nodes if node.kind == "schema" and "$id" in node.value}
    for node in nodes:
        reference = node.value.get("$ref")
        # Within a schema that has its own $id, references are relative to that.
        if isinstance(reference, str) and not any(node.at[: len(at)] == at for at in based):
            problem = _dangling(document, reference, known)
            if problem:
                yield Finding(at=(*node.at, "$ref"), text=problem)


def _dangling(document: Mapping[str, Any], reference: str, known: set[str]) -> str | None:
    if reference in known or reference == "#" or reference.removeprefix("#") in known:
        return None
    if not reference.startswith("#"):
        return f"{reference!r} leads out of the document. Put what it refers to into the document."
    found = lookup(document, reference) if reference.startswith("#/") else None
    if found is None:
        return f"{reference!r} leads nowhere."
    seen = {reference}
    while found and isinstance(found[0], Mapping) and set(found[0]) == {"$ref"}:
        following = found[0]["$ref"]
        if following in seen:
            return f"{reference!r} leads in a circle of references, so it means nothing."
        seen.add(following)
        found = lookup(document, str(following))
    return None


def _component_names(nodes: Sequence[_Node]) -> Iterator[Finding]:
    for node in nodes:
        if node.kind == "components":
            for field in _FIELDS["components"]:
                for name in members(node.value, field):
                    if not _COMPONENT_NAME.fullmatch(str(name)):
                        text = f"{name!r} can't name a component: only A-Z a-z 0-9 . - _ may."
                        yield Finding(at=(*node.at, field), text=text)


def _statuses(nodes: Sequence[_Node]) -> Iterator[Finding]:
    for node in nodes:
        for code in members(node.value, "responses") if node.kind == "operation" else ():
            at = (*node.at, "responses")
            if not isinstance(code, str):
                yield Finding(at=at, text=f"The status {code!r} is no text. Write {str(code)!r}.")
            elif not _STATUS.fullmatch(code):
                text = f"{code!r} is no status of a response. Write '200', '2XX' or 'default'."
                yield Finding(at=at, text=text)


def _operation_ids(everything: Sequence[Described]) -> Iterator[Finding]:
    first: dict[str, At] = {}
    for described in everything:
        name = described.operation.get("operationId")
        if isinstance(name, str) and first.setdefault(name, described.at) != described.at:
            text = f"The operationId {name!r} is taken: {pointer(first[name])} has it, too."
            yield Finding(at=(*described.at, "operationId"), text=text)


def _templates(document: Mapping[str, Any], everything: Sequence[Described]) -> Iterator[Finding]:
    """Path parameters and the variables of path templates: neither may be without the other."""
    for described in everything:
        found = parameters(document, described)
        given = {p.get("name"): at for at, p in found if p.get("in") == "path"}
        path = described.kind == "path"
        variables = re.findall(r"\{([^{}]*)\}", described.name) if path else []
        for name, at in given.items():
            if name not in variables:
                home = "path" if path else described.kind
                reason = "has no such variable" if path else "has no path template"
                text = f"The parameter {name!r} is in: path, but the {home} {reason}."
                yield Finding(at=at, text=text)
        for name in variables:
            if name not in given:
                text = f"The path has the variable {name!r}, but no parameter in: path declares it."
                yield Finding(at=described.at, text=text)


def _security(document: Mapping[str, Any], everything: Sequence[Described]) -> Iterator[Finding]:
    known = members(members(document, "components"), "securitySchemes")
    holders: list[tuple[At, Any]] = [((), document), *((d.at, d.operation) for d in everything)]
    for at, holder in holders:
        for index, requirement in enumerate(listed(holder, "security")):
            for name in requirement if isinstance(requirement, Mapping) else ():
                if name not in known:
                    text = f"The security scheme {name!r} is not in components.securitySchemes."
                    yield Finding(at=(*at, "security", str(index)), text=text)


def _expressions(document: Mapping[str, Any], everything: Sequence[Described]) -> Iterator[Finding]:
    for described in everything:
        if described.expression is not None and described.parent is not None:
            problem = _never(document, described.expression, described.parent)
            if problem:
                yield Finding(at=described.item_at, text=problem)


def _never(document: Mapping[str, Any], expression: str, parent: Described) -> str | None:
    """Why a callback's key can't give a URL."""
    try:
        template = parse(expression)
    except ExpressionError as error:
        told = str(error).splitlines()
        hints = [line for line in told[1:] if line.startswith("Did you mean")]
        return " ".join([told[0].replace("This", repr(expression), 1), *hints])
    known = [parameter for _, parameter in parameters(document, parent)]
    body, _ = resolved(document, parent.operation.get("requestBody"), ())
    content = members(body, "content")
    only = len(content) == 1 and "application/json" in content
    problems = (
        impossible(
            one,
            path_names=[str(p.get("name")) for p in known if p.get("in") == "path"],
            method=parent.method,
            query_names=[str(p.get("name")) for p in known if p.get("in") == "query"],
            has_request_schema="requestBody" in parent.operation,
            request_schema=content["application/json"].get("schema") if only else None,
            components=members(document, "components"),
        )
        for one in template.expressions
    )
    return next((problem for problem in problems if problem), None)


def _values(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Schemas that are none, then examples and defaults that their schema refuses."""
    try:
        registry = jsonschema_rs.Registry(
            [(_DOCUMENT, dict(document))],
            draft=jsonschema_rs.Draft202012,
            retriever=_refuse_to_fetch,
        )
    except (ValueError, jsonschema_rs.ReferencingError):
        return  # what it can't read is a finding already
    metaschema = jsonschema_rs.Draft202012Validator({"$ref": _METASCHEMA})
    samples: list[_Sample] = []
    for node in _walk(document):
        samples += _samples(document, node)
        if node.kind == "schema" and node.within != "schema":
            for error in metaschema.iter_errors(node.value):
                at = (*node.at, *(str(token) for token in error.instance_path))
                yield Finding(at=at, text=_shortened(error))
    yield from _misfits(registry, samples)


def _refuse_to_fetch(uri: str) -> Any:
    raise LookupError(f"{uri} is outside of the document.")


#: An example or a default: where it stands, where its schema does, and the value.
_Sample = tuple[At, At, Any]


def _samples(document: Any, node: _Node) -> Iterator[_Sample]:
    if node.kind == "schema":
        for word in ("default", "example"):
            if word in node.value:
                yield (*node.at, word), node.at, node.value[word]
        for index, value in enumerate(listed(node.value, "examples")):
            yield (*node.at, "examples", str(index)), node.at, value
    media = node.kind == "media" and _JSON.match(node.at[-1])
    if (media or node.kind == "parameter") and "schema" in node.value:
        if "example" in node.value:
            yield (*node.at, "example"), (*node.at, "schema"), node.value["example"]
        for name, example in members(node.value, "examples").items():
            found, at = resolved(document, example, (*node.at, "examples", name))
            if "value" in found:
                yield (*at, "value"), (*node.at, "schema"), found["value"]


def _misfits(registry: jsonschema_rs.Registry, samples: Sequence[_Sample]) -> Iterator[Finding]:
    # One validator for all: each would compile again what their schemas have in common.
    schemas = {str(i): {"$ref": _DOCUMENT + fragment(at)} for i, (_, at, _) in enumerate(samples)}
    try:
        validator = jsonschema_rs.Draft202012Validator({"properties": schemas}, registry=registry)
    except (ValueError, jsonschema_rs.ReferencingError):
        # A schema that can't be used is a finding already; what is left is the others.
        if len(samples) > 1:
            for sample in samples:
                yield from _misfits(registry, [sample])
        return
    for error in validator.iter_errors({str(i): value for i, (_, _, value) in enumerate(samples)}):
        index, *inside = error.instance_path
        where = (*samples[int(index)][0], *(str(token) for token in inside))
        yield Finding(at=where, text=f"It does not fit its schema: {_shortened(error)}")
