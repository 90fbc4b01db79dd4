"""What the API answers where it has no view: 404, or 405 with the methods that there are."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import PathConverter

from .desk import Desk

#: The name of the view; nothing is done there.
ENDPOINT = "elsewhere"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")


class _Rest(PathConverter):
    """All that is left of a path: line ends as well, which a pattern's dot leaves out."""

    regex = "(?s:[^/].*?)"


def answer_elsewhere(blueprint: Blueprint, desk: Desk) -> None:
    """Answer every other request below the blueprint's prefix as a problem, too."""

    @blueprint.record
    def know_the_rest(setup: BlueprintSetupState) -> None:
        setup.app.url_map.converters.setdefault("webhooks_rest", _Rest)

    @blueprint.after_request
    def say_what_is_allowed(response: Response) -> Response:
        if request.method == "OPTIONS":  # Flask's own answer counts this very view
            response.headers["Allow"] = ", ".join(_allowed())
        return response

    @blueprint.route("/", defaults={"path": ""}, methods=_METHODS)
    @blueprint.route("/<webhooks_rest:path>", methods=_METHODS)
    def elsewhere(path: str) -> Response:
        desk.owned()
        allowed = _allowed()
        if allowed:
            raise MethodNotAllowed(allowed)
        abort(404, f"There is nothing at {request.path}.")


def is_elsewhere(endpoint: str | None) -> bool:
    """Whether an endpoint is the view that answers what there is no view for."""
    return str(endpoint).rpartition(".")[2] == ENDPOINT


def _allowed() -> list[str]:
    """The methods for which the path of the request leads to a view."""
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None  # there is a request
    found = []
    for method in (*_METHODS, "OPTIONS"):
        try:
            endpoint, _ = adapter.match(method=method)
        except HTTPException:
            continue
        if not is_elsewhere(endpoint):
            found.append(method)
    # Flask answers OPTIONS by itself, here as well.
    return [] if found == ["OPTIONS"] else found
