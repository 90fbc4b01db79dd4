"""Component schemas in both directions: what a view takes, and what a webhook sends.

A payload is what ``dump`` produces. So its component has no ``load_only`` field and no
``readOnly``, requires what the wire always has, and is open to fields that are added later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow
from marshmallow import fields
from marshmallow.exceptions import RegistryError

from ..exceptions import DeclarationError
from .converter import Converter, JSONSchema, undirected
from .inline import inline_component
from .models import is_marshmallow, is_model
from .references import SCHEMAS, component_name, reachable, references, rewritten

_PAYLOAD_SUFFIX = "Payload"
_ALLOWED = re.compile(r"[A-Za-z0-9._-]+")
_SCALARS = (str, int, float, type(None))
#: What can't be a schema by itself; asked first, since most of a document is made of these.
_HOLDERS = (dict, list, tuple)
#: How many field names a component's name may hold.
_FEW = 3


class Schemas:
    """Collects the component schemas of one document."""

    def __init__(self) -> None:
        self._converter = Converter(self._nested)
        self._names: dict[Any, str] = {}
        self._used: set[str] = set()
        self._taken: dict[str, JSONSchema] = {}
        self._sent: dict[str, JSONSchema] = {}
        self._fresh: list[str] = []
        self._payloads: dict[str, str] = {}
        self._inline: dict[str, JSONSchema] = {}

    def inbound(self, schema: Any, name: str) -> JSONSchema:
        """A schema as a view's operation takes or answers it: a reference to its component.

        :param name: what the component is called when the schema does not say it.
        """
        if is_marshmallow(schema):
            return self._resolved(schema, name)
        return self._inline_reference(schema, name, outbound=False)

    def outbound(self, schema: Any, name: str) -> JSONSchema:
        """A schema as a webhook sends it: a reference to its component.

        Input: ``Booking`` (a class). Output: ``{"$ref": "#/components/schemas/Booking"}``, or
        ``…/BookingPayload`` where what is sent differs from what is taken. ``None`` is any JSON.
        """
        if schema is None:
            return {}
        if is_marshmallow(schema):
            return self._of_payloads(self._resolved(schema, name))
        return self._inline_reference(schema, name, outbound=True)

    def resolve(self, value: Any, name: str, *, outbound: bool = False) -> Any:
        """A copy of ``value`` with references wherever a marshmallow schema or a model stands."""
        if isinstance(value, _SCALARS):
            return value
        if type(value) not in _HOLDERS and (is_marshmallow(value) or is_model(value)):
            return (self.outbound if outbound else self.inbound)(value, name)
        if isinstance(value, Mapping):
            return {k: self.resolve(v, name, outbound=outbound) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item, name, outbound=outbound) for item in value]
        return value

    def components(self, referred: Iterable[str]) -> dict[str, JSONSchema]:
        """The components that the references ``referred`` lead to, sorted by name."""
        known = {**self._taken, **self._inline}
        for name, payload in self._payloads.items():
            known[payload] = self._of_payloads(self._sent[name])
        return {name: known[name] for name in sorted(reachable(referred, known))}

    def _resolved(self, schema: Any, subject: str) -> JSONSchema:
        try:
            reference = self._reference(schema)
        except RegistryError as error:
            raise DeclarationError(f"{subject}: a nested schema can't be found: {error}") from None
        self._separate()
        many = isinstance(schema, marshmallow.Schema) and schema.many
        return {"type": "array", "items": reference} if many else reference

    def _nested(self, schema: marshmallow.Schema) -> JSONSchema:
        return self._reference(schema)

    def _reference(self, schema: Any) -> JSONSchema:
        """The reference to the component of a class or an instance, made on first sight."""
        if (known := self._names.get(schema) if isinstance(schema, type) else None) is None:
            instance: marshmallow.Schema = schema() if isinstance(schema, type) else schema
            variant = _variant(instance)
            if variant not in self._names:
                self._names[variant] = self._free(_name_of(instance))
                self._convert(instance, self._names[variant])
            known = self._names[variant]
            if isinstance(schema, type):
                self._names[schema] = known
        return {"$ref": SCHEMAS + known}

    def _free(self, wish: str) -> str:
        count, name = 1, wish
        while name in self._used:
            count += 1
            name = f"{wish}{count}"
        self._used.add(name)
        return name

    def _convert(self, schema: marshmallow.Schema, name: str) -> None:
        # In the order of declaration, since only= may be a set.
        shown = [n for n in schema.declared_fields if n in schema.fields]
        made = {n: self._converter.property_of(schema.fields[n]) for n in shown}
        keys = {n: _key(n, schema.fields[n]) for n in shown}
        required = [n for n in shown if _is_required(schema, n)]
        words = _words(schema)
        self._taken[name] = _object({keys[n]: made[n] for n in shown}, map(keys.get, required))
        self._taken[name] |= words | _closed(schema)
        sent = [n for n in shown if n in schema.dump_fields]
        always = [n for n in sent if n in required or _is_filled(schema.fields[n])]
        self._sent[name] = _object(
            {keys[n]: undirected(made[n]) for n in sent}, map(keys.get, always)
        )
        self._sent[name] |= words
        self._fresh.append(name)

    def _separate(self) -> None:
        """Name the payload components of what was converted since: of all that is sent otherwise.

        A component refers to none that is converted after it is done, so each is looked at once.
        """
        users: dict[str, list[str]] = {}
        todo = []
        for name in self._fresh:
            nested = {component_name(reference) for reference in references(self._taken[name])}
            for other in nested - {None}:
                users.setdefault(str(other), []).append(name)
            if self._taken[name] != self._sent[name] or nested & self._payloads.keys():
                todo.append(name)
        differing: set[str] = set()
        while todo:
            if (name := todo.pop()) not in differing:
                differing.add(name)
                todo += users.get(name, ())
        for name in (n for n in self._fresh if n in differing):
            self._payloads[name] = self._free(name + _PAYLOAD_SUFFIX)
        self._fresh.clear()

    def _of_payloads(self, schema: JSONSchema) -> JSONSchema:
        """The same schema, referring to payload components wherever there are any."""
        found: JSONSchema = rewritten(schema, self._payload_reference)
        return found

    def _payload_reference(self, reference: str) -> str:
        name = reference.removeprefix(SCHEMAS)
        return SCHEMAS + self._payloads.get(name, name) if name != reference else reference

    def _inline_reference(self, schema: Any, name: str, *, outbound: bool) -> JSONSchema:
        if is_model(schema):
            schema = schema.json_schema()
        if not isinstance(schema, Mapping):
            raise DeclarationError(
                f"{name}: {schema!r} is no schema. Give a marshmallow schema (class or instance), "
                "a JSON Schema as a dict, or an object with json_schema() and dump(payload)."
            )
        if set(schema) == {"$ref"} and isinstance(schema["$ref"], str):
            return dict(schema)
        resolved = self.resolve(schema, name, outbound=outbound)
        wish = _clean(str(schema.get("title") or name))
        count, component = 1, wish
        while True:
            made = inline_component(resolved, component, name)
            if component not in self._used or self._inline.get(component) == made:
                break
            count, component = count + 1, f"{wish}{count + 1}"
        self._used.add(component)
        self._inline[component] = made
        return {"$ref": SCHEMAS + component}


def _object(properties: JSONSchema, required: Iterable[str | None]) -> JSONSchema:
    schema: JSONSchema = {"type": "object", "properties": properties}
    if names := list(required):
        schema["required"] = names
    return schema


def _words(schema: marshmallow.Schema) -> JSONSchema:
    meta = getattr(schema, "Meta", None)
    said = {word: getattr(meta, word, None) for word in ("title", "description")}
    return {word: str(text) for word, text in said.items() if text is not None}


def _closed(schema: marshmallow.Schema) -> JSONSchema:
    """What is taken is closed where the class says so; what is sent stays open for receivers."""
    said = getattr(getattr(schema, "Meta", None), "unknown", None)
    return {"additionalProperties": False} if said == marshmallow.RAISE else {}


def _key(name: str, field: fields.Field[Any]) -> str:
    return name if field.data_key is None else field.data_key


def _is_required(schema: marshmallow.Schema, name: str) -> bool:
    partial = schema.partial
    waived = name in partial if isinstance(partial, Iterable) else bool(partial)
    return schema.fields[name].required and not waived


def _is_filled(field: fields.Field[Any]) -> bool:
    """Whether ``dump`` fills the field in by itself."""
    return field.dump_default is not marshmallow.missing or isinstance(field, fields.Constant)


def _variant(schema: marshmallow.Schema) -> tuple[Any, ...]:
    """What makes the component of an instance another than that of its class."""
    partial = schema.partial
    return (
        type(schema),
        frozenset(partial) if isinstance(partial, Iterable) else bool(partial),
        frozenset(_traits(name, field) for name, field in schema.fields.items()),
    )


def _traits(name: str, field: fields.Field[Any]) -> tuple[Any, ...]:
    traits = (name, field.load_only, field.dump_only, field.required, field.allow_none)
    # An option with a dot, such as only=("seat.row",), stands on the nested field.
    only, exclude = getattr(field, "only", None), getattr(field, "exclude", None)
    return (*traits, None if only is None else frozenset(only), frozenset(exclude or ()))


def _name_of(schema: marshmallow.Schema) -> str:
    """Input: ``BookingSchema(only=("id", "train"))``. Output: ``"BookingIdTrain"``."""
    cls = type(schema)
    name = cls.__name__.removesuffix("Schema") or cls.__name__
    name = name if _ALLOWED.fullmatch(name) else _clean(name)
    shown = [n for n in schema.declared_fields if n in schema.fields]
    hidden = [n for n in schema.declared_fields if n not in schema.fields]
    if hidden and schema.only is not None and len(shown) <= _FEW:
        name += "".join(map(_clean, shown))
    elif hidden and (schema.only is not None or schema.exclude):
        name += "Without" + "".join(map(_clean, hidden)) if len(hidden) <= _FEW else "Part"
    return name + ("Partial" if schema.partial else "")


def _clean(text: str) -> str:
    """Input: ``"order.paid"``. Output: ``"OrderPaid"``."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()
    return "".join(word[0].upper() + word[1:] for word in words) or "Payload"
