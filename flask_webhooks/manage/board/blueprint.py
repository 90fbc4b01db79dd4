"""The blueprints of the board and of the portal, put together."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from ...door import Door
from ...exceptions import (
    FilterError,
    RefusedURLError,
    SecretError,
    UnknownWebhookError,
    WebhooksError,
)
from ..files import own_file
from . import links, sent, subscribed
from .guard import Guard, RefusedError, by_access
from .rendering import refusal

#: The files that the pages load.
_FILES = ("house.css", "board.css", "icon.svg")


def board(door: Door, access: Callable[[], str | None]) -> Blueprint:
    """The operator's pages.

    :param access: returns ``"read"``, ``"write"`` or ``None``; asked in every request.
    """
    blueprint = Blueprint("webhooks_board", __name__)
    _fill(Guard(blueprint, by_access(access)), door)
    return blueprint


def portal(door: Door) -> Blueprint:
    """The same pages for one tenant, who comes by a link."""
    blueprint = Blueprint("webhooks_portal", __name__)
    # The page that tells of an expired link has a style, too.
    guard = Guard(blueprint, links.ask, open=frozenset({"enter", "asset"}))
    guard.reads("/enter/<token>")(links.enter)
    _fill(guard, door)
    return blueprint


def _fill(guard: Guard, door: Door) -> None:
    sent.add_views(guard, door)
    subscribed.add_views(guard, door)
    _answer_refusals(guard.blueprint)

    @guard.reads("/assets/<name>")
    def asset(name: str) -> Response:
        if name not in _FILES:
            raise sent.missing("file")
        return own_file(name)


def _answer_refusals(blueprint: Blueprint) -> None:
    def refused(error: RefusedError) -> Response:
        return refusal(error.status, error.title, error.words)

    def wrong(error: WebhooksError) -> Response:
        return refusal(422, "That can’t be", str(error))

    blueprint.register_error_handler(RefusedError, refused)
    for kind in (RefusedURLError, FilterError, UnknownWebhookError, SecretError):
        blueprint.register_error_handler(kind, wrong)
