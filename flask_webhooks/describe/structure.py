"""What openapi-spec-validator finds in a document, where it is installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from .finding import Finding, shortened


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
    errors = _errors(validator, with_text_keys(document), whole=not known)
    found = {
        Finding(at=tuple(map(str, error.absolute_path)), text=shortened(str(error.message)))
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


def with_text_keys(value: Any) -> Any:
    """A copy in which every key is a text, as it will be in JSON."""
    if isinstance(value, Mapping):
        return {str(key): with_text_keys(member) for key, member in value.items()}
    return [with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value
