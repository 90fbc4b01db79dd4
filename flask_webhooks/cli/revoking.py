"""The command ``portal-revoke``: nobody comes in by a link of before."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from ..door import Door
from .printing import as_json_option, plain_errors, say_result
from .wording import counted


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command("portal-revoke")
    @click.argument("tenant", required=False)
    @as_json_option
    @plain_errors
    def portal_revoke(tenant: str | None, as_json: bool) -> None:
        """End every portal link of TENANT, and what they opened.

        Without TENANT, those for what belongs to no tenant.
        """
        ended = webhooks.portal_revoke(tenant)
        links = counted(ended, "link or what it opened", "links or what they opened")
        say_result({"count": ended}, f"Ended {links}.", as_json)
