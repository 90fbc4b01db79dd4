"""Reads the arguments of declarations, and refuses those that can't work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from .declarations import Documentation, Responses
from .exceptions import DeclarationError
from .rules.expressions import Template, parse
from .rules.patterns import is_pattern
from .rules.retry import schedule_of

_COMPONENT = re.compile(r"[a-zA-Z0-9._-]+")
_METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")


def check_name(name: Any, kind: str) -> str:
    """Refuse a name that can't be a key in the document and a value in the store."""
    if not isinstance(name, str) or not name or len(name) > 200 or not name.isprintable():
        raise DeclarationError(
            f"{name!r} can't name a {kind}: give a printable text of 1 to 200 characters."
        )
    if is_pattern(name):
        raise DeclarationError(
            f"{name!r} can't name a {kind}: to those who subscribe it means all that match it."
        )
    return name


def check_shown(shown_as: str | None, kind: str) -> str | None:
    """Refuse a name in the document that can't be a key there."""
    return None if shown_as is None else check_name(shown_as, kind)


def check_shared(shared: bool, name: str) -> bool:
    """Refuse to share a callback whose name can't be that of a component.

    Source: OpenAPI Specification 3.1.1, "Components Object", "Fixed Fields".
    """
    if shared and not _COMPONENT.fullmatch(name):
        raise DeclarationError(
            f"Callback {name!r} can't be shared: only A-Z a-z 0-9 . - _ may name a component. "
            f"Give such a name, and shown_as={name!r}."
        )
    return shared


def check_method(method: str) -> str:
    """The method in upper case; refuses what OpenAPI 3.1 has no Path Item field for."""
    if method.upper() not in _METHODS:
        raise DeclarationError(f"{method!r} is no method of a webhook: give one of {_METHODS}.")
    return method.upper()


def check_when(when: int | str) -> str:
    """A status code such as ``201`` or a class such as ``"2XX"``, as upper-case text."""
    text = str(when).upper()
    if len(text) != 3 or text[0] not in "12345" or not (text[1:] == "XX" or text[1:].isdecimal()):
        raise DeclarationError(f'when={when!r}: give a status code such as 201, or "2XX".')
    return text


def check_responses(responses: Responses | None, subject: str) -> None:
    """Refuse keys of ``responses=`` that are no status code, class of codes or ``"default"``."""
    for code in responses or {}:
        text = str(code).upper()
        if text != "DEFAULT":
            try:
                check_when(text)
            except DeclarationError:
                raise DeclarationError(
                    f"{subject}: {code!r} is no status code of a response. "
                    'Give 200, "2XX" or "default".'
                ) from None


def check_documentation(said: Documentation, subject: str) -> Documentation:
    """Refuse what can't be read at all; whether it is as OpenAPI has it shows in the document."""
    check_responses(said.responses, subject)
    extra = said.extra or {}
    fits = {
        "extra": isinstance(extra, Mapping),
        "examples": isinstance(said.examples or {}, Mapping),
        "parameters": _are_objects(said.parameters),
        "security": said.security is None or _are_objects(said.security),
        "operation_id": isinstance(said.operation_id, str | None),
    }
    for name, fit in fits.items():
        if not fit:
            kind = "a text" if name == "operation_id" else "an object, as a dict"
            kind = "a list of objects" if name in ("parameters", "security") else kind
            raise DeclarationError(f"{subject}: {name}={getattr(said, name)!r}: give {kind}.")
    if not isinstance(extra.get("operationId"), str | None):
        raise DeclarationError(f"{subject}: the operationId in extra= is no text. Give a text.")
    return said


def _are_objects(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, Mapping) for one in value)


def seconds(expires: float | timedelta | None) -> float | None:
    """A lifetime in seconds."""
    value = None if expires is None else in_seconds(expires)
    if value is not None and value <= 0:
        raise DeclarationError(f"expires={expires!r}: give a time above 0, in seconds.")
    return value


def own_schedule(delays: Sequence[float] | None, subject: str) -> tuple[float, ...] | None:
    """The retry schedule that a declaration gives, if it gives one."""
    try:
        return None if delays is None else schedule_of(delays)
    except ValueError as error:
        raise DeclarationError(f"{subject}: schedule={delays!r}: {error}") from None


def in_seconds(span: float | timedelta) -> float:
    """A span of time in seconds, however it was given."""
    return span.total_seconds() if isinstance(span, timedelta) else span


def url_templates(expression: str | Sequence[str], subject: str) -> tuple[Template, ...]:
    """The parsed expressions of a callback's URL, of which there may be several."""
    texts = [expression] if isinstance(expression, str) else list(expression)
    if not texts:
        raise DeclarationError(f"{subject} has no expression: say where its URL stands.")
    for text in texts:
        if not isinstance(text, str):
            raise DeclarationError(f"{subject}: {text!r} is no expression; give a text.")
    if len(set(texts)) < len(texts):
        raise DeclarationError(f"{subject} has an expression twice; give each once.")
    return tuple(parse(text) for text in texts)


def template(text: str | None) -> Template | None:
    """A parsed expression that gives any text, or ``None`` where none was given."""
    return None if text is None else parse(text, url=False)
