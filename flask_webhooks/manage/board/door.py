"""What the board asks of the extension."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from ...declarations import Webhook
from ...explaining import Explanation
from ...store.records import Message, Owned, Subscription


class Door(Protocol):
    """The part of :class:`flask_webhooks.Webhooks` that the board uses."""

    def __iter__(self) -> Iterator[Webhook]: ...
    def __getitem__(self, name: str) -> Webhook: ...
    def subscribe(
        self, url: str, names: Sequence[str], *, tenant: str | None = None
    ) -> Subscription: ...
    def unsubscribe(self, subscription: Subscription | str) -> bool: ...
    def enable(self, subscription: Subscription | str) -> bool: ...
    def disable(self, subscription: Subscription | str) -> bool: ...
    def rotate(self, subscription: Subscription | str, *, overlap: float = ...) -> Subscription: ...
    def test(self, subscription: Subscription | str, name: str | None = None) -> Message: ...
    def explain(self, message: Message | str, subscription: Subscription | str) -> Explanation: ...
    def replay(
        self,
        delivery: int | None = None,
        *,
        message: str | None = None,
        subscription: str | None = None,
        name: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        tenant: Owned | None = ...,
        dry_run: bool = False,
    ) -> int: ...
