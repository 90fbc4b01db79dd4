"""Why a message did, or did not, reach a subscription: the first reason that holds, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .rules.failures import failure_of
from .rules.filters import passes
from .rules.patterns import wanted
from .store import lists, subscriptions
from .store.database import Database
from .store.records import (
    IN_LINE,
    Attempt,
    Delivery,
    DeliveryStatus,
    Message,
    Subscription,
    SubscriptionStatus,
    moment,
)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Where one message stands with one subscription."""

    #: ``delivered``, ``pending``, ``exhausted``, ``cancelled``; or why there is no delivery:
    #: ``waiting``, ``not-subscribed``, ``tenant``, ``key``, ``later``, ``expired``, ``filter``,
    #: ``disabled``, ``used``.
    code: str
    words: str
    delivery: Delivery | None = None
    last_attempt: Attempt | None = None


def explain(
    database: Database, message_id: str, subscription_id: str, now: float
) -> Explanation | None:
    """Say where a message stands with a subscription; ``None`` when one of them is not known.

    :param now: unix time in seconds.
    """
    tables = database.tables
    messages = database.read(lambda c: lists.list_messages(c, tables, message=message_id))
    subscription = database.read(
        lambda c: subscriptions.get_subscription(c, tables, subscription_id)
    )
    if not messages or subscription is None:
        return None
    [message] = messages
    found = database.read(
        lambda c: lists.list_deliveries(c, tables, message=message_id, subscription=subscription_id)
    )
    if found:
        return _of_delivery(database, found[0], subscription, now)
    code, words = next(_absent(message, subscription))
    if code == "used" and not database.read(lambda c: lists.is_fanned_out(c, tables, message_id)):
        code, words = "waiting", "It is stored, and no worker has taken it up yet. Does one run?"
    return Explanation(code=code, words=words)


def _absent(message: Message, subscription: Subscription) -> Iterator[tuple[str, str]]:
    """Why there is no delivery, in the order in which the store decides."""
    if not wanted(subscription.names, message.name):
        names = ", ".join(subscription.names)
        yield "not-subscribed", f"It is subscribed to {names}, and the message is {message.name}."
    if subscription.tenant != message.tenant:
        yield "tenant", "The message belongs to another tenant than the subscription."
    if subscription.key not in (None, message.key):
        yield "key", f"It takes messages with the key {subscription.key!r}, not {message.key!r}."
    if subscription.created_at > message.created_at:
        yield "later", "It was made after the message was sent, and gets what is sent from then on."
    if subscription.expires_at is not None and subscription.expires_at <= message.created_at:
        yield "expired", f"It expired at {_at(subscription.expires_at)}, before the message."
    if subscription.filter and not passes(subscription.filter, json.loads(message.body)):
        yield "filter", f"The payload does not pass its filter {json.dumps(subscription.filter)}."
    if subscription.status is SubscriptionStatus.DISABLED:
        yield "disabled", f"It is disabled ({subscription.reason}), and gets nothing."
    yield "used", "It took one message only, or its delivery has been purged since."


def _of_delivery(
    database: Database, delivery: Delivery, subscription: Subscription, now: float
) -> Explanation:
    attempts = database.read(lambda c: lists.list_attempts(c, database.tables, delivery.id))
    last = attempts[0] if attempts else None
    words = {
        DeliveryStatus.DELIVERED: _delivered,
        DeliveryStatus.PENDING: _pending,
        DeliveryStatus.EXHAUSTED: _exhausted,
        DeliveryStatus.CANCELLED: _cancelled,
    }[delivery.status](delivery, last, now)
    return Explanation(code=str(delivery.status), words=words, delivery=delivery, last_attempt=last)


def _delivered(delivery: Delivery, last: Attempt | None, now: float) -> str:
    answer = f" with {last.status_code}" if last else ""
    times = "at the first attempt" if delivery.attempts == 1 else f"at attempt {delivery.attempts}"
    return f"The receiver accepted it{answer} {times}."


def _pending(delivery: Delivery, last: Attempt | None, now: float) -> str:
    due = delivery.due_at
    if due >= moment(IN_LINE):
        return "It waits in line: an earlier delivery with the same key has not ended yet."
    told = f"{_failed(last)} " if last else ""
    if due.timestamp() <= now:
        return f"{told}It is due, and waits for its turn."
    if delivery.attempts and (last is None or last.number < delivery.attempts):
        return f"{told}Attempt {delivery.attempts} is under way."
    if delivery.reason == "rate-limited":
        return f"It was put off until {_at(due)}, so that its receiver is not called too often."
    if delivery.reason == "secret-unavailable":
        return f"Its secret could not be opened: see the log. It is looked at again at {_at(due)}."
    return f"{told}The next attempt is due at {_at(due)}.".lstrip()


def _exhausted(delivery: Delivery, last: Attempt | None, now: float) -> str:
    special = {
        "gone": "The receiver answered 410: it wants no more, and the subscription was disabled.",
        "overflow": "Too many deliveries were pending for it already. Replay it when it has room.",
        "quarantined": "Every process that began it died. Replay it once the cause is found.",
    }
    if delivery.reason in special:
        return special[delivery.reason]
    return f"It was given up after {delivery.attempts} attempts. {_failed(last)}".rstrip()


def _cancelled(delivery: Delivery, last: Attempt | None, now: float) -> str:
    if delivery.reason == "erased":
        return "Its message was erased, as it was about a person, and is never sent again."
    if delivery.reason == "by hand":
        return "It was cancelled by hand. Replay it to send it after all."
    return "Its subscription was disabled before it was delivered. Enable it, then replay."


def _failed(last: Attempt | None) -> str:
    failure = None if last is None else failure_of(last.outcome, last.status_code)
    return "" if failure is None else f"The last attempt failed: {failure.words}"


def _at(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def as_json(explanation: Explanation) -> dict[str, Any]:
    """An explanation as plain JSON, for terminals and the API."""
    delivery = explanation.delivery
    return {
        "code": explanation.code,
        "words": explanation.words,
        "deliveryId": None if delivery is None else delivery.id,
    }
