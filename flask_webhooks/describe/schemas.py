"""Component schemas in both directions: what a view takes, and what a webhook sends.

A payload is what ``dump`` produces. So its component has no ``load_only`` field and no
``readOnly``, requires what the wire always has, and is open to fields that are added later.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from ..exceptions import DeclarationError

JSONSchema = dict[str, Any]

_REF = "#/components/schemas/"
_ALWAYS_SENT = "x-flask-webhooks-always-sent"
_PAYLOAD_SUFFIX = "Payload"

#: marshmallow's formats that JSON Schema knows under another name.
_FORMATS = {"url": "uri"}


def is_marshmallow(schema: Any) -> bool:
    """Whether ``schema`` is a marshmallow class or instance."""
    return isinstance(schema, marshmallow.Schema) or (
        isinstance(schema, type) and issubclass(schema, marshmallow.Schema)
    )


class Schemas:
    """Collects the component schemas of one document.

    :param openapi_version: such as ``"3.1.1"``.
    """

    def __init__(self, openapi_version: str) -> None:
        self.plugin = MarshmallowPlugin()
        self.spec = APISpec("", "", openapi_version, plugins=[self.plugin])
        self._inline: dict[str, JSONSchema] = {}
        self._payloads: set[str] = set()
        assert self.plugin.converter is not None
        for function in (_always_sent, _json_schema_words):
            self.plugin.converter.add_attribute_function(function)  # type: ignore[no-untyped-call]

    def inbound(self, schema: Any, name: str) -> JSONSchema:
        """A schema as a view's operation takes or answers it: a reference to its component."""
        if is_marshmallow(schema):
            return self._resolve(schema)
        return self._inline_component(schema, name)

    def outbound(self, schema: Any, name: str) -> JSONSchema:
        """A schema as a webhook sends it: a reference to its component.

        Input: ``Booking`` (a class). Output: ``{"$ref": "#/components/schemas/Booking"}``, or
        ``…/BookingPayload`` where what is sent differs from what is taken.
        """
        if schema is None:
            return {}
        if not is_marshmallow(schema):
            return self._inline_component(schema, name)
        reference = self._resolve(schema)
        self._payloads |= set(_references(reference))
        renamed: JSONSchema = _renamed(reference, self._directional())
        return renamed

    def components(self) -> dict[str, JSONSchema]:
        """Every component that was referred to, by name, sorted."""
        inbound = self._components()
        directional = self._directional()
        found = {name: _cleaned(schema) for name, schema in inbound.items()}
        for name in _reachable(self._payloads, inbound) & directional:
            found[name + _PAYLOAD_SUFFIX] = _renamed(_sent(inbound[name]), directional)
        return dict(sorted({**found, **self._inline}.items()))

    def _resolve(self, schema: Any) -> JSONSchema:
        converter = self.plugin.converter
        assert converter is not None
        with warnings.catch_warnings():
            # apispec warns when it numbers the variants of one class; the numbers are what we want.
            warnings.simplefilter("ignore", UserWarning)
            resolved: JSONSchema = converter.resolve_nested_schema(schema)  # type: ignore[no-untyped-call]
        return resolved

    def _components(self) -> dict[str, JSONSchema]:
        return dict(self.spec.components.schemas)

    def _directional(self) -> set[str]:
        """Names of components that are sent otherwise than they are taken, nested ones included."""
        components = self._components()
        differing = {n for n, s in components.items() if _cleaned(s) != _sent(s)}
        return {n for n in components if _reachable({n}, components) & differing}

    def _inline_component(self, schema: Any, name: str) -> JSONSchema:
        if not isinstance(schema, Mapping):
            raise DeclarationError(
                f"{name}: {schema!r} is no schema. Give a marshmallow schema (class or instance) "
                "or a JSON Schema as a dict."
            )
        if set(schema) == {"$ref"}:
            return dict(schema)
        component = self._free_name(schema, name)
        self._inline[component] = _rebased(copy.deepcopy(dict(schema)), component)
        return {"$ref": _REF + component}

    def _free_name(self, schema: Mapping[str, Any], name: str) -> str:
        """The component name of a JSON Schema: its title, else the name of what it describes."""
        wish = _component_name(str(schema.get("title") or name))
        taken = self._components()
        candidates = (wish + (str(n) if n else "") for n in range(10_000))
        return next(
            c
            for c in candidates
            if c not in taken
            and (c not in self._inline or self._inline[c] == _rebased(dict(schema), c))
        )


def _component_name(text: str) -> str:
    """Input: ``"order.paid"``. Output: ``"OrderPaid"``."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()
    return "".join(word[0].upper() + word[1:] for word in words) or "Payload"


def _always_sent(_: Any, field: fields.Field[Any], **__: Any) -> JSONSchema:
    """Mark what ``dump`` fills in by itself: apispec does not say it."""
    filled = field.dump_default is not marshmallow.missing or isinstance(field, fields.Constant)
    return {_ALWAYS_SENT: True} if filled and not field.load_only else {}


def _json_schema_words(_: Any, field: fields.Field[Any], ret: JSONSchema, **__: Any) -> JSONSchema:
    """Say in JSON Schema's words what apispec says in marshmallow's."""
    words: JSONSchema = {}
    if ret.get("format") in _FORMATS:
        words["format"] = _FORMATS[ret["format"]]
    if isinstance(field, fields.Constant):
        words["const"] = field.constant
    return words


def _cleaned(schema: Any) -> Any:
    """A component without our marks, and open: apispec closes what marshmallow would refuse to load."""
    if isinstance(schema, Mapping):
        return {
            key: _cleaned(value)
            for key, value in schema.items()
            if key != _ALWAYS_SENT and not (key == "additionalProperties" and value is False)
        }
    return [_cleaned(item) for item in schema] if isinstance(schema, list) else schema


def _sent(schema: JSONSchema) -> JSONSchema:
    """A component as ``dump`` fills it: the outbound side of one inbound object schema."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return dict(_cleaned(schema))
    sent = {name: p for name, p in properties.items() if not _flag(p, "writeOnly")}
    always = set(schema.get("required", ())) | {
        n for n, p in sent.items() if _flag(p, _ALWAYS_SENT)
    }
    result: JSONSchema = {**_cleaned(schema)}
    result["properties"] = {
        name: {k: v for k, v in _cleaned(p).items() if k != "readOnly"} for name, p in sent.items()
    }
    result.pop("required", None)
    if required := [name for name in sent if name in always]:
        result["required"] = required
    if "required" in schema and set(required) == set(schema["required"]):
        result["required"] = schema["required"]
    return result


def _flag(schema: Any, name: str) -> bool:
    return isinstance(schema, Mapping) and schema.get(name) is True


def _references(schema: Any) -> Iterator[str]:
    """Names of the components that a schema refers to directly."""
    if isinstance(schema, Mapping):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REF):
            yield reference.removeprefix(_REF)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _references(item)


def _reachable(names: set[str], components: Mapping[str, JSONSchema]) -> set[str]:
    found: set[str] = set()
    todo = [name for name in names if name in components]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [n for n in _references(components[name]) if n in components]
    return found


def _renamed(schema: Any, directional: set[str]) -> Any:
    """The same schema, referring to the payload variants of ``directional`` components."""
    if isinstance(schema, Mapping):
        return {
            key: _payload_reference(value, directional)
            if key == "$ref"
            else _renamed(value, directional)
            for key, value in schema.items()
        }
    return [_renamed(item, directional) for item in schema] if isinstance(schema, list) else schema


def _payload_reference(reference: Any, directional: set[str]) -> Any:
    name = str(reference).removeprefix(_REF)
    return f"{_REF}{name}{_PAYLOAD_SUFFIX}" if name in directional else reference


def _rebased(schema: Any, component: str) -> Any:
    """A JSON Schema whose references to its own root lead to its place in the document."""
    if isinstance(schema, Mapping):
        return {
            key: _rebased_reference(value, component)
            if key == "$ref"
            else _rebased(value, component)
            for key, value in schema.items()
            if key != "$schema"
        }
    return [_rebased(item, component) for item in schema] if isinstance(schema, list) else schema


def _rebased_reference(reference: Any, component: str) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return reference
    if reference.startswith("#/components/"):
        return reference
    return f"{_REF}{component}{reference[1:]}"
