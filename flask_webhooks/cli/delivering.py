"""Commands about messages on their way: ``trigger`` and ``deliveries``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

import click
from flask.cli import AppGroup

from ..door import Door, state
from ..rules.urls import shown
from ..store import following
from ..store.records import STATUSES, Delivery, Message
from .given import parsed
from .listing import limit_option, say_list
from .printing import as_json_option, plain_errors, say, say_json, say_result
from .wording import NO_DELIVERIES, jsonable, soon

#: Seconds between two looks of ``deliveries --follow``.
_LOOK_EVERY = 0.5
#: Deliveries that one look shows, and that ``--follow`` remembers.
_MOST_AT_ONCE, _REMEMBERED = 1000, 10_000
_HEADS = ("Id", "Status", "Tries", "Webhook", "Message", "Why", "URL")


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("name")
    @click.option("--data", help="The payload as JSON, instead of an example from the schema.")
    @click.option("--key", help="Whom a keyed callback is for.")
    @click.option("--tenant", help="Whose message it is.")
    @click.option("--later", is_flag=True, help="Only store it; a worker delivers it.")
    @as_json_option
    @plain_errors
    def trigger(
        name: str,
        data: str | None,
        key: str | None,
        tenant: str | None,
        later: bool,
        as_json: bool,
    ) -> None:
        """Send the webhook NAME with an example payload, and show what came of it."""
        webhook = webhooks[name]
        payload = parsed("--data", data) if data is not None else state().example(webhook)
        message = state().emit(webhook, payload, as_json=True, key=key, tenant=tenant)
        shown_payload = state().shown_payload(message.name, message.body)
        if not as_json:
            told = json.dumps(shown_payload, ensure_ascii=False, separators=(",", ":"))
            say(f"Stored {message.id}: {told}")
        if not later:
            webhooks.run_until_idle()
        if as_json:
            found = [jsonable(d) for d in webhooks.deliveries(message=message)]
            say_json({**jsonable(message), "payload": shown_payload, "deliveries": found})
        elif not later:
            _show(webhooks, message)

    @group.command()
    @click.option("--message", help="Only those of this message.")
    @click.option("--subscription", help="Only those to this subscription.")
    @click.option("--status", type=click.Choice(STATUSES))
    @limit_option
    @click.option("--follow", is_flag=True, help="Go on: a line for each new one and each attempt.")
    @as_json_option
    @plain_errors
    def deliveries(
        message: str | None,
        subscription: str | None,
        status: str | None,
        limit: int,
        follow: bool,
        as_json: bool,
    ) -> None:
        """List deliveries, newest first."""
        filters = {"message": message, "subscription": subscription, "status": status}
        if follow:
            for one in _followed(filters, webhooks.deliveries(**filters, limit=limit)):
                say_result(jsonable(one), "  ".join(_row(one)), as_json)
            return
        found = webhooks.deliveries(**filters, limit=limit + 1)
        say_list(
            found, limit, _row, as_json=as_json, heads=_HEADS, spare=("Message", "Tries"),
            nothing=NO_DELIVERIES,
        )  # fmt: skip


def _followed(filters: dict[str, str | None], newest: Sequence[Delivery]) -> Iterator[Delivery]:
    """What is there, the oldest first; then each that is new or was attempted, until interrupted.

    :param newest: what is there.
    """
    database = state().database
    looked = database.read(lambda c: following.mark(c, database.tables))
    seen = {one.id: _standing(one) for one in _changed(looked, filters)}
    yield from reversed(newest)
    while True:
        now = database.read(lambda c: following.mark(c, database.tables))
        for one in _changed(looked, filters):
            known = seen.pop(one.id, None)
            seen[one.id] = _standing(one)
            if known != seen[one.id]:
                yield one
        for forgotten in list(seen)[:-_REMEMBERED]:
            del seen[forgotten]
        looked = now
        time.sleep(_LOOK_EVERY)


def _changed(looked: following.Mark, filters: dict[str, str | None]) -> list[Delivery]:
    database = state().database
    return database.read(
        lambda c: following.changed_since(
            c, database.tables, looked, limit=_MOST_AT_ONCE, **filters
        )
    )


def _standing(one: Delivery) -> tuple[object, ...]:
    return one.status, one.reason, one.attempts


def _show(webhooks: Door, message: Message) -> None:
    """What came of a message, one line for each subscription."""
    found = webhooks.deliveries(message=message, limit=_MOST_AT_ONCE)
    for delivery in reversed(found):
        last = next(iter(webhooks.attempts(delivery)), None)
        told = (
            f"{last.status_code or last.outcome} {last.detail}".strip()
            if last
            else (webhooks.explain(message, delivery.subscription_id).words)
        )
        say(f"{delivery.status:<10} {shown(delivery.url)}  {told}".rstrip())
    if not found:
        say(_nobody(webhooks, message))


def _nobody(webhooks: Door, message: Message) -> str:
    name = message.name
    for one in webhooks.subscriptions(name=name, limit=1):
        return (
            f"No subscription to {name} gets this message. "
            f"See why: flask webhooks explain {message.id} {one.id}"
        )
    return f"Nobody has subscribed to {name} yet: flask webhooks subscribe URL {name}"


def _row(delivery: Delivery) -> tuple[str, ...]:
    due = delivery.status == "pending"
    told = f"due {soon(delivery.due_at)}" if due else (delivery.reason or "")
    return (
        str(delivery.id), delivery.status, f"{delivery.attempts}x", delivery.name,
        delivery.message_id, told, shown(delivery.url),
    )  # fmt: skip
