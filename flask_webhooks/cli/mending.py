"""Commands that mend subscriptions: ``enable``, ``disable``, ``rotate``, ``test``, ``reseal``."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..door import Door, state
from ..store.records import Subscription
from .finding import found_subscription
from .printing import as_json_option, plain_errors, say, say_json, say_result
from .wording import counted, jsonable


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @as_json_option
    @plain_errors
    def enable(subscription_id: str, as_json: bool) -> None:
        """Let the disabled subscription ID take deliveries again."""
        found = found_subscription(subscription_id)
        changed = webhooks.enable(found)
        already = f"{found.id} is enabled already."
        _say_change(found, changed, f"Enabled {found.id}." if changed else already, as_json)

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @as_json_option
    @plain_errors
    def disable(subscription_id: str, as_json: bool) -> None:
        """Let the subscription ID take no more deliveries, and cancel what waits for it."""
        found = found_subscription(subscription_id)
        changed = webhooks.disable(found)
        already = f"{found.id} is disabled already ({found.reason})."
        _say_change(found, changed, f"Disabled {found.id}." if changed else already, as_json)

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
        before = "Until the overlap ends, the one before signs, too."
        say(f"It can't be shown again. {before if overlap else 'The one before signs no more.'}")

    @group.command("test")
    @click.argument("subscription_id", metavar="ID")
    @click.option("--name", help="A webhook; by default the first that it wants.")
    @as_json_option
    @plain_errors
    def send_test(subscription_id: str, name: str | None, as_json: bool) -> None:
        """Send the subscription ID, and nobody else, an example payload."""
        message = webhooks.test(found_subscription(subscription_id), name)
        if as_json:
            payload = state().shown_payload(message.name, message.body)
            say_json({**jsonable(message), "payload": payload, "subscription": subscription_id})
            return
        say(f"Stored {message.id}. See what comes of it: flask webhooks show {message.id}")

    @group.command()
    @as_json_option
    @plain_errors
    def reseal(as_json: bool) -> None:
        """Seal every stored secret with the newest of WEBHOOKS_SECRET_KEYS."""
        count = webhooks.reseal()
        secrets = counted(count, "secret", "secrets")
        told = f"Sealed {secrets} anew; all are sealed with the newest key."
        say_result({"count": count}, told, as_json)


def _say_change(before: Subscription, changed: bool, words: str, as_json: bool) -> None:
    """Say what a subscription has become; it is read anew only where a program asks."""
    if as_json:
        say_json({**jsonable(found_subscription(before.id)), "changed": changed})
    else:
        say(words)
