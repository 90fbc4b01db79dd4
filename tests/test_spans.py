"""Traces: a span for what is sent and one for each attempt, linked; none of it leaves the house."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from flask_webhooks import PayloadError, Webhooks, message_stored
from tests.conftest import Receiver
from tests.traces import EXPORTER, PROVIDER


@pytest.fixture(scope="module", autouse=True)
def instrumented() -> Iterator[None]:
    """Both instrumentations that could send a trace along."""
    instrumentors: list[Any] = [RequestsInstrumentor(), URLLib3Instrumentor()]
    for one in instrumentors:
        one.instrument(tracer_provider=PROVIDER)
    yield
    for one in instrumentors:
        one.uninstrument()


@pytest.fixture
def spans() -> Callable[[], dict[str, ReadableSpan]]:
    """Gives the spans that have ended, by name."""
    EXPORTER.clear()
    return lambda: {span.name: span for span in EXPORTER.get_finished_spans()}


@pytest.fixture
def make(make_app: Callable[..., Flask], webhooks: Webhooks) -> Callable[..., Flask]:
    def made(**settings: Any) -> Flask:
        app = make_app(WEBHOOKS_SCHEDULE=[0, 0], **settings)
        webhooks.webhook("noted", {"type": "object"})
        webhooks.init_app(app)
        return app

    return made


def _live(app: Flask, webhooks: Webhooks, url: str) -> None:
    with app.app_context():
        webhooks.subscribe(f"{url}?token=canary", ["noted"])
        with trace.get_tracer("shop").start_as_current_span("book"):
            webhooks["noted"].send({"text": "canary"})
        webhooks.run_until_idle()


def test_an_attempt_is_linked_to_what_sent_it(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """``send`` is a child of what the app did; ``deliver`` is a root of its own, with a link."""
    _live(make(), webhooks, receiver.url)
    found = spans()
    book, send, deliver = found["book"], found["send noted"], found["deliver noted"]

    assert (send.kind, deliver.kind) == (SpanKind.PRODUCER, SpanKind.CLIENT)
    assert send.parent.span_id == book.context.span_id
    assert deliver.parent is None
    [link] = deliver.links
    assert (link.context.trace_id, link.context.span_id) == (
        send.context.trace_id, send.context.span_id,
    )  # fmt: skip
    assert send.attributes["webhook.id"] == deliver.attributes["webhook.id"]


def test_a_test_message_is_sent_like_any_other(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """It has a ``send`` span, which its attempt is linked to; ``message_stored`` tells of it."""
    app, stored = make(), []
    with app.app_context():
        made = webhooks.subscribe(receiver.url, ["noted"])
        with message_stored.connected_to(lambda _, message: stored.append(message.id)):
            message = webhooks.test(made)
        webhooks.run_until_idle()
    send, deliver = spans()["send noted"], spans()["deliver noted"]

    assert (send.kind, send.attributes["webhook.id"]) == (SpanKind.PRODUCER, message.id)
    assert [link.context.span_id for link in deliver.links] == [send.context.span_id]
    assert stored == [message.id]


def test_a_span_says_what_the_conventions_ask_for_and_no_query(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """Method, URL without its query, server and status; a second attempt is a resend."""
    receiver.answers = [503]
    _live(make(), webhooks, receiver.url)
    first, second = [s for s in EXPORTER.get_finished_spans() if s.name == "deliver noted"]
    known = dict(first.attributes)
    assert known.pop("webhook.id").startswith("msg_")
    assert known.pop("webhook.subscription").startswith("sub_")
    assert known == {
        "http.request.method": "POST", "url.full": receiver.url, "server.address": "127.0.0.1",
        "server.port": int(receiver.url.split(":")[2].split("/")[0]),
        "http.response.status_code": 503, "error.type": "503",
        "webhook.name": "noted", "webhook.delivery": 1, "webhook.attempt": 1,
    }  # fmt: skip
    assert first.status.status_code is StatusCode.ERROR
    assert second.status.status_code is StatusCode.UNSET
    assert second.attributes["http.request.resend_count"] == 1
    assert "canary" not in "".join(s.to_json() for s in EXPORTER.get_finished_spans())


def test_an_attempt_without_an_answer_names_its_reason(
    make: Any, webhooks: Webhooks, spans: Any
) -> None:
    """Where there is no status, ``error.type`` is the outcome."""
    _live(make(), webhooks, "http://127.0.0.1:9/")
    assert spans()["deliver noted"].attributes["error.type"] == "connect"


def test_no_trace_leaves_the_house(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """Although requests and urllib3 are instrumented, no ``traceparent`` arrives, and no third span
    is made; while the app's own requests carry one.
    """
    requests.get(receiver.url, timeout=5)
    assert "traceparent" in receiver.received.pop().headers
    EXPORTER.clear()
    _live(make(), webhooks, receiver.url)
    assert {"traceparent", "tracestate", "baggage"} & set(receiver.received[0].headers) == set()
    assert sorted(spans()) == ["book", "deliver noted", "send noted"]


def test_a_receiver_gets_the_trace_only_by_setting(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """``WEBHOOKS_PROPAGATE_TRACE`` sends the context of the attempt, which its span has."""
    _live(make(WEBHOOKS_PROPAGATE_TRACE=True), webhooks, receiver.url)
    context = spans()["deliver noted"].context
    assert receiver.received[0].headers["traceparent"] == (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    )
    assert "baggage" not in receiver.received[0].headers


def test_an_error_of_sending_shows_no_payload(make: Any, webhooks: Webhooks, spans: Any) -> None:
    """The span names the class of what was raised, and not what it says."""
    app = make()
    with app.app_context(), pytest.raises(PayloadError):
        webhooks["noted"].send(["canary"])
    with app.app_context():
        app.extensions["webhooks"].database.write = lambda work: {}["canary"]
        with pytest.raises(KeyError):
            webhooks["noted"].send({})
    found = [s for s in EXPORTER.get_finished_spans() if s.name == "send noted"]
    assert [span.attributes["error.type"] for span in found] == ["PayloadError", "KeyError"]
    assert "canary" not in "".join(span.to_json() for span in found)


@pytest.mark.parametrize("place", ["on_start", "on_end"])
def test_a_broken_span_processor_stops_no_delivery(
    make: Any, webhooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """What an exporter of the app's raises is logged, and the delivery goes on."""
    app = make()
    with app.app_context():
        webhooks.subscribe(receiver.url, ["noted"])
        webhooks["noted"].send({})
        monkeypatch.setattr(PROVIDER._active_span_processor, place, lambda *_, **__: 1 / 0)
        webhooks.run_until_idle()
        assert [one.status for one in webhooks.deliveries()] == ["delivered"]


def test_a_replay_days_later_is_linked_to_the_same_sending(
    make: Any, webhooks: Webhooks, receiver: Receiver, spans: Any
) -> None:
    """The context is stored with the message, so any process and any time will do."""
    app = make()
    _live(app, webhooks, receiver.url)
    sent = spans()["send noted"].context.span_id
    with app.app_context():
        [delivery] = webhooks.deliveries()
        webhooks.replay(delivery)
        webhooks.run_until_idle()
    delivered = [s for s in EXPORTER.get_finished_spans() if s.name == "deliver noted"]
    assert [span.links[0].context.span_id for span in delivered] == [sent, sent]


def test_nothing_is_imported_where_nobody_traces() -> None:
    """An app that loads neither OpenTelemetry nor Prometheus gets neither by delivering."""
    code = """
import sys, tempfile
from flask import Flask
from flask_webhooks import Webhooks
app = Flask("shop", instance_path=tempfile.mkdtemp())
app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True)
webhooks = Webhooks(app)
noted = webhooks.webhook("noted")
with app.app_context():
    webhooks.subscribe("http://127.0.0.1:9/", ["noted"])
    noted.send({})
    webhooks.run_until_idle()
    assert webhooks.deliveries()[0].attempts == 1
print([name for name in sys.modules if name.startswith(("opentelemetry", "prometheus"))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr
