"""The portal: by a link for one entry and a short time, and never to anybody else's rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from flask_webhooks import ConfigurationError, Webhooks
from flask_webhooks.store import passes
from flask_webhooks.store.database import Database
from flask_webhooks.store.passes import Pass
from flask_webhooks.store.records import Owned
from tests import servers
from tests.conftest import Receiver

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url

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
    """One that was changed, cut, or made up; nor does a link pass for a cookie, nor a cookie for a
    link."""
    before, token = link(app, shop).rsplit("/", 1)
    client = app.test_client()

    refused = client.get(f"{before}/{change(token)}")
    client.set_cookie("webhooks_portal", token, path="/portal")

    assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
    assert client.get("/portal/").status_code == 403
    cookie = come(app, shop).get_cookie("webhooks_portal", path="/portal")
    assert cookie is not None
    assert client.get(f"{before}/{cookie.value}").status_code == 403


def test_a_link_is_good_for_one_entry(app: Flask, shop: Webhooks) -> None:
    """In another browser, and in the same one, it opens nothing a second time; who came first
    stays."""
    path, client, other = link(app, shop), app.test_client(), app.test_client()
    assert client.get(path).status_code == 303

    again = [other.get(path), client.get(path)]

    assert [(one.status_code, "Set-Cookie" in one.headers) for one in again] == [(403, False)] * 2
    assert "It was used before" in again[0].text
    assert other.get("/portal/").status_code == 403
    assert client.get("/portal/").status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
def test_only_following_a_link_spends_it(app: Flask, shop: Webhooks, method: str) -> None:
    """Nothing else that is asked of its address, as a checker of links may, enters or spends."""
    path, client = link(app, shop), app.test_client()

    refused = client.open(path, method=method, headers=HERE)

    assert (refused.status_code, "Set-Cookie" in refused.headers) == (405, False)
    assert client.get(path).status_code == 303


def test_links_are_revoked(app: Flask, shop: Webhooks) -> None:
    """Those of one tenant, followed or not, and nobody else's; new ones work."""
    inside, unused = come(app, shop), link(app, shop)
    others = {who: (come(app, shop, who), link(app, shop, who)) for who in ("Ann", "bob", None)}
    with app.app_context():
        assert shop.portal_revoke("ann") == 2
        assert shop.portal_revoke("ann") == 0

    assert inside.get("/portal/").status_code == 403
    assert app.test_client().get(unused).status_code == 403
    for client, path in others.values():
        assert client.get("/portal/").status_code == 200
        assert app.test_client().get(path).status_code == 303
    assert come(app, shop).get("/portal/").status_code == 200


def test_revoked_by_a_command(app: Flask, shop: Webhooks) -> None:
    """Of a tenant, or of none; it says how many there were."""
    link(app, shop), link(app, shop), link(app, shop, None)
    run = app.test_cli_runner().invoke

    ended = [run(args=["webhooks", "portal-revoke", *who]).output for who in (["ann"], [], ["ann"])]

    assert ended == [
        "Ended 2 links for tenant 'ann', and what they opened.\n",
        "Ended 1 link for no tenant, and what they opened.\n",
        "There was no link for tenant 'ann' to end.\n",
    ]  # fmt: skip
    link(app, shop)
    assert run(args=["webhooks", "portal-revoke", "ann", "--json"]).output == '{"count": 1}\n'


def test_the_store_holds_no_way_in(app: Flask, shop: Webhooks) -> None:
    """Neither a link nor a cookie stands in it."""
    path = link(app, shop)
    cookie = come(app, shop).get_cookie("webhooks_portal", path="/portal")
    assert cookie is not None
    stored = app.extensions["webhooks"].database
    rows = stored.read(lambda c: c.execute(stored.tables.passes.select()).all())

    assert len(rows) == 2
    assert path.rpartition("/")[2] not in repr(rows) and cookie.value not in repr(rows)


def test_a_pass_is_exchanged_once(database: Database) -> None:
    """However many try; an expired one is none, and is forgotten when the next is made."""
    tables, given = database.tables, Pass("ann", True, 100)
    database.write(lambda c: passes.add(c, tables, "a", given, now=10))

    def exchange(other: str, now: int = 99) -> Pass | None:
        return database.write(lambda c: passes.exchange(c, tables, "a", other, now=now))

    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(exchange, "bcde"))
    assert sorted(got, key=bool) == [None, None, None, given]
    [row] = database.read(lambda c: c.execute(tables.passes.select()).all())
    assert database.read(lambda c: passes.find(c, tables, row.id, now=99)) == given
    assert database.read(lambda c: passes.find(c, tables, row.id, now=100)) is None
    database.write(lambda c: passes.add(c, tables, "a", Pass(None, False, 200), now=100))
    assert [r.id for r in database.read(lambda c: c.execute(tables.passes.select()).all())] == ["a"]
    assert exchange("b", now=200) is None
    ended = database.write(lambda c: passes.revoke(c, tables, Owned(None), now=200))
    assert ended == 0


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

    assert "unreachable" in page and "No connection could be made, or it broke" in page
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
