"""Commands that mend subscriptions: ``enable``, ``disable``, ``rotate``, ``test``, ``reseal``."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from .door import Door, found_subscription, jsonable, plain_errors
from .printing import as_json_option, say, say_json


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @plain_errors
    def enable(subscription_id: str) -> None:
        """Let the disabled subscription ID take deliveries again."""
        found = found_subscription(subscription_id)
        already = f"{found.id} is enabled already."
        say(f"Enabled {found.id}." if webhooks.enable(found) else already)

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @plain_errors
    def disable(subscription_id: str) -> None:
        """Let the subscription ID take no more deliveries, and cancel what waits for it."""
        found = found_subscription(subscription_id)
        already = f"{found.id} is disabled already ({found.reason})."
        say(f"Disabled {found.id}." if webhooks.disable(found) else already)

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @click.option("--overlap", default=86400.0, show_default=True,
                  help="Seconds for which the secret before signs too.")  # fmt: skip
    @as_json_option
    @plain_errors
    def rotate(subscription_id: str, overlap: float, as_json: bool) -> None:
        """Give the subscription ID another secret, shown once."""
        made = webhooks.rotate(found_subscription(subscription_id), overlap=overlap)
        if as_json:
            say_json({**jsonable(made), "secret": made.secret})
            return
        say(f"Secret {made.secret}")
        say("It can't be shown again. Until the overlap ends, the one before signs, too.")

    @group.command("test")
    @click.argument("subscription_id", metavar="ID")
    @click.option("--name", help="A webhook; by default the first that it wants.")
    @plain_errors
    def send_test(subscription_id: str, name: str | None) -> None:
        """Send the subscription ID, and nobody else, an example payload."""
        message = webhooks.test(found_subscription(subscription_id), name)
        say(f"Stored {message.id}. See what comes of it: flask webhooks show {message.id}")

    @group.command()
    @plain_errors
    def reseal() -> None:
        """Seal every stored secret with the newest of WEBHOOKS_SECRET_KEYS."""
        say(f"Sealed {webhooks.reseal()} secrets anew; all are sealed with the newest key.")
