"""What the commands ask of the extension, and how its errors reach a terminal."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, Protocol, TypeVar

import click
from flask import current_app

from ..declarations import Webhook
from ..erasing import Erasure
from ..exceptions import WebhooksError
from ..explaining import Explanation
from ..rules.urls import shown
from ..state import EXTENSION, State
from ..store import subscriptions
from ..store.lists import Standing
from ..store.records import Delivery, Message, RunningWorker, Subscription
from .printing import clean

P = ParamSpec("P")
R = TypeVar("R")


class Door(Protocol):
    """The part of :class:`flask_webhooks.Webhooks` that commands use."""

    def __getitem__(self, name: str) -> Webhook: ...
    def __iter__(self) -> Iterator[Webhook]: ...
    def document(self) -> dict[str, Any]: ...
    def subscribe(
        self,
        url: str,
        names: Sequence[str],
        *,
        tenant: str | None = None,
        key: str | None = None,
        secret: str | None = None,
    ) -> Subscription: ...
    def tenant_secret(self, tenant: str) -> str: ...
    def disable(self, subscription: Subscription | str) -> bool: ...
    def enable(self, subscription: Subscription | str) -> bool: ...
    def reseal(self) -> int: ...
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
        dry_run: bool = False,
        told: Callable[[int], None] = ...,
    ) -> int: ...
    def unsubscribe(self, subscription: Subscription | str) -> bool: ...
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
    def attempts(self, delivery: Delivery | int) -> list[Any]: ...
    def run_until_idle(self) -> None: ...
    def standing(self) -> Standing: ...
    def workers(self) -> list[RunningWorker]: ...
    def explain(self, message: Message | str, subscription: Subscription | str) -> Explanation: ...
    def rotate(self, subscription: Subscription | str, *, overlap: float = ...) -> Subscription: ...
    def cancel(self, delivery: Delivery | int) -> bool: ...
    def test(self, subscription: Subscription | str, name: str | None = None) -> Message: ...
    def erase(self, subject: str, *, name: str | None = None, dry_run: bool = False) -> Erasure: ...
    def portal_revoke(self, tenant: str | None) -> int: ...
    def purge(self, older_than: float | None = None, *, dry_run: bool = False) -> int: ...


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show this package's errors as one message, without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except WebhooksError as error:
            raise click.ClickException(clean(str(error))) from error

    return wrapped


def state() -> State:
    """The state of the app that the command runs for."""
    found: State = current_app.extensions[EXTENSION]
    return found


def found_subscription(subscription_id: str) -> Subscription:
    """One subscription.

    :raises click.ClickException: there is none; says what to type.
    """
    database = state().database
    found = database.read(
        lambda c: subscriptions.get_subscription(c, database.tables, subscription_id)
    )
    if found is None:
        raise click.ClickException(
            f"There is no subscription {clean(subscription_id)}. "
            "List them: flask webhooks subscriptions"
        )
    return found


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many}"


def when(moment: datetime) -> str:
    """A time as people read it in a terminal: local, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def soon(moment: datetime) -> str:
    """The same, without the day where that is today."""
    text, today = when(moment), when(datetime.now(UTC))
    return text.removeprefix(today[:11])


def jsonable(record: Any) -> Any:
    """One record as plain JSON; bytes, secrets and what a URL has in its query stay out."""
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return {
        name: shown(value) if name == "url" else _plain(value)
        for name, value in fields.items()
        if name not in ("body", "excerpt", "secret", "mark")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
