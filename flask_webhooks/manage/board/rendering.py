"""Renders the pages: the frame, the navigation, and what every template may call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, current_app, g, request, url_for
from markupsafe import Markup

from ...door import state
from ...store.charts import Health
from ..templating import TEMPLATES
from . import svg, words
from .guard import Asker, asker, endpoint, secured

#: Seconds between the looks of a page that refreshes itself, and the pages that may.
_REFRESH = 10
_REFRESHING = {"overview", "messages", "message", "subscriptions", "subscription", "failed"}
#: The endpoints of the navigation, with their names.
_PLACES = {
    "overview": "Overview", "messages": "Messages", "subscriptions": "Subscriptions",
    "webhooks": "Webhooks", "failed": "Failed",
}  # fmt: skip
#: The query parameters that a page keeps when it is shown anew.
_QUERY = ("window", "webhook", "status", "subscription", "since", "until", "refresh")
#: What a page says after a change; ``{}`` is a count.
_NOTICES = {
    "disabled": "The subscription is disabled. What waited for it is cancelled.",
    "enabled": "The subscription is enabled. What was cancelled meanwhile can be sent again.",
    "deleted": "The subscription and its deliveries are deleted.",
    "unchanged": "Nothing was changed: it was like that already.",
    "sent": "A test message is on its way to this subscription alone.",
    "replayed": "{} sent again.",
}


def page(template: str, place: str, title: str, code: int = 200, **values: Any) -> Response:
    """A page of the board.

    :param place: the endpoint that the navigation marks.
    :param title: its heading, and with the app's name what the window is called.
    """
    html = TEMPLATES.get_template(f"board/{template}").render(
        title=title, place=place, **_frame(code), **values
    )
    return Response(html, code, content_type="text/html; charset=utf-8")


def refusal(status: int, title: str, message: str) -> Response:
    """A page that says why there is no other; without navigation for who may not look."""
    return secured(page("plain.html", "", title, status, message=message))


def moved(endpoint: str, **values: Any) -> Response:
    """To another page, after a change (RFC 9110, 15.4.4)."""
    return Response(status=303, headers={"Location": url_for(f".{endpoint}", **values)})


def _frame(code: int) -> Mapping[str, Any]:
    looking: Asker | None = asker() if "_webhooks" in g else None
    refreshes = looking is not None and code == 200 and endpoint() in _REFRESHING
    settings = state().settings
    return {
        "owner": settings.title or current_app.name,
        "places": _PLACES if looking else {},
        "asker": looking,
        "operator": looking is not None and looking.owned is None,
        "link": lambda page, **values: url_for(f".{page}", **values),
        "same": _same,
        "asset": lambda name: url_for(".asset", name=name),
        "token": _token,
        "refreshes": refreshes,
        "refresh": _REFRESH if refreshes and request.args.get("refresh") else None,
        "notice": _notice() if looking else None,
        "when": _when,
        "svg": svg,
        "strip": _strip,
        **words.filters(),
    }


def _same(**changed: str | int | None) -> str:
    """The page at hand with other query parameters; ``None`` drops one."""
    query = {name: request.args.get(name) for name in _QUERY} | changed
    kept: dict[str, Any] = {name: value for name, value in query.items() if value not in (None, "")}
    return url_for(str(request.endpoint), **kept, **(request.view_args or {}))


def _notice() -> str | None:
    """What a change before this page has come to."""
    count = request.args.get("count", "")
    number = int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0
    found = _NOTICES.get(request.args.get("done", ""))
    return found and found.format(words.plural(number, "delivery"))


def _when(moment: datetime) -> Markup:
    """A time in words, and exactly."""
    now = datetime.fromtimestamp(state().clock(), UTC)
    return Markup('<time datetime="{}"><span>{}</span> <small>{}</small></time>').format(
        words.machine_time(moment), words.ago(moment, now), words.day_and_time(moment)
    )


def _strip(health: Health) -> Markup:
    """The last deliveries of a subscription, as cells and in words."""
    kinds = [last.status for last in health.last]
    if not kinds:
        return Markup('<span class="soft">none yet</span>')
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    title = f"Of the last {words.plural(len(kinds), 'delivery')}: {', '.join(counts)}"
    return svg.strip(kinds, title)


def _token() -> tuple[str, str] | None:
    """The name and value of the field that Flask-WTF's ``CSRFProtect`` wants, where it runs."""
    make = current_app.jinja_env.globals.get("csrf_token")
    if "csrf" not in current_app.extensions or not callable(make):
        return None
    return current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"), str(make())
