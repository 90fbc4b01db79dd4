"""Schemas of a document that are none, and examples and defaults that their schema refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from .finding import Finding, shortened
from .objects import Node, objects
from .reading import At, fragment, listed, members, resolved

_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\b")
_METASCHEMA = "https://json-schema.org/draft/2020-12/schema"
_DOCUMENT = "urn:document"


def misfits(document: Mapping[str, Any]) -> Iterator[Finding]:
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
    for node in objects(document):
        samples += _samples(document, node)
        if node.kind == "schema" and node.within != "schema":
            for error in metaschema.iter_errors(node.value):
                at = (*node.at, *(str(token) for token in error.instance_path))
                yield Finding(at=at, text=shortened(str(error.message)))
    yield from _refused(registry, samples)


def _refuse_to_fetch(uri: str) -> Any:
    raise LookupError(f"{uri} is outside of the document.")


#: An example or a default: where it stands, where its schema does, and the value.
_Sample = tuple[At, At, Any]


def _samples(document: Any, node: Node) -> Iterator[_Sample]:
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


def _refused(registry: jsonschema_rs.Registry, samples: Sequence[_Sample]) -> Iterator[Finding]:
    # One validator for all: each would compile again what their schemas have in common.
    schemas = {str(i): {"$ref": _DOCUMENT + fragment(at)} for i, (_, at, _) in enumerate(samples)}
    try:
        validator = jsonschema_rs.Draft202012Validator({"properties": schemas}, registry=registry)
    except (ValueError, jsonschema_rs.ReferencingError):
        # A schema that can't be used is a finding already; what is left is the others.
        if len(samples) > 1:
            for sample in samples:
                yield from _refused(registry, [sample])
        return
    for error in validator.iter_errors({str(i): value for i, (_, _, value) in enumerate(samples)}):
        index, *inside = error.instance_path
        where = (*samples[int(index)][0], *(str(token) for token in inside))
        yield Finding(at=where, text=f"It does not fit its schema: {shortened(str(error.message))}")
