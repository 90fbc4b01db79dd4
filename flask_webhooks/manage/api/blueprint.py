"""The API's blueprint, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flask import Blueprint, abort, request

from ...door import Door
from . import sent, subscribed
from .desk import Desk, is_storable
from .documenting import Documented
from .elsewhere import answer_elsewhere
from .problems import answer_problems
from .repeating import answer_once


def api(
    door: Door,
    loader: Callable[[], str | None],
    security: Sequence[Mapping[str, Sequence[str]]] | None,
) -> Blueprint:
    """The subscription API.

    :param loader: says whose request this is, or aborts; asked in every request.
    :param security: what the document says of every operation.
    """
    blueprint = Blueprint("webhooks_api", __name__)
    desk, documented = Desk(door, loader), Documented(door, security)
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
