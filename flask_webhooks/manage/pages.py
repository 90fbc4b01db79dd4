"""The pages for people: one of the viewers of the document, and the guide for integrators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request, send_from_directory, url_for

from ..state import State
from .files import is_own, own_file
from .kept import Kept
from .templating import TEMPLATES
from .viewers import VIEWERS, Viewer, installed_files

if TYPE_CHECKING:
    from .guide import Guide

#: What every page here forbids, whatever it allows besides.
_CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def add_pages(blueprint: Blueprint, state: State) -> None:
    """Serve the pages that the settings ask for, and the files that they load."""
    settings = state.settings
    if settings.docs_ui is not None:
        viewer = VIEWERS[settings.docs_ui]
        blueprint.add_url_rule(
            settings.docs_url, "docs", lambda: _docs(state, str(settings.docs_ui), viewer)
        )
    if settings.guide_url is not None:
        made = Kept(state, lambda: _made_guide(state))
        blueprint.add_url_rule(settings.guide_url, "guide", lambda: _guide(state, made.get()))
    if settings.docs_ui is not None or settings.guide_url is not None:
        assets = settings.docs_url.rstrip("/") + "/assets/<path:name>"
        blueprint.add_url_rule(assets, "asset", lambda name: _asset(settings.docs_ui, name))


def _made_guide(state: State) -> Guide:
    # A big room, which is entered by the first who reads the guide.
    from .guide import guide

    return guide(state.description.document)


def _guide(state: State, shown: Guide) -> Response:
    page = TEMPLATES.get_template("guide.html").render(
        guide=shown,
        styles=[_asset_url("house.css"), _asset_url("guide.css")],
        icon=_asset_url("icon.svg"),
        **_links(state),
    )
    return _page(page, f"{_CLOSED}; style-src 'self'; img-src 'self'")


def _docs(state: State, name: str, viewer: Viewer) -> Response:
    local = installed_files(name) is not None
    page = TEMPLATES.get_template("docs.html").render(
        title=state.description.document["info"]["title"],
        styles=[_file(viewer, path, local) for path in viewer.named(".css")],
        scripts=[_file(viewer, path, local) for path in viewer.named(".js")],
        module=viewer.module,
        start=_asset_url(f"{name}.js"),
        style=_asset_url("docs.css"),
        icon=_asset_url("icon.svg"),
        **_links(state),
    )
    return _page(page, _viewer_policy(viewer, local))


def _viewer_policy(viewer: Viewer, local: bool) -> str:
    """What a viewer may load: its own pinned files, by their whole URLs, and what it needs."""
    allowed = {
        "script-src": [] if local else [viewer.url(path) for path in viewer.named(".js")],
        "style-src": [] if local else [viewer.url(path) for path in viewer.named(".css")],
        "img-src": [],
        "connect-src": [],
    }
    for directive, sources in viewer.needs.items():
        allowed.setdefault(directive, []).append(sources)
    rules = [" ".join([directive, "'self'", *sources]) for directive, sources in allowed.items()]
    return "; ".join([_CLOSED, *rules])


def _page(body: str, policy: str) -> Response:
    response = Response(body, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.cache_control.no_cache = True
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]


def _links(state: State) -> dict[str, str | None]:
    """Where the other pages and documents stand; ``None`` for what is switched off."""
    settings = state.settings
    return {
        "document_url": url_for("flask_webhooks.openapi"),
        "keys_url": url_for("flask_webhooks.keys"),
        "docs_url": url_for("flask_webhooks.docs") if settings.docs_ui else None,
        "guide_url": url_for("flask_webhooks.guide") if settings.guide_url else None,
    }


def _asset_url(name: str) -> str:
    return url_for("flask_webhooks.asset", name=name)


def _file(viewer: Viewer, path: str, local: bool) -> Mapping[str, Any]:
    """A viewer's file as the page names it; a hash only for what comes from elsewhere."""
    if local:
        return {"url": _asset_url(path), "hash": None}
    return {"url": viewer.url(path), "hash": f"sha384-{viewer.files[path]}"}


def _asset(ui: str | None, name: str) -> Response:
    """One of our own static files, or one of the installed files of the viewer in use."""
    if is_own(name):
        return own_file(name)
    folder = installed_files(ui) if ui else None
    if ui is None or folder is None or name not in VIEWERS[ui].files:
        abort(404)
    return send_from_directory(folder, name)
