"""``flask webhooks …``: one module for each group of commands. Added to an app by ``init_app``."""

from __future__ import annotations

from click import Command, Context
from flask.cli import AppGroup

from ..door import Door


class WebhooksGroup(AppGroup):
    """The commands of one instance of the extension, for ``app.cli``.

    They are imported when somebody asks for one: a process that serves never does.
    """

    def __init__(self, webhooks: Door) -> None:
        super().__init__("webhooks", help="Declare, try and deliver webhooks.")
        self._webhooks = webhooks
        self._is_filled = False

    def list_commands(self, ctx: Context) -> list[str]:
        """The names of all commands."""
        self._fill()
        return super().list_commands(ctx)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A command by its name."""
        self._fill()
        return super().get_command(ctx, cmd_name)

    def _fill(self) -> None:
        if self._is_filled:
            return
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

        added = dict(self.commands)
        for module in (
            declared, checking, subscribing, delivering, working, looking, mending, replaying,
            erasing, revoking, listening,
        ):  # fmt: skip
            module.add_commands(self, self._webhooks)
        # What the app put in place of one of them stays.
        self.commands.update(added)
        self._is_filled = True
