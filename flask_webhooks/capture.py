"""The third act: a live request and its response become a stored subscription.

Nothing here raises because of what a client sent: a callback whose URL can't be had is an
:class:`Unresolved`, and the request that the view handled stays handled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .declarations import Callback
from .exceptions import RefusedURLError, SecretError
from .rules.evaluate import Body, Exchange, Unresolved, evaluate
from .rules.expressions import Template
from .rules.ids import new_id
from .rules.key_texts import check_secret
from .rules.limits import Limits
from .rules.retry import accepts
from .rules.urls import UrlRules, check_url
from .store import subscriptions
from .store.database import Database
from .store.records import Subscription, microseconds

if TYPE_CHECKING:
    from .rules.sealing import KeyRing


@dataclass(frozen=True, kw_only=True)
class Captured:
    """What a callback's expressions gave on one call."""

    expression: str
    url: str = field(repr=False)
    host: str
    key: str | None
    secret: str | None = field(repr=False)


def exchange_of(request: Any, path: Mapping[str, str], *, with_body: bool) -> Exchange:
    """The request half of a live call, as plain values.

    :param request: a Werkzeug request.
    :param path: the path values as received, not converted.
    :param with_body: whether an expression needs the body; only then is it read.
    """
    return Exchange(
        url=_url_as_received(request),
        method=request.method,
        request_headers=dict(request.headers),
        query=request.args.to_dict(flat=False),
        path=path,
        request_body=_request_body(request) if with_body else Body.of(None, None),
    )


def _url_as_received(request: Any) -> str:
    """The absolute URL in its own bytes: ``request.url`` is an IRI, decoded and encoded anew."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    if not raw.startswith("/"):
        parts = urlsplit(raw)
        raw = parts.path + (f"?{parts.query}" if parts.query else "")
    prefix = quote(request.root_path.rstrip("/"))
    if not raw:
        query = request.query_string.decode("ascii", "replace")
        raw = prefix + quote(request.path) + (f"?{query}" if query else "")
    elif prefix and not raw.startswith((prefix + "/", prefix + "?")) and raw != prefix:
        raw = prefix + raw
    return f"{request.scheme}://{request.host}{raw}"


def _request_body(request: Any) -> Body:
    content_type = request.headers.get("Content-Type")
    if request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return Body.of(None, content_type, form=request.form.to_dict())
    return Body.of(request.get_data(cache=True), content_type)


def with_response(exchange: Exchange, response: Any, *, with_body: bool) -> Exchange:
    """The whole call: what was known of the request, and the final response.

    :param response: a Werkzeug response.
    :param with_body: whether an expression needs the body; a stream is never read.
    """
    streamed = response.is_streamed or response.direct_passthrough
    body = Body.of(None, None)
    if with_body and streamed:
        body = Body.of(None, None, unavailable="the response is a stream")
    elif with_body:
        body = Body.of(response.get_data(), response.headers.get("Content-Type"))
    return Exchange(
        url=exchange.url,
        method=exchange.method,
        request_headers=exchange.request_headers,
        query=exchange.query,
        path=exchange.path,
        request_body=exchange.request_body,
        status_code=response.status_code,
        response_headers=dict(response.headers),
        response_body=body,
    )


def early_refusals(
    callback: Callback, exchange: Exchange, rules: UrlRules
) -> Iterator[tuple[Template, RefusedURLError]]:
    """The expressions whose URL the request alone gives, and a rule refuses; with the refusal."""
    for expression in callback.expressions:
        if expression.needs_response:
            continue
        url = _url(expression, exchange)
        if isinstance(url, Unresolved):
            continue
        try:
            check_url(url, rules)
        except RefusedURLError as refusal:
            yield expression, refusal


def resolve(callback: Callback, exchange: Exchange, rules: UrlRules) -> list[Captured | Unresolved]:
    """What a finished call gives for each expression; nothing when its status captures nothing."""
    if exchange.status_code is None or not _captures(callback.when, exchange.status_code):
        return []
    return [_resolved(callback, expression, exchange, rules) for expression in callback.expressions]


def _resolved(
    callback: Callback, expression: Template, exchange: Exchange, rules: UrlRules
) -> Captured | Unresolved:
    url = _url(expression, exchange)
    if isinstance(url, Unresolved):
        return url
    try:
        to = check_url(url, rules)
    except RefusedURLError as refusal:
        return _refused(expression.text, refusal)
    key = _short(callback.key, exchange)
    if isinstance(key, Unresolved):
        return key
    secret = _secret(callback.secret, exchange)
    if isinstance(secret, Unresolved):
        return secret
    return Captured(expression=expression.text, url=to.url, host=to.host, key=key, secret=secret)


def _url(template: Template, exchange: Exchange) -> str | Unresolved:
    """The URL of a template, unless the name by which this app was called would lead it.

    Whoever gets a forged ``Host`` or ``X-Forwarded-Host`` past a proxy or a cache would say then
    where other people's messages go.
    """
    if (leading := template.led_by_host) is not None:
        return Unresolved(template.text, f"{leading.text} would let the Host header lead the URL")
    return _evaluated(template, exchange)


def _refused(expression: str, refusal: RefusedURLError) -> Unresolved:
    return Unresolved(expression, f"the URL is refused ({refusal.rule})")


def _evaluated(template: Template, exchange: Exchange) -> str | Unresolved:
    """The text of a template; what it lacks is told under the template as it was declared."""
    found = evaluate(template, exchange)
    if not isinstance(found, Unresolved):
        return found
    inner = f"{found.expression}: " if len(template.expressions) > 1 else ""
    return Unresolved(template.text, inner + found.reason)


def _captures(when: str, status: int) -> bool:
    return accepts((when,), status) or str(status) == when or f"{status // 100}XX" == when


def _short(template: Template | None, exchange: Exchange) -> str | None | Unresolved:
    value = None if template is None else _evaluated(template, exchange)
    if template is not None and isinstance(value, str) and not 0 < len(value) <= 200:
        return Unresolved(template.text, "the key is empty or longer than 200 characters")
    return value


def _secret(template: Template | None, exchange: Exchange) -> str | None | Unresolved:
    """The client's own secret; one that is absent is no hindrance, one that is malformed is."""
    value = None if template is None else evaluate(template, exchange)
    if template is None or value is None or isinstance(value, Unresolved):
        return None
    try:
        check_secret(value)
    except SecretError:
        return Unresolved(template.text, "the secret is not whsec_ and 24 to 64 bytes in base64")
    return value


def store(
    callback: Callback,
    captured: Captured,
    *,
    tenant: str | None,
    database: Database,
    keyring: Callable[[], KeyRing],
    limits: Limits,
    now: float,
) -> Subscription | Unresolved:
    """Store what was captured; the same URL for the same key again stays one subscription.

    :param keyring: called only when the client gave a secret.
    :param now: unix time in seconds.
    """
    names = [callback.name] + ([callback.webhook.name] if callback.webhook else [])
    at = microseconds(now)
    expires_at = None if callback.expires is None else at + microseconds(callback.expires)

    def work(connection: Any) -> Subscription:
        tables = database.tables
        known = subscriptions.find_captured(
            connection, tables, callback=callback.name, url=captured.url, key=captured.key,
            tenant=tenant, now=at,
        )  # fmt: skip
        subscription_id = known.id if known else new_id("sub", now)
        sealed = _sealed(captured, keyring, tenant, subscription_id)
        if known:
            subscriptions.refresh_captured(
                connection, tables, known.id, expires_at=expires_at, sealed_secret=sealed
            )
            return known
        return subscriptions.add_subscription(
            connection, tables, subscription_id, url=captured.url, host=captured.host, names=names,
            key=captured.key, tenant=tenant, sealed_secret=sealed, now=at, callback=callback.name,
            once=callback.once, expires_at=expires_at, limits=limits,
        )  # fmt: skip

    try:
        return database.write(work)
    except RefusedURLError as refusal:
        return _refused(captured.expression, refusal)


def _sealed(
    captured: Captured, keyring: Callable[[], KeyRing], tenant: str | None, subscription_id: str
) -> bytes | None:
    if captured.secret is None:
        return None
    return keyring().seal(captured.secret, tenant=tenant, subscription=subscription_id)
