"""Turns the document into what the guide for integrators shows: plain values, in reading order."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ..describe.examples import example_of
from ..describe.promises import readable
from ..describe.reading import Described, operations
from ..exceptions import ExpressionError
from ..rules.expressions import Expression, parse
from .fields import Row, rows
from .languages import LANGUAGES, PUBLIC_KEY_LANGUAGES, Language
from .prose import Paragraph, Piece, paragraphs
from .vector import VECTOR, Vector, command


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a callback's URL comes from: an operation, and the place in its call, in words."""

    operation: str
    place: Paragraph


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a status code means that a receiver may answer with."""

    status: str
    text: tuple[Paragraph, ...]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One webhook or callback as its reader needs it."""

    anchor: str
    name: str
    summary: str
    text: tuple[Paragraph, ...]
    method: str
    deprecated: bool
    #: The operations that cause it, such as ``POST /bookings``.
    causes: tuple[str, ...]
    #: Of a callback only.
    origins: tuple[Origin, ...]
    rows: tuple[Row, ...]
    #: A body, as JSON that people can read.
    example: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Header:
    """A header that every webhook carries."""

    name: str
    text: tuple[Paragraph, ...]
    example: str


@dataclass(frozen=True, kw_only=True)
class Try:
    """One line of the schedule: an attempt's number, its pause, and its time after the first."""

    number: int
    pause: str
    latest: str


@dataclass(frozen=True, kw_only=True)
class Promised:
    """What holds for every delivery; times in words."""

    timeout: str
    tries: tuple[Try, ...]
    lasts: str
    disable_after: str
    retry_after_limit: str
    gone: tuple[str, ...]
    slow_down: tuple[str, ...]
    public_keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Guide:
    """The whole guide."""

    title: str
    version: str
    text: tuple[Paragraph, ...]
    webhooks: tuple[Sent, ...]
    callbacks: tuple[Sent, ...]
    headers: tuple[Header, ...]
    promised: Promised
    vector: Vector
    #: Shell commands that send the vector to a receiver, signed as of now.
    command: str
    #: Shell commands by which the API's own developers see a webhook arrive.
    trial: str
    languages: tuple[Language, ...]
    public_key_languages: tuple[Language, ...]


def guide(document: Mapping[str, Any]) -> Guide:
    """The guide to what an OpenAPI document says is sent."""
    reader = _Reader(document)
    info = _mapping(document.get("info"))
    webhooks, callbacks = tuple(reader.webhooks()), tuple(reader.callbacks())
    return Guide(
        title=str(info.get("title", "")),
        version=str(info.get("version", "")),
        text=paragraphs(info.get("description")),
        webhooks=webhooks,
        callbacks=callbacks,
        headers=tuple(reader.headers()),
        promised=_promised(_mapping(document.get("x-webhooks-delivery"))),
        vector=VECTOR,
        command=command(VECTOR),
        trial=_trial([sent.name for sent in (*webhooks, *callbacks)]),
        languages=LANGUAGES,
        public_key_languages=PUBLIC_KEY_LANGUAGES,
    )


class _Reader:
    """Reads one document; keeps the anchors on the page apart."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._components = _mapping(document.get("components"))
        self._schemas = _mapping(self._components.get("schemas"))
        self._operations = list(operations(document))
        self._anchors: set[str] = set()

    def webhooks(self) -> Iterator[Sent]:
        """Every webhook, in the order of the document."""
        for found in self._operations:
            if found.kind == "webhook":
                yield self._sent(_name(found), found.method, found.operation, ())

    def callbacks(self) -> Iterator[Sent]:
        """Every callback once, with all operations that it stands on."""
        grouped: dict[str, list[Described]] = {}
        for found in self._operations:
            if found.kind == "callback":
                grouped.setdefault(_name(found), []).append(found)
        for name, [first, *rest] in grouped.items():
            origins = tuple(_origin(found) for found in (first, *rest))
            yield self._sent(name, first.method, first.operation, origins)

    def headers(self) -> Iterator[Header]:
        """The headers that the document gives every webhook."""
        for parameter in _mapping(self._components.get("parameters")).values():
            if _mapping(parameter).get("name", "").startswith("webhook-"):
                yield Header(
                    name=parameter["name"],
                    text=paragraphs(parameter.get("description")),
                    example=str(parameter.get("example", "")),
                )

    def _sent(
        self, name: str, method: str, operation: Mapping[str, Any], origins: tuple[Origin, ...]
    ) -> Sent:
        media = _json_media(operation)
        schema = media.get("schema", {})
        causes = operation.get("x-webhooks-emitted-by") or ()
        return Sent(
            anchor=self._anchor(name),
            name=name,
            summary=str(operation.get("summary") or ""),
            text=paragraphs(operation.get("description")),
            method=method,
            deprecated=operation.get("deprecated") is True,
            causes=tuple(str(cause) for cause in causes),
            origins=origins,
            rows=rows(schema, self._schemas),
            example=_pretty(self._example(media, schema)),
            answers=tuple(self._answers(operation)),
        )

    def _example(self, media: Mapping[str, Any], schema: Any) -> Any:
        """The example that was declared, or one made by the schema."""
        if "example" in media:
            return media["example"]
        for example in _mapping(media.get("examples")).values():
            if "value" in _mapping(example):
                return example["value"]
        return example_of(schema, self._schemas)

    def _answers(self, operation: Mapping[str, Any]) -> Iterator[Answer]:
        """The answers that this webhook itself declares, without the one that all share."""
        for status, response in _mapping(operation.get("responses")).items():
            if "$ref" not in _mapping(response):
                text = _mapping(response).get("description")
                yield Answer(status=str(status), text=paragraphs(text))

    def _anchor(self, name: str) -> str:
        """An id of the page that is made of the name and of no other name."""
        wish = "webhook-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "unnamed")
        tries = (wish + (f"-{n}" if n > 1 else "") for n in range(1, 10_000))
        anchor = next(anchor for anchor in tries if anchor not in self._anchors)
        self._anchors.add(anchor)
        return anchor


def _name(found: Described) -> str:
    """The name by which it is subscribed to, which the document may have under another."""
    return str(found.operation.get("x-webhooks-name", found.name))


def _origin(found: Described) -> Origin:
    above = f"{found.parent.method} {found.parent.name}" if found.parent else ""
    return Origin(operation=above, place=place(found.expression or ""))


def place(expression: str) -> Paragraph:
    """Input: ``{$request.body#/callbackUrl}``. Output: ``callbackUrl`` as code, ``in its body``."""
    try:
        parts = parse(expression).parts
    except ExpressionError:
        parts = ()
    found = _place(parts[0]) if len(parts) == 1 and isinstance(parts[0], Expression) else None
    return found or (Piece(expression, code=True),)


def _place(part: Expression) -> Paragraph | None:
    side = "its" if part.where == "request" else "our answer's"
    if part.pointer:
        return Piece(".".join(part.pointer), code=True), Piece(f" in {side} body")
    if part.name and part.part:
        kind = {"header": "header", "query": "query parameter"}.get(part.part, "path parameter")
        return Piece(f"{side} {kind} "), Piece(part.name, code=True)
    return None


def _json_media(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The Media Type Object of the body: that of JSON, else the first there is."""
    content = _mapping(_mapping(operation.get("requestBody")).get("content"))
    return _mapping(content.get("application/json") or next(iter(content.values()), None))


def _promised(delivery: Mapping[str, Any]) -> Promised:
    schedule = [float(delay) for delay in delivery.get("retrySchedule") or ()]
    return Promised(
        timeout=readable(float(delivery.get("timeout") or 0)),
        tries=tuple(_tries(schedule)),
        lasts=readable(sum(schedule)),
        disable_after=readable(float(delivery.get("disableAfter") or 0)),
        retry_after_limit=readable(float(delivery.get("retryAfterLimit") or 0)),
        gone=tuple(str(status) for status in delivery.get("disableOn") or ()),
        slow_down=tuple(str(status) for status in delivery.get("slowDownOn") or ()),
        public_keys=tuple(str(key) for key in delivery.get("publicKeys") or ()),
    )


def _tries(schedule: Sequence[float]) -> Iterator[Try]:
    for number, (delay, total) in enumerate(zip(schedule, accumulate(schedule), strict=True), 1):
        pause = f"up to {readable(delay)}" if delay else "none"
        yield Try(number=number, pause=pause, latest=readable(total) if total else "at once")


def _trial(names: Sequence[str]) -> str:
    triggers = [f"flask webhooks trigger {shlex.quote(name)}" for name in names[:1]]
    return "\n".join(["flask webhooks listen", *triggers])


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
