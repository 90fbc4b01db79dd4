"""The portal's links: each is good for one entry, and is exchanged there for a cookie."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from secrets import token_urlsafe
from typing import Literal

from flask import Blueprint, Response, request, url_for

from ...door import state as current_state
from ...exceptions import ConfigurationError
from ...state import State
from ...store import passes
from ...store.passes import Pass
from ...store.records import Owned, microseconds
from .guard import Asker, RefusedError, secured

_COOKIE = "webhooks_portal"
#: Seconds for which a link may last: a year.
_LONGEST = 365 * 86400


def ask() -> Asker:
    """Who is looking, by the cookie."""
    found = _found(current_state(), request.cookies.get(_COOKIE, ""))
    if found is None:
        raise RefusedError(
            403, "This link has expired", "Links to this page last for a short time only. "
            "Go back to where you got it, and ask for another one.",
        )  # fmt: skip
    return Asker(owned=Owned(found.tenant), may_write=found.may_write)


def enter(token: str) -> Response:
    """Exchange a link for a cookie that lasts no longer, and go where no token is in the URL."""
    if request.method != "GET":
        raise RefusedError(405, "Not like this", "This address is reached by a link only.")
    state, cookie = current_state(), token_urlsafe()
    found = _exchanged(state, token, cookie)
    if found is None:
        raise RefusedError(
            403, "This link doesn’t work", "It was used before, has expired, or was not copied "
            "whole. Go back to where you got it, and ask for another one.",
        )  # fmt: skip
    home = url_for(".overview")
    response = Response(status=303, headers={"Location": home, "Referrer-Policy": "no-referrer"})
    response.set_cookie(
        _COOKIE,
        cookie,
        max_age=max(int(found.until / 1e6 - state.clock()), 1),
        path=home.rstrip("/") or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return secured(response)


def _exchanged(state: State, token: str, cookie: str) -> Pass | None:
    """What a link lets its bearer see, who has the cookie from now on; the link is spent."""
    database, now = state.database, microseconds(state.clock())
    link, session = _digest("link", token), _digest("cookie", cookie)
    return database.write(lambda c: passes.exchange(c, database.tables, link, session, now=now))


def _found(state: State, cookie: str) -> Pass | None:
    """What a cookie lets its bearer see."""
    database, now = state.database, microseconds(state.clock())
    digest = _digest("cookie", cookie)
    return database.read(lambda c: passes.find(c, database.tables, digest, now=now))


def _digest(kind: Literal["link", "cookie"], text: str) -> str:
    """How a pass is known to the store; a link does not pass for a cookie."""
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "surrogatepass")).hexdigest()


def link(
    state: State,
    portals: Collection[Blueprint],
    tenant: str | None,
    *,
    write: bool,
    expires: float,
) -> str:
    """The URL of a link to the first of these portals that the app has.

    :param expires: seconds.
    :raises ConfigurationError: the app has none of them, or an argument can't work.
    """
    names = [name for name, found in state.app.blueprints.items() if found in portals]
    if not names:
        raise ConfigurationError(
            f"{state.app.name} has no portal to link to. Register one first: "
            'app.register_blueprint(webhooks.portal(), url_prefix="/portal").'
        )
    if not 0 < expires <= _LONGEST:
        raise ConfigurationError(
            f"expires is {expires}: give the seconds for which a link lasts, {_LONGEST} at most."
        )
    given = Pass(_owner(tenant).tenant, bool(write), microseconds(state.clock() + expires))
    database, token = state.database, token_urlsafe()
    digest, now = _digest("link", token), microseconds(state.clock())
    database.write(lambda c: passes.add(c, database.tables, digest, given, now=now))
    return url_for(f"{names[0]}.enter", token=token, _external=True)


def revoke(state: State, tenant: str | None) -> int:
    """End every link of a tenant, and what they opened; how many there were.

    :raises ConfigurationError: this is no tenant.
    """
    database, owned = state.database, _owner(tenant)
    now = microseconds(state.clock())
    return database.write(lambda c: passes.revoke(c, database.tables, owned, now=now))


def _owner(tenant: str | None) -> Owned:
    """Whose links these are.

    :raises ConfigurationError: this is no tenant.
    """
    if not (tenant is None or isinstance(tenant, str)):
        raise ConfigurationError(
            f"A link is for a tenant, which is text or None, and not {type(tenant).__name__}."
        )
    return Owned(tenant)
