"""A program can read what every command of ``flask webhooks`` did."""

from __future__ import annotations

import json
from typing import Any

import click
from flask import Flask

from flask_webhooks import Webhooks
from tests import test_cli_looking
from tests.test_cli_looking import asked

cli, sent = test_cli_looking.cli, test_cli_looking.sent

#: Commands without ``--json``, and why.
WITHOUT = {"spec": "it prints the document, which is JSON"}


def test_every_command_has_json(app: Flask, webhooks: Webhooks) -> None:
    """Each takes ``--json``, but for those whose output is JSON already."""
    webhooks.init_app(app)
    group = app.cli.commands["webhooks"]
    assert isinstance(group, click.Group)
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    without = {
        name
        for name, command in found.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == WITHOUT.keys()


def chosen(found: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(found[name] for name in names)


def test_a_subscription_is_disabled_and_enabled(cli: Any, sent: dict[str, Any]) -> None:
    """It is printed as it has become, and whether anything changed."""
    one, told = sent["subscription"], ("id", "status", "reason", "changed")
    off = asked(cli("disable", one, "--json"))
    assert chosen(off, *told) == (one, "disabled", "by hand", True)
    assert asked(cli("disable", one, "--json")) == {**off, "changed": False}
    on = asked(cli("enable", one, "--json"))
    assert chosen(on, *told) == (one, "enabled", None, True)
    assert asked(cli("enable", one, "--json")) == {**on, "changed": False}
    assert "tell-nobody" not in json.dumps([off, on]) and "secret" not in on


def test_a_delivery_is_cancelled(cli: Any, sent: dict[str, Any]) -> None:
    """Its id and what became of it; a second time is an error as ever."""
    one = str(sent["id"])
    assert asked(cli("cancel", one, "--json")) == {"id": sent["id"], "status": "cancelled"}
    assert cli("cancel", one, "--json").exit_code == 1


def test_a_test_message_is_printed(cli: Any, sent: dict[str, Any]) -> None:
    """The message with its payload, and whom it is for."""
    found = asked(cli("test", sent["subscription"], "--json"))
    assert chosen(found, "name", "key", "tenant", "payload", "subscription") == (
        "paid", None, None, {"total": 1}, sent["subscription"],
    )  # fmt: skip
    assert asked(cli("show", found["id"], "--json"))["message"]["id"] == found["id"]


def test_the_secrets_sealed_anew_are_counted(cli: Any, sent: dict[str, Any]) -> None:
    """All are sealed with the newest key here, so there are none."""
    assert asked(cli("reseal", "--json")) == {"count": 0}


def test_a_deleted_subscription_is_named(cli: Any, sent: dict[str, Any]) -> None:
    """Its id; a second time is an error as ever."""
    one = sent["subscription"]
    assert asked(cli("unsubscribe", one, "--json")) == {"id": one, "deleted": True}
    assert cli("unsubscribe", one, "--json").exit_code == 1


def test_the_secret_of_a_tenant(cli: Any) -> None:
    """The same as without ``--json``, beside the tenant's name."""
    secret = cli("tenant-secret", "acme").output.strip()
    assert secret.startswith("whsec_")
    assert asked(cli("tenant-secret", "acme", "--json")) == {"tenant": "acme", "secret": secret}


def test_the_tables_are_listed(cli: Any, app: Flask) -> None:
    """Their names, and the database without its password."""
    assert asked(cli("create-tables", "--json")) == {
        "tables": [
            "webhooks_subscriptions", "webhooks_names", "webhooks_messages", "webhooks_deliveries",
            "webhooks_attempts", "webhooks_answers", "webhooks_workers",
            "webhooks_passes",
        ],
        "database": f"sqlite:///{app.instance_path}/webhooks.sqlite3",
    }  # fmt: skip


def test_findings_are_objects(cli: Any, webhooks: Webhooks) -> None:
    """One a line, with the same exit status; a valid document has none."""
    assert (cli("check", "--json").stdout, cli("check", "--json").exit_code) == ("", 0)
    links = {"a": {"operationId": "free"}}
    webhooks.webhook("held", {}, responses={200: {"links": links}})
    result = cli("check", "--json")
    assert (json.loads(result.stdout), result.exit_code) == (
        {
            "at": "/webhooks/held/post/responses/200/links/a/operationId",
            "text": "No operation has the operationId 'free'.",
            "declared_at": str(webhooks["held"].place),
        },
        1,
    )
