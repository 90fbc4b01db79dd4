"""The board: who may come in, what is shown, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, abort, redirect, request
from marshmallow import Schema, fields
from werkzeug.test import TestResponse

from flask_webhooks import ConfigurationError, Webhooks
from flask_webhooks.rules.sealing import KeyRing
from flask_webhooks.store.records import Owned
from tests.conftest import Receiver
from tests.needs import need

HERE = {"Sec-Fetch-Site": "same-origin"}


class Booking(Schema):
    id = fields.Integer(required=True)
    train = fields.String()
    email = fields.String(metadata={"private": True})


class Board:
    """Asks as somebody with an access, from a page of the board."""

    def __init__(self, app: Flask, access: str | None = "write", prefix: str = "/board") -> None:
        self._client = app.test_client()
        self._access = {} if access is None else {"X-Access": access}
        self._prefix = prefix

    def get(self, path: str = "/") -> TestResponse:
        return self.ask("GET", path)

    def post(self, path: str, **data: Any) -> TestResponse:
        return self._client.post(self._prefix + path, data=data, headers={**self._access, **HERE})

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> TestResponse:
        given = {**self._access, **(headers or {})}
        return self._client.open(self._prefix + path, method=method, headers=given, buffered=True)


def access() -> str | None:
    """Whatever a header says."""
    return request.headers.get("X-Access")


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Webhooks:
    """An app with a board at ``/board``."""
    app.config["WEBHOOKS_SCHEDULE"] = [0]
    webhooks.webhook("booking.new", Booking, summary="A seat was booked")
    webhooks.webhook("booking.gone", {"type": "object"})
    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(access), url_prefix="/board")
    return webhooks


@pytest.fixture
def board(app: Flask, shop: Webhooks) -> Board:
    """An operator's."""
    return Board(app)


@pytest.fixture
def sent(app: Flask, shop: Webhooks, receiver: Receiver) -> Callable[..., str]:
    """Sends a booking to the receiver, which answers; gives the id of the message."""

    def send(*answers: Any, tenant: str | None = None, **payload: Any) -> str:
        receiver.answers[:] = answers
        with app.app_context():
            if not shop.subscriptions(tenant=tenant):
                shop.subscribe(receiver.url, ["booking.new"], tenant=tenant)
            message = shop["booking.new"].send({"id": 1, **payload}, tenant=tenant)
            shop.run_until_idle()
        return message.id

    return send


READS = ["/", "/messages", "/subscriptions", "/webhooks", "/failed", "/failed/replay",
         "/subscribe", "/messages/msg_x", "/subscriptions/sub_x", "/assets/board.css"]  # fmt: skip
WRITES = ["/failed/replayed", "/deliveries/1/replay", "/subscribed", "/subscriptions/x/enable",
          "/subscriptions/x/disable", "/subscriptions/x/rotate", "/subscriptions/x/test",
          "/subscriptions/x/delete"]  # fmt: skip


def test_the_lists_above_are_all_there_is(app: Flask, shop: Webhooks) -> None:
    """Every rule of the board is one of those that these tests ask."""
    rules = [r.rule for r in app.url_map.iter_rules() if r.endpoint.startswith("webhooks_board.")]
    shapes = {re.sub(r"<[^>]*>", "*", rule.removeprefix("/board")) for rule in rules}
    asked = {re.sub(r"(?<=/)(msg_x|sub_x|x|1|board\.css)\b", "*", path) for path in READS + WRITES}

    assert shapes == asked


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", [*READS, *WRITES, "", "//messages", "/messages/"])
def test_who_is_refused_finds_nothing(app: Flask, shop: Webhooks, path: str, method: str) -> None:
    """Any request without access is answered exactly as one to an address that is not there."""
    refused = Board(app, None).ask(method, path, HERE)
    nowhere = Board(app, None, "/nowhere").ask(method, path, HERE)

    assert refused.status_code == 404
    assert (refused.data, dict(refused.headers)) == (nowhere.data, dict(nowhere.headers))


def _abort(status: int) -> Callable[[], str]:
    return lambda: abort(status)


@pytest.mark.parametrize("refuse", [_abort(401), _abort(403), _abort(418), lambda: None])
def test_a_refusal_of_any_kind_is_404(
    app: Flask, webhooks: Webhooks, refuse: Callable[[], Any]
) -> None:
    """What the access function aborts with does not tell that there is a board."""
    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(refuse), url_prefix="/board")

    assert Board(app).get().status_code == 404


@pytest.mark.parametrize(
    "answer, status",
    [
        (lambda: redirect("/log-in"), 302),
        (lambda: Response("Who?", 401, {"WWW-Authenticate": "Basic"}), 401),
    ],
)
def test_an_answer_of_the_apps_own_is_given(
    app: Flask, webhooks: Webhooks, answer: Callable[[], Any], status: int
) -> None:
    """An access function may send people to a log-in page, or ask for a password."""
    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(lambda: abort(answer())), url_prefix="/board")

    assert Board(app).get().status_code == status


@pytest.mark.parametrize("answer", [True, "admin", 1, ""])
def test_only_read_and_write_let_in(app: Flask, webhooks: Webhooks, answer: Any) -> None:
    """Anything else is a mistake of the app's, told as an error, and lets nobody in."""
    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(lambda: answer), url_prefix="/board")

    with pytest.raises(ConfigurationError, match='"read", "write", or None'):
        Board(app).get()


def test_an_async_access_function_is_awaited(app: Flask, webhooks: Webhooks) -> None:
    """It is asked as Flask asks async views."""

    async def later() -> str:
        return "read"

    webhooks.init_app(app)
    app.register_blueprint(webhooks.board(later), url_prefix="/board")

    assert Board(app).get().status_code == 200


@pytest.mark.parametrize("path", WRITES)
def test_who_may_read_changes_nothing(app: Flask, shop: Webhooks, path: str) -> None:
    """Every button is refused, with the reason; no page shows one."""
    reader = Board(app, "read")

    refused = reader.post(path)

    assert (refused.status_code, "You may look only" in refused.text) == (403, True)
    for page in READS:
        assert '<form method="post"' not in reader.get(page).text


def test_a_link_changes_nothing(board: Board) -> None:
    """What is done by a button is not done by following an address, and the other way round."""
    assert {board.get(path).status_code for path in WRITES} == {405}
    assert {board.post(path).status_code for path in READS} == {405}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({}, 403),
    ],
)
def test_only_our_own_pages_change_anything(
    app: Flask, shop: Webhooks, board: Board, headers: dict[str, str], status: int
) -> None:
    """A form of another site is refused, in browsers with Fetch Metadata and in older ones."""
    with app.app_context():
        made = shop.subscribe("https://a.example/", ["booking.new"])

    answer = board.ask("POST", f"/subscriptions/{made.id}/disable", headers)

    assert answer.status_code == status
    with app.app_context():
        [now] = shop.subscriptions()
    assert now.status == ("disabled" if status == 303 else "enabled")


@pytest.mark.parametrize("path", READS)
def test_every_answer_is_closed(board: Board, path: str) -> None:
    """Nothing is kept by caches, framed, run, or sent elsewhere; and nothing is inline."""
    answer = board.get(path)

    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if not path.startswith("/assets"):
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", answer.text)


def test_several_boards_stand_beside_each_other(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """In one app twice, in another app, inside another blueprint, and below a path of the server:
    every link of a page leads to its own."""
    first, second = make_app(), make_app(WEBHOOKS_DATABASE_URI="sqlite://")
    for app in (first, second):
        webhooks.init_app(app)
    one = webhooks.board(access)
    first.register_blueprint(one, url_prefix="/one")
    first.register_blueprint(one, url_prefix="/two", name="again")
    second.register_blueprint(webhooks.board(access), url_prefix="/three")

    for app, prefix in ((first, "/one"), (first, "/two"), (second, "/three")):
        page = app.test_client().get(
            f"{prefix}/messages", headers={"X-Access": "read"}, base_url="http://localhost/app"
        )
        links = re.findall(r'(?:href|action)="([^"#]+)', page.text)
        assert links and all(link.startswith(f"/app{prefix}/") for link in links)


def test_a_failure_is_two_clicks_from_its_reason(
    board: Board, sent: Callable[..., str], receiver: Receiver
) -> None:
    """The overview links to the message, and that page has the receiver's very words."""
    message = sent((500, {"X-Extra": "1"}))

    [link] = set(re.findall(r'href="/board(/messages/msg_[^"#]+)', board.get().text))
    page = board.get(link).text

    assert link == f"/messages/{message}"
    assert "It was given up after 1 attempt." in page
    assert "500 Internal Server Error" in page
    assert re.search(r"<details[^>]* open>.*<pre[^>]*><code>noted</code>", page, re.DOTALL)


def test_a_receivers_text_is_text(app: Flask, board: Board, sent: Callable[..., str]) -> None:
    """Tags, control characters and characters that turn text around are shown, not obeyed."""
    message = sent()
    hostile = b"<script>alert(1)</script>\x1b[31m\xe2\x80\xaeevil\x00</code></pre>"
    database = app.extensions["webhooks"].database
    database.write(lambda c: c.execute(database.tables.attempts.update().values(excerpt=hostile)))

    page = board.get(f"/messages/{message}").text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd[31m\ufffdevil\ufffd&lt;/code&gt;" in page
    assert "<script" not in page


def test_payloads_and_keys_are_text(app: Flask, shop: Webhooks, board: Board) -> None:
    """So are a payload, a key, a tenant, and what a query asks for."""
    tag = "<img src=x>"
    with app.app_context():
        shop.subscribe("https://a.example/", ["booking.new"], tenant=tag, key=tag)
        message = shop["booking.new"].send({"id": 1, "train": tag}, tenant=tag, key=tag)
    pages = ["/", "/messages", f"/messages/{message.id}", "/subscriptions",
             f"/messages?webhook={tag}&subscription={tag}"]  # fmt: skip

    for page in pages:
        assert "<img" not in board.get(page).text


def test_no_secret_is_shown_again(app: Flask, shop: Webhooks, board: Board) -> None:
    """A secret, a header of a subscription and the query of a URL are on no page; a new secret is
    on the one page that made it."""
    with app.app_context():
        made = shop.subscribe(
            "https://a.example/in?token=t0ken",
            ["booking.new"],
            headers={"Authorization": "Bearer b3arer"},
        )
        message = shop["booking.new"].send({"id": 1})
    rotated = board.post(f"/subscriptions/{made.id}/rotate", overlap="an hour").text
    [secret] = re.findall(r"whsec_[\w+/=]+", rotated)
    assert made.secret and secret != made.secret

    for path in [*READS, f"/subscriptions/{made.id}", f"/messages/{message.id}"]:
        page = board.get(path).text
        for hidden in (made.secret, secret, "whsec_", "t0ken", "b3arer"):
            assert hidden not in page


def test_what_is_private_is_masked(app: Flask, board: Board, sent: Callable[..., str]) -> None:
    """In the payload, and in an answer that repeats it."""
    message = sent(200, email="ann@a.example", train="Express 7")
    echo = b"Hello ann@a.example, welcome"
    database = app.extensions["webhooks"].database
    database.write(lambda c: c.execute(database.tables.attempts.update().values(excerpt=echo)))

    page = board.get(f"/messages/{message}").text

    assert "ann@a.example" not in page
    assert "Express 7" in page and ", welcome" in page


def test_a_long_payload_is_cut(board: Board, sent: Callable[..., str]) -> None:
    """A page shows the first hundred thousand characters, and says that there are more."""
    page = board.get(f"/messages/{sent(200, train='T' * 200_000)}").text

    assert len(page) < 110_000
    assert "These are its first 100,000 characters, of 200," in page


def test_own_headers_are_named(
    app: Flask, shop: Webhooks, board: Board, receiver: Receiver
) -> None:
    """All headers are those received, but what a subscription adds is told by name; a key that is
    gone breaks no page."""
    with app.app_context():
        shop.subscribe(receiver.url, ["booking.new"], headers={"X-Api-Key": "s3cret"})
        message = shop["booking.new"].send({"id": 1})
        shop.run_until_idle()

    page = board.get(f"/messages/{message.id}").text
    shown = re.findall(r"<code>([\w-]+): ([^<]*)</code>", page)
    got = receiver.received[0].headers
    assert {name.lower(): value for name, value in shown} == {**got, "x-api-key": ""}
    assert 'X-Api-Key: </code><span class="soft">a secret<' in page and "s3cret" not in page
    app.extensions["webhooks"].keyring = KeyRing(["another" * 6])
    assert "no key at hand opens what the" in board.get(f"/messages/{message.id}").text


def test_a_webhooks_subscriptions_are_as_many_as_its_link_lists(
    app: Flask, shop: Webhooks, board: Board
) -> None:
    """Those that ask by a pattern are among them, and disabled ones are not."""
    with app.app_context():
        for names in (["booking.new"], ["booking.*"], ["*"], ["booking.gone"]):
            shop.subscribe(f"https://example.com/{names[0]}", names)
        shop.disable(shop.subscribe("https://example.com/off", ["booking.new"]))

    told = re.search(r'webhook=booking\.new[^"]*">(\d+)</a>', board.get("/webhooks").text)
    link = re.search(r'"([^"]*webhook=booking\.new[^"]*)"', board.get("/webhooks").text)

    assert told is not None and link is not None
    assert told[1] == "3"
    page = board.get(link[1].replace("&amp;", "&").removeprefix("/board")).text
    assert len(set(re.findall(r"sub_[0-9a-f]{32}", page))) == 3


def test_messages_are_filtered(app: Flask, board: Board, sent: Callable[..., str]) -> None:
    """By webhook, status, subscription and time; what is not understood is told."""
    good, bad = sent(200), sent(500)

    def ids(query: str) -> set[str]:
        return set(re.findall(r"msg_[0-9a-f]{32}", board.get(f"/messages?{query}").text))

    assert ids("") == {good, bad}
    assert ids("status=exhausted") == {bad}
    assert ids("webhook=booking.gone") == ids("subscription=sub_other") == set()
    assert ids("since=2020-01-01T00:00") == {good, bad}
    assert ids("until=2020-01-01T00:00") == set()
    for query in ("status=lost", "since=yesterday", "since=0001-01-01T00:00%2B23:59"):
        assert board.get(f"/messages?{query}").status_code == 400


def test_long_lists_have_pages(app: Flask, shop: Webhooks, board: Board) -> None:
    """Sixty messages and sixty subscriptions are seen once each, over two pages."""
    with app.app_context():
        for n in range(60):
            shop.subscribe(f"https://a.example/{n}", ["booking.gone"])
            shop["booking.new"].send({"id": n})

    def walk(path: str, kind: str) -> list[int]:
        seen: list[str] = []
        pages = []
        while path:
            page = board.get(path).text
            found = set(re.findall(rf'href="/board/{kind}s/(\w+)"', page))
            pages.append(len(found))
            seen += found
            onward = re.search(r'href="/board([^"]+)">Older ones', page)
            path = onward[1].replace("&amp;", "&") if onward else ""
        assert len(seen) == len(set(seen))
        return pages

    assert walk("/messages?webhook=booking.new", "message") == [50, 10]
    assert walk("/subscriptions?status=enabled", "subscription") == [50, 10]


def test_a_subscription_is_made_and_changed(app: Flask, shop: Webhooks, board: Board) -> None:
    """Subscribe, disable, enable, test and delete, each by its button."""
    made = board.post("/subscribed", url="https://a.example/", webhook="booking.new", tenant="ann")
    assert "whsec_" in made.text
    with app.app_context():
        [one] = shop.subscriptions()
    assert (one.tenant, one.names) == ("ann", ("booking.new",))
    path = f"/subscriptions/{one.id}"

    def after(answer: TestResponse) -> str:
        assert answer.status_code == 303
        return board.get(answer.headers["Location"].removeprefix("/board")).text

    assert "The subscription is disabled." in after(board.post(f"{path}/disable"))
    assert "Nothing was changed" in after(board.post(f"{path}/disable"))
    assert "The subscription is enabled." in after(board.post(f"{path}/enable"))
    page = after(board.post(f"{path}/test"))
    assert "A test message is on its way" in page and 'http-equiv="refresh"' in page
    assert "are deleted" in after(board.post(f"{path}/delete"))
    assert board.get(path).status_code == 404


@pytest.mark.parametrize(
    "form, words",
    [
        ({"url": "http://10.0.0.1/", "webhook": "booking.new"}, "is refused"),
        ({"url": "", "webhook": "booking.new"}, "is refused"),
        ({"url": "https://a.example/", "webhook": "other"}, "No webhook"),
        ({"url": "https://a.example/"}, "choose a webhook"),
        ({"url": "https://a.example/", "webhook": "booking.new", "tenant": "x" * 201}, "200"),
        ({"url": "https://a.example/\0", "webhook": "booking.new"}, "character"),
    ],
)
def test_what_can_not_be_subscribed_is_said(
    app: Flask, shop: Webhooks, board: Board, form: dict[str, str], words: str
) -> None:
    """The page says why, and nothing is stored."""
    answer = board.post("/subscribed", **form)

    assert answer.status_code in (400, 422)
    assert words in answer.text
    with app.app_context():
        assert shop.subscriptions() == []


def test_what_failed_is_counted_and_sent_again(
    app: Flask, shop: Webhooks, board: Board, sent: Callable[..., str], receiver: Receiver
) -> None:
    """The count comes first; only what the filters choose is made again."""
    failed, delivered = sent(500), sent(200)
    assert delivered not in board.get("/failed").text
    assert "<strong>1 delivery</strong>" in board.get("/failed/replay?webhook=booking.new").text
    assert "nothing to send again" in board.get("/failed/replay?webhook=booking.gone").text
    assert len(receiver.received) == 2

    answer = board.post("/failed/replayed", webhook="booking.new")
    with app.app_context():
        shop.run_until_idle()

    assert answer.headers["Location"] == "/board/failed?done=replayed&count=1&webhook=booking.new"
    assert "1 delivery sent again." in board.get("/failed?done=replayed&count=1").text
    assert [r.headers["webhook-id"] for r in receiver.received] == [failed, delivered, failed]


def test_one_delivery_is_sent_again(
    app: Flask, shop: Webhooks, board: Board, sent: Callable[..., str], receiver: Receiver
) -> None:
    """Also one that arrived already; one that is not there is 404, however large its number."""
    message = sent(200)
    [path] = re.findall(
        r'action="/board(/deliveries/\d+/replay)"', board.get(f"/messages/{message}").text
    )

    answer = board.post(path)
    with app.app_context():
        shop.run_until_idle()

    assert answer.headers["Location"] == f"/board/messages/{message}?done=replayed&count=1"
    assert len(receiver.received) == 2
    for number in (0, 2**62, 2**63 - 1):
        assert board.post(f"/deliveries/{number}/replay").status_code == 404
    assert board.post(f"/deliveries/{2**63}/replay").status_code == 404


def test_a_page_explains_what_did_not_happen(app: Flask, shop: Webhooks, board: Board) -> None:
    """Why a message did not reach a subscription, in the words of ``explain``."""
    with app.app_context():
        made = shop.subscribe("https://a.example/", ["booking.gone"])
        message = shop["booking.new"].send({"id": 1})

    page = board.get(f"/messages/{message.id}?subscription={made.id}").text

    assert "It is subscribed to booking.gone, and the message is booking.new." in page


def test_a_page_that_refreshes_keeps_its_filters(board: Board) -> None:
    """The switch is a link to the same page; another link ends it."""
    off = board.get("/messages?status=pending&_external=1&endpoint=x").text
    on = board.get("/messages?status=pending&refresh=1").text

    assert 'href="/board/messages?status=pending&amp;refresh=1"' in off
    assert "http-equiv" not in off
    assert '<meta http-equiv="refresh" content="10">' in on
    assert 'href="/board/messages?status=pending">stop that' in on


@pytest.mark.parametrize(
    "path",
    ["/?window=year", "/messages?before=%00", "/messages/%00", "/subscriptions?before=x",
     "/subscriptions?before=99999999999999999999-x", "/failed?before=99999999999999999999",
     "/messages/a?subscription=b&before=-1", "/assets/../config.py", "/assets/guide.css",
     "/failed?done=replayed&count=%D9%A3", "/webhooks?done={}", "/messages?status=a&status=b"],
)  # fmt: skip
def test_odd_queries_break_nothing(board: Board, path: str) -> None:
    """Whatever the address, there is a page that says what it is about."""
    assert board.get(path).status_code in (200, 400, 404)


def test_forms_carry_the_token_of_flask_wtf(
    app: Flask, shop: Webhooks, sent: Callable[..., str]
) -> None:
    """Where the app runs CSRFProtect, our buttons work, and without their token they don't."""
    protection = need("flask_wtf.csrf", "test").CSRFProtect
    app.config.update(SECRET_KEY="a secret", SERVER_NAME="shop.example")
    protection(app)
    message, client = sent(500), app.test_client()
    secure = {"base_url": "https://shop.example", "headers": {"X-Access": "write", **HERE}}

    page = client.get(f"/board/messages/{message}", **secure).text
    [path] = re.findall(r'action="(/board/deliveries/\d+/replay)"', page)
    [token] = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))

    assert client.post(path, **secure).status_code == 400
    secure["headers"]["Referer"] = f"https://shop.example/board/messages/{message}"
    assert client.post(path, data={"csrf_token": token}, **secure).status_code == 303


def test_an_operator_sees_every_tenant(
    app: Flask, shop: Webhooks, board: Board, sent: Callable[..., str]
) -> None:
    """Each with its name."""
    sent(200, tenant="ann"), sent(200, tenant="bob")

    assert {"ann", "bob"} <= set(re.findall(r"<td[^>]*>(\w+)</td>", board.get("/messages").text))
    with app.app_context():
        assert shop.replay(status="delivered", tenant=Owned("ann"), dry_run=True) == 1
