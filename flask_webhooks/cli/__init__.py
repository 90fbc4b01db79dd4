"""``flask webhooks …``: one module for each group of commands. Added to an app by ``init_app``."""

from __future__ import annotations

from flask.cli import AppGroup

from ..door import Door
from . import (
    checking,
    declared,
    delivering,
    erasing,
    listening,
    looking,
    mending,
    replaying,
    revoking,
    subscribing,
    working,
)


def webhooks_group(webhooks: Door) -> AppGroup:
    """The commands of one instance of the extension, as a group for ``app.cli``."""
    group = AppGroup("webhooks", help="Declare, try and deliver webhooks.")
    for module in (
        declared, checking, subscribing, delivering, working, looking, mending, replaying, erasing,
        revoking, listening,
    ):  # fmt: skip
        module.add_commands(group, webhooks)
    return group
