"""The wall from outside: every vector through the public API, on every way that a request is sent.

The ways are a delivery, a captured callback, a test, a replay, and what ``flask webhooks listen``
forwards. Each is tried with the URL given as strangers give it, and with the URL written into the
row by hand, behind the back of the first gate.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import test_guards
from flask import Flask, request
from sqlalchemy import select, update
from test_guards import VECTORS, World
from werkzeug import Request

from flask_webhooks import Subscription, Webhooks
from flask_webhooks.cli.forwarding import Forwarder
from flask_webhooks.rules.signing import sign
from tests import receivers
from tests.conftest import Receiver

hostile, world = test_guards.hostile, test_guards.world

HARMLESS = "https://hooks.example.com/"
#: Every vector on every way takes four minutes; otherwise each vector takes another way each time.
ALL = "all" in os.environ.get("WEBHOOKS_TEST_WALL", "")


class Sender:
    """An app, and what makes it send to a URL.

    :ivar gated: whether the URL goes through the first gate; if not, it is written into the row.
    """

    def __init__(self, app: Flask, webhooks: Webhooks, world: World) -> None:
        self.app, self.webhooks, self.world, self.gated = app, webhooks, world, True
        self.state = app.extensions["webhooks"]
        self.number, self.now = 0, 1_800_000_000.0
        self.state.clock = lambda: self.now
        self.transport = self.state.transport()
        self.ways = {
            "delivery": self.delivery, "captured": self.captured, "test": self.test,
            "replay": self.replay, "forward": self.forward,
        }  # fmt: skip

    def delivery(self, url: str) -> None:
        made = self._subscribed(url)
        self.webhooks["noted"].send({}, key=made.key)
        self.webhooks.run_until_idle()

    def captured(self, url: str) -> None:
        given = {"url": url if self.gated else HARMLESS, "id": self._key()}
        answer = self.app.test_client().post("/notes", json=given)
        assert answer.status_code in (200, 422)
        for made in self.webhooks.subscriptions(key=given["id"]):
            self._rewritten(made, url)
        self.webhooks["onNote"].send({}, key=given["id"])
        self.webhooks.run_until_idle()

    def test(self, url: str) -> None:
        self.webhooks.test(self._subscribed(url))
        self.webhooks.run_until_idle()

    def replay(self, url: str) -> None:
        made = self._subscribed(HARMLESS)
        self.webhooks["noted"].send({}, key=made.key)
        self.webhooks.run_until_idle()
        self.world.restart()
        self.now += 120  # beyond the pause that a failure makes
        if self.gated:
            self.webhooks.change(made, url=url)
        else:
            self._rewritten(made, url)
        assert self.webhooks.replay(subscription=made) == 1
        self.webhooks.run_until_idle()

    def forward(self, url: str) -> None:
        forwarding = Forwarder.to(url, self.state) if self.gated else None
        (forwarding or Forwarder(self.transport, url, 5))(Request.from_values(method="POST"))

    def _key(self) -> str:
        self.number += 1
        return str(self.number)

    def _subscribed(self, url: str) -> Subscription:
        made = self.webhooks.subscribe(url if self.gated else HARMLESS, ["noted"], key=self._key())
        self._rewritten(made, url)
        return made

    def _rewritten(self, made: Subscription, url: str) -> None:
        table = self.state.database.tables.subscriptions
        if not self.gated:
            chosen = update(table).where(table.c.id == made.id).values(url=url)
            self.state.database.write(lambda c: c.execute(chosen))


@pytest.fixture
def sender(make_app: Callable[..., Flask], webhooks: Webhooks, world: World) -> Iterator[Sender]:
    app = make_app(
        WEBHOOKS_ALLOW_HTTP=True, WEBHOOKS_SCHEDULE=[0], WEBHOOKS_RETENTION=None,
        WEBHOOKS_DATABASE_URI="sqlite://",
    )  # fmt: skip
    app.config["WEBHOOKS_ALLOW_LOOPBACK"] = False
    webhooks.webhook("noted", {})
    callback = webhooks.callback("onNote", "{$request.body#/url}", {}, key="{$request.body#/id}")
    app.post("/notes")(callback(lambda: str(len(request.data))))
    webhooks.init_app(app)
    with app.app_context():
        yield Sender(app, webhooks, world)


@pytest.mark.parametrize("gated", [True, False], ids=["given", "by hand"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_every_vector_on_every_way(
    scheme: str, gated: bool, sender: Sender, world: World, hostile: Path
) -> None:
    """Nothing is dialled that may not be, and what is harmless is, whatever the environment."""
    sender.gated = gated
    wrong = {}
    for place, (way, send) in enumerate(sender.ways.items(), 2 * (scheme == "http") + gated):
        for vector in VECTORS if ALL else VECTORS[place % 5 :: 5]:
            verdict = world.judge(vector, functools.partial(send, vector.url.format(scheme)))
            if verdict != ("allow" if vector.allowed else "block"):
                wrong[way, vector.name] = verdict
    assert wrong == {}


def test_what_listen_forwards_is_the_deliverys_own(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver
) -> None:
    """Signature and custom headers go on; those of the connection that it came by do not."""
    app = make_app()
    webhooks.init_app(app)
    headers = {
        "Webhook-Id": "msg_1", "Content-Type": "application/json", "X-Team": "a",
        "Authorization": "Bearer x", "User-Agent": "Flask-Webhooks/1", "Cookie": "a=b",
        "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "evil.example", "Host": "evil.example",
        "Metadata-Flavor": "Google", "Connection": "close",
    }  # fmt: skip
    came = Request.from_values(method="POST", data=b"{}", headers=headers)
    forwarding = Forwarder.to(receiver.url, app.extensions["webhooks"])

    assert forwarding(came)[0] == 200
    forwarding.close()

    [sent] = receiver.received
    own = {"accept", "accept-encoding", "content-length", "host"}
    assert set(sent.headers) - own == {
        "authorization", "content-type", "user-agent", "webhook-id", "x-team"
    }  # fmt: skip
    assert sent.headers["host"] in receiver.url


def test_a_blocked_url_and_a_refused_connection_look_alike(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """To a tenant they differ in nothing but ids, and no time has a fraction."""
    app = make_app(WEBHOOKS_SCHEDULE=[0])
    webhooks.webhook("noted", {})
    webhooks.tenant_loader(lambda: "ann")
    webhooks.init_app(app)
    app.register_blueprint(webhooks.api(), url_prefix="/api")
    client = app.test_client()
    database = app.extensions["webhooks"].database
    with app.app_context():
        refused = webhooks.subscribe("http://127.0.0.1:1/", ["noted"], tenant="ann")
        blocked = webhooks.subscribe(HARMLESS, ["noted"], tenant="ann")
        table = database.tables.subscriptions
        inside = update(table).where(table.c.id == blocked.id).values(url="https://10.0.0.1/")
        database.write(lambda c: c.execute(inside))
        webhooks["noted"].send({}, tenant="ann")
        webhooks.run_until_idle()

    shown = [_delivery_shown(client, made) for made in (refused, blocked)]

    assert shown[0] == shown[1]
    assert shown[0]["reason"] == shown[0]["attemptsMade"][0]["failure"] == "unreachable"
    assert shown[0]["attemptsMade"][0]["seconds"] is None


def _delivery_shown(client: Any, made: Subscription) -> Any:
    """A subscription's one delivery, as the API shows it, without ids and times."""
    [listed] = client.get(f"/api/deliveries?subscriptionId={made.id}").json["data"]
    shown = client.get(f"/api/deliveries/{listed['id']}").json
    [attempt] = shown["attemptsMade"]
    times = [attempt.pop("startedAt"), shown.pop("settledAt"), shown.pop("dueAt")]
    assert not any("." in time for time in times)
    sent = attempt.pop("sent")
    attempt["sent"] = ([header["name"] for header in sent["headers"]], sent["words"])
    assert listed["reason"] == shown["reason"]
    return {name: value for name, value in shown.items() if name not in ("id", "subscriptionId")}


BODIES = ["", "a" * 50_000, '\x00\x7f\u2028 "\\/', "\U0001f682 \u4e2d\u6587 \xe4"]


def test_the_bytes_on_the_socket_are_the_bytes_that_were_signed(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """A socket that parses nothing gets the stored body, under a signature of just these bytes."""
    app = make_app()
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    with receivers.receiving(receivers.answering(*[receivers.OK] * 4)) as raw, app.app_context():
        made = webhooks.subscribe(f"http://127.0.0.1:{raw.port}/", ["noted"])
        for text in BODIES:
            webhooks["noted"].send({"text": text})
        webhooks.run_until_idle()

    texts = []
    for one in raw.requests:
        head, _, body = one.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        signed = sign(
            headers["webhook-id"], int(headers["webhook-timestamp"]), body,
            secrets=[str(made.secret)],
        )  # fmt: skip
        assert headers["webhook-signature"] == signed
        assert headers["Content-Length"] == str(len(body))
        texts.append(json.loads(body)["text"])
    assert sorted(texts) == sorted(BODIES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "evil.example"), ("Content-Length", "0"), ("Transfer_Encoding", "chunked"),
        ("webhook-signature", "v1,x"), ("Metadata-Flavor", "Google"), ("Cookie", "a=b"),
        ("X-Team", "a\r\nX-Other: b"), ("X-Team\r\nX-Other", "b"), ("X Team", "a"), ("X-Team", "ä"),
    ],
)  # fmt: skip
def test_a_header_that_reached_its_row_by_hand_is_refused_when_sent(
    name: str,
    value: str,
    make_app: Callable[..., Flask],
    webhooks: Webhooks,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Rightly sealed but against the rules: nothing is sent, and the log names the header."""
    app = make_app(WEBHOOKS_SCHEDULE=[0])
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    state = app.extensions["webhooks"]
    table = state.database.tables.subscriptions
    with app.app_context():
        made = webhooks.subscribe(receiver.url, ["noted"], headers={"X-Team": "a"})
        options = json.dumps({"headers": {name: value}, "legacy": [], "retired": []})
        sealed = state.keyring.seal(options, tenant=None, subscription=made.id, purpose="options")
        by_hand = update(table).where(table.c.id == made.id).values(sealed_options=sealed)
        state.database.write(lambda c: c.execute(by_hand))
        webhooks["noted"].send({})
        webhooks.run_until_idle()
        [delivery] = webhooks.deliveries()

    assert receiver.received == []
    assert (str(delivery.status), delivery.reason) == ("exhausted", "internal")
    shown = name.encode("unicode_escape").decode()
    assert f"The header '{shown}' is refused" in caplog.text


def test_a_swapped_secret_parks_both_deliveries(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver
) -> None:
    """Two rows whose sealed secrets were exchanged send nothing, and lose nothing."""
    app = make_app()
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    database = app.extensions["webhooks"].database
    table = database.tables.subscriptions
    with app.app_context():
        made = [webhooks.subscribe(f"{receiver.url}/{n}", ["noted"]) for n in "ab"]
        sealed = dict(database.read(lambda c: [tuple(r) for r in c.execute(
            select(table.c.id, table.c.sealed_secret))]))  # fmt: skip
        for one, other in (made, made[::-1]):
            swapped = update(table).where(table.c.id == one.id)
            swapped = swapped.values(sealed_secret=sealed[other.id])
            database.write(lambda c, changed=swapped: c.execute(changed))
        webhooks["noted"].send({})
        webhooks.run_until_idle()
        told = [(str(d.status), d.reason, d.attempts) for d in webhooks.deliveries()]

    assert receiver.received == []
    assert told == [("pending", "secret-unavailable", 0)] * 2
