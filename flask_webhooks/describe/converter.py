"""One marshmallow field as JSON Schema 2020-12: apispec's converter, saying what ``dump`` gives.

apispec writes some things in marshmallow's words, and says of some fields what their ``dump``
never gives; each such place is said anew here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

import marshmallow
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields, validate

from ..rules.privacy import PRIVATE
from .patterns import pattern_of
from .plain import as_json

JSONSchema = dict[str, Any]

#: Words of JSON Schema 2020-12 that a field's ``metadata`` may say besides those apispec knows.
_METADATA = frozenset(
    {"const", "contains", "contentEncoding", "contentMediaType", "contentSchema", "else", "if",
     "dependentRequired", "dependentSchemas", "maxContains", "minContains", "patternProperties",
     "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
_ISO = (None, "iso", "iso8601")
_HTTP_DATE = r"^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} "
_UNITS = {"timestamp": "seconds", "timestamp_ms": "milliseconds"}


class Converter(OpenAPIConverter):
    """Makes the schema of one field.

    :param nest: from a nested schema instance to its own JSON Schema, usually a reference; whether
        it is a list is not its business.
    """

    field_mapping = {
        **OpenAPIConverter.field_mapping,
        fields.Decimal: ("string", "decimal"),
        fields.Mapping: ("object", None),
        fields.Tuple: ("array", None),
        fields.URL: ("string", "uri"),
        fields.IP: ("string", None),
        fields.IPInterface: ("string", None),
        fields.NaiveDateTime: ("string", None),
    }

    def __init__(self, nest: Callable[[marshmallow.Schema], JSONSchema]) -> None:
        super().__init__("3.1.1", _no_name, spec=cast(Any, None))
        self._nest = nest
        # Each is given what those before it have said, and may say it otherwise.
        self.attribute_functions: list[Any] = [
            self.field2type_and_format, _number_as_text, _moment, _default, _direction,
            _choices, _range, _length, _patterns,
            self._enum, self._nested, self._pluck, self._list, self._tuple, self._mapping,
            self.timedelta2properties, _ip, _constant, _metadata, _nullable,
        ]  # fmt: skip

    def property_of(self, field: fields.Field[Any]) -> JSONSchema:
        """The JSON Schema of a field in both directions: with ``readOnly`` and ``default``."""
        found: JSONSchema = self.field2property(field)
        return found

    def _enum(self, field: fields.Field[Any], **_: Any) -> JSONSchema:
        if not isinstance(field, fields.Enum):
            return {}
        values = [member.value if field.by_value else member.name for member in field.enum]
        known = [as_json(field.field._serialize(value, "", None)) for value in values]
        return {**_type_of(known), **self.property_of(field.field), "enum": known}

    def _nested(self, field: fields.Field[Any], **_: Any) -> JSONSchema:
        if not isinstance(field, fields.Nested) or isinstance(field, fields.Pluck):
            return {}
        nested = self._nest(field.schema)
        many = field.schema.many or field.many
        return {"type": "array", "items": nested} if many else nested

    def _pluck(self, field: fields.Field[Any], **_: Any) -> JSONSchema:
        if not isinstance(field, fields.Pluck):
            return {}
        plucked = undirected(self.property_of(field.schema.fields[field.field_name]))
        return {"type": "array", "items": plucked} if field.many else plucked

    def _list(self, field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
        if not isinstance(field, fields.List):
            return {}
        items = undirected(self.property_of(field.inner))
        only = [v.choices for v in _validators(field) if isinstance(v, validate.ContainsOnly)]
        return {"items": {**items, "enum": _listed(field.inner, only[0])} if only else items}

    def _tuple(self, field: fields.Field[Any], **_: Any) -> JSONSchema:
        if not isinstance(field, fields.Tuple):
            return {}
        items = [undirected(self.property_of(one)) for one in field.tuple_fields]
        return {
            "prefixItems": items, "items": False, "minItems": len(items), "maxItems": len(items)
        }  # fmt: skip

    def _mapping(self, field: fields.Field[Any], **_: Any) -> JSONSchema:
        if not isinstance(field, fields.Mapping):
            return {}
        value = field.value_field
        words: JSONSchema = {
            "additionalProperties": undirected(self.property_of(value)) if value else {}
        }
        names = undirected(self.property_of(field.key_field)) if field.key_field else {}
        if names.get("type") == "string" and set(names) - {"type"}:
            words["propertyNames"] = names
        return words


def undirected(schema: JSONSchema) -> JSONSchema:
    """What a field's schema says of the value alone, wherever it stands."""
    return {k: v for k, v in schema.items() if k not in ("readOnly", "writeOnly", "default")}


def _no_name(_: Any) -> None:
    return None


def _validators(field: fields.Field[Any]) -> Iterator[Any]:
    todo = list(field.validators)
    while todo:
        validator = todo.pop(0)
        if isinstance(validator, validate.And):
            todo[:0] = validator.validators
        else:
            yield validator


def _number_as_text(field: fields.Field[Any], **_: Any) -> JSONSchema:
    as_text = isinstance(field, fields.Number) and field.as_string
    return {"type": "string"} if as_text else {}


def _moment(field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
    """Other formats than ISO 8601 are no ``date-time``, ``date`` or ``time``."""
    if not isinstance(field, fields.DateTime | fields.Time | fields.Date):
        return {}
    if field.format in _ISO:
        return {}
    ret.pop("format", None)
    if isinstance(field, fields.DateTime) and field.format in _UNITS:
        return {"type": "number", "x-unit": _UNITS[field.format]}
    if isinstance(field, fields.DateTime) and field.format in ("rfc", "rfc822"):
        return {"type": "string", "pattern": _HTTP_DATE}
    return {"type": "string"}


def _default(field: fields.Field[Any], **_: Any) -> JSONSchema:
    default = field.load_default
    if default is marshmallow.missing or callable(default) or isinstance(field, fields.Constant):
        return {}
    written = _written(field, [default])
    return {"default": written[0]} if written else {}


def _direction(field: fields.Field[Any], **_: Any) -> JSONSchema:
    flags = {"readOnly": field.dump_only, "writeOnly": field.load_only}
    return {word: True for word, said in flags.items() if said}


def _choices(field: fields.Field[Any], **_: Any) -> JSONSchema:
    known: list[list[Any]] = []
    for validator in _validators(field):
        if isinstance(validator, validate.Equal):
            known.append(_listed(field, [validator.comparable]))
        elif isinstance(validator, validate.OneOf) and not isinstance(
            validator, validate.ContainsOnly
        ):
            known.append(_listed(field, validator.choices))
    if not known:
        return {}
    common = [choice for choice in known[0] if all(choice in other for other in known)]
    return {"const": common[0]} if len(common) == 1 and len(known[0]) == 1 else {"enum": common}


def _listed(field: fields.Field[Any], choices: Iterable[Any]) -> list[Any]:
    """Choices as the wire has them; in an order that is the same in every process."""
    written = _written(field, list(choices))
    return sorted(written, key=str) if isinstance(choices, set | frozenset) else written


def _written(field: fields.Field[Any], values: list[Any]) -> list[Any]:
    """Values as ``field`` writes them; nothing for those that it can't write."""
    found = []
    for value in values:
        try:
            found.append(as_json(field._serialize(value, "", None)))
        except Exception:  # a default or a choice of another type is marshmallow's business
            continue
    return found


def _range(field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
    if ret.get("type") not in ("number", "integer"):
        return {}
    words: JSONSchema = {}
    for validator in _validators(field):
        if isinstance(validator, validate.Range):
            low = "minimum" if validator.min_inclusive else "exclusiveMinimum"
            high = "maximum" if validator.max_inclusive else "exclusiveMaximum"
            _bound(words, low, _number(field, validator.min), max)
            _bound(words, high, _number(field, validator.max), min)
    return words


def _number(field: fields.Field[Any], bound: Any) -> Any:
    if bound is None or (isinstance(bound, int | float) and not isinstance(bound, bool)):
        return bound
    return next(iter(_written(field, [bound])), None)


def _bound(
    words: JSONSchema, word: str, bound: Any, tighter: Callable[[Any, Any], Any] = max
) -> None:
    if bound is not None:
        words[word] = bound if word not in words else tighter(words[word], bound)


def _length(field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
    low, high = "minLength", "maxLength"
    if isinstance(field, fields.Nested | fields.List | fields.Tuple):
        low, high = "minItems", "maxItems"
    elif isinstance(field, fields.Mapping):
        low, high = "minProperties", "maxProperties"
    words: JSONSchema = {}
    for validator in _validators(field):
        if isinstance(validator, validate.Length):
            exact = validator.equal
            _bound(words, low, validator.min if exact is None else exact, max)
            _bound(words, high, validator.max if exact is None else exact, min)
    return words


def _patterns(field: fields.Field[Any], **_: Any) -> JSONSchema:
    regexes: list[Any] = [v.regex for v in _validators(field) if isinstance(v, validate.Regexp)]
    patterns = [pattern for regex in regexes if (pattern := pattern_of(regex)) is not None]
    if len(patterns) > 1:
        return {"allOf": [{"pattern": pattern} for pattern in patterns]}
    return {"pattern": patterns[0]} if patterns else {}


def _ip(field: fields.Field[Any], **_: Any) -> JSONSchema:
    if type(field) is fields.IP:
        return {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
    return {}


def _constant(field: fields.Field[Any], **_: Any) -> JSONSchema:
    return {"const": as_json(field.constant)} if isinstance(field, fields.Constant) else {}


def _metadata(field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
    """What the user says has the last word."""
    metadata: Mapping[Any, Any] = field.metadata
    own = {k: v for k, v in metadata.items() if isinstance(k, str) and k in _METADATA}
    private = {PRIVATE: True} if metadata.get("private") else {}
    said = {**_converter_words(field), **own, **private}
    return {word: _text(value) for word, value in said.items() if value is not None}


def _converter_words(field: fields.Field[Any]) -> JSONSchema:
    words: JSONSchema = OpenAPIConverter.metadata2properties(cast(Any, None), field)
    # "required" of a property is marshmallow's; "nullable" was OpenAPI 3.0's.
    return {k: v for k, v in words.items() if k not in ("nullable", "required")}


def _text(value: Any) -> Any:
    try:
        return as_json(value)
    except TypeError:
        return str(value)  # a text that is translated later, say


def _nullable(field: fields.Field[Any], ret: JSONSchema) -> JSONSchema:
    if not field.allow_none and not field.metadata.get("nullable"):
        return {}
    words: JSONSchema = {}
    if "$ref" in ret:
        words["anyOf"] = [{"$ref": ret.pop("$ref")}, {"type": "null"}]
    elif "type" in ret:
        types = ret["type"] if isinstance(ret["type"], list) else [ret["type"]]
        words["type"] = types if "null" in types else [*types, "null"]
    else:
        for word in ("anyOf", "oneOf"):
            if word in ret:
                words[word] = [*ret[word], {"type": "null"}]
    if "const" in ret and ret["const"] is not None:
        words["enum"] = [ret.pop("const"), None]
    elif "enum" in ret and None not in ret["enum"]:
        words["enum"] = [*ret["enum"], None]
    return words


def _type_of(values: list[Any]) -> JSONSchema:
    kinds = {type(value) for value in values if value is not None}
    names = {str: "string", int: "integer", bool: "boolean"}
    return {"type": names[kinds.pop()]} if len(kinds) == 1 and kinds <= set(names) else {}
