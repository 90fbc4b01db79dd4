"""Commands about subscriptions: ``subscribe``, ``subscriptions`` and ``unsubscribe``."""

from __future__ import annotations

from collections.abc import Sequence

import click
from flask.cli import AppGroup

from ..door import Door
from ..rules.urls import shown
from ..store.records import Subscription
from .finding import found_subscription
from .printing import as_json_option, echo_table, plain_errors, say, say_json
from .wording import jsonable, when


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("url")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @click.option("--tenant", help="Only messages of this tenant.")
    @click.option("--key", help="Only messages with this key.")
    @as_json_option
    @plain_errors
    def subscribe(
        url: str, names: tuple[str, ...], tenant: str | None, key: str | None, as_json: bool
    ) -> None:
        """Send the named webhooks to URL from now on. The secret is shown once."""
        made = webhooks.subscribe(url, names, tenant=tenant, key=key)
        if as_json:
            say_json({**jsonable(made), "secret": made.secret})
            return
        say(f"Subscription  {made.id}")
        say(f"URL           {made.url}")
        say(f"Webhooks      {', '.join(made.names)}")
        say(f"Secret        {made.secret}")
        say("The receiver verifies with this secret. It can't be shown again.")

    @group.command("tenant-secret")
    @click.argument("tenant")
    @as_json_option
    @plain_errors
    def tenant_secret(tenant: str, as_json: bool) -> None:
        """Show the secret that verifies what goes to the URLs that TENANT's calls gave."""
        secret = webhooks.tenant_secret(tenant)
        if as_json:
            say_json({"tenant": tenant, "secret": secret})
        else:
            say(secret)

    @group.command()
    @click.option("--name", help="Only those that want this webhook.")
    @click.option("--key", help="Only those with this key.")
    @click.option("--tenant", help="Only those of this tenant.")
    @click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True,
                  help="The newest so many.")  # fmt: skip
    @as_json_option
    @plain_errors
    def subscriptions(
        name: str | None, key: str | None, tenant: str | None, limit: int, as_json: bool
    ) -> None:
        """List subscriptions, newest first."""
        found = webhooks.subscriptions(name=name, key=key, tenant=tenant, limit=limit + 1)
        _list(found[:limit], as_json)
        if len(found) > limit:
            say(f"There are more than {limit}: --limit shows more of them.", err=True)

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @as_json_option
    @plain_errors
    def unsubscribe(subscription_id: str, as_json: bool) -> None:
        """Delete the subscription ID and its deliveries."""
        webhooks.unsubscribe(found_subscription(subscription_id))
        if as_json:
            say_json({"id": subscription_id, "deleted": True})
        else:
            say(f"Deleted {subscription_id}.")


def _list(found: Sequence[Subscription], as_json: bool) -> None:
    if as_json:
        for one in found:
            say_json(jsonable(one))
        return
    rows = [
        (s.id, s.status, when(s.created_at), ", ".join(s.names), s.key or "-", shown(s.url))
        for s in found
    ]
    nothing = "No subscriptions. Make one: flask webhooks subscribe URL NAME..."
    heads = ("Id", "Status", "Made", "Webhooks", "Key", "URL")
    echo_table(rows, nothing, heads, spare=("Made", "Key"))
