"""Commands about subscriptions: ``subscribe``, ``subscriptions`` and ``unsubscribe``."""

from __future__ import annotations

import json

import click
from flask.cli import AppGroup

from ..rules.urls import shown
from .door import Door, echo_table, jsonable, plain_errors, when


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("url")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @click.option("--tenant", help="Only messages of this tenant.")
    @click.option("--key", help="Only messages with this key.")
    @plain_errors
    def subscribe(url: str, names: tuple[str, ...], tenant: str | None, key: str | None) -> None:
        """Send the named webhooks to URL from now on. The secret is shown once."""
        made = webhooks.subscribe(url, names, tenant=tenant, key=key)
        click.echo(f"Subscription  {made.id}")
        click.echo(f"URL           {made.url}")
        click.echo(f"Webhooks      {', '.join(made.names)}")
        click.echo(f"Secret        {made.secret}")
        click.echo("The receiver verifies with this secret. It can't be shown again.")

    @group.command("tenant-secret")
    @click.argument("tenant")
    @plain_errors
    def tenant_secret(tenant: str) -> None:
        """Show the secret that verifies what goes to the URLs that TENANT's calls gave."""
        click.echo(webhooks.tenant_secret(tenant))

    @group.command()
    @click.option("--name", help="Only those that want this webhook.")
    @click.option("--key", help="Only those with this key.")
    @click.option("--tenant", help="Only those of this tenant.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
    @plain_errors
    def subscriptions(name: str | None, key: str | None, tenant: str | None, as_json: bool) -> None:
        """List subscriptions, newest first."""
        found = webhooks.subscriptions(name=name, key=key, tenant=tenant)
        if as_json:
            for one in found:
                click.echo(json.dumps(jsonable(one)))
            return
        rows = [
            (s.id, s.status, when(s.created_at), ",".join(s.names), s.key or "-", shown(s.url))
            for s in found
        ]
        echo_table(rows, "No subscriptions. Make one: flask webhooks subscribe URL NAME...")

    @group.command()
    @click.argument("subscription_id", metavar="ID")
    @plain_errors
    def unsubscribe(subscription_id: str) -> None:
        """Delete the subscription ID and its deliveries."""
        if not webhooks.unsubscribe(subscription_id):
            raise click.ClickException(
                f"There is no subscription {subscription_id}. "
                "List them: flask webhooks subscriptions"
            )
        click.echo(f"Deleted {subscription_id}.")
