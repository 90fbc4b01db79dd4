"""Serves what is declared: as documents for programs, as pages for people, and the public keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request

from ..state import State
from .formats import etag_of, to_json, to_yaml
from .kept import Kept
from .pages import add_pages


@dataclass(frozen=True)
class _Text:
    """A document's bytes, and the tag by which clients recognize them."""

    body: bytes
    etag: str


def documents(state: State) -> Blueprint:
    """The blueprint that serves what ``state`` describes, at the URLs of its settings."""
    blueprint = Blueprint("flask_webhooks", __name__, static_folder=None)
    settings = state.settings
    blueprint.add_url_rule(settings.keys_url, "keys", lambda: _keys(state))
    if settings.openapi_url is None:
        return blueprint
    _add_document(
        blueprint, state, settings.openapi_url, "openapi", "application/json",
        lambda: to_json(state.description.document),
    )  # fmt: skip
    _add_document(
        blueprint, state, settings.openapi_url.removesuffix(".json") + ".yaml", "openapi_yaml",
        "application/yaml", lambda: to_yaml(state.description.document),
    )  # fmt: skip
    if settings.asyncapi_url is not None:
        _add_document(
            blueprint, state, settings.asyncapi_url, "asyncapi", "application/json",
            lambda: to_json(state.asyncapi()),
        )  # fmt: skip
    add_pages(blueprint, state)
    return blueprint


def _add_document(
    blueprint: Blueprint,
    state: State,
    url: str,
    endpoint: str,
    content_type: str,
    make: Callable[[], str | None],
) -> None:
    """Serve a document, written out once for each description; 404 where ``make`` gives none."""
    kept = Kept(state, lambda: _text(make()))

    def view() -> Response:
        text = kept.get()
        if text is None:
            abort(404)
        response = Response(text.body, content_type=content_type)
        response.set_etag(text.etag)
        response.cache_control.no_cache = True
        return response.make_conditional(request)  # type: ignore[return-value]

    blueprint.add_url_rule(url, endpoint, view)


def _text(text: str | None) -> _Text | None:
    return None if text is None else _Text(text.encode(), etag_of(text))


def _keys(state: State) -> Response:
    keys = [key.jwk() for key in state.keyring.signing_keys]
    return Response(json.dumps({"keys": keys}), content_type="application/jwk-set+json")
