"""Commands that put things right: ``replay``, ``cancel``, ``enable``, ``rotate``, ``purge``, …"""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from .door import Door, plain_errors

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("delivery", type=int, required=False)
    @click.option("--message", help="Deliveries of this message.")
    @click.option("--subscription", help="Deliveries to this subscription.")
    @click.option("--name", help="Deliveries of this webhook.")
    @click.option("--status", type=click.Choice(["delivered", "exhausted", "cancelled"]))
    @click.option("--since", type=_TIME, help="Made at this time (UTC) or later.")
    @click.option("--until", type=_TIME, help="Made before this time (UTC).")
    @click.option("--yes", is_flag=True, help="Do it; without it they are only counted.")
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
    ) -> None:
        """Deliver again: one DELIVERY, or all that the options choose."""
        count = webhooks.replay(
            delivery,
            message=message,
            subscription=subscription,
            name=name,
            status=status,
            since=None if since is None else since.replace(tzinfo=UTC),
            until=None if until is None else until.replace(tzinfo=UTC),
            dry_run=not yes,
        )
        noun = "delivery" if count == 1 else "deliveries"
        told = (
            f"Made {count} {noun} due again."
            if yes
            else (f"This would make {count} {noun} due again. Add --yes to do it.")
        )
        click.echo(told)

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @plain_errors
    def enable(subscription_id: str) -> None:
        """Let the disabled subscription ID take deliveries again."""
        _say(webhooks.enable(subscription_id), f"Enabled {subscription_id}.", "disabled")

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @plain_errors
    def disable(subscription_id: str) -> None:
        """Let the subscription ID take no more deliveries, and cancel what waits for it."""
        _say(webhooks.disable(subscription_id), f"Disabled {subscription_id}.", "enabled")

    @group.command()
    @click.argument("delivery", type=int)
    @plain_errors
    def cancel(delivery: int) -> None:
        """Give up the pending or exhausted DELIVERY; replay takes it up again."""
        if not webhooks.cancel(delivery):
            raise click.ClickException(
                f"Delivery {delivery} is not there, has ended, or is just under way. "
                f"Look at it: flask webhooks show {delivery}"
            )
        click.echo(f"Cancelled {delivery}.")

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @click.option("--overlap", default=86400.0, show_default=True,
                  help="Seconds for which the secret before signs too.")  # fmt: skip
    @plain_errors
    def rotate(subscription_id: str, overlap: float) -> None:
        """Give the subscription ID another secret, shown once."""
        click.echo(f"Secret {webhooks.rotate(subscription_id, overlap=overlap).secret}")
        click.echo("It can't be shown again.")

    @group.command("test")
    @click.argument("subscription_id", metavar="ID")
    @click.option("--name", help="A webhook; by default the first that it wants.")
    @plain_errors
    def send_test(subscription_id: str, name: str | None) -> None:
        """Send the subscription ID, and nobody else, an example payload."""
        message = webhooks.test(subscription_id, name)
        click.echo(f"Stored {message.id}. See what comes of it: flask webhooks show {message.id}")

    @group.command()
    @click.option("--days", type=float, help="Older than this; by default WEBHOOKS_RETENTION.")
    @click.option("--yes", is_flag=True, help="Do it; without it they are only counted.")
    @plain_errors
    def purge(days: float | None, yes: bool) -> None:
        """Delete old messages with their deliveries and attempts, but nothing that is pending."""
        count = webhooks.purge(None if days is None else days * 86400, dry_run=not yes)
        noun = "message" if count == 1 else "messages"
        click.echo(
            f"Deleted {count} {noun}." if yes
            else f"This would delete {count} {noun}. Add --yes to do it."
        )  # fmt: skip

    @group.command()
    @plain_errors
    def reseal() -> None:
        """Seal every stored secret with the newest of WEBHOOKS_SECRET_KEYS."""
        click.echo(f"Sealed {webhooks.reseal()} secrets anew; all are sealed with the newest key.")


def _say(done: bool, told: str, wanted: str) -> None:
    if not done:
        raise click.ClickException(
            f"There is no {wanted} subscription of this id. List them: flask webhooks subscriptions"
        )
    click.echo(told)
