"""What the door reports: where a message stands with a subscription, and what was erased."""

from __future__ import annotations

from dataclasses import dataclass

from .store.records import Attempt, Delivery


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Where one message stands with one subscription."""

    #: Without a delivery: ``not-subscribed``, ``tenant``, ``key``, ``later``, ``used``,
    #: ``expired``, ``filter``, ``disabled``, ``waiting`` or ``not-then``. Pending: ``due``,
    #: ``under-way``, ``enqueued``, ``retry``, ``paused``, ``rate-limited``, ``in-line`` or
    #: ``secret-unavailable``. Settled: ``delivered``; ``exhausted``, ``gone``, ``overflow`` or
    #: ``quarantined``; ``cancelled`` or ``disabled``.
    code: str
    words: str
    delivery: Delivery | None = None
    last_attempt: Attempt | None = None


@dataclass(frozen=True, kw_only=True)
class ErasedOf:
    """What was found in the messages of one webhook."""

    name: str
    #: The ids of messages that are about the person: by a private field, or by their key.
    messages: tuple[str, ...]
    #: Deliveries of them that were pending, and are cancelled.
    deliveries: int
    #: How many of those a worker held at that moment: these may still arrive.
    under_way: int
    #: Answers of receivers that are blanked.
    answers: int
    #: The ids of messages that hold the text outside of private fields: they are left alone.
    mentions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What was found of a person, and erased unless it was a dry run."""

    dry_run: bool
    webhooks: tuple[ErasedOf, ...]
    #: The ids of subscriptions that hold the text in their URL, key or filter: left alone.
    subscriptions: tuple[str, ...]
