"""What is shown of an attempt's headers is what its receiver got, or it is not shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_webhooks import LegacySignature, Webhooks, delivering
from flask_webhooks.deliver.retracing import Sent
from flask_webhooks.deliver.signer import Signer
from flask_webhooks.rules.sealing import KeyRing
from flask_webhooks.store import lists
from flask_webhooks.store.records import Message
from tests import receivers
from tests.receivers import OK

KNOWN = ["webhook-id", "webhook-timestamp"]


class Booking(Schema):
    id = fields.Integer(required=True)
    email = fields.String(metadata={"private": True})


@pytest.fixture
def wire() -> Iterator[receivers.Receiver]:
    """A receiver that keeps every request byte for byte."""
    with receivers.receiving(receivers.answering(*[OK] * 9)) as receiver:
        yield receiver


@pytest.fixture
def url(wire: receivers.Receiver) -> str:
    return f"http://127.0.0.1:{wire.port}/in?token=t"


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Iterator[Webhooks]:
    """An app with a webhook and a callback, in an app context."""
    app.config.update(WEBHOOKS_SCHEDULE=[0, 0], WEBHOOKS_SECRET_KEYS=["k" * 40])
    webhooks.webhook("booked", Booking)

    @app.post("/orders")
    @webhooks.callback("shipped", "{$request.body#/url}", Booking)
    def order() -> tuple[str, int]:
        return "", 201

    with app.app_context():
        yield webhooks


def deliver(shop: Webhooks, name: str = "booked", tenant: str | None = None) -> Message:
    """Send one, and deliver it."""
    message = shop[name].send({"id": 1, "email": "ann@a.example"}, tenant=tenant)
    shop.run_until_idle()
    return message


def shown(app: Flask, shop: Webhooks, message: Message) -> list[Sent]:
    """What is shown of every attempt of a message, the newest first."""
    state = app.extensions["webhooks"]
    [stored] = state.database.read(
        lambda c: lists.list_messages(c, state.database.tables, message=message.id)
    )
    [delivery] = shop.deliveries(message=message)
    look = state.delivering.sent(stored, [delivery.id])
    return [look(attempt) for attempt in shop.attempts(delivery)]


def lines(sent: Sent) -> list[str]:
    """Headers as they stand in a request."""
    return [f"{one.name}: {one.value}" for one in sent.headers]


def received(wire: receivers.Receiver, n: int = -1) -> list[str]:
    """The header lines of a request that came."""
    head = wire.requests[n].partition(b"\r\n\r\n")[0]
    return head.decode("ascii").split("\r\n")[1:]


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"legacy_signatures": [LegacySignature(scheme="github", secret="of before")]},
        {"legacy_signatures": [LegacySignature(scheme="stripe", secret="of before")]},
    ],
    ids=["plain", "github", "stripe"],
)
def test_the_headers_shown_are_those_received(
    app: Flask, shop: Webhooks, wire: receivers.Receiver, url: str, options: Any, whole: bool
) -> None:
    """Each line, in its order: the signatures of every kind, ``Host`` and ``Content-Length``."""
    app.config["WEBHOOKS_MESSAGE_SIGNATURES"] = whole
    shop.init_app(app)
    shop.subscribe(url, ["booked"], **options)

    [sent] = shown(app, shop, deliver(shop))

    assert lines(sent) == received(wire)
    assert sent.words is None
    names = [one.name for one in sent.headers]
    assert names[:2] == ["Host", "Accept-Encoding"] and names[-1] == "Content-Length"
    assert ("Signature-Input" in names) is whole


def test_a_captured_url_s_headers_are_those_received(
    app: Flask, shop: Webhooks, wire: receivers.Receiver, url: str
) -> None:
    """Public-key signatures, and that of the tenant's own secret, are made again as well."""
    shop.tenant_loader(lambda: "ann")
    shop.init_app(app)
    app.test_client().post("/orders", json={"url": url})

    [sent] = shown(app, shop, deliver(shop, "shipped", "ann"))

    assert lines(sent) == received(wire)
    [signature] = [one.value for one in sent.headers if one.name == "webhook-signature"]
    assert signature is not None
    assert [one.partition(",")[0] for one in signature.split()] == ["v1", "v1a"]


def test_a_secret_header_is_named_alone(
    app: Flask, shop: Webhooks, wire: receivers.Receiver, url: str
) -> None:
    """Its value is nowhere, though it was sent; everything else is as it was received."""
    shop.init_app(app)
    shop.subscribe(url, ["booked"], headers={"X-Api-Key": "tell-nobody"})

    [sent] = shown(app, shop, deliver(shop))

    assert "X-Api-Key: tell-nobody" in received(wire)
    assert lines(sent) == [line.replace("tell-nobody", "None") for line in received(wire)]
    assert "tell-nobody" not in repr(sent)


@pytest.mark.parametrize("started", [1_800_000_000.9999999, 1_800_000_000.0, 1_800_000_000.5])
def test_the_second_is_the_one_that_was_sent(
    app: Flask, shop: Webhooks, wire: receivers.Receiver, url: str, started: float
) -> None:
    """Also where the stored microsecond is rounded into the next second."""
    shop.init_app(app)
    app.extensions["webhooks"].clock = lambda: started
    shop.subscribe(url, ["booked"])

    [sent] = shown(app, shop, deliver(shop))

    assert lines(sent) == received(wire)


def test_every_attempt_has_its_own(app: Flask, shop: Webhooks) -> None:
    """A retry is shown with its own time and signature."""
    now = iter(range(1_800_000_000, 1_900_000_000))
    busy = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    with receivers.receiving(receivers.answering(busy, OK)) as wire:
        shop.init_app(app)
        app.extensions["webhooks"].clock = lambda: next(now)
        shop.subscribe(f"http://127.0.0.1:{wire.port}/", ["booked"])
        second, first = shown(app, shop, deliver(shop))

    assert [lines(first), lines(second)] == [received(wire, 0), received(wire, 1)]
    assert lines(first) != lines(second)


def test_an_overlap_hides_nothing(
    app: Flask, shop: Webhooks, wire: receivers.Receiver, url: str
) -> None:
    """What was sent before, between and after two rotations is shown as it was received."""
    shop.init_app(app)
    made = shop.subscribe(url, ["booked"])
    messages = [deliver(shop)]
    for _ in range(2):
        shop.rotate(made)
        messages.append(deliver(shop))

    for n, message in enumerate(messages):
        [sent] = shown(app, shop, message)
        assert lines(sent) == received(wire, n)


def _rotate(app: Flask, shop: Webhooks) -> None:
    shop.rotate(shop.subscriptions()[0], overlap=0)


def _change_url(app: Flask, shop: Webhooks) -> None:
    shop.change(shop.subscriptions()[0], url="http://127.0.0.1:9/elsewhere")


def _change_headers(app: Flask, shop: Webhooks) -> None:
    shop.change(shop.subscriptions()[0], headers={"X-Other": "1"})


def _erase(app: Flask, shop: Webhooks) -> None:
    shop.erase("ann@a.example")


def _sign_more(app: Flask, shop: Webhooks) -> None:
    state = app.extensions["webhooks"]
    state.use(replace(state.settings, message_signatures=True))


def _change_method(app: Flask, shop: Webhooks) -> None:
    object.__setattr__(shop["booked"], "method", "PUT")


@pytest.mark.parametrize(
    "change", [_rotate, _change_url, _change_headers, _erase, _sign_more, _change_method]
)
def test_what_can_not_be_proven_is_not_shown(
    app: Flask, shop: Webhooks, url: str, change: Callable[[Flask, Webhooks], None]
) -> None:
    """After a change of what headers are made of, only two stored facts are shown, and why."""
    shop.init_app(app)
    shop.subscribe(url, ["booked"])
    message = deliver(shop)
    change(app, shop)

    [sent] = shown(app, shop, message)

    assert [one.name for one in sent.headers] == KNOWN
    assert sent.headers[0].value == message.id
    assert sent.words is not None and sent.words.startswith("The others can’t be shown any more.")


def test_another_version_of_the_sender_proves_nothing(
    app: Flask, shop: Webhooks, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It calls itself otherwise, so what an older one sent is not shown as if it had sent it."""
    shop.init_app(app)
    shop.subscribe(url, ["booked"])
    message = deliver(shop)
    monkeypatch.setattr(delivering, "version", lambda name: "9.9")

    [sent] = shown(app, shop, message)

    assert [one.name for one in sent.headers] == KNOWN


def test_a_key_that_is_gone_is_told(app: Flask, shop: Webhooks, url: str) -> None:
    """One that was only put after a newer one goes on proving."""
    shop.init_app(app)
    shop.subscribe(url, ["booked"])
    message, state = deliver(shop), app.extensions["webhooks"]
    [before] = shown(app, shop, message)

    state.keyring = KeyRing(["n" * 40, "k" * 40])
    assert shown(app, shop, message) == [before]
    state.keyring = KeyRing(["n" * 40])
    [after] = shown(app, shop, message)

    assert [one.name for one in after.headers] == KNOWN
    assert after.words is not None and "no key at hand opens" in after.words


def test_no_more_is_shown_than_may_have_been_sent(app: Flask, shop: Webhooks) -> None:
    """Nothing where the name of the host led nowhere; and where it broke, that it is not known."""
    app.config.update(WEBHOOKS_SCHEDULE=[0], WEBHOOKS_ALLOWED_PORTS=[9])
    shop.init_app(app)
    for subscribed, words, count in (
        ("https://no.such.name.invalid/", "Nothing of the message was sent.", 0),
        ("http://127.0.0.1:9/", "How far they got is not known.", 9),
    ):
        made = shop.subscribe(subscribed, ["booked"])
        [sent] = shown(app, shop, deliver(shop))
        assert (sent.words, len(sent.headers)) == (words, count)
        shop.unsubscribe(made)


def test_what_is_blocked_looks_like_what_is_closed(app: Flask, shop: Webhooks) -> None:
    """To a subscription's owner: headers tell nothing that classes of failures hide."""
    app.config["WEBHOOKS_SCHEDULE"] = [0]
    shop.init_app(app)
    shop.subscribe("http://127.0.0.1:9/", ["booked"])
    [closed] = shown(app, shop, deliver(shop))
    state = app.extensions["webhooks"]
    state.use(replace(state.settings, allow_loopback=False))

    message = deliver(shop)
    [blocked] = shown(app, shop, message)

    [attempt] = shop.attempts(shop.deliveries(message=message)[0])
    assert attempt.outcome == "blocked"
    assert [one.name for one in blocked.headers] == [one.name for one in closed.headers]
    assert blocked.words == closed.words


def test_an_attempt_that_was_never_made_sent_nothing(
    app: Flask, shop: Webhooks, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the sender's own, before there were headers."""
    app.config["WEBHOOKS_SCHEDULE"] = [0]
    shop.init_app(app)
    shop.subscribe(url, ["booked"])

    def broken(*given: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(Signer, "headers", broken)
        message = deliver(shop)

    assert shown(app, shop, message) == [Sent(headers=(), words="Nothing of the message was sent.")]


def test_the_mark_is_no_oracle(app: Flask, shop: Webhooks, url: str) -> None:
    """It is keyed by the ring: who has the rows alone can try no guess of a header at it."""
    headers = (("Authorization", "Basic Zm9vOmJhcg=="),)
    marks = [
        Signer(lambda key=key: KeyRing([key]), "us").mark(url, "POST", headers)
        for key in ("k" * 40, "n" * 40)
    ]
    assert marks[0] != marks[1]
    assert all(-(2**63) <= mark < 2**63 for mark in marks)
