"""The ownership check: no message goes where nobody said that it is wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug import Request, Response

from flask_webhooks import Webhooks, verify
from tests.conftest import Receiver

Answer = Callable[[Request], Response]


class Asked(Receiver):
    """A receiver that answers by a function."""

    answer: Answer

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        request.get_data()
        self.received.append((request.method, request.get_data(), dict(request.headers)))  # type: ignore[arg-type]
        return self.answer(request)(environ, start_response)


@pytest.fixture
def ask(make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver) -> Any:
    """Subscribes a receiver that answers so, sends messages, and tells what came of them."""

    def run(kind: str, answer: Answer, sends: int = 1) -> tuple[Receiver, list[tuple[str, Any]]]:
        receiver.__class__ = Asked
        receiver.answer = answer  # type: ignore[attr-defined]
        app = make_app(
            WEBHOOKS_OWNERSHIP_CHECK=kind, WEBHOOKS_ORIGIN="api.example", WEBHOOKS_SCHEDULE=[0]
        )
        webhooks.webhook("noted", {})
        webhooks.init_app(app)
        receiver.app = app  # type: ignore[attr-defined]
        with app.app_context():
            receiver.secret = webhooks.subscribe(receiver.url, ["noted"]).secret  # type: ignore[attr-defined]
            for number in range(sends):
                webhooks["noted"].send({"n": number})
                webhooks.run_until_idle()
            told = [(str(d.status), d.reason) for d in webhooks.deliveries()]
        return receiver, told

    return run


def _echo(request: Request) -> Response:
    return Response(json.dumps({"challenge": json.loads(request.data).get("challenge")}))


def test_an_echoed_challenge_opens_the_way(ask: Any) -> None:
    """The first request is a signed challenge; its echo lets the message through at once."""
    receiver, told = ask("echo", _echo)
    (_, challenge, headers), (_, message, _) = receiver.received
    assert list(verify(challenge, headers, receiver.secret)) == ["type", "challenge"]
    assert headers["Webhook-Id"].startswith("challenge_")
    assert message == b'{"n":0}'
    assert told == [("delivered", "accepted")]


def test_the_owner_is_asked_once(ask: Any) -> None:
    """Three messages need one challenge, and the answer is kept in the database."""
    receiver, told = ask("echo", _echo, sends=3)
    assert len(receiver.received) == 4
    assert told == [("delivered", "accepted")] * 3


def test_a_plain_echo_will_do(ask: Any) -> None:
    """The challenge as text is an echo as well."""
    _, told = ask("echo", lambda r: Response(json.loads(r.data).get("challenge", "")))
    assert told == [("delivered", "accepted")]


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: Response("ok"),
        lambda request: Response(request.data),  # repeats whatever comes
        lambda request: Response('{"challenge": "other"}'),
        lambda request: Response("[" * 5000),
        lambda request: Response(_echo(request).data, status=404),
    ],
)
def test_another_answer_keeps_the_message_here(ask: Any, answer: Answer) -> None:
    """Without the echo nothing but the challenge is sent, and the reason says so."""
    receiver, told = ask("echo", answer)
    assert [b"challenge" in body for _, body, _ in receiver.received] == [True]
    assert told == [("exhausted", "unconfirmed")]


def test_the_handshake_of_cloudevents(ask: Any) -> None:
    """An OPTIONS request states the origin; a receiver that allows it gets the message."""
    receiver, told = ask(
        "options", lambda r: Response(headers={"WebHook-Allowed-Origin": "api.example"})
    )
    (method, _, headers), (posted, message, _) = receiver.received
    assert (method, headers["Webhook-Request-Origin"]) == ("OPTIONS", "api.example")
    assert (posted, message) == ("POST", b'{"n":0}')
    assert told == [("delivered", "accepted")]


@pytest.mark.parametrize("allowed", [{}, {"WebHook-Allowed-Origin": "other.example"}])
def test_a_receiver_that_does_not_allow_gets_nothing(ask: Any, allowed: dict[str, str]) -> None:
    """A handshake without our origin in it keeps the message here."""
    receiver, told = ask("options", lambda r: Response(headers=allowed))
    assert [method for method, _, _ in receiver.received] == ["OPTIONS"]
    assert told == [("exhausted", "unconfirmed")]


def test_another_url_is_asked_anew(ask: Any, webhooks: Webhooks) -> None:
    """An owner's yes is for the URL that was asked: where it is changed to is asked first."""
    receiver, _ = ask("echo", _echo)
    receiver.answer = lambda request: Response("no")  # type: ignore[attr-defined]
    with receiver.app.app_context():  # type: ignore[attr-defined]
        [made] = webhooks.subscriptions()
        webhooks.change(made, url=f"{receiver.url}/elsewhere")
        webhooks["noted"].send({"n": 7})
        webhooks.run_until_idle()

    assert [json.loads(body) for _, body, _ in receiver.received[1:2]] == [{"n": 0}]
    assert [json.loads(body)["type"] for _, body, _ in receiver.received[2:]] == ["challenge"]
