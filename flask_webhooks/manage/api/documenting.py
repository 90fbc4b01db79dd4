"""How the API's views declare themselves, so that they stand in the app's document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema

from ...door import Door
from ...store.records import STATUSES
from .desk import LONGEST_PAGE, PAGE
from .problems import CONTENT_TYPE
from .shapes import Problem

View = Callable[..., Any]

_PAGING = (
    {"name": "cursor", "in": "query", "schema": {"type": "string", "minLength": 1},
     "description": "`next` of the page before."},
    {"name": "limit", "in": "query", "schema": {
        "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE}},
)  # fmt: skip
_IDEMPOTENCY = {
    "name": "Idempotency-Key", "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "Within a day, the same request with the same key is done once.",
}  # fmt: skip
_IF_MATCH = {
    "name": "If-Match", "in": "header", "schema": {"type": "string"},
    "description": "The `ETag` that was read: what has been changed since is left alone.",
}  # fmt: skip
_FILTERS = {"status": {"enum": list(STATUSES)}}
_REFUSALS = {
    400: "The request is malformed.",
    401: "It is not known who asks.",
    403: "The asker may not use the API.",
    404: "There is no such thing, or it is another's.",
    422: "It is understood, but can't be done; `detail` says why.",
}
_REFUSALS_OF_WRITES = {409: "The same request is under way, or its key was used for another."}
_REFUSALS_OF_BODIES = {
    413: "The body is too large.",
    415: "The body is not JSON.",
}
_REFUSALS_OF_MATCHES = {412: "It has been changed since it was read."}


class Documented:
    """Makes the decorators of the API's views.

    :param security: what the document says of each of them.
    """

    def __init__(self, door: Door, security: Sequence[Mapping[str, Sequence[str]]] | None) -> None:
        self._door = door
        self._security = security

    def __call__(
        self,
        operation_id: str,
        summary: str,
        answer: type[Schema] | None,
        body: type[Schema] | None = None,
        status: int = 200,
        *,
        paged: bool = False,
        filters: Sequence[str] = (),
        writes: bool = False,
        matches: bool = False,
    ) -> Callable[[View], View]:
        """A decorator: the operation's id and summary, what it takes and what it answers.

        :param writes: whether it takes an ``Idempotency-Key``.
        :param matches: whether it takes an ``If-Match``.
        """
        parameters: list[Mapping[str, Any]] = [
            {"name": name, "in": "query", "schema": _FILTERS.get(name, {"type": "string"})}
            for name in filters
        ]
        parameters += _PAGING if paged else ()
        parameters += [_IDEMPOTENCY] if writes else []
        parameters += [_IF_MATCH] if matches else []
        refusals = {
            **_REFUSALS,
            **(_REFUSALS_OF_WRITES if writes else {}),
            **(_REFUSALS_OF_BODIES if body else {}),
            **(_REFUSALS_OF_MATCHES if matches else {}),
        }
        responses: dict[int | str, Any] = {status: answer or "Done."}
        responses |= {code: _problem(refusals[code]) for code in sorted(refusals)}
        return self._door.operation(
            summary=summary, operation_id=operation_id, tags=["webhooks"],
            request=None if body is None else _taken(body), responses=responses,
            parameters=parameters, security=self._security,
        )  # fmt: skip


def _taken(body: type[Schema]) -> dict[str, Any]:
    """The Request Body Object; a body without anything in it may as well be left out."""
    required = any(one.required for one in body().fields.values())
    return {"required": required, "content": {"application/json": {"schema": body}}}


def _problem(words: str) -> dict[str, Any]:
    return {"description": words, "content": {CONTENT_TYPE: {"schema": Problem}}}
