"""How the API's views declare themselves, so that they stand in the app's document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from marshmallow import Schema

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
    "description": "The same request with the same key is done once, and answered alike.",
}  # fmt: skip
_FILTERS = {"status": {"enum": ["pending", "delivered", "exhausted", "cancelled"]}}
_REFUSALS = {
    400: "The request is malformed.",
    404: "There is no such thing, or it is another's.",
    412: "It has been changed since it was read.",
    415: "The body is not JSON.",
    422: "The body can't be accepted; `detail` says why.",
}


class Operation(Protocol):
    """:meth:`flask_webhooks.Webhooks.operation`."""

    def __call__(
        self,
        *,
        summary: str | None = None,
        operation_id: str | None = None,
        tags: Sequence[str] = (),
        request: Any = None,
        responses: Mapping[int | str, Any] | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
    ) -> Callable[[View], View]: ...


class Documented:
    """Makes the decorators of the API's views.

    :param operation: of the extension.
    """

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

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
        idempotent: bool = False,
    ) -> Callable[[View], View]:
        """A decorator: the operation's id and summary, what it takes and what it answers."""
        parameters: list[Mapping[str, Any]] = [
            {"name": name, "in": "query", "schema": _FILTERS.get(name, {"type": "string"})}
            for name in filters
        ]
        parameters += _PAGING if paged else ()
        parameters += [_IDEMPOTENCY] if idempotent else []
        responses: dict[int | str, Any] = {status: answer or "Done."}
        responses |= {code: _problem(words) for code, words in _REFUSALS.items()}
        return self._operation(
            summary=summary, operation_id=operation_id, tags=["webhooks"], request=body,
            responses=responses, parameters=parameters,
        )  # fmt: skip


def _problem(words: str) -> dict[str, Any]:
    return {"description": words, "content": {CONTENT_TYPE: {"schema": Problem}}}
