"""Commands that look: ``status``, ``show`` and ``explain``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from flask.cli import AppGroup

from ..rules.urls import shown
from ..store import lists
from ..store.lists import Standing
from ..store.records import Attempt, Delivery, Message, Subscription
from .door import Door, echo_table, plain_errors, state, when

_STATUSES = ("pending", "delivered", "exhausted", "cancelled")


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @plain_errors
    def status(as_json: bool) -> None:
        """Show how the queue stands: what waits, what is due, and what failed."""
        found = webhooks.standing()
        if as_json:
            click.echo(json.dumps(asdict(found)))
            return
        for line in _told(found):
            click.echo(line)

    @group.command()
    @click.argument("thing", metavar="ID")
    @plain_errors
    def show(thing: str) -> None:
        """Show the message, subscription or delivery ID, with all that came of it."""
        if thing.isdigit():
            _show_deliveries(webhooks, _deliveries(delivery=int(thing)), thing)
        elif thing.startswith("sub_"):
            _show_subscription(webhooks, thing)
        else:
            _show_message(webhooks, thing)

    @group.command()
    @click.argument("message")
    @click.argument("subscription")
    @plain_errors
    def explain(message: str, subscription: str) -> None:
        """Say why MESSAGE did, or did not, reach SUBSCRIPTION."""
        found = webhooks.explain(message, subscription)
        click.echo(f"{found.code}: {found.words}")


def _told(found: Standing) -> Sequence[str]:
    counts = "  ".join(f"{s} {found.deliveries.get(s, 0)}" for s in _STATUSES)
    disabled = found.subscriptions.get("disabled", 0)
    lines = [
        f"Subscriptions  enabled {found.subscriptions.get('enabled', 0)}  disabled {disabled}",
        f"Deliveries     {counts}",
        f"Now            due {found.due}, the oldest for {found.oldest_due:.0f} s;  "
        f"under way {found.under_way};  messages to be fanned out {found.waiting}",
    ]
    if found.oldest_due > 60 or (found.waiting and not found.under_way):
        lines.append("Nobody seems to deliver. Start a worker: flask webhooks worker")
    if found.deliveries.get("exhausted"):
        lines.append("See what was given up: flask webhooks deliveries --status exhausted")
    return lines


def _deliveries(delivery: int) -> list[Delivery]:
    database = state().database
    return database.read(lambda c: lists.list_deliveries(c, database.tables, delivery=delivery))


def _message(message_id: str) -> Message | None:
    database = state().database
    found = database.read(lambda c: lists.list_messages(c, database.tables, message=message_id))
    return next(iter(found), None)


def _show_message(webhooks: Door, message_id: str) -> None:
    message = _message(message_id)
    if message is None:
        raise click.ClickException(
            f"There is no message {message_id}. List what was sent: flask webhooks deliveries"
        )
    click.echo(f"Message   {message.id}  {message.name}  {when(message.created_at)}")
    click.echo(f"Tenant    {message.tenant or '-'}    Key  {message.key or '-'}")
    if message.erased_at is not None:
        click.echo(f"Erased    {when(message.erased_at)}: what was private is gone")
    payload = state().shown_payload(message.name, message.body)
    click.echo(json.dumps(payload, indent=2, ensure_ascii=False))
    _show_deliveries(webhooks, webhooks.deliveries(message=message), message_id)


def _show_subscription(webhooks: Door, subscription_id: str) -> None:
    found = next((s for s in webhooks.subscriptions() if s.id == subscription_id), None)
    if found is None:
        raise click.ClickException(
            f"There is no subscription {subscription_id}. List them: flask webhooks subscriptions"
        )
    for name, value in _facts(found):
        click.echo(f"{name:<9} {value}")
    _show_deliveries(webhooks, webhooks.deliveries(subscription=found)[:10], subscription_id)


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


def _show_deliveries(webhooks: Door, found: Sequence[Delivery], of: str) -> None:
    if not found:
        click.echo(f"No deliveries of {of}.")
    for delivery in found:
        if (message := _message(delivery.message_id)) is None:
            continue  # purged meanwhile
        click.echo(f"\nDelivery  {delivery.id}  {delivery.status}  to {shown(delivery.url)}")
        words = webhooks.explain(delivery.message_id, delivery.subscription_id).words
        click.echo(f"          {words}")
        rows = [_row(message, one) for one in webhooks.attempts(delivery)]
        echo_table(rows, "          No attempts yet.")


def _row(message: Message, attempt: Attempt) -> tuple[str, ...]:
    answer = state().shown_answer(message.name, message.body, attempt.excerpt) or ""
    printable = "".join(c if c.isprintable() else " " for c in answer[:60])
    return (
        f"         {attempt.number}.", when(attempt.started_at),
        str(attempt.status_code or attempt.outcome), f"{attempt.duration * 1000:.0f} ms",
        attempt.detail or printable,
    )  # fmt: skip
