"""Webhooks, callbacks and operations as declared values, and the marks they leave on views.

A declaration is a decorator that *marks* a view and returns the same function: it wraps nothing,
so the order of decorators is free and the view's signature stays what it was. The marks are read
back through the app's URL map.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Protocol, TypeVar

from blinker import Signal

from .exceptions import DeclarationError
from .rules.expressions import Template
from .store.records import Message

#: A marshmallow schema (class or instance), a JSON Schema as a dict, or an object with
#: ``json_schema()`` and ``dump(payload)``.
SchemaLike = Any
#: ``{200: "in words", 201: SomeSchema, "4XX": {…OpenAPI Response Object…}}``
Responses = Mapping[int | str, Any]

View = TypeVar("View")

_MARKS = "__flask_webhooks__"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something was declared: a file and a line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def caller() -> Place:
    """The nearest place outside this package on the call stack."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("flask_webhooks."):
        frame = frame.f_back
    return Place(file=frame.f_code.co_filename, line=frame.f_lineno)


@dataclass(frozen=True, kw_only=True)
class Documentation:
    """What the OpenAPI Operation Object of a declaration says besides its body.

    ``extra`` is merged last, key by key and at any depth, into the Operation Object.
    """

    summary: str | None = None
    description: str | None = None
    operation_id: str | None = None
    tags: Sequence[str] = ()
    responses: Responses | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    examples: Mapping[str, Any] | None = None
    deprecated: bool = False
    security: Sequence[Mapping[str, Sequence[str]]] | None = None
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A view's own operation: what it takes and what it answers."""

    documentation: Documentation
    request: SchemaLike = None
    place: Place

    def __call__(self, view: View) -> View:
        """Mark ``view`` as documented by this operation and return it unchanged."""
        return mark(view, self)


class Door(Protocol):
    """What a declaration needs of the extension that made it."""

    def current_app(self) -> Any:
        """The Flask app at hand; an error that says what to do when there is none."""

    def emit(
        self,
        app: Any,
        webhook: Webhook,
        payload: Any,
        *,
        key: Any,
        tenant: str | None,
        idempotency_key: str | None,
    ) -> Message:
        """Store ``payload`` as one message of ``webhook`` in the store of ``app``; return it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Webhook:
    """A declared outgoing request: a decorator for the views that cause it, a signal, and ``send``.

    Made by :meth:`flask_webhooks.Webhooks.webhook`.
    """

    name: str
    #: What a payload looks like; ``None`` allows any JSON.
    schema: SchemaLike = None
    method: str = "POST"
    #: Its name in the document, where that is not ``name``: several methods of one Path Item.
    shown_as: str | None = None
    documentation: Documentation
    #: Sending this signal, ``signal.send(app, payload=…)``, is what :meth:`send` does.
    signal: Signal
    place: Place
    door: Door = field(repr=False)
    #: Its own retry schedule; ``None`` takes ``WEBHOOKS_SCHEDULE``.
    schedule: tuple[float, ...] | None = None

    def __call__(self, view: View) -> View:
        """Mark ``view`` as one that causes this webhook and return it unchanged."""
        return mark(view, self)

    def send(
        self,
        payload: Any,
        *,
        key: Any = None,
        tenant: str | None = None,
        idempotency_key: str | None = None,
    ) -> Message:
        """Dump and validate ``payload``, store it as one message, and return that message.

        Nothing is sent here: the worker delivers the message to every subscription that exists now
        and wants this webhook. Without a subscription it is stored all the same.

        :param payload: what the schema dumps: an object or a mapping.
        :param key: reaches the subscriptions with this key besides those with none; compared as
            text. A callback that was declared with a key needs it.
        :param tenant: reaches the subscriptions of this tenant, and no others.
        :param idempotency_key: a second ``send`` with the same one stores nothing and returns the
            first message.
        :raises PayloadError: the payload is not what the published schema allows.
        :raises WebhooksError: a needed key is missing, or no app is at hand.
        """
        app = self.door.current_app()
        answers = self.signal.send(
            app,
            payload=payload,
            key=key,
            tenant=tenant,
            idempotency_key=idempotency_key,
            _async_wrapper=app.ensure_sync,
        )
        message: Message = next(a for receiver, a in answers if receiver == self.receive)
        return message

    def receive(
        self,
        sender: Any,
        *,
        payload: Any,
        key: Any = None,
        tenant: str | None = None,
        idempotency_key: str | None = None,
        **extra: Any,
    ) -> Message:
        """Receive the declaration's own signal: the blinker half of :meth:`send`."""
        return self.door.emit(
            sender, self, payload, key=key, tenant=tenant, idempotency_key=idempotency_key
        )

    @property
    def shown(self) -> str:
        """Its name in the document."""
        return self.shown_as or self.name

    @property
    def declared_answers(self) -> tuple[str, ...]:
        """The status codes that count as success, such as ``("2XX",)`` or ``("200", "202")``."""
        codes = [str(code).upper() for code in self.documentation.responses or {}]
        good = tuple(code for code in codes if code.startswith("2"))
        return good or ("2XX",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Callback(Webhook):
    """A webhook tied to one operation: its URL is taken out of that operation's live calls.

    Made by :meth:`flask_webhooks.Webhooks.callback`.
    """

    #: Where the URL stands in the call; with several, each is a URL of its own.
    expressions: tuple[Template, ...]
    #: Where the key of a captured subscription stands in the call.
    key: Template | None = None
    #: Where the client's own signing secret stands in the call.
    secret: Template | None = None
    #: Which answers of the view capture: a status code or a class such as ``"2XX"``.
    when: str = "2XX"
    #: Whether a captured subscription takes one message only.
    once: bool = False
    #: For how many seconds a captured subscription takes messages.
    expires: float | None = None
    #: Whether the document has it once, in ``components.callbacks``.
    shared: bool = False
    #: The webhook that this callback also receives, when it was declared with one.
    webhook: Webhook | None = None

    @property
    def templates(self) -> Iterator[tuple[str, Template]]:
        """Every expression of the declaration, by the name of its argument."""
        for expression in self.expressions:
            yield "expression", expression
        for name, template in (("key", self.key), ("secret", self.secret)):
            if template is not None:
                yield name, template


Declaration = Webhook | Operation


def again(known: Webhook, declared: Webhook) -> bool:
    """Whether an app factory ran once more over the very same declaration.

    A schema that is defined in the factory is another class each time: of classes the names count.
    """
    return type(known) is type(declared) and _told(known) == _told(declared)


def _told(value: Any) -> Any:
    """A declaration, or a part of one, as values that are equal where the same was said."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {name: _told(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _told(getattr(value, f.name)) for f in fields(value)}
    kind = value if isinstance(value, type) else type(value)
    return kind.__module__, kind.__qualname__


def mark(view: View, declaration: Declaration) -> View:
    """Note ``declaration`` on a view (a function or a ``MethodView``) and return that same view."""
    if not callable(view):
        raise DeclarationError(
            f"A webhook decorator stands above {view!r}, which is no view. Put it on a function, "
            "a method of a MethodView, or a MethodView."
        )
    inherited = vars(view).get(_MARKS, ())
    setattr(view, _MARKS, (*inherited, declaration))
    return view


def marks(view: Any, method: str) -> tuple[Declaration, ...]:
    """The declarations that ``view``, as found in the URL map, carries for an HTTP method.

    They may stand on the function itself, on anything it wraps, on the view class, or on the
    class's method for ``method``.
    """
    found: dict[int, Declaration] = {}
    view_class = getattr(view, "view_class", None)
    for place in (view, view_class, _handler(view_class, method)):
        for layer in _layers(place):
            for declaration in vars(layer).get(_MARKS, ()):
                found.setdefault(id(declaration), declaration)
    return tuple(found.values())


def _handler(view_class: Any, method: str) -> Any:
    handler = getattr(view_class, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(view_class, "get", None)
    return handler


def _layers(view: Any) -> list[Any]:
    """What ``view`` is made of, innermost first: what it wraps, or the bases of a class."""
    if isinstance(view, type):
        return list(reversed(view.__mro__[:-1]))
    layers = []
    while view is not None:
        if hasattr(view, "__dict__"):
            layers.append(view)
        view = getattr(view, "__wrapped__", None) or getattr(view, "__func__", None)
    return layers[::-1]
