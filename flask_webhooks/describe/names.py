"""operationIds: given ones as they are, derived ones readable, all of them unique."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..declarations import Callback, Operation, Webhook
from ..exceptions import DeclarationError
from .routes import Route


class Owner(NamedTuple):
    """What an operation belongs to: a route, a callback of one, or a webhook."""

    #: The index of the route; ``None`` for webhooks, and for callbacks that routes share.
    route: int | None = None
    name: str | None = None
    #: The one of the callback's expressions, as it was declared.
    expression: str | None = None


def owners(route: int, callback: Callback) -> list[Owner]:
    """One owner for each expression of a route's callback; a shared one belongs to no route."""
    place = None if callback.shared else route
    return [Owner(place, callback.name, found.text) for found in callback.expressions]


def operation_ids(declarations: Sequence[Webhook], routes: Sequence[Route]) -> dict[Owner, str]:
    """The operationId of every view's, callback's and webhook's operation.

    A declaration with an ``operation_id`` that stands at several places of the URL map gives it to
    the first; one that covers several methods puts the method before it.

    :raises DeclarationError: two declarations ask for the same; names both places.
    """
    ids = _Ids()
    covered = _methods_by_operation(routes)
    for index, route in enumerate(routes):
        if (operation := route.operation) and (wish := _given(operation)):
            several = len(covered[id(operation)]) > 1
            ids.give(Owner(index), _with_method(route, wish) if several else wish, operation)
    for index, route in enumerate(routes):
        for callback in route.callbacks:
            ids.give(owners(index, callback)[0], _given(callback), callback)
    for webhook in declarations:
        if not isinstance(webhook, Callback):
            ids.give(Owner(name=webhook.name), _given(webhook), webhook)
    _derive(ids, declarations, routes)
    return ids.found


def _derive(ids: _Ids, declarations: Sequence[Webhook], routes: Sequence[Route]) -> None:
    for index, route in enumerate(routes):
        given = _given(route.operation) if route.operation else None
        ids.derive(Owner(index), given or _of_endpoint(route))
    for index, route in enumerate(routes):
        for callback in route.callbacks:
            wish = camel(callback.name)
            if not callback.shared:
                wish = ids.found[Owner(index)] + _capital(wish)
            for owner in owners(index, callback):
                ids.derive(owner, wish)
    for webhook in declarations:
        if not isinstance(webhook, Callback):
            ids.derive(Owner(name=webhook.name), camel(webhook.name))


class _Ids:
    def __init__(self) -> None:
        self.found: dict[Owner, str] = {}
        self._takers: dict[str, Webhook | Operation | None] = {}

    def give(self, owner: Owner, wish: str | None, taker: Webhook | Operation) -> None:
        """Take a given name; the same declaration keeps what it was given for its first place."""
        if wish is None:
            return
        known = self._takers.get(wish)
        if known is None:
            self._takers[wish] = taker
            self.found[owner] = wish
        elif known.place != taker.place:
            raise DeclarationError(
                f"operationId {wish!r} is given twice: at {known.place} and at {taker.place}. "
                "Give each operation its own."
            )

    def derive(self, owner: Owner, wish: str) -> None:
        if owner in self.found:
            return
        count, name = 1, wish
        while name in self._takers:
            count += 1
            name = f"{wish}{count}"
        self._takers[name] = None
        self.found[owner] = name


def _given(declared: Webhook | Operation) -> str | None:
    documentation = declared.documentation
    return documentation.operation_id or (documentation.extra or {}).get("operationId")


def _methods_by_operation(routes: Sequence[Route]) -> Mapping[int, set[str]]:
    found: dict[int, set[str]] = {}
    for route in routes:
        if route.operation:
            found.setdefault(id(route.operation), set()).add(route.method)
    return found


def _of_endpoint(route: Route) -> str:
    """Input: ``shop.create_order``. Output: ``shopCreateOrder``."""
    name = camel(route.endpoint)
    return _with_method(route, name) if route.shared else name


def _with_method(route: Route, name: str) -> str:
    return route.method.lower() + _capital(name)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def camel(text: str) -> str:
    """Input: ``create_order`` or ``order.paid``. Output: ``createOrder`` or ``orderPaid``."""
    first, *rest = [w for w in re.split(r"[^0-9A-Za-z]+", text) if w] or ["webhook"]
    return first + "".join(_capital(word) for word in rest)
