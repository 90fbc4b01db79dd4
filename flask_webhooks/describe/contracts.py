"""Contracts: from a payload to the exact JSON bytes that the published component allows.

Docs and wire are the same thing: the JSON is validated against the very component that the document
publishes, after ``dump`` and before anything is stored.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import jsonschema_rs
import marshmallow

from ..exceptions import DeclarationError, PayloadError
from .converter import JSONSchema
from .models import Model, is_marshmallow, is_model
from .plain import plain
from .references import reachable, references

#: Kinds of refusal whose own words would show the name of a member: of a map, that is a value.
_NAMING = {
    "FalseSchema": "it has a part that the document does not allow",
    "AdditionalProperties": "it has a member that the document does not allow",
    "UnevaluatedProperties": "it has a member that the document does not allow",
    "PropertyNames": "the name of one of its members is not what the document allows",
}

_compact = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
)


class Contract:
    """What one webhook's payload must be.

    :param name: the webhook's name, for error messages.
    :param schema: the declared schema: marshmallow, a model, a JSON Schema or ``None``.
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
        self._schema = _dumper(schema)
        used = {n: components[n] for n in reachable(references(published), components)}
        self._members = frozenset(_members([published, *used.values()]))
        self._validator = _validator(name, published, used)

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
        if (reason := self.refusal(json.loads(body))) is not None:
            raise PayloadError(f"{self._name}: {reason}. Nothing was stored.")
        return body

    def refusal(self, wire: Any) -> str | None:
        """Why the document does not allow ``wire``, a JSON value; ``None`` if it does."""
        if self._validator.is_valid(wire):
            return None
        error = _deepest(next(self._validator.iter_errors(wire)))
        field = self._shown(error.instance_path)
        return f"payload{field} is not what the document publishes: {_reason(error)}"

    def _shown(self, path: list[str | int]) -> str:
        """A path without the keys of maps, which are the user's data."""
        return "".join(
            f"[{part}]" if isinstance(part, int) else f".{part if part in self._members else '*'}"
            for part in path
        )

    def _dumped(self, payload: Any) -> Any:
        if self._schema is None:
            return payload
        try:
            return self._schema.dump(payload)
        except Exception as error:  # a field or a hook of the user's may raise anything
            wrong = self._undumped(payload, error)
        # Outside the block, so that an error which shows a value is not chained.
        raise PayloadError(wrong)

    def _undumped(self, payload: Any, error: Exception) -> str:
        schema = self._schema
        field = _failing_field(schema, payload) if isinstance(schema, marshmallow.Schema) else ""
        return (
            f"{self._name}: payload{field} can't be dumped by {type(schema).__name__}: "
            f"{type(error).__name__} at {_place(error.__traceback__)}. Nothing was stored."
        )

    def _serialized(self, dumped: Any) -> bytes:
        try:
            return _compact.encode(dumped).encode()
        except TypeError as error:
            reason = str(error)  # names a type
        except UnicodeEncodeError:
            reason = "a text in it is no Unicode (a lone surrogate)"
        except RecursionError:
            reason = "it is nested too deeply"
        except ValueError:
            reason = "a number in it is not finite, or it holds itself"
        raise PayloadError(f"{self._name}: the payload is no JSON: {reason}. Nothing was stored.")


def _dumper(schema: Any) -> marshmallow.Schema | Model | None:
    if is_marshmallow(schema):
        instance: marshmallow.Schema = schema() if isinstance(schema, type) else schema
        return instance
    return schema if is_model(schema) else None


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


def _members(schemas: list[Any]) -> Iterator[str]:
    """Every property name that is declared."""
    todo = list(schemas)
    while todo:
        schema = todo.pop()
        if isinstance(schema, Mapping):
            if isinstance(properties := schema.get("properties"), Mapping):
                yield from properties
            todo.extend(schema.values())
        elif isinstance(schema, list):
            todo.extend(schema)


def _deepest(error: Any) -> Any:
    """The refusal inside of "none of anyOf": of the first branch, which a nullable schema's is."""
    while branches := getattr(error.kind, "context", None):
        inner = next(iter(branches[0]), None)
        if inner is None or inner.instance_path[: len(error.instance_path)] != error.instance_path:
            break
        error = inner
    return error


def _reason(error: Any) -> str:
    kind = type(error.kind).__name__
    if kind == "Type":
        types = " or ".join(sorted(error.kind.types))
        hint = "; allow_none=True would allow it" if error.instance is None else ""
        return f"{_json_type(error.instance)} instead of {types}{hint}"
    return _NAMING.get(kind, str(error.message))


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array",
             dict: "object", type(None): "null"}  # fmt: skip
    return names[type(value)]


def _place(trace: TracebackType | None) -> str:
    """Where an exception was raised, in place of its text, which may show a value."""
    frames = traceback.extract_tb(trace)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"


def _failing_field(schema: marshmallow.Schema, payload: Any) -> str:
    """The first field that can't be dumped alone, as ``.name``; nothing when it can't be told."""
    if not schema.many:
        return _failing_member(schema, payload)
    try:
        items = list(payload)
    except TypeError:
        return ""
    for index, item in enumerate(items):
        if field := _failing_member(schema, item):
            return f"[{index}]{field}"
    return ""


def _failing_member(schema: marshmallow.Schema, payload: Any) -> str:
    for name, field in schema.dump_fields.items():
        try:
            field.serialize(name, payload, accessor=schema.get_attribute)
        except Exception:  # whatever it is, the caller reports it
            return f".{name if field.data_key is None else field.data_key}"
    return ""
