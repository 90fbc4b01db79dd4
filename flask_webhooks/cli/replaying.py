"""Commands about what was sent: ``replay``, ``cancel`` and ``purge``."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import click
from flask.cli import AppGroup

from ..door import Door
from ..store.records import SETTLED_STATUSES
from .printing import as_json_option, plain_errors, progress, say_result
from .wording import counted

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("delivery", type=int, required=False)
    @click.option("--message", help="Deliveries of this message.")
    @click.option("--subscription", help="Deliveries to this subscription.")
    @click.option("--name", help="Deliveries of this webhook.")
    @click.option("--status", type=click.Choice(SETTLED_STATUSES))
    @click.option("--since", type=_TIME, help="Made at this time (UTC) or later.")
    @click.option("--until", type=_TIME, help="Made before this time (UTC).")
    @click.option("--yes", is_flag=True, help="Do it; without it they are only counted.")
    @as_json_option
    @plain_errors
    def replay(
        delivery: int | None,
        message: str | None,
        subscription: str | None,
        name: str | None,
        status: str | None,
        since: datetime | None,
        until: datetime | None,
        yes: bool,
        as_json: bool,
    ) -> None:
        """Deliver again: one DELIVERY, or all that the options choose."""
        if all(
            value is None for value in (delivery, message, subscription, name, status, since, until)
        ):
            raise click.UsageError("Say what to replay, for example: --status exhausted")
        chosen = partial(
            webhooks.replay, delivery, message=message, subscription=subscription, name=name,
            status=status, since=_utc(since), until=_utc(until),
        )  # fmt: skip
        count = chosen(dry_run=True)
        if yes and count:
            with progress("Replaying", count) as done:
                count = chosen(told=done)
        noun = counted(count, "delivery", "deliveries")
        would = f"This would make {noun} due again. Add --yes to do it."
        told = f"Made {noun} due again." if yes else would
        say_result({"count": count, "dry_run": not yes}, told, as_json)

    @group.command()
    @click.argument("delivery", type=int)
    @as_json_option
    @plain_errors
    def cancel(delivery: int, as_json: bool) -> None:
        """Give up the pending or exhausted DELIVERY; replay takes it up again."""
        if not webhooks.cancel(delivery):
            raise click.ClickException(
                f"Delivery {delivery} is not there, has ended, or is just under way. "
                f"Look at it: flask webhooks show {delivery}"
            )
        told = f"Cancelled {delivery}."
        say_result({"id": delivery, "status": "cancelled"}, told, as_json)

    @group.command()
    @click.option("--days", type=float, help="Older than this; by default WEBHOOKS_RETENTION.")
    @click.option("--yes", is_flag=True, help="Do it; without it they are only counted.")
    @as_json_option
    @plain_errors
    def purge(days: float | None, yes: bool, as_json: bool) -> None:
        """Delete old messages with their deliveries and attempts, but nothing that is pending."""
        count = webhooks.purge(None if days is None else days * 86400, dry_run=not yes)
        noun = counted(count, "message", "messages")
        would = f"This would delete {noun}. Add --yes to do it."
        told = f"Deleted {noun}." if yes else would
        say_result({"count": count, "dry_run": not yes}, told, as_json)


def _utc(given: datetime | None) -> datetime | None:
    return None if given is None else given.replace(tzinfo=UTC)
