"""The portal's links: signed, short-lived, and soon exchanged for a cookie."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from ...exceptions import ConfigurationError
from ...rules.sealing import KeyRing
from ...state import State
from ...store.records import Owned
from .guard import Asker, RefusedError, secured
from .rendering import state as current_state

_COOKIE = "webhooks_portal"
#: Seconds for which a link may last: a year.
_LONGEST = 365 * 86400


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What a link lets its bearer see."""

    tenant: str | None
    write: bool
    #: Unix time in seconds.
    until: float


class Passes:
    """Writes and reads passes; what is signed as a link does not pass for a cookie.

    :param purpose: ``"link"`` or ``"cookie"``.
    """

    def __init__(self, keyring: KeyRing, purpose: str) -> None:
        keys = list(reversed(keyring.purpose_keys("portal")))
        self._serializer = URLSafeSerializer(keys, salt=purpose)

    def write(self, given: Pass) -> str:
        """A pass as text."""
        text: str | bytes = self._serializer.dumps([given.tenant, given.write, given.until])
        return text if isinstance(text, str) else text.decode()

    def read(self, text: str, now: float) -> Pass | None:
        """A pass again; ``None`` when it was not written here, or has expired."""
        try:
            tenant, write, until = self._serializer.loads(text)
        except (BadSignature, ValueError, TypeError):
            return None
        return Pass(tenant=tenant, write=write, until=until) if now < until else None


def ask() -> Asker:
    """Who is looking, by the cookie."""
    found = _passes("cookie").read(request.cookies.get(_COOKIE, ""), current_state().clock())
    if found is None:
        raise RefusedError(
            403, "This link has expired", "Links to this page last for a short time only. "
            "Go back to where you got it, and ask for another one.",
        )  # fmt: skip
    return Asker(owned=Owned(found.tenant), may_write=found.write)


def enter(token: str) -> Response:
    """Exchange a link for a cookie that lasts no longer, and go where no token is in the URL."""
    now = current_state().clock()
    found = _passes("link").read(token, now)
    if found is None:
        raise RefusedError(
            403, "This link doesn’t work", "It has expired, or was not copied whole. "
            "Go back to where you got it, and ask for another one.",
        )  # fmt: skip
    home = url_for(".overview")
    response = Response(status=303, headers={"Location": home, "Referrer-Policy": "no-referrer"})
    response.set_cookie(
        _COOKIE,
        _passes("cookie").write(found),
        max_age=max(int(found.until - now), 1),
        path=home.rstrip("/") or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return secured(response)


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
    if not (tenant is None or isinstance(tenant, str)):
        raise ConfigurationError(
            f"A link is for a tenant, which is text or None, and not {type(tenant).__name__}."
        )
    given = Pass(tenant=tenant, write=write, until=state.clock() + expires)
    token = Passes(state.keyring, "link").write(given)
    return url_for(f"{names[0]}.enter", token=token, _external=True)


def _passes(purpose: str) -> Passes:
    return Passes(current_state().keyring, purpose)
