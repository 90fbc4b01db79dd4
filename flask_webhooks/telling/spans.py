"""Tells by OpenTelemetry spans: one where a message is sent, one for each attempt, linked.

Hours may lie between the two, so an attempt is no child of the sending. The attributes are those of
OpenTelemetry's semantic conventions for HTTP clients (stable since 1.23), and ``webhook.…``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..rules.urls import shown
from ..store.claims import Claimed
from ..store.records import Message

Headers = tuple[tuple[str, str], ...]

logger = logging.getLogger("flask_webhooks.spans")

_tracer = trace.get_tracer("flask_webhooks")
# Not the app's propagators: baggage is not for the store, nor for strangers.
_w3c = TraceContextTextMapPropagator()
_PORTS = {"https": 443, "http": 80}


class Came(Protocol):
    """What a span needs to know of an outcome."""

    @property
    def reason(self) -> str: ...
    @property
    def status(self) -> int | None: ...


def sending(name: str, store: Callable[[str | None], Message]) -> Message:
    """Have a message stored within a span.

    :param store: takes the ``traceparent`` that is stored with it.
    """
    with _tracer.start_as_current_span(
        f"send {name}",
        kind=SpanKind.PRODUCER,
        attributes={"webhook.name": name},
        # The text of an exception may hold a payload: a database's shows what was to be stored.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            message = store(_carried(span).get("traceparent"))
        except Exception as error:
            _fail(span, type(error).__qualname__)
            raise
        span.set_attribute("webhook.id", message.id)
        return message


class Attempted:
    """The span of one attempt, linked to the one that sent the message.

    Instrumentation of HTTP libraries sees nothing of it: the transport passes by what that wraps.

    :param propagates: whether the receiver gets a ``traceparent`` header.
    """

    def __init__(self, claimed: Claimed, method: str, propagates: bool) -> None:
        self._span = _tracer.start_span(
            f"deliver {claimed.name}",
            kind=SpanKind.CLIENT,
            attributes=_attributes(claimed, method),
            links=_links(claimed.trace),
        )
        #: What is to be sent besides.
        self.headers: Headers = tuple(_carried(self._span).items()) if propagates else ()

    def ended(self, outcome: Came) -> None:
        """It was made."""
        if outcome.status is None:
            _fail(self._span, str(outcome.reason))
        else:
            self._span.set_attribute("http.response.status_code", outcome.status)
            if outcome.status >= 400:
                _fail(self._span, str(outcome.status))
        try:
            self._span.end()
        except Exception:  # of the app's own span processors, as above
            logger.exception("The span of an attempt could not be ended.")


def _carried(span: Span) -> dict[str, str]:
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier


def _links(traceparent: str | None) -> list[Link]:
    if traceparent is None:
        return []
    sent = _w3c.extract({"traceparent": traceparent}, context.Context())
    return [Link(trace.get_current_span(sent).get_span_context())]


def _attributes(claimed: Claimed, method: str) -> dict[str, str | int]:
    found = {
        "http.request.method": method,
        **_server(claimed.url),
        "webhook.name": claimed.name,
        "webhook.id": claimed.message_id,
        "webhook.subscription": claimed.subscription_id,
        "webhook.delivery": claimed.delivery_id,
        "webhook.attempt": claimed.number,
    }
    if claimed.number > 1:
        found["http.request.resend_count"] = claimed.number - 1
    return found


@lru_cache(1024)
def _server(url: str) -> dict[str, str | int]:
    without_query = shown(url)
    parts = urlsplit(without_query)
    return {
        "url.full": without_query,
        "server.address": parts.hostname or "",
        "server.port": parts.port or _PORTS.get(parts.scheme, 0),
    }


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
