"""Why a message did, or did not, reach a subscription: the first reason that holds, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from .reports import Explanation
from .rules.failures import failure_of
from .rules.filters import passes
from .rules.patterns import wanted
from .rules.retry import SLOW_DOWN
from .store import lists, subscriptions
from .store.database import Database
from .store.lists import Hold
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

#: A code and its words.
Told = tuple[str, str]


def explain(
    database: Database, message_id: str, subscription_id: str, now: float
) -> Explanation | None:
    """Say where a message stands with a subscription; ``None`` when one of them is not known.

    :param now: unix time in seconds.
    """
    tables = database.tables
    message = database.read(lambda c: lists.get_message(c, tables, message_id))
    subscription = database.read(
        lambda c: subscriptions.get_subscription(c, tables, subscription_id)
    )
    if message is None or subscription is None:
        return None
    found = database.read(
        lambda c: lists.list_deliveries(c, tables, message=message_id, subscription=subscription_id)
    )
    if found:
        return _of_delivery(database, found[0], now)
    done = database.read(lambda c: lists.is_fanned_out(c, tables, message_id))
    code, words = next(_absent(message, subscription, done))
    return Explanation(code=code, words=words)


def _absent(message: Message, subscription: Subscription, fanned_out: bool) -> Iterator[Told]:
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
        if subscription.once:
            yield "used", f"It takes one message only, and took that of {_at(subscription)}."
        yield "expired", f"It expired at {_at(subscription)}, before the message."
    if subscription.filter and not passes(subscription.filter, json.loads(message.body)):
        yield "filter", f"The payload does not pass its filter {json.dumps(subscription.filter)}."
    if subscription.status is SubscriptionStatus.DISABLED:
        yield "disabled", f"It is disabled ({subscription.reason}), and gets nothing."
    if not fanned_out:
        yield "waiting", "It is stored, and no worker has taken it up yet. Does one run?"
    yield (
        "not-then",
        "As it is now it would get such a message. When this one was fanned out it was disabled, "
        "or asked for something else; or the message was a test of another subscription.",
    )


def _of_delivery(database: Database, delivery: Delivery, now: float) -> Explanation:
    tables = database.tables
    attempts = database.read(lambda c: lists.list_attempts(c, tables, delivery.id))
    last = attempts[0] if attempts else None
    holds = database.read(lambda c: lists.holds_of(c, tables, [delivery.id]))
    code, words = told(delivery, last, now, holds.get(delivery.id, Hold()))
    return Explanation(code=code, words=words, delivery=delivery, last_attempt=last)


def told(delivery: Delivery, last: Attempt | None, now: float, hold: Hold) -> Told:
    """Where a delivery stands: a code and a sentence.

    :param last: its last attempt.
    :param now: unix time in seconds.
    :param hold: what keeps it besides.
    """
    if delivery.status is DeliveryStatus.PENDING:
        return next(_pending(delivery, last, hold, now))
    return _ended(delivery, last)


def _pending(delivery: Delivery, last: Attempt | None, hold: Hold, now: float) -> Iterator[Told]:
    """What it waits for, the weightiest first."""
    due, failed = delivery.due_at, f"{_failed(last)} " if _failed(last) else ""
    if due >= moment(IN_LINE):
        yield "in-line", "It waits in line: an earlier delivery with the same key has not ended."
    if hold.under_way and due.timestamp() > now:
        yield "under-way", f"{failed}Attempt {delivery.attempts} is under way."
    if hold.enqueued and due.timestamp() > now:
        yield "enqueued", f"{failed}An engine has been given it, and its worker delivers it."
    until = max(moment(hold.paused_until), due)
    if until.timestamp() > now and until > due:
        yield "paused", f"{failed}{_paused(last)} Nothing is sent to it until {_moment(until)}."
    if due.timestamp() <= now:
        rate = "" if hold.rate is None else f": its subscription takes {hold.rate:g} a second"
        yield "due", f"{failed}It is due since {_moment(due)}, and waits for its turn{rate}."
    if delivery.reason == "rate-limited":
        words = f"It was put off until {_moment(due)}, so that its receiver is not called too often"
        yield "rate-limited", f"{words}."
    if delivery.reason == "secret-unavailable":
        words = (
            f"Its secret could not be opened: see the log. It is looked at again at {_moment(due)}"
        )
        yield "secret-unavailable", f"{words}."
    yield "retry", f"{failed}The next attempt is due at {_moment(due)}."


def _paused(last: Attempt | None) -> str:
    if last is not None and last.status_code in SLOW_DOWN:
        return "So its receiver is left alone for a while."
    return "Its receiver asked for less, or did not answer, at another delivery."


_EXHAUSTED = {
    "gone": "The receiver answered 410: it wants no more, and the subscription was disabled.",
    "overflow": "Too many deliveries were pending for it already. Replay it when it has room.",
    "quarantined": "Every process that began it died. Replay it once the cause is found.",
}
_CANCELLED = {
    "by hand": "It was cancelled by hand. Replay it to send it after all.",
    "erased": "Its message was erased, as it was about a person, and is never sent again.",
    "disabled": "Its subscription was disabled before it was delivered. Enable it, then replay.",
}


def _ended(delivery: Delivery, last: Attempt | None) -> Told:
    reason = delivery.reason or ""
    if delivery.status is DeliveryStatus.DELIVERED:
        return "delivered", _delivered(delivery, last)
    if delivery.status is DeliveryStatus.CANCELLED:
        code = "disabled" if reason == "disabled" else "cancelled"
        return code, _CANCELLED.get(reason, f"It was cancelled: {reason}.")
    if reason in _EXHAUSTED:
        return reason, _EXHAUSTED[reason]
    attempts = "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"
    words = f"It was given up after {attempts}. {_failed(last)}"
    return "exhausted", words.rstrip()


def _delivered(delivery: Delivery, last: Attempt | None) -> str:
    answer = f" with {last.status_code}" if last else ""
    times = "at the first attempt" if delivery.attempts == 1 else f"at attempt {delivery.attempts}"
    return f"The receiver accepted it{answer} {times}."


def _failed(last: Attempt | None) -> str:
    failure = None if last is None else failure_of(last.outcome, last.status_code)
    return "" if failure is None else f"The last attempt failed: {failure.words}"


def _at(subscription: Subscription) -> str:
    return "" if subscription.expires_at is None else _moment(subscription.expires_at)


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")
