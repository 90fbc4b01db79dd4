"""Finds what is wrong with an OpenAPI document that validators miss.

They leave out much of webhooks and callbacks, and read no expression and no example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..exceptions import ExpressionError
from ..rules.expressions import impossible, parse
from .finding import Finding
from .objects import FIELDS, Node, objects
from .reading import (
    At,
    Described,
    listed,
    members,
    operations,
    parameters,
    pointer,
    resolved,
)
from .references import lookup, whole_reference
from .structure import with_text_keys
from .values import misfits

_COMPONENT_NAME = re.compile(r"[a-zA-Z0-9._-]+")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_STATUS = re.compile(r"[1-5](?:[0-9][0-9]|XX)|default|x-.*")


def findings(document: Mapping[str, Any]) -> list[Finding]:
    """What is wrong that validators miss, in the order of the pointers.

    :param document: an OpenAPI document, also one whose status codes are numbers.
    """
    nodes = list(objects(document))
    readable = with_text_keys(document)
    everything = list(operations(readable))
    found = {
        *_references(readable, nodes),
        *_component_names(nodes),
        *_statuses(nodes),
        *_operation_ids(everything),
        *_links(nodes, everything),
        *_same_paths(readable),
        *_repeated(readable, nodes),
        *_templates(readable, everything),
        *_security(readable, everything),
        *_expressions(readable, everything),
    }
    if str(document.get("openapi", "")).startswith("3.0"):
        # Its schemas are no JSON Schema, so nothing here can judge their examples.
        return sorted(found)
    return sorted(found | set(misfits(readable)))


def _references(document: Mapping[str, Any], nodes: Sequence[Node]) -> Iterator[Finding]:
    known = {str(n.value[word]) for n in nodes for word in ("$id", "$anchor") if word in n.value}
    based = {node.at for node in nodes if node.kind == "schema" and "$id" in node.value}
    for node in nodes:
        # Within a schema that has its own $id, references are relative to that.
        if not any(node.at[: len(at)] == at for at in based):
            for at, reference in _referring(node):
                if problem := _dangling(document, reference, known):
                    yield Finding(at=at, text=problem)


def _referring(node: Node) -> Iterator[tuple[At, str]]:
    """The references that an object itself makes, and where they stand."""
    if isinstance(reference := node.value.get("$ref"), str):
        yield (*node.at, "$ref"), reference
    if node.kind == "schema":
        mapping = members(members(node.value, "discriminator"), "mapping")
        for value, target in mapping.items():
            if isinstance(target, str):
                at = (*node.at, "discriminator", "mapping", str(value))
                yield at, whole_reference(target)
    if node.kind == "link" and isinstance(reference := node.value.get("operationRef"), str):
        yield (*node.at, "operationRef"), reference


def _dangling(document: Mapping[str, Any], reference: str, known: set[str]) -> str | None:
    if reference in known or reference == "#" or reference.removeprefix("#") in known:
        return None
    if not reference.startswith("#"):
        return f"{reference!r} leads out of the document. Put what it refers to into the document."
    found = lookup(document, reference)
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


def _component_names(nodes: Sequence[Node]) -> Iterator[Finding]:
    for node in nodes:
        if node.kind == "components":
            for field in FIELDS["components"]:
                for name in members(node.value, field):
                    if not _COMPONENT_NAME.fullmatch(str(name)):
                        text = f"{name!r} can't name a component: only A-Z a-z 0-9 . - _ may."
                        yield Finding(at=(*node.at, field), text=text)


def _statuses(nodes: Sequence[Node]) -> Iterator[Finding]:
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


def _links(nodes: Sequence[Node], everything: Sequence[Described]) -> Iterator[Finding]:
    known = {described.operation.get("operationId") for described in everything}
    for node in nodes:
        if node.kind == "link" and (name := node.value.get("operationId")) not in (None, *known):
            text = f"No operation has the operationId {name!r}."
            yield Finding(at=(*node.at, "operationId"), text=text)


def _same_paths(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Paths that differ in nothing but the names of their variables."""
    first: dict[str, str] = {}
    for path in members(document, "paths"):
        known = first.setdefault(_VARIABLE.sub("{}", path), path)
        if known != path:
            text = f"It is the same path as {known}: only the names of the variables differ."
            yield Finding(at=("paths", path), text=text)


def _repeated(document: Mapping[str, Any], nodes: Sequence[Node]) -> Iterator[Finding]:
    """Parameters that stand twice in one list; header names ignore case (RFC 9110, 5.1)."""
    for node in nodes:
        seen = set()
        for index, given in enumerate(listed(node.value, "parameters")):
            at = (*node.at, "parameters", str(index))
            parameter, _ = resolved(document, given, at)
            place, name = parameter.get("in"), parameter.get("name")
            same = (place, name.lower() if place == "header" and isinstance(name, str) else name)
            if parameter and same in seen:
                yield Finding(at=at, text=f"The {place} parameter {name!r} is there twice.")
            seen.add(same)


def _templates(document: Mapping[str, Any], everything: Sequence[Described]) -> Iterator[Finding]:
    """Path parameters and the variables of path templates: neither may be without the other."""
    for described in everything:
        found = parameters(document, described)
        given = {p.get("name"): at for at, p in found if p.get("in") == "path"}
        path = described.kind == "path"
        variables = _VARIABLE.findall(described.name) if path else []
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
