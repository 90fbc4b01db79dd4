"""Prometheus metrics as a view, for those whom the app lets see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, request

from ..door import EXTENSION, state, state_of
from ..exceptions import ConfigurationError


def metrics(allowed: Callable[[], bool]) -> Blueprint:
    """A blueprint with one view, ``/metrics``; for whom ``allowed`` refuses it is not there."""
    blueprint = Blueprint("webhooks_metrics", __name__)
    blueprint.record(lambda setup: _begin(setup.app))

    @blueprint.get("/metrics")
    def show() -> Response:
        if not allowed():
            abort(404)
        body, content_type = state().counted().answer(request.headers.get("Accept", ""))
        return Response(body, content_type=content_type, headers={"Cache-Control": "no-store"})

    return blueprint


def _begin(app: Any) -> None:
    """Count from now on, and not only from the first look."""
    if EXTENSION not in app.extensions:
        raise ConfigurationError(
            "Register webhooks.metrics(…) after webhooks.init_app(app): it counts from then on."
        )
    state_of(app).counted()
