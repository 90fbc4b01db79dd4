"""The door as the rooms for people see it: what commands, the API and the board may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flask import current_app

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from .declarations import Operation, Responses, SchemaLike, Webhook
    from .reports import Erasure, Explanation
    from .rules.options import LegacySignature
    from .state import State
    from .store.lists import Standing
    from .store.records import Attempt, Delivery, Message, Owned, RunningWorker, Subscription

#: The key of the state in ``app.extensions``.
EXTENSION = "webhooks"


class Door(Protocol):
    """The part of :class:`flask_webhooks.Webhooks` that these rooms use, as it stands there.

    They are below it, and so can't import it.
    """

    def __getitem__(self, name: str) -> Webhook: ...
    def __iter__(self) -> Iterator[Webhook]: ...
    def operation(
        self,
        *,
        summary: str | None = None,
        description: str | None = None,
        operation_id: str | None = None,
        tags: Sequence[str] = (),
        request: SchemaLike = None,
        responses: Responses | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
        deprecated: bool = False,
        security: Sequence[Mapping[str, Sequence[str]]] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Operation: ...
    def subscribe(
        self,
        url: str,
        names: Sequence[str],
        *,
        tenant: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        legacy_signatures: Sequence[LegacySignature] = (),
        filter: Mapping[str, Any] | None = None,
        schedule: Sequence[float] | None = None,
        rate: float | None = None,
        order: Literal["skip", "park"] | None = None,
        idempotency_key: str | None = None,
    ) -> Subscription: ...
    def change(
        self,
        subscription: Subscription | str,
        *,
        url: str | None = None,
        names: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None | EllipsisType = ...,
        schedule: Sequence[float] | None | EllipsisType = ...,
        rate: float | None | EllipsisType = ...,
        order: Literal["skip", "park"] | None | EllipsisType = ...,
        headers: Mapping[str, str] | None | EllipsisType = ...,
        expected: Subscription | None = None,
    ) -> Subscription: ...
    def header_names(self, subscription: Subscription | str) -> tuple[str, ...]: ...
    def unsubscribe(self, subscription: Subscription | str) -> bool: ...
    def disable(self, subscription: Subscription | str) -> bool: ...
    def enable(self, subscription: Subscription | str) -> bool: ...
    def rotate(
        self,
        subscription: Subscription | str,
        *,
        secret: str | None = None,
        overlap: float | timedelta = timedelta(days=1),
    ) -> Subscription: ...
    def test(self, subscription: Subscription | str, name: str | None = None) -> Message: ...
    def subscriptions(
        self,
        *,
        name: str | None = None,
        key: str | None = None,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> list[Subscription]: ...
    def deliveries(
        self,
        *,
        message: Message | str | None = None,
        subscription: Subscription | str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[Delivery]: ...
    def attempts(self, delivery: Delivery | int) -> list[Attempt]: ...
    def explain(self, message: Message | str, subscription: Subscription | str) -> Explanation: ...
    def standing(self) -> Standing: ...
    def workers(self) -> list[RunningWorker]: ...
    def replay(
        self,
        delivery: Delivery | int | None = None,
        *,
        message: Message | str | None = None,
        subscription: Subscription | str | None = None,
        name: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        tenant: Owned | None = None,
        dry_run: bool = False,
        told: Callable[[int], None] = ...,
    ) -> int: ...
    def cancel(self, delivery: Delivery | int) -> bool: ...
    def purge(
        self, older_than: float | timedelta | None = None, *, dry_run: bool = False
    ) -> int: ...
    def erase(self, subject: str, *, name: str | None = None, dry_run: bool = False) -> Erasure: ...
    def reseal(self) -> int: ...
    def tenant_secret(self, tenant: str) -> str: ...
    def portal_revoke(self, tenant: str | None) -> int: ...
    def run_until_idle(self) -> None: ...
    def document(self) -> dict[str, Any]: ...


def state() -> State:
    """The state of the app at hand."""
    return state_of(current_app)


def state_of(app: Any) -> State:
    """The state that ``init_app`` made for an app.

    :raises ConfigurationError: it was not called.
    """
    state: State | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigurationError(
            f"{app.name} knows no webhooks yet: call webhooks.init_app(app) first."
        )
    return state
