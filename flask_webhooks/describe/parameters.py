"""Parameter Objects: a rule's variables by their converters, and what a declaration adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from werkzeug.routing import (
    AnyConverter,
    BaseConverter,
    FloatConverter,
    IntegerConverter,
    PathConverter,
    UnicodeConverter,
    UUIDConverter,
)

from ..exceptions import DeclarationError
from .patterns import pattern_of

Parameter = dict[str, Any]

_PLACES = ("path", "query", "header", "cookie")


def path_parameters(rule: Any) -> Iterator[Parameter]:
    """The variables of a Werkzeug rule, in order; those of its host are none of the path."""
    for name in path_variables(rule):
        schema = schema_of(rule._converters[name])
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def path_variables(rule: Any) -> Iterator[str]:
    """Names of the variables in the path of a rule."""
    return (part for variable, part in path_trace(rule) if variable)


def path_trace(rule: Any) -> list[tuple[bool, str]]:
    """The pieces of a rule's path: whether it is a variable, and its name or text.

    Werkzeug has no public name for it.
    """
    trace: list[tuple[bool, str]] = list(rule._trace)
    return trace[trace.index((False, "|")) + 1 :]


def schema_of(converter: BaseConverter) -> dict[str, Any]:
    """What a converter accepts, as a JSON Schema of the text in the URL.

    A converter says it itself by ``json_schema``: a dict, or a method that returns one.
    """
    own = getattr(converter, "json_schema", None)
    if own is not None:
        return dict(own() if callable(own) else own)
    if isinstance(converter, IntegerConverter | FloatConverter):
        return _number(converter)
    if isinstance(converter, UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, AnyConverter):
        return {"type": "string", "enum": sorted(converter.items)}
    if type(converter) is UnicodeConverter:
        return {"type": "string", **_length(converter)}
    if isinstance(converter, PathConverter):
        return {"type": "string", "minLength": 1}
    return {"type": "string", **_pattern(converter)}


def _number(converter: IntegerConverter | FloatConverter) -> dict[str, Any]:
    if converter.fixed_digits:
        # 0042 is no number of JSON.
        digits, pattern = converter.fixed_digits, pattern_of(converter.regex, whole=True)
        return {"type": "string", "pattern": pattern, "minLength": digits, "maxLength": digits}
    schema: dict[str, Any] = {
        "type": "integer" if isinstance(converter, IntegerConverter) else "number"
    }
    bounds = [bound for bound in (converter.min, None if converter.signed else 0)]
    if lowest := [bound for bound in bounds if bound is not None]:
        schema["minimum"] = max(lowest)
    if converter.max is not None:
        schema["maximum"] = converter.max
    return schema


def _length(converter: UnicodeConverter) -> dict[str, Any]:
    # The bounds stand in its regular expression only: [^/]{2}, [^/]{1,} or [^/]{1,5}.
    low, comma, high = converter.regex.partition("{")[2].rstrip("}").partition(",")
    bounds = {"minLength": int(low)}
    if high or not comma:
        bounds["maxLength"] = int(high or low)
    return bounds


def _pattern(converter: BaseConverter) -> dict[str, Any]:
    if converter.regex == BaseConverter.regex:
        return {"minLength": 1}
    pattern = pattern_of(converter.regex, whole=True)
    return {} if pattern is None else {"pattern": pattern}


def merged(
    derived: Sequence[Parameter],
    given: Sequence[Mapping[str, Any]],
    subject: str,
    components: Mapping[str, Any],
) -> list[Parameter]:
    """Derived parameters and those of a declaration, which win; header names ignore case.

    A path parameter that is given adds to the one of the rule; any other replaces its like.

    :param subject: whose they are, for error messages.
    :param components: the document's component parameters, which a ``$ref`` may lead to.
    :raises DeclarationError: one has no name or place, or is given twice.
    """
    found = {_identity(parameter, components): dict(parameter) for parameter in derived}
    seen: set[Any] = set()
    for parameter in given:
        _check(parameter, subject)
        identity = _identity(parameter, components)
        if identity in seen:
            raise DeclarationError(
                f"{subject}: the {identity[0]} parameter {identity[1]!r} is given twice. "
                "Give each parameter once."
            )
        seen.add(identity)
        known = found.get(identity, {}) if parameter.get("in") == "path" else {}
        found[identity] = {**known, **parameter}
    return list(found.values())


def referred(parameter: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a parameter is, where it may be a reference to a component."""
    name = str(parameter.get("$ref", "")).rpartition("/")[2]
    found = components.get(name, parameter)
    return found if isinstance(found, Mapping) else parameter


def _identity(parameter: Mapping[str, Any], components: Mapping[str, Any]) -> tuple[str, str]:
    found = referred(parameter, components)
    if "$ref" in found:
        # The components of this package are called as the headers that they describe.
        return "header", str(found["$ref"]).rpartition("/")[2].lower()
    name, place = str(found.get("name")), str(found.get("in"))
    return place, name.lower() if place == "header" else name


def _check(parameter: Mapping[str, Any], subject: str) -> None:
    if "$ref" in parameter:
        return
    if not parameter.get("name") or parameter.get("in") not in _PLACES:
        raise DeclarationError(
            f"{subject}: {dict(parameter)!r} is no Parameter Object. Give at least a name, and in= "
            f"one of {', '.join(_PLACES)}."
        )
    if "schema" not in parameter and "content" not in parameter and parameter["in"] != "path":
        raise DeclarationError(
            f"{subject}: the {parameter['in']} parameter {parameter['name']!r} has no schema. "
            'Say what it may be, such as schema={"type": "string"}.'
        )
