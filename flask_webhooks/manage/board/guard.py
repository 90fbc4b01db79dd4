"""Who may come in, with what requests, and the headers that every answer of these pages has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, current_app, g, request
from werkzeug.exceptions import HTTPException

from ...exceptions import ConfigurationError
from ...store.records import Owned

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    # Not no-referrer: Flask-WTF wants to see one under https.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# Every rule takes all of them, and slashes as they come: Flask answers 405 and 308 before anybody
# could be asked who they are.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

View = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who is looking."""

    #: Whose rows they see; ``None`` is an operator, who sees everybody's.
    owned: Owned | None
    may_write: bool


class RefusedError(Exception):
    """A request that is answered by a page which says why.

    :param status: of the answer.
    :param title: the page's heading.
    :param words: what happened, and what to do.
    """

    def __init__(self, status: int, title: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.title = title
        self.words = words


@dataclass
class Guard:
    """Lets requests into one blueprint.

    :param ask: says who is looking, for every request; or raises.
    """

    blueprint: Blueprint
    ask: Callable[[], Asker]
    #: The endpoints that anybody reaches, since they hold nothing.
    open: frozenset[str] = frozenset()
    _writing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.blueprint.before_request(self._check)
        self.blueprint.after_request(self._finish)

    def reads(self, rule: str) -> Callable[[View], View]:
        """Add a view that only reads; its function's name is its endpoint."""
        return lambda view: self._add(rule, view)

    def writes(self, rule: str) -> Callable[[View], View]:
        """Add a view that is reached by POST, by who may write."""

        def decorate(view: View) -> View:
            self._writing.add(view.__name__)
            return self._add(rule, view)

        return decorate

    def _add(self, rule: str, view: View) -> View:
        self.blueprint.add_url_rule(
            rule, view.__name__, view, methods=_METHODS, provide_automatic_options=False,
            strict_slashes=False, merge_slashes=False,
        )  # fmt: skip
        return view

    def _check(self) -> None:
        g.pop("_webhooks", None)
        if endpoint() in self.open:
            return
        g._webhooks = asker = self.ask()
        writes = endpoint() in self._writing
        if request.method not in (("POST",) if writes else ("GET", "HEAD")):
            way = "a button of its page" if writes else "a link"
            raise RefusedError(405, "Not like this", f"This address is reached by {way} only.")
        if writes and not is_from_here():
            raise RefusedError(
                403, "Not from here", "The request came from another site, so nothing was changed. "
                "Go back to the page, and use its button.",
            )  # fmt: skip
        if writes and not asker.may_write:
            raise RefusedError(403, "You may look only", "Nothing was changed.")
        if _holds_nul():
            raise RefusedError(400, "Not a text", "A value holds a character that no text has.")

    def _finish(self, response: Response) -> Response:
        return secured(response) if "_webhooks" in g else response


def _holds_nul() -> bool:
    """Whether a value is nothing that a database could be asked about: PostgreSQL refuses NUL."""
    given = [*(request.view_args or {}).values(), *request.args.values(), *request.form.values()]
    return any("\0" in str(value) for value in given)


def endpoint() -> str:
    """The view at hand, by its name in the blueprint."""
    return str(request.endpoint).rpartition(".")[2]


def asker() -> Asker:
    """Who is looking at the page at hand."""
    found: Asker = g._webhooks
    return found


def secured(response: Response) -> Response:
    """The response, with the headers of these pages."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def is_from_here() -> bool:
    """Whether a browser says that one of our own pages sent the request (W3C Fetch Metadata).

    Browsers without that header send an ``Origin`` (RFC 6454, 7) with every POST.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc == request.host


def by_access(access: Callable[[], str | None]) -> Callable[[], Asker]:
    """Ask the app's own function; who it refuses finds nothing here."""

    def ask() -> Asker:
        try:
            found = current_app.ensure_sync(access)()
        except HTTPException as error:
            # With a response of its own it is the app's answer, such as a log-in page.
            if error.response is None and 400 <= (error.code or 500) < 500:
                found = None
            else:
                raise
        if found is None:
            abort(404)
        if found not in ("read", "write"):
            raise ConfigurationError(
                f"The access function of the board returned a {type(found).__name__}: let it "
                'return "read", "write", or None for who may not look.'
            )
        return Asker(owned=None, may_write=found == "write")

    return ask
