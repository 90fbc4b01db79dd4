"""What the store hands out: values, one class for each noun, and never changed.

Those that are made for every attempt are not frozen, which would cost several microseconds each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ..rules.terms import Terms

#: When a delivery comes due that waits for an earlier one of its line: in the year 9999.
IN_LINE = 253_370_764_800_000_000

#: The largest id of a delivery that a database can be asked for.
LARGEST_ID = 2**63 - 1

#: The token of what an engine has been given: no worker's.
ENQUEUED = "enqueued"


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    #: It waits for its next attempt, or an attempt is under way.
    PENDING = "pending"
    #: A receiver gave a declared answer.
    DELIVERED = "delivered"
    #: Every attempt failed. It can be replayed.
    EXHAUSTED = "exhausted"
    #: Its subscription was disabled before it was delivered, so that it can be replayed; or its
    #: message was erased, which is never sent again.
    CANCELLED = "cancelled"


#: All of them, and those of a delivery that has ended.
STATUSES = tuple(str(status) for status in DeliveryStatus)
SETTLED_STATUSES = tuple(status for status in STATUSES if status != DeliveryStatus.PENDING)


class SubscriptionStatus(StrEnum):
    """Whether a subscription takes deliveries."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A URL that wants webhooks."""

    id: str
    #: As it was given. Its query may be a secret, so that no ``repr`` shows it.
    url: str = field(repr=False)
    names: tuple[str, ...]
    #: Reached by messages with this key only; ``None`` is reached by every message.
    key: str | None
    tenant: str | None
    status: SubscriptionStatus
    #: Why it is disabled.
    reason: str | None
    #: What a payload must hold to reach it, as it was given.
    filter: Mapping[str, Any] | None = None
    #: Its own schedule, rate and order, if it asks for any.
    terms: Terms = Terms()
    #: The callback that captured it, ``None`` for one that was made by hand.
    callback: str | None
    created_at: datetime
    expires_at: datetime | None
    #: Whether it takes one message only.
    once: bool = False
    #: The signing secret, ``whsec_…``: shown once, by the call that made the subscription.
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Owned:
    """One tenant's rows alone; ``None`` is the tenant of those that have none."""

    tenant: str | None


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What a subscription keeps that only a key ring opens."""

    id: str
    tenant: str | None
    secret: bytes | None = field(repr=False)
    options: bytes | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One payload, sent once. Its ``id`` is the ``webhook-id`` on the wire."""

    id: str
    name: str
    key: str | None
    tenant: str | None
    created_at: datetime
    #: The exact bytes that every attempt sends; once erased, what is left to look at.
    body: bytes = field(repr=False)
    #: When what was private in it was erased; it is never sent again.
    erased_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one subscription."""

    id: int
    message_id: str
    subscription_id: str
    name: str
    url: str = field(repr=False)
    status: DeliveryStatus
    #: Why it has this status, such as ``"accepted"``, ``"timeout"`` or ``"gone"``.
    reason: str | None
    attempts: int
    #: When the next attempt is due, or, while one is under way, when it would be given up.
    due_at: datetime
    created_at: datetime
    settled_at: datetime | None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One HTTP try of a delivery."""

    delivery_id: int
    number: int
    #: ``"accepted"``, ``"refused"`` (an undeclared answer), or why there was no answer.
    outcome: str
    status_code: int | None
    detail: str
    #: The first bytes of the answer; none for captured callbacks.
    excerpt: bytes | None = field(repr=False)
    started_at: datetime
    #: Seconds.
    duration: float
    #: A keyed digest of the headers that were made for it: what is made again must have the same.
    mark: int | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What the headers of a delivery are made of, besides the time: read to be looked at."""

    message_id: str
    body: bytes = field(repr=False)
    subscription_id: str
    tenant: str | None
    url: str = field(repr=False)
    callback: str | None
    sealed_secret: bytes | None = field(repr=False)
    sealed_options: bytes | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class RunningWorker:
    """A process, or a thread of one, that delivers."""

    id: str
    #: The name of its machine, and the id of its process there.
    host: str
    pid: int
    #: ``"thread"`` of an app, ``"process"`` (``flask webhooks worker``), or ``"celery"``.
    kind: str
    started_at: datetime
    #: When it last said that it runs; it does so every ten seconds.
    seen_at: datetime


def moment(microseconds: int) -> datetime:
    """A stored time as an aware UTC datetime."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def maybe_moment(microseconds: int | None) -> datetime | None:
    """A stored time that may be absent."""
    return None if microseconds is None else moment(microseconds)


def microseconds(seconds: float) -> int:
    """Seconds as the whole microseconds that the store keeps."""
    return round(seconds * 1_000_000)


def identity(record_or_id: Any) -> Any:
    """The id of a record, or the id itself."""
    return getattr(record_or_id, "id", record_or_id)
