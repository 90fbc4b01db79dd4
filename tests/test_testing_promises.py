"""What users' tests may rely on: nothing leaves the machine, and what they assert is true."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook as Official

from flask_webhooks import Webhooks, WebhooksError, verify
from flask_webhooks.testing import VirtualClock, WebhookReceiver, assert_document_valid, sign

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def make(folder: Path, **settings: Any) -> tuple[Flask, Webhooks]:
    """An app under test, as users make it."""
    app, webhooks = Flask("shop", instance_path=str(folder)), Webhooks()
    app.config.update(TESTING=True, **settings)
    webhooks.webhook("booked", {"properties": {"train": {"type": "string"}}})
    webhooks.init_app(app)
    return app, webhooks


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Whom the process looked up or dialled beyond loopback; nobody is reached."""
    seen: list[Any] = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def looked_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            seen.append(host)
            raise OSError("nobody is looked up in this test")
        return look_up(host, *args, **kwargs)

    def connected(self: socket.socket, address: Any) -> None:
        if address[0] != "127.0.0.1":
            seen.append(address)
            raise OSError("nobody is dialled in this test")
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket.socket, "connect", connected)
    yield seen


@pytest.mark.parametrize("url", ["https://shop.example/in?token=tell-nobody", "https://8.8.8.8/in"])
@pytest.mark.parametrize("told", ["setting", "clock", "receiver"])
def test_nothing_leaves_the_machine(
    tmp_path: Path, dialled: list[Any], url: str, told: str
) -> None:
    """Asked for by the setting, or with a clock or a receiver: nobody is looked up or dialled."""
    settings = {"WEBHOOKS_ALLOW_OUTSIDE": False} if told == "setting" else {}
    app, webhooks = make(tmp_path, **settings)
    if told == "receiver":
        WebhookReceiver(app).close()
    if told == "clock":
        VirtualClock(app)
    with app.app_context():
        webhooks.subscribe(url, ["booked"])
        webhooks["booked"].send({"train": "Owl"})
        with pytest.raises(WebhooksError) as stray:
            webhooks.run_until_idle()
        webhooks["booked"].send({"train": "Owl"})
        with pytest.raises(WebhooksError, match="webhook_receiver"):
            VirtualClock(app).run_until_settled()
    assert f"{url.partition('?')[0]} was to be called" in str(stray.value)
    assert "WEBHOOKS_ALLOW_OUTSIDE" in str(stray.value) and "tell-nobody" not in str(stray.value)
    assert dialled == []


def test_a_receiver_on_loopback_is_reached(tmp_path: Path, dialled: list[Any]) -> None:
    """Beside a subscription that would leave, which is told of, it gets its delivery."""
    app, webhooks = make(tmp_path)
    with app.app_context(), WebhookReceiver(app) as receiver:
        receiver.subscribe(webhooks, "booked")
        webhooks.subscribe("https://shop.example/", ["booked"])
        webhooks["booked"].send({"train": "Owl"})
        with pytest.raises(WebhooksError, match=r"https://shop\.example/ was to be called"):
            webhooks.run_until_idle()
        assert receiver.last.verify() == {"train": "Owl"}
    assert dialled == []


def test_who_means_it_may_leave(tmp_path: Path, dialled: list[Any]) -> None:
    """With the setting a delivery is tried as anywhere; it fails here because nobody is found."""
    # One try: the jitter of a second may come to nothing.
    app, webhooks = make(tmp_path, WEBHOOKS_ALLOW_OUTSIDE=True, WEBHOOKS_SCHEDULE=[0])
    with app.app_context():
        webhooks.subscribe("https://shop.example/", ["booked"])
        webhooks["booked"].send({"train": "Owl"})
        webhooks.run_until_idle()
        [delivery] = webhooks.deliveries()
    assert (dialled, delivery.reason) == (["shop.example"], "dns")


def test_a_document_is_asserted(tmp_path: Path) -> None:
    """A valid one passes; what is wrong is shown with its place."""
    app, _ = make(tmp_path)
    assert_document_valid(app)
    wrong = {"paths": {"/x/{id}": {"get": {"responses": {"200": {"description": "It."}}}}}}
    app, _ = make(tmp_path, WEBHOOKS_DOCUMENT=wrong)
    with pytest.raises(AssertionError, match=r"of shop is not valid:\n  /paths/~1x~1\{id\}/get: "):
        assert_document_valid(app)


@pytest.mark.parametrize("body", [b'{"train":"Owl"}', '{"train":"Owl"}'])
def test_a_signed_body_verifies(body: bytes | str) -> None:
    """By our own verify, and by the official package."""
    raw = body if isinstance(body, bytes) else body.encode()
    headers = sign(body, SECRET)
    assert verify(raw, headers, SECRET) == {"train": "Owl"}
    assert Official(SECRET).verify(raw, headers) == {"train": "Owl"}
    assert sign(body, SECRET, message_id="msg_1", at=12.0)["webhook-id"] == "msg_1"
    assert sign(body, SECRET, message_id="msg_1", at=12.9)["webhook-timestamp"] == "12"
