"""The portal: by a signed link for a short time, and never to anybody else's rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from flask_webhooks import ConfigurationError, Webhooks
from flask_webhooks.manage.board.links import Pass, Passes
from flask_webhooks.rules.sealing import KeyRing
from tests.conftest import Receiver

HERE = {"Sec-Fetch-Site": "same-origin"}
HOST = "http://localhost"


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Webhooks:
    """An app with a portal."""
    app.config["WEBHOOKS_SCHEDULE"] = [0]
    webhooks.webhook("booking.new", {"type": "object"})
    webhooks.init_app(app)
    app.register_blueprint(webhooks.portal(), url_prefix="/portal")
    return webhooks


@pytest.fixture
def clock(app: Flask, shop: Webhooks) -> Callable[[float], None]:
    """Sets the app's clock."""

    def set_to(seconds: float) -> None:
        app.extensions["webhooks"].clock = lambda: seconds

    return set_to


def link(app: Flask, shop: Webhooks, tenant: str | None = "ann", **options: Any) -> str:
    """The path of a link."""
    with app.test_request_context():
        return shop.portal_link(tenant, **options).removeprefix(HOST)


def come(app: Flask, shop: Webhooks, tenant: str | None = "ann", **options: Any) -> Client:
    """A browser that has followed a link."""
    client = app.test_client()
    assert client.get(link(app, shop, tenant, **options)).status_code == 303
    return client


def test_a_link_is_exchanged_for_a_cookie(
    app: Flask, shop: Webhooks, clock: Callable[[float], None]
) -> None:
    """The address has no token afterwards; the cookie is for this portal and this hour alone, and
    no script reads it."""
    clock(1000)
    answer = app.test_client().get(link(app, shop))

    assert (answer.status_code, answer.headers["Location"]) == (303, "/portal/")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    name, *rest = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("webhooks_portal=")
    assert {part for part in rest if not part.startswith("Expires=")} == {
        "HttpOnly", "Max-Age=3600", "Path=/portal", "SameSite=Lax",
    }  # fmt: skip
    secure = app.test_client().get(link(app, shop), base_url="https://localhost")
    assert "Secure" in secure.headers["Set-Cookie"]


def test_a_link_ends(app: Flask, shop: Webhooks, clock: Callable[[float], None]) -> None:
    """So does what it opened, at the same moment; both say so in plain words."""
    clock(1000)
    path, client = link(app, shop, expires=timedelta(minutes=1)), app.test_client()
    clock(1059)
    assert client.get(path).status_code == 303
    assert client.get("/portal/").status_code == 200
    clock(1060)

    ended, late = client.get("/portal/messages"), app.test_client().get(path)

    assert (ended.status_code, "This link has expired" in ended.text) == (403, True)
    assert (late.status_code, "This link doesn’t work" in late.text) == (403, True)
    assert "frame-ancestors 'none'" in ended.headers["Content-Security-Policy"]
    assert "Overview" not in ended.text


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "A" + t, lambda t: "x", lambda t: "."]
)
def test_a_forged_link_opens_nothing(
    app: Flask, shop: Webhooks, change: Callable[[str], str]
) -> None:
    """One that was changed, cut, or made up; nor does a link pass for a cookie."""
    before, token = link(app, shop).rsplit("/", 1)
    client = app.test_client()

    refused = client.get(f"{before}/{change(token)}")
    client.set_cookie("webhooks_portal", token, path="/portal")

    assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
    assert client.get("/portal/").status_code == 403


def test_a_pass_of_another_ring_or_purpose_is_none() -> None:
    """Only the same keys read it, also when a newer key was put before; only as what it is."""
    old, new = KeyRing(["a" * 32]), KeyRing(["b" * 32, "a" * 32])
    made = Pass(tenant="ann", write=True, until=100)
    text = Passes(old, "link").write(made)

    assert Passes(old, "link").read(text, 99) == Passes(new, "link").read(text, 99) == made
    assert Passes(KeyRing(["b" * 32]), "link").read(text, 99) is None
    assert Passes(old, "cookie").read(text, 99) is None
    assert Passes(old, "link").read(text, 100) is None


def test_there_is_no_link_without_a_portal(app: Flask, webhooks: Webhooks) -> None:
    """The error says what to write; so do those of a time and of a tenant that can't be."""
    webhooks.init_app(app)
    with app.test_request_context():
        with pytest.raises(ConfigurationError, match=r"register_blueprint\(webhooks.portal\(\)"):
            webhooks.portal_link("ann")
        app.register_blueprint(webhooks.portal(), url_prefix="/portal")
        for expires in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ConfigurationError, match="expires is"):
                webhooks.portal_link("ann", expires=expires)
        with pytest.raises(ConfigurationError, match="text or None, and not int"):
            webhooks.portal_link(42)  # type: ignore[arg-type]


def test_a_portal_below_a_path(make_app: Callable[..., Flask], webhooks: Webhooks) -> None:
    """Behind a server's path, inside another blueprint, and beside a second portal, the cookie is
    bound to the portal that was entered."""
    app = make_app()
    webhooks.init_app(app)
    app.register_blueprint(webhooks.portal(), url_prefix="/a/portal")
    app.register_blueprint(webhooks.portal(), url_prefix="/b", name="second")
    client = app.test_client()
    with app.test_request_context(base_url="http://shop.example/app"):
        url = webhooks.portal_link("ann")
    assert url.startswith("http://shop.example/app/a/portal/enter/")

    answer = client.get(
        url.removeprefix("http://shop.example/app"), base_url="http://shop.example/app"
    )

    assert answer.headers["Location"] == "/app/a/portal/"
    assert "Path=/app/a/portal;" in answer.headers["Set-Cookie"]
    assert client.get("/b/", base_url="http://shop.example/app").status_code == 403


def test_who_may_only_look_changes_nothing(app: Flask, shop: Webhooks) -> None:
    """A link without ``write`` opens the same pages, without a button."""
    client = come(app, shop, write=False)

    assert 'href="/portal/subscribe"' not in client.get("/portal/subscriptions").text
    answer = client.post("/portal/subscribed", data={"url": "https://a.example/"}, headers=HERE)
    assert answer.status_code == 403


def test_what_is_made_belongs_to_the_tenant(app: Flask, shop: Webhooks) -> None:
    """Whatever tenant the form names."""
    client = come(app, shop)
    form = {"url": "https://a.example/", "webhook": "booking.new", "tenant": "bob"}

    made = client.post("/portal/subscribed", data=form, headers=HERE)

    assert "whsec_" in made.text
    with app.app_context():
        assert [one.tenant for one in shop.subscriptions()] == ["ann"]
    assert 'name="tenant"' not in client.get("/portal/subscribe").text


def test_owners_see_classes_of_failures(app: Flask, shop: Webhooks, receiver: Receiver) -> None:
    """Neither what the sender noted nor how long it took shows what is behind a URL."""
    with app.app_context():
        shop.subscribe("http://127.0.0.1:9/", ["booking.new"], tenant="ann")
        message = shop["booking.new"].send({}, tenant="ann")
        shop.run_until_idle()
        [attempt] = shop.attempts(shop.deliveries()[0])
    assert (attempt.outcome, bool(attempt.detail)) == ("connect", True)

    page = come(app, shop).get(f"/portal/messages/{message.id}").text

    assert "unreachable" in page and "No connection could be made." in page
    assert attempt.detail not in page
    assert not re.search(r"after [\d.]+ m?s<", page)


PATHS = st.sampled_from(
    ["GET /messages/{m}", "GET /messages/{m}?subscription={s}", "GET /messages?subscription={s}",
     "GET /subscriptions/{s}", "GET /failed?subscription={s}",
     "GET /failed/replay?subscription={s}", "GET /", "GET /messages", "GET /subscriptions",
     "GET /webhooks", "GET /failed",
     "POST /subscriptions/{s}/disable", "POST /subscriptions/{s}/enable",
     "POST /subscriptions/{s}/rotate", "POST /subscriptions/{s}/test",
     "POST /subscriptions/{s}/delete", "POST /deliveries/{d}/replay", "POST /failed/replayed"]
)  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    asked=st.lists(PATHS, max_size=8),
    whose=st.sampled_from(["ann", "Ann", None]),
    others=st.sampled_from(["bob", "ANN", "ann "]),
)
def test_nobody_sees_or_changes_what_is_anothers(
    app: Flask, shop: Webhooks, asked: list[str], whose: str | None, others: str
) -> None:
    """Whatever a tenant asks with another's ids, no page holds a word of theirs, and what is
    theirs stays as it was."""
    with app.app_context():
        for one in shop.subscriptions():
            shop.unsubscribe(one)
        made = shop.subscribe("https://canary.example/", ["booking.new"], tenant=whose)
        message = shop["booking.new"].send({"word": "canary"}, tenant=whose, key="canary")
        app.extensions["webhooks"].worker.intake.fan_out()
        shop.disable(made)
        shop.enable(made)
        [delivery] = shop.deliveries()
    stranger = come(app, shop, others)

    for line in asked:
        method, path = line.format(s=made.id, m=message.id, d=delivery.id).split()
        answer: TestResponse = stranger.open(f"/portal{path}", method=method, headers=HERE)
        told = answer.text.replace(made.id, "") if "subscription=" in path else answer.text
        assert "canary" not in told and message.id not in told and made.id not in told, line
        if "{" in line and "?" not in line:
            assert answer.status_code == 404, line
    with app.app_context():
        assert (shop.subscriptions(), shop.deliveries()) == ([as_stored(made)], [delivery])


def as_stored(made: Any) -> Any:
    """A subscription as it is read again, without its secret."""
    return replace(made, secret=None)
