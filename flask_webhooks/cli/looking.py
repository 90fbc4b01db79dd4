"""Commands that look: ``status``, ``show`` and ``explain``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from flask.cli import AppGroup

from ..door import Door, state
from ..reports import Explanation
from ..rules.urls import shown
from ..store.lists import Standing
from ..store.records import STATUSES, Attempt, Delivery, Message, RunningWorker, Subscription
from .finding import found_delivery, found_message, found_subscription, message_of
from .printing import (
    as_json_option,
    as_text,
    clean,
    echo_table,
    plain_errors,
    say,
    say_json,
    say_wrapped,
)
from .wording import NO_DELIVERIES, jsonable, when

if TYPE_CHECKING:
    # The room brings requests and TLS: it is entered on first need.
    from ..deliver.retracing import Sent

#: Deliveries that ``show`` shows of one message, and of one subscription.
_OF_MESSAGE, _OF_SUBSCRIPTION = 100, 10
#: Workers that ``status`` tells of.
_WORKERS = 5
#: Characters of an answer in one line.
_EXCERPT = 60


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @as_json_option
    @click.option("--fail-if-due-for", type=click.FloatRange(min=0), metavar="SECONDS",
                  help="End with status 1 when something has been due for longer.")  # fmt: skip
    @plain_errors
    def status(as_json: bool, fail_if_due_for: float | None) -> None:
        """Show how the queue stands: what waits, what is due, what failed, and who delivers."""
        found, workers = webhooks.standing(), webhooks.workers()
        if as_json:
            say_json({**asdict(found), "workers": [jsonable(one) for one in workers]})
        else:
            say("\n".join([*_told(found), _told_of(workers), *_hints(found, workers)]))
        if fail_if_due_for is not None and found.oldest_due > fail_if_due_for:
            raise SystemExit(1)

    @group.command()
    @click.argument("thing", metavar="ID")
    @click.option("--headers", is_flag=True, help="Show the headers of each attempt.")
    @as_json_option
    @plain_errors
    def show(thing: str, headers: bool, as_json: bool) -> None:
        """Show the message, subscription or delivery ID, with all that came of it."""
        if thing.isdigit():
            seen = _Seen(None, [found_delivery(int(thing))])
        elif thing.startswith("sub_"):
            subscription = found_subscription(thing)
            found = webhooks.deliveries(subscription=subscription, limit=_OF_SUBSCRIPTION)
            seen = _Seen(subscription, found)
        else:
            message = found_message(thing)
            seen = _Seen(message, webhooks.deliveries(message=message, limit=_OF_MESSAGE))
        if as_json:
            say_json(_as_json(webhooks, seen))
        else:
            _print(webhooks, seen, headers)

    @group.command()
    @click.argument("message")
    @click.argument("subscription")
    @as_json_option
    @plain_errors
    def explain(message: str, subscription: str, as_json: bool) -> None:
        """Say why MESSAGE did, or did not, reach SUBSCRIPTION."""
        found = webhooks.explain(found_message(message), found_subscription(subscription))
        if as_json:
            say_json(_explained(found))
        else:
            say_wrapped(f"{found.code}: {found.words}", "")


def _told(found: Standing) -> Sequence[str]:
    counts = "  ".join(f"{s} {found.deliveries.get(s, 0)}" for s in STATUSES)
    disabled = found.subscriptions.get("disabled", 0)
    late = f", the oldest for {found.oldest_due:.0f} s" if found.due else ""
    return [
        f"Subscriptions  enabled {found.subscriptions.get('enabled', 0)}  disabled {disabled}",
        f"Deliveries     {counts}",
        f"Now            due {found.due}{late}  under way {found.under_way}",
        f"Messages       to be fanned out {found.waiting}",
    ]


def _told_of(workers: Sequence[RunningWorker]) -> str:
    if not workers:
        return "Workers        none"
    now = state().clock()
    told = [
        f"{one.host}:{one.pid} {one.kind}, seen {now - one.seen_at.timestamp():.0f} s ago"
        for one in workers[:_WORKERS]
    ]
    told += [f"{len(workers) - _WORKERS} more"] if len(workers) > _WORKERS else []
    return f"Workers        {len(workers)} ({'; '.join(told)})"


def _hints(found: Standing, workers: Sequence[RunningWorker]) -> Iterator[str]:
    """What to type next."""
    if not workers:
        yield _no_worker()
    elif found.oldest_due > 60:
        yield "What is due is late. Start another worker, or see what they log."
    if found.deliveries.get("exhausted"):
        yield "See what was given up: flask webhooks deliveries --status exhausted"


def _no_worker() -> str:
    kind = state().settings.worker
    if kind == "celery":
        return "Nobody delivers. Start a Celery worker: celery --app MODULE worker"
    if state().delivering.has_engine:
        return "An engine of your own delivers, and its workers are not seen here."
    if kind == "thread":
        return (
            "Nobody delivers: the app's own thread starts with its next request. Or start a "
            "worker: flask webhooks worker"
        )
    return "Nobody delivers. Start a worker: flask webhooks worker"


class _Seen:
    """What ``show`` shows: a thing, if it is no delivery, and deliveries."""

    def __init__(self, thing: Message | Subscription | None, found: Sequence[Delivery]) -> None:
        self.thing = thing
        self.deliveries = found


def _print(webhooks: Door, seen: _Seen, headers: bool) -> None:
    if isinstance(seen.thing, Message):
        for name, value in _facts_of_message(seen.thing):
            say(f"{name:<9} {clean(value)}")
        say(as_text(state().shown_payload(seen.thing.name, seen.thing.body)))
    elif isinstance(seen.thing, Subscription):
        for name, value in _facts(seen.thing):
            say(f"{name:<9} {clean(value)}")
    if not seen.deliveries:
        say(NO_DELIVERIES)
    for delivery, message in _with_messages(seen.deliveries):
        if seen.thing is not None:
            say("")
        say(f"Delivery  {delivery.id}  {delivery.status}  to {shown(delivery.url)}")
        words = webhooks.explain(delivery.message_id, delivery.subscription_id).words
        say_wrapped(words, " " * 10)
        attempts = webhooks.attempts(delivery)
        echo_table([_row(message, one) for one in attempts], "          No attempts yet.")
        if headers:
            sent = state().delivering.sent(message, [delivery.id])
            say("\n".join(line for one in attempts for line in _headers(one, sent(one))))


def _headers(attempt: Attempt, sent: Sent) -> Iterator[str]:
    """The headers of one attempt, line by line."""
    yield f"\n         {attempt.number}. Headers. {sent.words or ''}".rstrip()
    for one in sent.headers:
        yield f"            {one.name}: {'(a secret)' if one.value is None else one.value}"


def _with_messages(found: Sequence[Delivery]) -> Iterator[tuple[Delivery, Message]]:
    for delivery in found:
        if (message := message_of(delivery.message_id)) is not None:  # else purged meanwhile
            yield delivery, message


def _facts_of_message(found: Message) -> Iterator[tuple[str, str]]:
    yield "Message", f"{found.id}  {found.name}  {when(found.created_at)}"
    yield "Tenant", f"{found.tenant or '-'}    Key  {found.key or '-'}"
    if found.erased_at is not None:
        yield "Erased", f"{when(found.erased_at)}: what was private is gone"


def _facts(found: Subscription) -> list[tuple[str, str]]:
    terms = found.terms
    facts = [
        ("Id", found.id), ("URL", shown(found.url)), ("Webhooks", ", ".join(found.names)),
        ("Status", f"{found.status}{f' ({found.reason})' if found.reason else ''}"),
        ("Made", when(found.created_at)), ("Tenant", found.tenant or "-"),
        ("Key", found.key or "-"),
    ]  # fmt: skip
    condition = json.dumps(found.filter) if found.filter else None
    asked = [("Filter", condition), ("Schedule", terms.schedule), ("Rate", terms.rate)]
    asked.append(("Order", terms.order))
    return facts + [(name, str(value)) for name, value in asked if value is not None]


def _row(message: Message, attempt: Attempt) -> tuple[str, ...]:
    answer = state().shown_answer(message.name, message.body, attempt.excerpt) or ""
    return (
        f"         {attempt.number}.", when(attempt.started_at),
        str(attempt.status_code or attempt.outcome), f"{attempt.duration * 1000:.0f} ms",
        attempt.detail or answer[:_EXCERPT],
    )  # fmt: skip


def _as_json(webhooks: Door, seen: _Seen) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if isinstance(seen.thing, Message):
        payload = state().shown_payload(seen.thing.name, seen.thing.body)
        told = {"message": {**jsonable(seen.thing), "payload": payload}}
    elif isinstance(seen.thing, Subscription):
        told = {"subscription": jsonable(seen.thing)}
    shown_ones = []
    for delivery, message in _with_messages(seen.deliveries):
        found = webhooks.explain(delivery.message_id, delivery.subscription_id)
        sent = state().delivering.sent(message, [delivery.id])
        attempts = [
            _attempt_as_json(message, one, sent(one)) for one in webhooks.attempts(delivery)
        ]
        told_of = {"explanation": _explained(found), "attempts_made": attempts}
        shown_ones.append({**jsonable(delivery), **told_of})
    return {**told, "deliveries": shown_ones}


def _attempt_as_json(message: Message, attempt: Attempt, sent: Sent) -> dict[str, Any]:
    answer = state().shown_answer(message.name, message.body, attempt.excerpt)
    return {**jsonable(attempt), "answer": answer, "sent": asdict(sent)}


def _explained(found: Explanation) -> dict[str, Any]:
    delivery = None if found.delivery is None else found.delivery.id
    return {"code": found.code, "words": found.words, "delivery": delivery}
