"""The API's blueprint, put together."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from . import sent, subscribed
from .desk import Desk, Door
from .documenting import Documented, Operation
from .problems import answer_problems


def api(door: Door, operation: Operation, loader: Callable[[], str | None]) -> Blueprint:
    """The subscription API.

    :param operation: documents a view.
    :param loader: says whose request this is, or aborts; asked in every request.
    """
    blueprint = Blueprint("webhooks_api", __name__)
    desk, documented = Desk(door, loader), Documented(operation)
    subscribed.add_views(blueprint, desk, documented)
    sent.add_views(blueprint, desk, documented)
    answer_problems(blueprint)
    return blueprint
