"""Serves the OpenAPI document, a page that shows it, and the public keys of captured callbacks."""

from __future__ import annotations

import json
from pathlib import Path

from flask import Blueprint, Response, abort, render_template, request, send_from_directory, url_for

from ..state import State

#: Swagger UI as it is loaded where the ``ui`` extra is not installed: a fixed version with its hashes.
_SWAGGER_CDN = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
_SWAGGER_HASHES = {
    "swagger-ui-bundle.js": (
        "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
    ),
    "swagger-ui.css": "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I",
}


def documents(state: State) -> Blueprint:
    """The blueprint that serves what ``state`` describes, at the URLs of its settings."""
    blueprint = Blueprint(
        "flask_webhooks", __name__, template_folder="templates", static_folder=None
    )
    settings = state.settings
    blueprint.add_url_rule(settings.keys_url, "keys", lambda: _keys(state))
    if settings.openapi_url is None:
        return blueprint
    blueprint.add_url_rule(settings.openapi_url, "openapi", lambda: _openapi(state))
    if settings.docs_ui is not None:
        blueprint.add_url_rule(settings.docs_url, "docs", lambda: _docs(state))
        assets = settings.docs_url.rstrip("/") + "/assets/<path:name>"
        blueprint.add_url_rule(assets, "asset", _asset)
    return blueprint


def _openapi(state: State) -> Response:
    # Not by jsonify: it would sort the keys, and with them the fields that people read in order.
    body = json.dumps(state.description.document, ensure_ascii=False, default=str)
    response = Response(body, content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def _keys(state: State) -> Response:
    keys = [key.jwk() for key in state.keyring.signing_keys]
    return Response(json.dumps({"keys": keys}), content_type="application/jwk-set+json")


def _docs(state: State) -> Response:
    local = _swagger_folder() is not None
    page = render_template(
        "flask_webhooks/docs.html",
        title=state.description.document["info"]["title"],
        assets={name: _asset_url(name, local) for name in _SWAGGER_HASHES},
        hashes={} if local else _SWAGGER_HASHES,
        document=url_for("flask_webhooks.openapi"),
        script=url_for("flask_webhooks.asset", name="docs.js"),
    )
    response = Response(page, content_type="text/html; charset=utf-8")
    elsewhere = "" if local else " https://cdn.jsdelivr.net"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; script-src 'self'{elsewhere}; style-src 'self' 'unsafe-inline'"
        f"{elsewhere}; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    )
    return response


def _asset_url(name: str, local: bool) -> str:
    return url_for("flask_webhooks.asset", name=name) if local else f"{_SWAGGER_CDN}/{name}"


def _asset(name: str) -> Response:
    if name == "docs.js":
        return send_from_directory(Path(__file__).parent / "static", name)
    folder = _swagger_folder()
    if folder is None or name not in _SWAGGER_HASHES:
        abort(404)
    return send_from_directory(folder, name)


def _swagger_folder() -> Path | None:
    """Where the ``ui`` extra keeps Swagger UI's files; ``None`` when it is not installed."""
    try:
        import flask_swagger_ui
    except ImportError:
        return None
    return Path(str(flask_swagger_ui.__file__)).parent / "dist"
