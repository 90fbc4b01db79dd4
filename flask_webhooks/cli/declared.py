"""Commands about what is declared: ``list``, ``spec`` and ``create-tables``."""

from __future__ import annotations

import json
from typing import Any

import click
from flask.cli import AppGroup

from ..declarations import Callback
from ..door import Door, state
from .printing import as_json_option, echo_table, plain_errors, say_json, say_result


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command("list")
    @as_json_option
    @plain_errors
    def list_declared(as_json: bool) -> None:
        """List the declared webhooks and callbacks."""
        rows = [_row(webhook) for webhook in webhooks]
        if as_json:
            for kind, name, method, told in rows:
                say_json({"kind": kind, "name": name, "method": method, "told": told})
            return
        nothing = "Nothing is declared yet. Declare a webhook with webhooks.webhook(…)."
        echo_table(rows, nothing, ("Kind", "Name", "Method", "What it is"))

    @group.command()
    @click.option("--output", "-o", type=click.File("w", encoding="utf-8"), default="-",
                  help="Write it there, instead of printing it.")  # fmt: skip
    @click.option("--indent", default=2, show_default=True, help="Spaces of indentation.")
    @click.option("--asyncapi", is_flag=True, help="Print it as AsyncAPI 3.0.")
    @plain_errors
    def spec(output: Any, indent: int, asyncapi: bool) -> None:
        """Print the OpenAPI document."""
        document = state().asyncapi() if asyncapi else webhooks.document()
        text = json.dumps(document, indent=indent or None, ensure_ascii=False)
        click.echo(text, file=output)

    @group.command("create-tables")
    @as_json_option
    @plain_errors
    def create_tables(as_json: bool) -> None:
        """Make the tables where they are missing."""
        database = state().database
        database.ensure_tables()
        names = [table.name for table in database.tables.in_order()]
        told = f"{', '.join(names)} are in {database.shown_url}."
        say_result({"tables": names, "database": database.shown_url}, told, as_json)


def _row(webhook: Any) -> tuple[str, str, str, str]:
    callback = isinstance(webhook, Callback)
    kind = "callback" if callback else "webhook"
    summary = webhook.documentation.summary or ""
    told = " ".join(e.text for e in webhook.expressions) if callback else summary
    return kind, webhook.name, webhook.method, told
