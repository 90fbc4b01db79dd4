"""What every view of the API needs: who asks, what is theirs, the body, and the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from flask import Response, abort, request
from marshmallow import Schema

from ...door import Door, state
from ...exceptions import SecretError
from ...store import lists, subscriptions
from ...store.lists import Position, position_of
from ...store.records import Delivery, Message, Owned, Subscription
from ..formats import etag_of
from .cursors import Cursors

#: Items of a page: by default, and at most.
PAGE, LONGEST_PAGE = 50, 100
#: Bytes of a request's body.
LONGEST_BODY = 100_000


class Desk:
    """Serves one API.

    :param loader: says whose request this is, or aborts.
    """

    def __init__(self, door: Door, loader: Callable[[], str | None]) -> None:
        self.door = door
        self._loader = loader

    def owned(self) -> Owned:
        """Whose rows the asker may see."""
        return Owned(self._loader())

    def names_of_headers(self, found: Subscription) -> list[str] | None:
        """The names of a subscription's own headers; ``None`` where no key at hand opens them."""
        try:
            return list(self.door.header_names(found))
        except SecretError:
            return None

    def subscription(self, subscription_id: str) -> Subscription:
        """One of the asker's subscriptions; 404 for any other."""
        database, owned = state().database, self.owned()
        found = database.read(
            lambda c: subscriptions.get_subscription(
                c, database.tables, subscription_id, owned=owned
            )
        )
        return found or abort(404, f"There is no subscription {subscription_id!r}.")

    def message(self, message_id: str) -> Message:
        """One of the asker's messages; 404 for any other."""
        database, owned = state().database, self.owned()
        found = database.read(
            lambda c: lists.get_message(c, database.tables, message_id, owned=owned)
        )
        return found or abort(404, f"There is no message {message_id!r}.")

    def delivery(self, delivery_id: int) -> Delivery:
        """One of the asker's deliveries; 404 for any other."""
        database, owned = state().database, self.owned()
        found = database.read(
            lambda c: lists.get_delivery(c, database.tables, delivery_id, owned=owned)
        )
        return found or abort(404, f"There is no delivery {delivery_id}.")

    def raw(self) -> bytes:
        """The request's body as it came; 413 for one that is too large."""
        request.max_content_length = LONGEST_BODY
        return request.get_data(cache=True)

    def body(self, schema: type[Schema]) -> dict[str, Any]:
        """The request's JSON body, judged; an absent one is empty."""
        loaded: dict[str, Any] = schema().load(_parsed(self.raw()))
        return loaded

    def page(
        self, kind: str, schema: type[Schema], rows: Callable[[Position | None, int], list[Any]]
    ) -> Response:
        """A page of a list, newest first.

        :param rows: from a position and a number to so many rows after it.
        """
        whose = (kind, self.owned().tenant)
        cursors = Cursors(state().keyring.purpose_keys("cursor"))
        limit = self._limit()
        before = None
        if "cursor" in request.args:
            before = cursors.read(whose, request.args["cursor"])
            if before is None:
                abort(422, "This cursor is none of this list. Begin without one.")
        found = rows(before, limit + 1)
        following = None
        if len(found) > limit:
            following = cursors.write(whose, position_of(found[limit - 1]))
        return self.answer(schema, {"data": found[:limit], "next": following})

    def _limit(self) -> int:
        text = request.args.get("limit", str(PAGE))
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LONGEST_PAGE):
            abort(400, f"limit is a whole number from 1 to {LONGEST_PAGE}.")
        return int(text)

    def answer(self, schema: type[Schema], value: Any, status: int = 200) -> Response:
        """A JSON answer; of a GET with an ETag, and 304 where the asker has it."""
        text = json.dumps(schema().dump(value), default=str)
        response = Response(text, status, content_type="application/json")
        response.headers["Cache-Control"] = "private, no-cache" if _reads() else "no-store"
        if _reads():
            response.set_etag(etag_of(text))
            response.make_conditional(request)
        return response


def _parsed(raw: bytes) -> Any:
    """What a JSON text says; what the store can't hold is refused here, wherever it stands."""
    if not raw:
        return {}
    if not request.is_json:
        abort(415, "The body is to be JSON: send it with Content-Type: application/json.")
    try:
        found = json.loads(raw, parse_constant=_no_number)
        unstorable = any(map(_is_unstorable, _leaves(found)))
    except (ValueError, RecursionError):
        abort(400, "The body is no JSON, or is nested too deep.")
    if unstorable:
        abort(422, "The body holds a text with NUL or half a character, or a number too large.")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _leaves(value: Any) -> Iterator[Any]:
    """Every name and every plain value in a JSON value."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from _leaves(member)
    else:
        yield value


def _is_unstorable(value: Any) -> bool:
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, int):
        return value.bit_length() > 1024
    return isinstance(value, str) and not is_storable(value)


def is_storable(text: str) -> bool:
    """Whether every database can hold a text: no NUL, and no half of a surrogate pair."""
    return not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def _reads() -> bool:
    return request.method in ("GET", "HEAD")
