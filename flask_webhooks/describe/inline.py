"""A JSON Schema of the user's own as a component: checked, and led to its place in the document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from ..exceptions import DeclarationError
from .plain import as_json, without_form
from .references import SCHEMAS, rewritten, unanchored


def inline_component(schema: Mapping[str, Any], component: str, subject: str) -> dict[str, Any]:
    """A fresh copy of ``schema`` whose references to its own root lead to its component.

    Input: ``{"$ref": "#/$defs/Line"}, "Order"``. Output: ``…/components/schemas/Order/$defs/Line``.

    :param subject: whose schema it is, for error messages.
    :raises DeclarationError: it is no JSON, or no JSON Schema 2020-12.
    """
    try:
        plain: dict[str, Any] = as_json(schema)
    except (TypeError, ValueError, RecursionError):
        place, reason = without_form(schema)
        raise DeclarationError(f"{subject}: its schema is no JSON at {place}: {reason}.") from None
    # The document is the root now: a root of the schema's own would be looked up elsewhere.
    plain = {word: said for word, said in plain.items() if word not in ("$schema", "$id")}
    plain = unanchored(plain)
    _check(plain, subject)
    found: dict[str, Any] = rewritten(plain, lambda ref: _rebased(ref, component))
    return found


def _check(schema: dict[str, Any], subject: str) -> None:
    try:
        jsonschema_rs.meta.validate(schema)
    except ValueError as error:
        path = "/".join(map(str, getattr(error, "instance_path", ())))
        message = getattr(error, "message", str(error))
        raise DeclarationError(
            f"{subject}: its schema is no JSON Schema 2020-12 at #/{path}: {message}."
        ) from None


def _rebased(reference: str, component: str) -> str:
    if not reference.startswith("#") or reference.startswith("#/components/"):
        return reference
    if reference != "#" and not reference.startswith("#/"):
        return reference  # an anchor
    return f"{SCHEMAS}{component}{reference[1:]}"
