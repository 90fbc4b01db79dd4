"""Commands about messages on their way: ``trigger``, ``deliveries`` and ``worker``."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from flask.cli import AppGroup

from ..exceptions import PayloadError
from ..rules.urls import shown
from ..store.records import Delivery, Message
from .door import Door, echo_table, jsonable, plain_errors, state, when

#: Seconds between two looks of ``deliveries --follow``.
_LOOK_EVERY = 0.5


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("name")
    @click.option("--data", help="The payload as JSON, instead of an example from the schema.")
    @click.option("--key", help="Whom a keyed callback is for.")
    @click.option("--tenant", help="Whose message it is.")
    @click.option("--later", is_flag=True, help="Only store it; a worker delivers it.")
    @plain_errors
    def trigger(
        name: str, data: str | None, key: str | None, tenant: str | None, later: bool
    ) -> None:
        """Send the webhook NAME with an example payload, and show what came of it."""
        webhook = webhooks[name]
        payload = _given(data) if data is not None else state().example(webhook)
        message = state().emit(webhook, payload, as_json=True, key=key, tenant=tenant)
        told = json.dumps(
            state().shown_payload(message.name, message.body),
            ensure_ascii=False, separators=(",", ":"),
        )  # fmt: skip
        click.echo(f"Stored {message.id}: {told}")
        if not later:
            webhooks.run_until_idle()
            _show(webhooks, message)

    @group.command()
    @click.option("--message", help="Only those of this message.")
    @click.option("--subscription", help="Only those to this subscription.")
    @click.option("--status", type=click.Choice(["pending", "delivered", "exhausted", "cancelled"]))
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
    @click.option("--follow", is_flag=True, help="Go on: a line whenever one changes.")
    @plain_errors
    def deliveries(
        message: str | None,
        subscription: str | None,
        status: str | None,
        as_json: bool,
        follow: bool,
    ) -> None:
        """List deliveries, newest first."""

        def found() -> list[Delivery]:
            return webhooks.deliveries(message=message, subscription=subscription, status=status)

        _follow(found, as_json) if follow else _list(found(), as_json)

    @group.command()
    @click.option("--until-idle", is_flag=True, help="Deliver what is due now, then end.")
    @plain_errors
    def worker(until_idle: bool) -> None:
        """Deliver until interrupted; then finish what is under way."""
        if until_idle:
            webhooks.run_until_idle()
            return
        running = state().worker
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: running.stop())
        url = state().database.engine.url.render_as_string(hide_password=True)
        click.echo(f"Delivering from {url}. Ctrl+C ends it after what is under way.")
        running.run()
        click.echo("Stopped. What was not delivered stays stored.")


def _list(found: Sequence[Delivery], as_json: bool) -> None:
    if as_json:
        for one in found:
            click.echo(json.dumps(jsonable(one)))
        return
    rows = [_row(delivery) for delivery in found]
    echo_table(rows, "No deliveries. Make one: flask webhooks trigger NAME")


def _follow(found: Callable[[], list[Delivery]], as_json: bool) -> None:
    """Print each delivery, and again whenever it has changed, until interrupted."""
    printed: dict[int, tuple[object, ...]] = {}
    while True:
        for one in reversed(found()):
            state_of = (one.status, one.reason, one.attempts)
            if printed.get(one.id) != state_of:
                printed[one.id] = state_of
                click.echo(json.dumps(jsonable(one)) if as_json else "  ".join(_row(one)))
        time.sleep(_LOOK_EVERY)


def _show(webhooks: Door, message: Message) -> None:
    """What came of a message, one line for each subscription."""
    found = webhooks.deliveries(message=message)
    for delivery in reversed(found):
        last = next(iter(webhooks.attempts(delivery)), None)
        answer = f"{last.status_code or last.outcome} {last.detail}".strip() if last else ""
        click.echo(f"{delivery.status:<10} {shown(delivery.url)}  {answer}".rstrip())
    if not found:
        name = message.name
        click.echo(f"Nobody has subscribed to {name} yet: flask webhooks subscribe URL {name}")


def _given(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise PayloadError(f"--data is no JSON: {error}") from None


def _row(delivery: Delivery) -> tuple[str, ...]:
    due = delivery.status == "pending"
    told = f"due {when(delivery.due_at)}" if due else (delivery.reason or "")
    return (
        str(delivery.id), delivery.status, f"{delivery.attempts}x", delivery.name,
        delivery.message_id, told, shown(delivery.url),
    )  # fmt: skip
