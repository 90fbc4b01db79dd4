"""Where live calls meet the third act: before a marked view, and after its response is final."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule

from . import capture, signals
from .declarations import Callback
from .exceptions import RefusedURLError
from .rules.evaluate import Exchange, Unresolved
from .rules.expressions import Template
from .rules.failures import refusal_in_words
from .state import State
from .telling.signals import send

logger = logging.getLogger("flask_webhooks.capture")

_SEEN = "flask_webhooks.exchange"  # key in the WSGI environ of one request


def watch(state: State, tenant_loader: Callable[[], Callable[[], str | None] | None]) -> None:
    """Watch every call of the app for the callbacks that its view declares."""
    app: Flask = state.app

    def before() -> Response | None:
        callbacks = _callbacks(state)
        if state.settings.worker == "thread":
            state.delivering.start_worker()
        if not callbacks:
            return None
        _prepare(state)
        exchange = _request_half(callbacks)
        request.environ[_SEEN] = (callbacks, exchange)
        return _refusal(state, callbacks, exchange)

    def after(response: Response) -> Response:
        seen = request.environ.pop(_SEEN, None)
        if seen is not None:
            callbacks, exchange = seen
            try:
                _capture(state, callbacks, exchange, response, tenant_loader())
            except Exception:
                # The view has handled this request; whatever goes wrong here is not its client's.
                logger.exception("A callback of %s could not be captured.", request.endpoint)
        return response

    app.before_request(before)
    # Flask runs these last to first: the first in the list sees what all others made of it.
    app.after_request_funcs.setdefault(None, []).insert(0, after)


def _prepare(state: State) -> None:
    """Have the tables before the view opens a transaction that could be in the way."""
    try:
        state.database.ensure_tables()
    except Exception:
        logger.exception("The tables can't be reached; what this call gives may not be captured.")


def _callbacks(state: State) -> tuple[Callback, ...]:
    return state.callbacks_of(request.endpoint, request.method)


def _request_half(callbacks: tuple[Callback, ...]) -> Exchange:
    templates = [template for callback in callbacks for _, template in callback.templates]
    parts = {e.part for template in templates for e in template.expressions}
    with_body = any(template.needs_request_body for template in templates)
    return capture.exchange_of(
        request, _path_as_received() if "path" in parts else {}, with_body=with_body
    )


def _path_as_received() -> Mapping[str, str]:
    """The texts that the rule's variables matched, before its converters changed them."""
    rule = request.url_rule
    if rule is None or not rule.arguments:
        return {}
    converters = {name: _verbatim(kind) for name, kind in rule.map.converters.items()}
    alone = Map([Rule(rule.rule, endpoint="")], converters=converters, merge_slashes=False)
    try:
        _, values = alone.bind("").match(request.path, method="GET")
    except HTTPException:  # matched by a host or a redirect of the app's own map
        return {}
    return {name: str(value) for name, value in values.items()}


def _verbatim(kind: type[BaseConverter]) -> type[BaseConverter]:
    class Verbatim(kind):  # type: ignore[misc, valid-type]
        def to_python(self, value: str) -> str:
            return value

    return Verbatim


def _refusal(state: State, callbacks: tuple[Callback, ...], exchange: Exchange) -> Response | None:
    for callback in callbacks:
        for found in capture.early_refusals(callback, exchange, state.settings.url_rules()):
            return _unprocessable(callback, *found)
    return None


def _unprocessable(callback: Callback, expression: Template, refused: RefusedURLError) -> Response:
    """A problem (RFC 9457) that says which part of the request is refused, and why."""
    why = refusal_in_words(refused.rule)
    problem = {
        "type": "about:blank",
        "title": "Callback URL refused",
        "status": 422,
        "detail": f"The URL given for {callback.name} is refused: {why}.",
        "callback": callback.name,
        "expression": expression.text,
        "rule": refused.rule,
    }
    body = json.dumps(problem)
    return Response(body, status=422, content_type="application/problem+json")


def _capture(
    state: State,
    callbacks: tuple[Callback, ...],
    exchange: Exchange,
    response: Response,
    tenant_loader: Callable[[], str | None] | None,
) -> None:
    templates = [template for callback in callbacks for _, template in callback.templates]
    with_body = any(template.needs_response_body for template in templates)
    whole = capture.with_response(exchange, response, with_body=with_body)
    for callback in callbacks:
        for found in capture.resolve(callback, whole, state.settings.url_rules()):
            if isinstance(found, Unresolved):
                _tell_unresolved(state, callback, found)
            else:
                _store(state, callback, found, tenant_loader)


def _store(
    state: State,
    callback: Callback,
    found: capture.Captured,
    tenant_loader: Callable[[], str | None] | None,
) -> None:
    try:
        tenant = tenant_loader() if tenant_loader else None
    except HTTPException as refused:
        reason = f"the tenant loader refused ({refused.code})"
        _tell_unresolved(state, callback, Unresolved(found.expression, reason))
        return
    stored = capture.store(
        callback,
        found,
        tenant=tenant,
        database=state.database,
        keyring=lambda: state.keyring,
        limits=state.settings.limits(),
        now=state.clock(),
    )
    if isinstance(stored, Unresolved):
        _tell_unresolved(state, callback, stored)
        return
    send(signals.callback_captured, state.app, callback=callback.name, subscription=stored)


def _tell_unresolved(state: State, callback: Callback, found: Unresolved) -> None:
    logger.warning(
        "%s captured nothing: %s could not be resolved: %s.",
        callback.name, found.expression, found.reason,
    )  # fmt: skip
    send(
        signals.callback_unresolved,
        state.app,
        callback=callback.name,
        expression=found.expression,
        reason=found.reason,
    )
