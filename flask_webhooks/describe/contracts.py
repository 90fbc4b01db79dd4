"""Contracts: from a payload to the exact JSON bytes that the published component allows.

Docs and wire are the same thing: the JSON is validated against the very component that the document
publishes, after ``dump`` and before anything is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import jsonschema_rs
import marshmallow

from ..exceptions import DeclarationError, PayloadError
from .schemas import JSONSchema, is_marshmallow


class Contract:
    """What one webhook's payload must be.

    :param name: the webhook's name, for error messages.
    :param schema: the declared schema: marshmallow, a JSON Schema or ``None``.
    :param published: the schema as the document shows it, usually a reference.
    :param components: the document's component schemas.
    """

    def __init__(
        self,
        name: str,
        schema: Any,
        published: JSONSchema,
        components: Mapping[str, JSONSchema],
    ) -> None:
        self._name = name
        self._schema = _instance(schema)
        self._validator = _validator(name, published, components)

    def encode(self, payload: Any) -> bytes:
        """Dump, serialize and validate.

        :returns: compact JSON in UTF-8: what is stored, signed and sent.
        :raises PayloadError: names the webhook, the field and the reason; never shows a value.
        """
        return self.encode_json(self._dumped(payload))

    def encode_json(self, dumped: Any) -> bytes:
        """Serialize and validate what is in its JSON form already.

        :raises PayloadError: as :meth:`encode`.
        """
        body = self._serialized(dumped)
        error = next(self._validator.iter_errors(json.loads(body)), None)
        if error is not None:
            field = "".join(f".{part}" for part in error.instance_path)
            raise PayloadError(
                f"{self._name}: payload{field} is not what the document publishes: "
                f"{error.message}. Nothing was stored."
            )
        return body

    def _dumped(self, payload: Any) -> Any:
        if self._schema is None:
            return payload
        try:
            return self._schema.dump(payload)
        except Exception as error:  # a field or a hook of the user's may raise anything
            field = _failing_field(self._schema, payload)
            raise PayloadError(
                f"{self._name}: payload{field} can't be dumped by {type(self._schema).__name__}: "
                f"{type(error).__name__}. Nothing was stored."
            ) from error

    def _serialized(self, dumped: Any) -> bytes:
        try:
            text = json.dumps(
                dumped, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
            )
            return text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadError(
                f"{self._name}: the payload is no JSON: {error}. Nothing was stored."
            ) from None


def _instance(schema: Any) -> marshmallow.Schema | None:
    if not is_marshmallow(schema):
        return None
    instance: marshmallow.Schema = schema() if isinstance(schema, type) else schema
    return instance


def _validator(
    name: str, published: JSONSchema, components: Mapping[str, JSONSchema]
) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            {**published, "components": {"schemas": dict(components)}},
            mask="the value",
            retriever=_refuse_to_fetch,
        )
    except (ValueError, TypeError) as error:
        raise DeclarationError(f"{name}: its schema can't be used: {error}") from error


def _refuse_to_fetch(uri: str) -> Any:
    raise LookupError(f"{uri} is outside the document; put the schema into it instead.")


def _failing_field(schema: marshmallow.Schema, payload: Any) -> str:
    """The first field that can't be dumped alone, as ``.name``; nothing when it can't be told."""
    if schema.many:
        return ""
    for name, field in schema.dump_fields.items():
        try:
            field.serialize(name, payload, accessor=schema.get_attribute)
        except Exception:  # whatever it is, the caller reports it
            return f".{field.data_key or name}"
    return ""


def _plain(value: Any) -> Any:
    """JSON for the everyday values that ``json`` does not know."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
