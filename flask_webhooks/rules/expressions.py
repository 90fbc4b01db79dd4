"""Read a callback key, a URL with runtime expressions in it, and refuse what can't work.

Source: OpenAPI 3.1, "Runtime Expressions"; RFC 6901 for JSON pointers. The grammar of a text around
expressions is that of Arazzo 1.1: no brace stands outside or inside of an expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..exceptions import ExpressionError
from .headers import tells_host
from .slips import closest, fault, mend

Source = Literal["url", "method", "statusCode", "request", "response"]
Part = Literal["header", "query", "path", "body"]

# `token` of RFC 9110, `char` of RFC 8259, `json-pointer` of RFC 6901; the last two without braces.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_NAME = r'(?:[^"\\{}\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*'
_POINTER = r"(?:/(?:[^/~{}]|~[01])*)*"
# The specification's grammar also has a query and a path of the response, but no response has them.
_EXPRESSION = re.compile(
    r"\$(?:(?P<whole>url|method|statusCode)"
    rf"|(?P<side>request|response)\.(?:header\.(?P<token>{_TOKEN})|body(?:#(?P<pointer>{_POINTER}))?)"
    rf"|request\.(?P<part>query|path)\.(?P<name>{_NAME}))"
)
_LOOSE = re.compile(r"\$(?:request|response)\.(?:header|query|path|body)")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_BEYOND_HOST = re.compile(r"[/?#]")
_PIECE = re.compile(r"\{([^{}]*)\}|[^{}]+")


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One bare expression such as ``$request.body#/callbackUrl``.

    ``name`` is a header, query or path name, JSON escapes decoded. ``pointer`` is the decoded
    reference tokens into a body, ``()`` for all of it. What does not apply is ``None``.
    """

    text: str
    where: Source
    part: Part | None = None
    name: str | None = None
    pointer: tuple[str, ...] | None = None

    @property
    def tells_host(self) -> bool:
        """Whether its value is, or holds, the host name by which the call came."""
        if (self.where, self.part) == ("request", "header"):
            return tells_host(self.name or "")
        return self.where == "url"


@dataclass(frozen=True)
class Template:
    """A text with expressions in it: literals and expressions in order, and the text as declared.

    ``url`` is false where the text gives something else than a URL, such as a key.
    """

    text: str
    parts: tuple[str | Expression, ...]
    url: bool = True

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions alone, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def led_by_host(self) -> Expression | None:
        """The expression by which a call's ``Host`` would say where the URL leads, if any does."""
        before = ""
        for part in self.parts:
            if isinstance(part, str):
                before += part
            elif part.tells_host and not _BEYOND_HOST.search(_SCHEME.sub("", before)):
                return part
        return None

    @property
    def needs_response(self) -> bool:
        """Whether it can be evaluated only when the response exists."""
        return any(found.where in ("response", "statusCode") for found in self.expressions)

    @property
    def needs_request_body(self) -> bool:
        """Whether it reads the body of the request."""
        return any((e.where, e.part) == ("request", "body") for e in self.expressions)

    @property
    def needs_response_body(self) -> bool:
        """Whether it reads the body of the response."""
        return any((e.where, e.part) == ("response", "body") for e in self.expressions)


class _Wrong(Exception):
    """A text that is no template: the offset of the fault, and what it is."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(problem)
        self.offset = offset
        self.problem = problem


def parse(text: str, *, url: bool = True) -> Template:
    """Read a bare expression, or a text with expressions in braces.

    :param url: whether it has to give a URL; a constant ``http(s)://`` URL is then allowed too.
    :raises ExpressionError: it is outside the grammar, or can never give what it has to.
    """
    try:
        return _read(text, url)
    except _Wrong as wrong:
        guesses = [guess for guess in mend(text, _is_expression) if _reads(guess, url)]
        raise ExpressionError(_explanation(text, url, wrong, guesses)) from None


def _read(text: str, url: bool) -> Template:
    # Bare or not is seen at the first character: a template in braces can't start with "$".
    pieces = [(0, text, True)] if text.startswith("$") else list(_pieces(text))
    parts = tuple(_expression(at, piece) if live else piece for at, piece, live in pieces)
    template = Template(text, parts, url)
    if url:
        _check_url(template)
    elif not template.expressions:
        raise _Wrong(0, "it has no expression, so it would be the same for every call")
    return template


def _pieces(text: str) -> Iterator[tuple[int, str, bool]]:
    """Every piece of ``text``: its offset, its text without braces, and whether it had braces."""
    at = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            closed = "}" in text[at:] and text[at] == "{"
            raise _Wrong(at, _BRACES[text[at], closed])
        expression = piece[1]
        if expression is None and (loose := _LOOSE.search(piece[0])):
            raise _Wrong(at + loose.start(), "an expression inside of a text stands in braces")
        yield (at, piece[0], False) if expression is None else (at + 1, expression, True)
        at = piece.end()


_BRACES = {
    ("{", False): 'this "{" is never closed',
    ("{", True): 'there is another "{" before this one is closed',
    ("}", False): 'this "}" closes nothing',
}


def _expression(offset: int, text: str) -> Expression:
    found = _EXPRESSION.fullmatch(text)
    if found is None:
        start = _EXPRESSION.match(text)
        at, problem = fault(text, start.end() if start else 0)
        raise _Wrong(offset + at, problem)
    if found["whole"]:
        return Expression(text=text, where=cast(Source, found["whole"]))
    if found["part"]:
        name = json.loads(f'"{found["name"]}"')
        return Expression(text=text, where="request", part=cast(Part, found["part"]), name=name)
    where = cast(Source, found["side"])
    if found["token"]:
        return Expression(text=text, where=where, part="header", name=found["token"])
    tokens = (found["pointer"] or "").split("/")[1:]
    pointer = tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)
    return Expression(text=text, where=where, part="body", pointer=pointer)


def _check_url(template: Template) -> None:
    if not template.parts:
        raise _Wrong(0, "it is empty")
    first = template.parts[0]
    if isinstance(first, Expression):
        if first.where in ("method", "statusCode"):
            raise _Wrong(0, f"it can never be a URL, since it starts with {first.text}")
        return
    start = first.lower()
    unfinished = len(template.parts) > 1 and ("http://".startswith(start) or start == "https://")
    if not unfinished and not re.match(r"https?://[^/?#\s]", start):
        raise _Wrong(0, 'it can never be a URL: start with an expression, "https://" or "http://"')


def _is_expression(text: str) -> bool:
    return _EXPRESSION.fullmatch(text) is not None


def _reads(text: str, url: bool) -> bool:
    try:
        _read(text, url)
    except _Wrong:
        return False
    return True


def _explanation(text: str, url: bool, wrong: _Wrong, guesses: list[str]) -> str:
    shown = [c if c.isprintable() else c.encode("unicode_escape").decode() for c in text]
    caret = " " * len("".join(shown[: wrong.offset])) + "^"
    kind = "a callback URL" if url else "an expression"
    hint = f"\nDid you mean {' or '.join(guesses)}?" if guesses else ""
    picture = f"\n\n    {''.join(shown)}\n    {caret}{hint}"
    return f"This can't work as {kind}: {wrong.problem}." + picture * bool(text)


def impossible(
    expression: Expression,
    *,
    path_names: Collection[str],
    method: str,
    query_names: Collection[str] | None = None,
    has_request_schema: bool = False,
    request_schema: Mapping[str, Any] | None = None,
    response_schema: Mapping[str, Any] | None = None,
    components: Mapping[str, Any] | None = None,
) -> str | None:
    """A sentence why an expression can never give a text at this view, or ``None`` if it may.

    :param path_names: the variables of the view's rule.
    :param query_names: the declared query parameters; others may be sent all the same.
    :param has_request_schema: whether a request body is declared, even one without a schema.
    :param components: the document's Components Object, where ``#/components/…`` is looked up.
    """
    reason = None
    if expression.part == "path":
        reason = _no_variable(expression.name or "", path_names)
    elif expression.part == "query":
        reason = _no_parameter(expression.name or "", query_names or ())
    elif expression.part == "body":
        request = expression.where == "request"
        schema = request_schema if request else response_schema
        declared = not request or has_request_schema or schema is not None
        if not declared and method.upper() in ("GET", "HEAD"):
            reason = f"a {method.upper()} request has no body, and none is declared."
        elif schema is not None:
            walk = _Schemas(components or {}, f"the {expression.where} body")
            reason = walk.blocked(schema, expression.pointer or (), "")
    return None if reason is None else f"{expression.text} can never have a value: {reason}"


def _no_variable(name: str, names: Collection[str]) -> str | None:
    return None if name in names else f'the rule has no variable "{name}"{_instead(name, names)}'


def _no_parameter(name: str, names: Collection[str]) -> str | None:
    # A bare expression takes all that follows into the name, so text after it is surely a slip.
    known = re.split("[/?&]", name)[0]
    if name in names or known not in names:
        return None
    return (
        f'no query parameter is named "{name}"; did you mean '
        f"{{$request.query.{known}}}{name[len(known) :]}?"
    )


def _instead(name: str, names: Collection[str]) -> str:
    near = closest(name, names)
    if near is not None:
        return f'; did you mean "{near}"?'
    return f"; it has {', '.join(sorted(names))}." if names else "; it has none at all."


_TEXT_TYPES = {"string", "number", "integer", "boolean"}
_INSIDE = ("properties", "patternProperties", "additionalProperties", "items", "prefixItems")
_BRANCHES = ("allOf", "anyOf", "oneOf")
_CONDITIONS = ("if", "dependentSchemas", "$dynamicRef")


@dataclass(frozen=True)
class _Schemas:
    """A walk down JSON Schemas (2020-12) along a pointer; when in doubt, everything is possible."""

    components: Mapping[str, Any]
    subject: str

    def blocked(
        self, schema: object, tokens: tuple[str, ...], at: str, seen: frozenset[str] = frozenset()
    ) -> str | None:
        """Why no text can stand at ``tokens`` below ``at``, where ``schema`` holds."""
        if schema is False:
            return f"{self._place(at)} is declared as never there."
        if not isinstance(schema, Mapping) or any(word in schema for word in _CONDITIONS):
            return None
        types = _types(schema)
        if types and not types & ({"object", "array"} if tokens else _TEXT_TYPES):
            return self._of_type(types, tokens, at)
        branches = self._branches(schema, seen)
        verdicts = [self.blocked(branch, tokens, at, known) for branch, known in branches]
        if tokens and (not branches or any(word in schema for word in _INSIDE)):
            verdicts.append(self._inside(schema, tokens, at))
        return None if None in verdicts else next(iter(verdicts), None)

    def _branches(
        self, schema: Mapping[str, Any], seen: frozenset[str]
    ) -> list[tuple[object, frozenset[str]]]:
        branches = [branch for word in _BRANCHES for branch in schema.get(word, ())]
        # A branch that only adds a description or `required` opens no way of its own.
        silent = [b for b in schema.get("allOf", ()) if not _says_type(b)]
        found = [(b, seen) for b in branches if b not in silent and _types(b) != {"null"}]
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            found.append((self._target(reference), seen | {reference}))
        return found

    def _target(self, reference: str) -> object:
        found: object = {"components": self.components}
        for token in reference.removeprefix("#/").split("/"):
            name = token.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def _inside(self, schema: Mapping[str, Any], tokens: tuple[str, ...], at: str) -> str | None:
        types = _types(schema) or {
            kind for kind, words in _KINDS.items() if any(word in schema for word in words)
        }
        verdicts = []
        if "object" in types:
            verdicts.append(self._member(schema, tokens, at))
        if "array" in types:
            verdicts.append(self._item(schema, tokens, at))
        return None if None in verdicts else next(iter(verdicts), None)

    def _member(self, schema: Mapping[str, Any], tokens: tuple[str, ...], at: str) -> str | None:
        name, rest, below = tokens[0], tokens[1:], f"{at}/{_escaped(tokens[0])}"
        properties = schema.get("properties", {})
        if name in properties:
            return self.blocked(properties[name], rest, below)
        others = schema.get("additionalProperties", "properties" not in schema)
        if schema.get("patternProperties"):
            return None
        if others is not False:
            return self.blocked(others, rest, below)
        return f'{self._place(at)} is declared without "{name}"{_instead(name, properties)}'

    def _item(self, schema: Mapping[str, Any], tokens: tuple[str, ...], at: str) -> str | None:
        index, rest, below = tokens[0], tokens[1:], f"{at}/{_escaped(tokens[0])}"
        if not re.fullmatch("0|[1-9][0-9]{0,8}", index):
            return f'{self._place(at)} is declared as an array, so "{index}" can\'t be in it.'
        first = schema.get("prefixItems", ())
        if int(index) < len(first):
            return self.blocked(first[int(index)], rest, below)
        return self.blocked(schema.get("items", True), rest, below)

    def _of_type(self, types: set[str], tokens: tuple[str, ...], at: str) -> str:
        kind = " or ".join(sorted(types))
        end = f'with nothing like "{tokens[0]}" in it' if tokens else "not as a text or a number"
        return f"{self._place(at)} is declared as {kind}, {end}."

    def _place(self, at: str) -> str:
        return f"#{at} of {self.subject}" if at else self.subject


_KINDS = {
    "object": ("properties", "patternProperties", "additionalProperties"),
    "array": ("items", "prefixItems"),
}


def _types(schema: object) -> set[str]:
    declared = schema.get("type", ()) if isinstance(schema, Mapping) else ()
    return {declared} if isinstance(declared, str) else set(declared)


def _says_type(schema: object) -> bool:
    words = ("type", "$ref", *_INSIDE, *_BRANCHES)
    return not isinstance(schema, Mapping) or any(word in schema for word in words)


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
