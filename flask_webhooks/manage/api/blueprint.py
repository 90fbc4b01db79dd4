"""The API's blueprint, put together."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, abort, request

from . import sent, subscribed
from .desk import Desk, Door, is_storable
from .documenting import Documented, Operation
from .elsewhere import answer_elsewhere
from .problems import answer_problems
from .repeating import answer_once


def api(door: Door, operation: Operation, loader: Callable[[], str | None]) -> Blueprint:
    """The subscription API.

    :param operation: documents a view.
    :param loader: says whose request this is, or aborts; asked in every request.
    """
    blueprint = Blueprint("webhooks_api", __name__)
    desk, documented = Desk(door, loader), Documented(operation)
    blueprint.before_request(_refuse_unstorable)
    answer_once(blueprint, desk)
    subscribed.add_views(blueprint, desk, documented)
    sent.add_views(blueprint, desk, documented)
    answer_elsewhere(blueprint, desk)
    answer_problems(blueprint)
    return blueprint


def _refuse_unstorable() -> None:
    texts = [request.path, *request.args.values(), *request.args]
    if not all(map(is_storable, texts)):
        abort(422, "The URL holds a NUL.")
