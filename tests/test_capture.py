"""Live calls become subscriptions; nothing a client sends turns into a server error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_webhooks import (
    Subscription,
    Webhooks,
    callback_captured,
    callback_unresolved,
)
from tests.conftest import Receiver


class Thing(Schema):
    name = fields.String(required=True)


URL = "https://example.com/hook"
View = Callable[..., ResponseReturnValue]


def _app(
    app: Flask,
    webhooks: Webhooks,
    expression: str | list[str],
    view: View | None = None,
    *,
    rule: str = "/a",
    methods: tuple[str, ...] = ("POST",),
    **options: Any,
) -> Any:
    def created() -> ResponseReturnValue:
        return jsonify(id=7, links={"self": URL}), 201

    callback = webhooks.callback("onThing", expression, Thing, **options)
    app.add_url_rule(rule, view_func=callback(view or created), methods=list(methods))
    webhooks.init_app(app)
    return app.test_client()


def _captured(app: Flask, webhooks: Webhooks) -> list[Subscription]:
    with app.app_context():
        return webhooks.subscriptions()


@pytest.fixture
def unresolved(app: Flask) -> Iterator[list[str]]:
    told: list[str] = []

    def note(sender: Flask, **extra: Any) -> None:
        told.append(f"{extra['callback']} {extra['expression']}: {extra['reason']}")

    with callback_unresolved.connected_to(note, app):
        yield told


@pytest.mark.parametrize(
    "expression, call",
    [
        ("{$request.body#/callbackUrl}", {"json": {"callbackUrl": URL}}),
        ("$request.body#/a/0/b~1c", {"json": {"a": [{"b/c": URL}]}}),
        ("{$request.query.url}", {"query_string": {"url": URL}}),
        ("{$request.header.x-callback}", {"headers": {"X-Callback": URL}}),
        ("{$request.body#/url}", {"data": {"url": URL}}),
        ("{$request.body}", {"data": URL, "content_type": "text/plain"}),
        ("{$response.body#/links/self}", {}),
        (URL, {}),
        ("https://example.com/{$request.query.path}", {"query_string": {"path": "hook"}}),
    ],
)
def test_every_source_gives_the_url(
    app: Flask, webhooks: Webhooks, expression: str, call: dict[str, Any]
) -> None:
    """A URL is taken from where its expression points."""
    client = _app(app, webhooks, expression)

    assert client.post("/a", **call).status_code == 201

    [subscription] = _captured(app, webhooks)
    assert subscription.url == URL
    assert subscription.callback == "onThing"
    assert subscription.names == ("onThing",)


def test_path_values_are_taken_as_received(app: Flask, webhooks: Webhooks) -> None:
    """A converter changes what the view gets, not what the expression gets."""

    def view(number: int) -> str:
        assert number == 7
        return ""

    client = _app(
        app,
        webhooks,
        "https://example.com/{$request.path.number}/{$request.path.rest}",
        lambda number, rest: view(number),
        rule="/a/<int:number>/<path:rest>",
    )

    assert client.post("/a/007/x%20y/z").status_code == 200

    assert _captured(app, webhooks)[0].url == "https://example.com/007/x%20y%2Fz"


def test_a_value_cannot_break_out_of_its_place(app: Flask, webhooks: Webhooks) -> None:
    """Embedded values are percent-encoded whole."""
    client = _app(app, webhooks, "https://example.com/{$request.query.a}")

    client.post("/a", query_string={"a": "@evil.example/?b#c"})

    assert _captured(app, webhooks)[0].url == "https://example.com/%40evil.example%2F%3Fb%23c"


def test_the_key_is_kept_as_json_text(app: Flask, webhooks: Webhooks) -> None:
    """A number in the response is a text as key."""
    client = _app(app, webhooks, "{$request.query.url}", key="{$response.body#/id}")

    client.post("/a", query_string={"url": URL})

    assert _captured(app, webhooks)[0].key == "7"


def test_headers_of_other_hooks_are_seen(app: Flask, webhooks: Webhooks) -> None:
    """A header that a later-registered after_request sets is part of the final response."""
    client = _app(app, webhooks, "{$response.header.location}")

    @app.after_request
    def locate(response: Response) -> Response:
        response.headers["Location"] = URL
        return response

    client.post("/a")

    assert _captured(app, webhooks)[0].url == URL


def test_headers_of_earlier_hooks_are_seen(app: Flask, webhooks: Webhooks) -> None:
    """A header that an earlier-registered after_request sets is seen as well."""

    @app.after_request
    def locate(response: Response) -> Response:
        response.headers["Location"] = URL
        return response

    client = _app(app, webhooks, "{$response.header.location}")

    client.post("/a")

    assert _captured(app, webhooks)[0].url == URL


@pytest.mark.parametrize("status, count", [(200, 1), (204, 1), (302, 0), (409, 0), (500, 0)])
def test_only_success_captures(app: Flask, webhooks: Webhooks, status: int, count: int) -> None:
    """By default only answers with 2xx store a URL."""
    client = _app(app, webhooks, "{$request.query.url}", lambda: ("", status))

    client.post("/a", query_string={"url": URL})

    assert len(_captured(app, webhooks)) == count


def test_when_names_other_answers(app: Flask, webhooks: Webhooks) -> None:
    """``when=`` may name any status, a redirect too."""
    client = _app(app, webhooks, "{$request.query.url}", lambda: redirect("/b", 303), when=303)

    client.post("/a", query_string={"url": URL})

    assert len(_captured(app, webhooks)) == 1


def test_an_aborted_request_captures_nothing(app: Flask, webhooks: Webhooks) -> None:
    """A view that aborts leaves nothing behind."""
    client = _app(app, webhooks, "{$request.query.url}", lambda: abort(409))

    assert client.post("/a", query_string={"url": URL}).status_code == 409

    assert _captured(app, webhooks) == []


def test_a_refused_url_is_answered_422_before_the_view(app: Flask, webhooks: Webhooks) -> None:
    """The view does not run, and the answer says which rule, as a problem (RFC 9457)."""
    ran: list[int] = []
    client = _app(app, webhooks, "{$request.query.url}", lambda: ran.append(1) or "")

    answer = client.post("/a", query_string={"url": "https://10.0.0.1/"})

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["rule"] == "address"
    assert answer.json["expression"] == "{$request.query.url}"
    assert ran == []


def test_a_refused_url_of_the_response_is_unresolved(
    app: Flask, webhooks: Webhooks, unresolved: list[str]
) -> None:
    """What is known only afterwards does not change the answer."""
    client = _app(app, webhooks, "{$response.body#/url}", lambda: jsonify(url="https://10.0.0.1/"))

    assert client.post("/a").status_code == 200

    assert _captured(app, webhooks) == []
    assert unresolved == ["onThing {$response.body#/url}: the URL is refused (address)"]


@pytest.mark.parametrize(
    "call, reason",
    [
        ({}, "there is no body"),
        ({"json": {}}, "callbackUrl"),
        ({"json": {"callbackUrl": None}}, "null"),
        ({"json": {"callbackUrl": [URL]}}, "array"),
        ({"json": {"callbackUrl": ""}}, "empty"),
        ({"data": b"{", "content_type": "application/json"}, "JSON"),
        ({"data": b"\xff", "content_type": "text/plain"}, ""),
    ],
)
def test_what_is_missing_is_told_and_not_stored(
    app: Flask, webhooks: Webhooks, unresolved: list[str], call: dict[str, Any], reason: str
) -> None:
    """A callback without a usable URL leaves the answer alone, stores nothing, and says why."""
    client = _app(app, webhooks, "{$request.body#/callbackUrl}")

    assert client.post("/a", **call).status_code == 201

    assert _captured(app, webhooks) == []
    [told] = unresolved
    assert told.startswith("onThing $request.body#/callbackUrl: ") or "{$request" in told
    assert reason in told


def test_a_stream_is_never_read(app: Flask, webhooks: Webhooks, unresolved: list[str]) -> None:
    """A streamed response goes out as a stream, and its body is unresolved."""

    def view() -> Response:
        return Response(iter(["{}"]), mimetype="application/json")

    client = _app(app, webhooks, "{$response.body#/url}", view)

    answer = client.post("/a")

    assert answer.is_streamed
    assert "stream" in unresolved[0]


def test_the_body_is_not_read_without_need(app: Flask, webhooks: Webhooks) -> None:
    """A view may read the raw stream when no expression needs the body."""

    def view() -> bytes:
        return request.stream.read()

    client = _app(app, webhooks, "{$request.query.url}", view)

    assert client.post(f"/a?url={URL}", data=b"raw").data == b"raw"


def test_the_same_call_again_stays_one_subscription(app: Flask, webhooks: Webhooks) -> None:
    """The same URL for the same key is captured once; another URL for it is another one."""
    client = _app(app, webhooks, "{$request.query.url}", key="{$response.body#/id}")

    for url in (URL, URL, URL + "2"):
        client.post("/a", query_string={"url": url})

    assert [s.url for s in _captured(app, webhooks)] == [URL + "2", URL]


def test_a_tenant_loader_says_whose_it_is(app: Flask, webhooks: Webhooks) -> None:
    """What is captured belongs to the tenant of the request."""
    webhooks.tenant_loader(lambda: request.headers.get("X-Tenant"))
    client = _app(app, webhooks, "{$request.query.url}")

    client.post("/a", query_string={"url": URL}, headers={"X-Tenant": "acme"})

    assert _captured(app, webhooks)[0].tenant == "acme"


def test_a_tenant_loader_may_refuse(app: Flask, webhooks: Webhooks, unresolved: list[str]) -> None:
    """A refusal stores nothing and leaves the view's answer alone."""
    webhooks.tenant_loader(lambda: abort(403))
    client = _app(app, webhooks, "{$request.query.url}")

    assert client.post("/a", query_string={"url": URL}).status_code == 201

    assert _captured(app, webhooks) == []
    assert unresolved == ["onThing {$request.query.url}: the tenant loader refused (403)"]


def test_once_takes_one_message(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """A URL captured with ``once=True`` gets the first message and no other."""
    client = _app(app, webhooks, "{$request.query.url}", once=True)
    client.post("/a", query_string={"url": receiver.url})

    with app.app_context():
        first = webhooks["onThing"].send({"name": "first"})
        webhooks["onThing"].send({"name": "second"})
        webhooks.run_until_idle()

    assert [r.headers["webhook-id"] for r in receiver.received] == [first.id]


def test_expired_takes_none(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """A URL captured with ``expires=`` gets nothing that is sent later."""
    client = _app(app, webhooks, "{$request.query.url}", expires=60)
    client.post("/a", query_string={"url": receiver.url})
    state = app.extensions["webhooks"]
    later = state.clock() + 61
    state.clock = lambda: later

    with app.app_context():
        webhooks["onThing"].send({"name": "late"})
        webhooks.run_until_idle()

    assert receiver.received == []


def test_a_clients_secret_signs_v1_besides_v1a(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """A secret that the client gives makes deliveries that the official library accepts."""
    from standardwebhooks import Webhook as OfficialReceiver

    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    client = _app(app, webhooks, "{$request.query.url}", secret="{$request.query.secret}")
    client.post("/a", query_string={"url": receiver.url, "secret": secret})

    with app.app_context():
        webhooks["onThing"].send({"name": "a"})
        webhooks.run_until_idle()

    [received] = receiver.received
    assert OfficialReceiver(secret).verify(received.body, received.headers) == {"name": "a"}
    kinds = [s.partition(",")[0] for s in received.headers["webhook-signature"].split()]
    assert kinds == ["v1", "v1a"]


def test_a_webhook_may_also_be_called_back(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """A callback declared with a webhook captures subscriptions that the webhook reaches."""
    thing = webhooks.webhook("thing", Thing)

    @app.post("/a")
    @webhooks.callback("onThing", "{$request.query.url}", thing, key="{$request.query.id}")
    def view() -> str:
        return ""

    webhooks.init_app(app)
    app.test_client().post("/a", query_string={"url": receiver.url + "/called", "id": "1"})

    with app.app_context():
        webhooks.subscribe(receiver.url + "/subscribed", ["thing"])
        thing.send({"name": "a"}, key="1")
        webhooks.run_until_idle()

    assert sorted(r.path for r in receiver.received) == ["/hook/called", "/hook/subscribed"]


def test_url_is_the_url_as_received(app: Flask, webhooks: Webhooks) -> None:
    """``$url`` keeps the client's bytes, behind a proxy and under a script name."""
    proxied = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, x_prefix=1)
    app.wsgi_app = proxied  # type: ignore[method-assign]
    client = _app(app, webhooks, "https://example.com/?from={$url}")

    client.post(
        "/a?u=https%3A%2F%2Fx%2F%C3%A9",
        headers={
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "api.example.org",
            "X-Forwarded-Prefix": "/v1",
        },
    )

    [subscription] = _captured(app, webhooks)
    assert subscription.url == (
        "https://example.com/?from=https%3A%2F%2Fapi.example.org%2Fv1%2Fa"
        "%3Fu%3Dhttps%253A%252F%252Fx%252F%25C3%25A9"
    )


def test_a_failing_store_leaves_the_answer_alone(
    app: Flask, webhooks: Webhooks, caplog: pytest.LogCaptureFixture
) -> None:
    """When the URL can't be stored the client still gets the view's answer, and the log says so."""
    client = _app(app, webhooks, "{$request.query.url}")

    def broken(work: Any) -> Any:
        raise RuntimeError("disk full")

    app.extensions["webhooks"].database.write = broken

    assert client.post("/a", query_string={"url": URL}).status_code == 201
    assert "could not be captured" in caplog.text


def test_a_failing_receiver_leaves_the_answer_alone(app: Flask, webhooks: Webhooks) -> None:
    """An exception in a receiver of ``callback_captured`` is not the client's."""
    client = _app(app, webhooks, "{$request.query.url}")

    def fail(sender: Flask, **extra: Any) -> None:
        raise RuntimeError("no")

    with callback_captured.connected_to(fail, app):
        assert client.post("/a", query_string={"url": URL}).status_code == 201

    assert len(_captured(app, webhooks)) == 1


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    content_type=st.sampled_from(
        ["application/json", "text/plain", "application/x-www-form-urlencoded",
         "multipart/form-data", "multipart/form-data; boundary=x", "a/b+json; charset=utf-7", ""]
    ),
    query=st.binary(max_size=40),
)  # fmt: skip
def test_no_request_makes_capture_raise(
    hostile: Any, body: bytes, content_type: str, query: bytes
) -> None:
    """Whatever is sent, the server has no error."""
    path = "/a/" + "".join(f"%{byte:02x}" for byte in query)
    answer = hostile.post(
        path, data=body, content_type=content_type, query_string=query.decode("latin-1")
    )

    assert answer.status_code < 500, answer.data


@pytest.fixture
def hostile(app: Flask, webhooks: Webhooks) -> Any:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.testing = False
    app.url_map.merge_slashes = False  # Werkzeug's own redirect fails on a query with a line end
    return _app(
        app,
        webhooks,
        "{$request.body#/u}{$request.query.q}{$request.path.p}{$request.header.x}/{$url}",
        lambda p: (jsonify(id=1), 201),
        rule="/a/<path:p>",
        key="{$request.body}{$response.body#/id}",
    )


def test_a_tenants_own_secret_verifies_its_callbacks(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """What goes to a URL that a tenant's call gave is signed with that tenant's secret as well."""
    from standardwebhooks import Webhook as OfficialReceiver

    webhooks.tenant_loader(lambda: "acme")
    client = _app(app, webhooks, "{$request.query.url}")
    client.post("/a", query_string={"url": receiver.url})

    with app.app_context():
        webhooks["onThing"].send({"name": "a"}, tenant="acme")
        webhooks.run_until_idle()
        secret = webhooks.tenant_secret("acme")

    [received] = receiver.received
    assert OfficialReceiver(secret).verify(received.body, received.headers) == {"name": "a"}


def test_a_refusal_tells_a_stranger_nothing_of_the_settings(app: Flask, webhooks: Webhooks) -> None:
    """The problem names what is wrong with the URL, in words for a client."""
    client = _app(app, webhooks, "{$request.query.url}")

    answer = client.post("/a", query_string={"url": "https://10.0.0.1/"})

    assert answer.json["detail"] == (
        "The URL given for onThing is refused: its address is not a public one."
    )
    assert "WEBHOOKS_" not in answer.text


BOTH = ["{$request.body#/paidUrl}", "{$request.body#/shippedUrl}"]


def test_each_expression_of_a_callback_captures_a_url(app: Flask, webhooks: Webhooks) -> None:
    """A call that gives two URLs for one callback makes two subscriptions."""
    client = _app(app, webhooks, BOTH, key="{$response.body#/id}")

    client.post("/a", json={"paidUrl": f"{URL}/paid", "shippedUrl": f"{URL}/shipped"})

    found = {(s.url, s.key) for s in _captured(app, webhooks)}
    assert found == {(f"{URL}/paid", "7"), (f"{URL}/shipped", "7")}


def test_an_expression_without_a_value_hinders_no_other(
    app: Flask, webhooks: Webhooks, unresolved: list[str]
) -> None:
    """Of two expressions the one that has a value captures, and the other is told."""
    client = _app(app, webhooks, BOTH)

    client.post("/a", json={"shippedUrl": URL})

    assert [s.url for s in _captured(app, webhooks)] == [URL]
    assert unresolved == [
        "onThing {$request.body#/paidUrl}: the body has no member 'paidUrl' there"
    ]


def test_one_refused_url_refuses_the_call(app: Flask, webhooks: Webhooks) -> None:
    """Where one of two URLs is refused, the answer names its expression and nothing is captured."""
    client = _app(app, webhooks, BOTH)

    answer = client.post("/a", json={"paidUrl": URL, "shippedUrl": "https://10.0.0.1/"})

    assert answer.status_code == 422
    assert answer.get_json()["expression"] == "{$request.body#/shippedUrl}"
    assert _captured(app, webhooks) == []


@pytest.mark.parametrize(
    ("expression", "leading"),
    [
        ("$url", "$url"),
        ("{$url}/told", "$url"),
        ("https://{$request.header.host}/told", "$request.header.host"),
        ("https://a.{$request.header.X-Forwarded-Host}/", "$request.header.X-Forwarded-Host"),
        ("{$request.query.u}{$request.header.Forwarded}", "$request.header.Forwarded"),
        ("https://{$request.query.h}:{$request.header.x_forwarded_port}/",
         "$request.header.x_forwarded_port"),
    ],
)  # fmt: skip
def test_no_url_is_led_by_the_host_header(
    expression: str, leading: str, app: Flask, webhooks: Webhooks, unresolved: list[str]
) -> None:
    """What a forged Host could lead elsewhere captures nothing, and the reason names it."""
    client = _app(app, webhooks, expression)
    headers = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "443",
        "Forwarded": "host=evil.example",
    }  # fmt: skip

    answer = client.post("/a?u=https://example.com&h=example.com", headers=headers)

    assert answer.status_code == 201
    assert _captured(app, webhooks) == []
    assert unresolved == [f"onThing {expression}: {leading} would let the Host header lead the URL"]


def test_a_forged_host_changes_no_captured_url(app: Flask, webhooks: Webhooks) -> None:
    """With Host, X-Forwarded-Host and Forwarded forged, what is stored is what the body says."""
    proxied = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
    app.wsgi_app = proxied  # type: ignore[method-assign]
    client = _app(app, webhooks, ["{$request.body#/u}", "{$request.body#/v}?by={$url}"])
    forged = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example;proto=https", "X-Original-Host": "evil.example",
    }  # fmt: skip

    client.post("/a", json={"u": "https://a.example/", "v": "https://b.example/"}, headers=forged)
    client.post("/a", json={"u": "/told", "v": "//b.example/"}, headers=forged)

    assert {s.url for s in _captured(app, webhooks)} == {
        "https://a.example/", "https://b.example/?by=https%3A%2F%2Fevil.example%2Fa"
    }  # fmt: skip
