"""The subscription API at its edges: methods, paths, bodies, repeats and cursors."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort, redirect, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import WWWAuthenticate

from flask_webhooks import Webhooks
from tests import asking
from tests.asking import URL, Client

shop, ann, bob = asking.shop, asking.ann, asking.bob

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("POST", "/subscriptions/x/y/z", 404, "not-found"),
        ("GET", "/deliveries/99999999999999999999999", 404, "not-found"),
        ("GET", "/deliveries/no-number", 404, "not-found"),
        ("GET", "/deliveries/%0A", 404, "not-found"),
        ("GET", "/%0A/%0A%0A", 404, "not-found"),
        ("GET", "/messages/%00", 422, "unprocessable-entity"),
        ("GET", "/messages?name=%00", 422, "unprocessable-entity"),
        ("PUT", "/subscriptions", 405, "method-not-allowed"),
        ("DELETE", "/catalogue", 405, "method-not-allowed"),
        ("GET", "/deliveries?status=lost", 400, "bad-request"),
    ],
)
def test_every_refusal_is_a_problem(
    ann: Client, method: str, path: str, status: int, code: str
) -> None:
    """Also where there is no view, below the prefix."""
    assert (ann(method, path)[0], ann(method, path)[1]["code"]) == (status, code)
    assert ann.headers["Content-Type"] == PROBLEM


def test_what_may_be_asked_is_said(ann: Client) -> None:
    """``Allow`` names the methods that there are, after a 405 and for ``OPTIONS``."""
    for method in ("PUT", "OPTIONS"):
        ann(method, "/subscriptions")
        assert set(ann.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_001, "application/json", 413),
        (b"[" * 50_000, "application/json", 400),
        (b'{"rate": NaN}', "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"url": "https://a.example/", "names": ["\\u0000"]}', "application/json", 422),
        (b'{"url": "\\ud800", "names": ["*"]}', "application/json", 422),
        (b'{"filter": {"id": 1e999}}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b" " * 200_000, "application/json", 413),
    ],
)
def test_a_body_that_no_store_can_hold_is_refused(
    app: Flask, shop: Webhooks, body: bytes, kind: str, status: int
) -> None:
    """As a problem, and never as an error of the server."""
    answer = app.test_client().post(
        "/hooks/subscriptions", data=body, content_type=kind, headers={"X-Tenant": "ann"}
    )
    assert (answer.status_code, answer.content_type) == (status, PROBLEM)


@pytest.mark.parametrize("writes", ["test", "rotate", "enable"])
def test_any_write_is_done_once_for_a_key(
    app: Flask, shop: Webhooks, ann: Client, bob: Client, writes: str
) -> None:
    """The answer is repeated, secret included, and stored sealed; the key is free to others."""
    path = f"/subscriptions/{ann.subscribe()['id']}/{writes}"
    first = ann("POST", path, Idempotency_Key="k")
    assert "Idempotent-Replayed" not in ann.headers
    assert ann("POST", path, Idempotency_Key="k") == first
    assert ann.headers["Idempotent-Replayed"] == "true"
    assert len(ann("GET", "/messages")[1]["data"]) == (1 if writes == "test" else 0)
    assert ann("POST", path, {}, Idempotency_Key="k")[1]["code"] == "key-reused"
    assert bob("POST", path, Idempotency_Key="k")[0] == 404
    if writes == "rotate":
        with app.app_context():
            database = app.extensions["webhooks"].database
            [row] = database.read(lambda c: c.execute(database.tables.answers.select()).all())
        assert first[1]["secret"].encode() not in row.sealed


def test_what_was_refused_is_judged_anew(ann: Client) -> None:
    """A key that met a refusal is not used up."""
    wrong = {"url": "https://10.0.0.1/", "names": ["booking.new"]}
    assert ann("POST", "/subscriptions", wrong, Idempotency_Key="k")[0] == 422
    right = {"url": URL, "names": ["booking.new"]}
    assert ann("POST", "/subscriptions", right, Idempotency_Key="k")[0] == 201


def test_a_request_under_way_is_not_done_twice(app: Flask, shop: Webhooks, ann: Client) -> None:
    """The second gets 409, until the first counts as dead after a minute."""
    made = ann.subscribe()["id"]
    state, now = app.extensions["webhooks"], 1_800_000_000.0
    database, state.clock = state.database, lambda: now
    ann("POST", f"/subscriptions/{made}/test", Idempotency_Key="k")
    with app.app_context():
        a = database.tables.answers
        database.write(lambda c: c.execute(a.update().values(sealed=None)))
    assert ann("POST", f"/subscriptions/{made}/test", Idempotency_Key="k")[1]["code"] == "under-way"
    now += 61.0
    assert ann("POST", f"/subscriptions/{made}/test", Idempotency_Key="k")[0] == 202


def test_an_answer_is_forgotten_after_a_day(app: Flask, shop: Webhooks, ann: Client) -> None:
    """Then the same key does it once more, and nothing is kept of the first."""
    path = f"/subscriptions/{ann.subscribe()['id']}/test"
    state, now = app.extensions["webhooks"], 1_800_000_000.0
    state.clock = lambda: now
    first = ann("POST", path, Idempotency_Key="k")
    now += 86_401.0
    assert ann("POST", path, Idempotency_Key="k")[1]["id"] != first[1]["id"]
    with app.app_context():
        a = state.database.tables.answers
        assert len(state.database.read(lambda c: c.execute(a.select()).all())) == 1


def test_a_change_of_what_has_changed_is_refused(app: Flask, shop: Webhooks, ann: Client) -> None:
    """``If-Match`` holds within the change itself, and for deleting, too."""
    made = ann.subscribe(headers={"X-Api-Key": "tell-nobody"})
    path = f"/subscriptions/{made['id']}"
    assert ann("GET", path)[1]["headers"] == ["X-Api-Key"]
    etag = ann.headers["ETag"]
    assert ann("PATCH", path, {"headers": {"X-Other": "v"}}, If_Match=etag)[0] == 200
    assert ann("GET", path)[1]["headers"] == ["X-Other"]
    assert ann("PATCH", path, {"headers": None}, If_Match=etag)[0] == 412
    assert ann("DELETE", path, If_Match=etag)[0] == 412
    assert ann("PATCH", path, {"headers": None}, If_Match="*")[1]["headers"] == []
    assert "tell-nobody" not in str(ann("GET", path))


def test_the_loaders_own_answer_is_kept(app: Flask, webhooks: Webhooks) -> None:
    """A redirect to the login stays one, and what a refusal asks for stays in its headers."""
    loaded: list[Any] = [lambda: abort(redirect("/login"))]

    @webhooks.tenant_loader
    def tenant() -> str:
        return str(loaded[0]())

    webhooks.init_app(app)
    app.register_blueprint(webhooks.api(), url_prefix="/hooks")
    nobody = Client(app, None)
    assert (nobody("GET", "/catalogue")[0], nobody.headers["Location"]) == (302, "/login")
    loaded[0] = lambda: abort(401, www_authenticate=WWWAuthenticate("basic", {"realm": "shop"}))
    assert nobody("GET", "/catalogue")[0] == 401
    assert nobody.headers["WWW-Authenticate"] == "Basic realm=shop"
    assert nobody.headers["Content-Type"] == PROBLEM


def test_what_no_request_is_to_blame_for_is_an_error_of_the_server(
    app: Flask, shop: Webhooks, ann: Client
) -> None:
    """A document that contradicts itself is told to operators, and not to who asks."""
    app.testing = False
    app.add_url_rule("/broken", "broken", shop.operation(security=[{"none": []}])(lambda: ""))
    status, told = ann("GET", "/catalogue")
    assert (status, told["code"]) == (500, "internal-server-error")
    assert "/broken" not in told["detail"]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(limit=st.integers(1, 4), before=st.integers(0, 5), between=st.lists(st.integers(0, 2)))
def test_pages_hold_while_others_are_added(
    app: Flask, shop: Webhooks, ann: Client, limit: int, before: int, between: list[int]
) -> None:
    """Each that was there at the first page is seen once, whatever is added between the pages."""
    with app.app_context():
        for one in shop.subscriptions():
            shop.unsubscribe(one)
    there = [ann.subscribe()["id"] for _ in range(before)]
    additions = iter(between)
    seen, query = [], f"?limit={limit}"
    while query:
        _, page = ann("GET", f"/subscriptions{query}")
        seen += [one["id"] for one in page["data"]]
        for _ in range(next(additions, 0)):
            ann.subscribe()
        query = f"?limit={limit}&cursor={page['next']}" if page["next"] else ""
    assert seen == there[::-1]


def test_operations_of_the_apps_own_keep_their_names(app: Flask, webhooks: Webhooks) -> None:
    """Ordinary operationIds and component names of the app clash with none of the API's."""
    ids = ["listSubscriptions", "createSubscription", "explain", "replay", "listMessages"]
    for number, name in enumerate(ids):
        view = webhooks.operation(operation_id=name)(lambda: "")
        app.add_url_rule(f"/{number}", name, view)
    webhooks.tenant_loader(lambda: request.headers.get("X-Tenant"))
    webhooks.init_app(app)
    app.register_blueprint(webhooks.api(), url_prefix="/hooks")
    with app.app_context():
        paths = webhooks.document()["paths"]
    assert [paths[f"/{n}"]["get"]["operationId"] for n in range(5)] == ids
