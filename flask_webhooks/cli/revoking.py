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
        whose = "no tenant" if tenant is None else f"tenant {tenant!r}"
        told = f"There was no link for {whose} to end."
        if ended:
            told = f"Ended {counted(ended, 'link', 'links')} for {whose}, and what they opened."
        say_result({"count": ended}, told, as_json)
