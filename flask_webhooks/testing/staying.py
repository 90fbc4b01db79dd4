"""Keeps what a test sends on this machine, unless the app says that it means it."""

from __future__ import annotations

from dataclasses import replace

from ..state import State


def stay_inside(state: State) -> None:
    """Let nothing leave the machine any more, where ``WEBHOOKS_ALLOW_OUTSIDE`` is not set."""
    if state.settings.allow_outside is None:
        state.use(replace(state.settings, allow_outside=False))
