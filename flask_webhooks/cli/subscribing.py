"""Commands about subscriptions: ``subscribe``, ``subscriptions`` and ``unsubscribe``."""

from __future__ import annotations

import json

import click
from flask.cli import AppGroup

from ..door import Door
from ..rules.patterns import is_pattern
from ..rules.urls import shown
from ..store.records import Subscription
from .finding import found_subscription
from .given import parsed
from .listing import limit_option, say_list
from .printing import as_json_option, plain_errors, say, say_json, say_result
from .wording import jsonable, when

_HEADS = ("Id", "Status", "Made", "Webhooks", "Tenant", "Key", "URL")


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("url")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @click.option("--tenant", help="Only messages of this tenant.")
    @click.option("--key", help="Only messages with this key.")
    @click.option("--filter", "condition", metavar="JSON",
                  help='Only payloads that pass it, such as {"total": {"gte": 100}}.')  # fmt: skip
    @as_json_option
    @plain_errors
    def subscribe(
        url: str,
        names: tuple[str, ...],
        tenant: str | None,
        key: str | None,
        condition: str | None,
        as_json: bool,
    ) -> None:
        """Send the named webhooks to URL from now on. The secret is shown once."""
        asked = None if condition is None else parsed("--filter", condition)
        made = webhooks.subscribe(url, names, tenant=tenant, key=key, filter=asked)
        if as_json:
            say_json({**jsonable(made), "secret": made.secret})
        else:
            _say_made(made)

    @group.command("tenant-secret")
    @click.argument("tenant")
    @as_json_option
    @plain_errors
    def tenant_secret(tenant: str, as_json: bool) -> None:
        """Show the secret that verifies what goes to the URLs that TENANT's calls gave."""
        secret = webhooks.tenant_secret(tenant)
        say_result({"tenant": tenant, "secret": secret}, secret, as_json)

    @group.command()
    @click.option("--name", help="Only those that want this webhook.")
    @click.option("--key", help="Only those with this key.")
    @click.option("--tenant", help="Only those of this tenant.")
    @limit_option
    @as_json_option
    @plain_errors
    def subscriptions(
        name: str | None, key: str | None, tenant: str | None, limit: int, as_json: bool
    ) -> None:
        """List subscriptions, newest first."""
        found = webhooks.subscriptions(name=name, key=key, tenant=tenant, limit=limit + 1)
        if not found and name is not None and not is_pattern(name):
            _ = webhooks[name]  # a name that nobody declared is told
        say_list(
            found, limit, _row, as_json=as_json, heads=_HEADS, spare=("Made", "Tenant", "Key"),
            nothing="No subscriptions. Make one: flask webhooks subscribe URL NAME...",
        )  # fmt: skip

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @as_json_option
    @plain_errors
    def unsubscribe(subscription_id: str, as_json: bool) -> None:
        """Delete the subscription ID and its deliveries."""
        webhooks.unsubscribe(found_subscription(subscription_id))
        told = f"Deleted {subscription_id}."
        say_result({"id": subscription_id, "deleted": True}, told, as_json)


def _say_made(made: Subscription) -> None:
    say(f"Subscription  {made.id}")
    say(f"URL           {made.url}")
    say(f"Webhooks      {', '.join(made.names)}")
    if made.filter is not None:
        say(f"Filter        {json.dumps(made.filter)}")
    say(f"Secret        {made.secret}")
    say("The receiver verifies with this secret. It can't be shown again.")


def _row(one: Subscription) -> tuple[str, ...]:
    return (
        one.id, one.status, when(one.created_at), ", ".join(one.names), one.tenant or "-",
        one.key or "-", shown(one.url),
    )  # fmt: skip
