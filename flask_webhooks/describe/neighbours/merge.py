"""Merges what this package describes into the document of another OpenAPI tool, the host.

Source: OpenAPI Specification 3.1.1, "OpenAPI Object", "Path Item" and "Operation".
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...exceptions import ConfigurationError, DeclarationError
from .components import needed_components
from .downgrade import ANY_RESPONSE, as_3_0
from .operation_ids import with_free_ids
from .spelling import spelled_as

#: The root field by which a merged document is known.
_DELIVERY = "x-webhooks-delivery"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Document = dict[str, Any]


def merge_into(
    host: Mapping[str, Any],
    ours: Mapping[str, Any],
    *,
    documented: Collection[tuple[str, str]] = (),
) -> Document:
    """A new document: the host's, and in it our webhooks, callbacks and what they refer to.

    An operation of the host's keeps all that it says. Only callbacks and ``x-webhooks-…`` are added
    to it; and, where our view is documented by an operation of its own, what the host leaves out:
    whole fields, single responses by status, single parameters by place and name. A path or method
    that the host does not document is added whole. A component whose name the host uses for
    something else gets another name, and so does an operationId. Merging twice is merging once.

    :param host: an OpenAPI document, 3.0 or later. In 3.0 the webhooks are ``x-webhooks``.
    :param ours: a document that this package made.
    :param documented: path and lower-case method of each operation in ``ours`` that
        ``@webhooks.operation`` describes.
    :raises ConfigurationError: the host's document has no room for webhooks.
    :raises DeclarationError: the host has a webhook or callback of the same name.
    """
    version = _version(host)
    merged: Document = copy.deepcopy(dict(host))
    described, spelling = spelled_as(merged, as_3_0(ours) if version == "3.0" else ours)
    filled = {(spelling[path], method) for path, method in documented if path in spelling}
    field = "x-webhooks" if version == "3.0" else "webhooks"
    _take_out(merged, described, field)
    shared = {"callbacks": (described.get("components") or {}).get("callbacks") or {}}
    added = _additions(merged, described, filled) | {"components": shared}
    added = with_free_ids(merged, added)
    described["components"] = {**(described.get("components") or {}), **added.pop("components")}
    added, components = needed_components(merged, described, added)
    for path, item in added["paths"].items():
        for method, operation in item.items():
            known = _object(_object(_object(merged, "paths"), path), method)
            _put(known, operation)
    if added["webhooks"]:
        _object(merged, field).update(added["webhooks"])
    for kind, found in components.items():
        _object(_object(merged, "components"), kind).update(found)
    _add_root(merged, described)
    return merged


def _version(host: Mapping[str, Any]) -> str:
    """``"3.0"``, or ``"3.1"`` for that and what comes after it."""
    version = str(host.get("openapi", ""))
    major, _, rest = version.partition(".")
    if major == "3" and rest.partition(".")[0].isdecimal():
        return "3.0" if rest.partition(".")[0] == "0" else "3.1"
    said = f"Swagger {host['swagger']}" if "swagger" in host else f"openapi: {version!r}"
    raise ConfigurationError(
        f"The document to merge into is {said}, which has no room for callbacks and webhooks. Let "
        "its tool write OpenAPI 3.0 or 3.1, or serve a document of your own at "
        "WEBHOOKS_OPENAPI_URL instead."
    )


def _take_out(merged: Document, described: Mapping[str, Any], field: str) -> None:
    """Take out what an earlier merge put in; refuse what the host itself says under our names."""
    again = _DELIVERY in merged
    for where, holder, names in _named_alike(merged, described, field):
        for name in names:
            if not again:
                raise DeclarationError(
                    f"{name!r} stands in {where} of the document to merge into, and is declared "
                    "here as well. Remove one of the two, or give it another name."
                )
            del holder[name]


def _named_alike(
    merged: Document, described: Mapping[str, Any], field: str
) -> Iterator[tuple[str, Document, list[str]]]:
    """Where the host has webhooks and callbacks, and which of ours are named alike."""
    webhooks = merged.get(field) or {}
    yield field, webhooks, [name for name in described.get("webhooks", {}) if name in webhooks]
    components = (merged.get("components") or {}).get("callbacks") or {}
    shared = (described.get("components") or {}).get("callbacks") or {}
    if _DELIVERY in merged:
        yield "components", components, [name for name in shared if name in components]
    for path, item in described.get("paths", {}).items():
        for method, operation in item.items():
            known = (_known(merged, path, method) or {}).get("callbacks") or {}
            names = [name for name in operation.get("callbacks", {}) if name in known]
            yield f"the callbacks of {method.upper()} {path}", known, names


def _known(merged: Mapping[str, Any], path: str, method: str) -> Document | None:
    found: Document | None = ((merged.get("paths") or {}).get(path) or {}).get(method)
    return found


def _additions(
    merged: Mapping[str, Any], described: Mapping[str, Any], filled: Collection[tuple[str, str]]
) -> Document:
    """The part of our document that the host's gets, as one of ``paths`` and ``webhooks``."""
    paths: Document = {}
    for path, item in described.get("paths", {}).items():
        known = (merged.get("paths") or {}).get(path) or {}
        for method in (m for m in _METHODS if m in item):
            operation = item[method]
            if known.get(method) is not None:
                operation = _missing(known, method, operation, fill=(path, method) in filled)
            paths.setdefault(path, {})[method] = operation
    return {"paths": paths, "webhooks": described.get("webhooks", {})}


def _missing(
    item: Mapping[str, Any], method: str, ours: Mapping[str, Any], *, fill: bool
) -> Document:
    """The part of our operation that the host's has not."""
    host, found = item[method], {}
    for field, said in ours.items():
        if field == "callbacks" or field.startswith("x-webhooks-"):
            found[field] = said
        elif fill and field == "parameters":
            known = {_identity(p) for p in [*_list(item, field), *_list(host, field)]}
            found[field] = [p for p in said if _identity(p) not in known]
        elif fill and field == "responses" and said != ANY_RESPONSE:
            codes = {str(code) for code in host.get(field) or {}}
            found[field] = {code: r for code, r in said.items() if code not in codes}
        elif fill and host.get(field) in (None, ""):
            found[field] = said
    return {field: said for field, said in found.items() if said != [] or field == "security"}


def _identity(parameter: Mapping[str, Any]) -> Any:
    return parameter.get("$ref") or (parameter.get("in"), parameter.get("name"))


def _list(holder: Mapping[str, Any], field: str) -> list[Any]:
    return holder.get(field) or []


def _put(known: Document, operation: Mapping[str, Any]) -> None:
    for field, said in operation.items():
        if field in ("callbacks", "responses"):
            _object(known, field).update(said)
        elif field == "parameters":
            known[field] = [*_list(known, field), *said]
        else:
            known[field] = said


def _object(holder: Document, field: str) -> Document:
    """The object under ``field``, made where there is none; some tools write ``null`` for none."""
    if holder.get(field) is None:
        holder[field] = {}
    found: Document = holder[field]
    return found


def _add_root(merged: Document, described: Mapping[str, Any]) -> None:
    if _DELIVERY in described:
        merged[_DELIVERY] = copy.deepcopy(described[_DELIVERY])
    known = {tag.get("name") for tag in _list(merged, "tags")}
    if new := [tag for tag in _list(described, "tags") if tag["name"] not in known]:
        merged["tags"] = [*_list(merged, "tags"), *copy.deepcopy(new)]
