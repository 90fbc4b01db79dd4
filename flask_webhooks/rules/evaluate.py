"""Give runtime expressions their values on one live request and its response.

Source: OpenAPI 3.1, "Runtime Expressions"; RFC 6901 for JSON pointers. What the specification
leaves open is decided so that a URL is complete or not made at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from .expressions import Expression, Template

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1")
_INDEX = re.compile("0|[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Unresolved:
    """An expression without a fitting value; ``reason`` says nothing of the payload."""

    expression: str
    reason: str


class _NoValue(Exception):
    """There is no value; the message is the reason."""


@dataclass(frozen=True)
class Body:
    """One body as expressions see it; made by :meth:`of`, parsed when it is first read."""

    raw: bytes | None = field(repr=False)
    media_type: str
    charset: str
    form: Mapping[str, str] | None = field(repr=False)
    unavailable: str | None

    @classmethod
    def of(
        cls,
        raw: bytes | None,
        content_type: str | None,
        form: Mapping[str, str] | None = None,
        unavailable: str | None = None,
    ) -> Body:
        """A body out of what the wire gave.

        :param raw: the bytes, or ``None`` when there is no body.
        :param form: the fields of a form; used only when ``content_type`` is that of a form.
        :param unavailable: why it can't be read, such as ``"the response is a stream"``.
        """
        found = re.search(r'charset\s*=\s*"?([\w.:-]+)', content_type or "", re.IGNORECASE)
        charset = found[1].lower() if found else "utf-8"
        media_type = (content_type or "").partition(";")[0].strip().lower()
        return cls(raw, media_type, charset, form, unavailable)

    @cached_property
    def _content(self) -> object:
        """The whole body: JSON, an object of form fields, or text. Raises when it has no value."""
        if self.unavailable is not None:
            raise _NoValue(self.unavailable)
        if self.media_type in _FORMS and self.form is not None:
            return {name: self.form[name] for name in self.form}
        if not self.raw:
            raise _NoValue("there is no body")
        if self.media_type == "application/json" or self.media_type.endswith("+json"):
            return _json(self.raw)
        return _text(self.raw, self.charset)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What is known of one request and, once it exists, its response.

    ``url`` is absolute and as received. ``query`` has every value of a name, in order. ``path`` has
    the texts that the rule's variables matched, before a converter changed them and without
    percent-encoding. A ``status_code`` of ``None`` says that there is no response yet.
    """

    url: str
    method: str
    request_headers: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    path: Mapping[str, str]
    request_body: Body
    status_code: int | None = None
    response_headers: Mapping[str, str] | None = None
    response_body: Body | None = None


def evaluate(template: Template, exchange: Exchange) -> str | Unresolved:
    """The text that ``template`` gives for ``exchange``; never raises.

    In a URL the expression that it starts with is left as it is, and every later value is
    percent-encoded whole, so that it can't break out of its place. Elsewhere nothing is encoded.
    """
    texts = []
    for at, part in enumerate(template.parts):
        if isinstance(part, str):
            texts.append(part)
            continue
        try:
            texts.append(_filled(part, exchange, encoded=template.url and at > 0))
        except _NoValue as missing:
            return Unresolved(part.text, str(missing))
    return "".join(texts)


def value_of(expression: Expression, exchange: Exchange) -> object | Unresolved:
    """The value of one expression with its JSON type, so ``None`` is JSON's null; never raises."""
    try:
        return _value(expression, exchange)
    except _NoValue as missing:
        return Unresolved(expression.text, str(missing))


def _filled(expression: Expression, exchange: Exchange, *, encoded: bool) -> str:
    text = _as_text(_value(expression, exchange))
    if not encoded:
        if not text:
            raise _NoValue("it is empty")
        return text
    # Clients resolve these two before they send, even percent-encoded (RFC 3986 section 5.2.4).
    if text in (".", ".."):
        raise _NoValue("it is only dots, which would lead to another path")
    return quote(text, safe="")


def _value(expression: Expression, exchange: Exchange) -> object:
    if expression.where == "url":
        return exchange.url
    if expression.where == "method":
        return exchange.method.upper()
    if expression.where == "request":
        return _of_request(expression, exchange)
    if exchange.status_code is None:
        raise _NoValue("there is no response yet")
    if expression.where == "statusCode":
        return exchange.status_code
    if expression.part == "header":
        return _header(expression, exchange.response_headers)
    return _of_body(expression, exchange.response_body)


def _of_request(expression: Expression, exchange: Exchange) -> object:
    if expression.part == "header":
        return _header(expression, exchange.request_headers)
    if expression.part == "body":
        return _of_body(expression, exchange.request_body)
    name = expression.name or ""
    if expression.part == "query":
        if not exchange.query.get(name):
            raise _NoValue("the URL has no such query parameter")
        return exchange.query[name][0]
    if name not in exchange.path:
        raise _NoValue("the path has no such variable")
    return exchange.path[name]


def _header(expression: Expression, headers: Mapping[str, str] | None) -> str:
    wanted = (expression.name or "").lower()
    for name, value in (headers or {}).items():
        if name.lower() == wanted:
            return value
    raise _NoValue(f"the {expression.where} has no such header")


def _of_body(expression: Expression, body: Body | None) -> object:
    if body is None:
        raise _NoValue("there is no body")
    value = body._content
    for token in expression.pointer or ():
        value = _inside(value, token)
    return value


def _inside(value: object, token: str) -> object:
    """One step of a JSON pointer (RFC 6901 section 4)."""
    if isinstance(value, dict):
        if token not in value:
            raise _NoValue(f"the body has no member {token!r} there")
        return value[token]
    if not isinstance(value, list):
        raise _NoValue(f"the body has {_kind(value)} where {token!r} is looked up")
    if not _INDEX.fullmatch(token) or int(token) >= len(value):
        raise _NoValue(f"the body has an array without an item {token!r} there")
    return value[int(token)]


def _as_text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        raise _NoValue(f"it is {_kind(value)}, not a text or a number")
    try:
        text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise _NoValue("it has half of a surrogate pair, which is no character") from None
    except ValueError:
        raise _NoValue("it is a number beyond all bounds") from None
    return text


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    return (
        "null" if value is None else "a text" if isinstance(value, str) else "a number or a boolean"
    )


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _NoValue("the body is not valid JSON") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's (RFC 8259 section 6).


def _text(raw: bytes, charset: str) -> str:
    if charset not in _CHARSETS:
        raise _NoValue("the body is in a charset that is not read here")
    try:
        return raw.decode(charset)
    except ValueError:
        raise _NoValue("the body is not text") from None
