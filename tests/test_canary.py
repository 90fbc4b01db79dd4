"""Secrets and payloads stay where they belong: a canary sings in everything that could tell them.

A whole story is lived with values that are found nowhere else, at the most talkative log level, and
with everything going wrong that can. Then logs, errors, reprs, signals, pages, the API, commands
and the database's own bytes are searched for them.
"""

from __future__ import annotations

import io
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify
from marshmallow import Schema, fields

from flask_webhooks import (
    LegacySignature,
    Webhooks,
    WebhooksError,
    callback_captured,
    callback_unresolved,
    delivery_exhausted,
    delivery_failed,
    delivery_succeeded,
    subscription_disabled,
    verify,
)
from tests.conftest import Receiver
from tests.traces import EXPORTER

SECRETS = {
    "own": "whsec_" + b64encode(b"canary-own-0123456789abcdef0123456").decode(),
    "next": "whsec_" + b64encode(b"canary-next-0123456789abcdef012345").decode(),
    "client": "whsec_" + b64encode(b"canary-client-0123456789abcdef0123").decode(),
    "legacy": "canary-legacy-secret",
    "header": "canary-header-value",
    "ring": "canary-ring-key-0123456789abcdef",
}
PAYLOAD = "canary-in-the-payload"
QUERY = "canary-in-the-query"
ANSWER = "canary-in-the-answer"
SIGNALS = [callback_captured, callback_unresolved, delivery_succeeded, delivery_failed,
           delivery_exhausted, subscription_disabled]  # fmt: skip


class Note(Schema):
    text = fields.String(required=True, metadata={"private": True})
    count = fields.Integer()


class _Everything(logging.Formatter):
    """Writes the fields of a record besides its line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)!r}"


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What anybody could read: log lines with tracebacks, and what else is added."""
    found: list[str] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Everything("%(name)s %(message)s %(args)r"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield found
    root.removeHandler(handler)
    root.setLevel(level)
    found.append(stream.getvalue())
    shown = "\n".join(found)
    assert "could not be captured" in shown  # the story was told at all
    for name, canary in [*SECRETS.items(), ("payload", PAYLOAD), ("query", QUERY)]:
        assert canary not in shown, name
    assert b64encode(b"canary").decode()[:6] not in shown


def _failed(told: list[str], call: Callable[[], Any]) -> None:
    """A call that fails, with all that its traceback says, and all that is chained behind it."""
    try:
        call()
    except WebhooksError as error:
        told.append(traceback.format_exc())
        one: BaseException | None = error
        while one is not None:  # also what a traceback leaves out
            told.append(f"{one!r} {one.args!r}")
            one = one.__cause__ or one.__context__
    else:
        raise AssertionError("this was to fail")


def test_nothing_tells_a_secret_or_a_payload(
    make_app: Callable[..., Flask],
    webhooks: Webhooks,
    receiver: Receiver,
    tmp_path: Path,
    told: list[str],
) -> None:
    """No log, traceback, repr, signal or page holds a canary, no database byte a secret."""
    app = make_app(
        WEBHOOKS_SECRET_KEYS=[SECRETS["ring"]], WEBHOOKS_SCHEDULE=[0, 0],
        WEBHOOKS_DATABASE_URI=f"sqlite:///{tmp_path}/w.sqlite3",
    )  # fmt: skip
    noted = webhooks.webhook("noted", Note)

    def view() -> Any:
        return jsonify(id=1), 201

    captured = webhooks.callback(
        "onNote", "{$request.body#/url}", noted, secret="{$request.body#/secret}"
    )
    app.post("/notes")(captured(view))
    webhooks.tenant_loader(lambda: None)
    webhooks.init_app(app)
    app.register_blueprint(webhooks.api(), url_prefix="/api")
    app.register_blueprint(webhooks.board(lambda: "write"), url_prefix="/board")
    app.register_blueprint(webhooks.metrics(lambda: True))
    for signal in SIGNALS:
        signal.connect(lambda sender, **said: told.append(repr(said)), app, weak=False)

    with app.app_context():
        _live(app, webhooks, receiver, told)

    seen = [*_read(app), *_commanded(app)]
    assert any(PAYLOAD in text for text in seen)  # messages are really shown
    for name, canary in SECRETS.items():
        assert not [text[:200] for text in seen if canary in text], name
    _look(app, webhooks, told)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert PAYLOAD.encode() in stored  # it is really the database that is searched
    for name, canary in SECRETS.items():
        assert canary.encode() not in stored, name


def _read(app: Flask) -> Iterator[str]:
    """Every page and answer that reads; what tenants and operators see of a message is theirs."""
    client = app.test_client()
    paths = [rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())]
    ids = {
        name: [one["id"] for one in client.get(f"/api/{name}").json["data"]]
        for name in ("messages", "deliveries", "subscriptions")
    }
    plain = {"/openapi.json", "/asyncapi.json", "/docs", "/docs/guide"}
    assert plain | {"/.well-known/webhooks-keys.json", "/board/", "/api/catalogue"} <= set(paths)
    for path in paths:
        if "<" not in path:
            yield client.get(path).text
            continue
        for name, found in ids.items():
            if f"/{name}/<" in path and path.count("<") == 1:
                yield from (client.get(path.split("<")[0] + str(one)).text for one in found)


def _commanded(app: Flask) -> Iterator[str]:
    """What the commands print that look."""
    runner, client = app.test_cli_runner(), app.test_client()
    messages = [one["id"] for one in client.get("/api/messages").json["data"]]
    [*_, subscription] = client.get("/api/subscriptions").json["data"]
    looks = [["list"], ["subscriptions"], ["deliveries"], ["status"], ["check"]]
    looks += [["show", message] for message in messages]
    looks += [["explain", message, subscription["id"]] for message in messages]
    for arguments in looks:
        result = runner.invoke(args=["webhooks", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), arguments
        yield f"{arguments} {result.output}"


def _live(app: Flask, webhooks: Webhooks, receiver: Receiver, told: list[str]) -> None:
    url = f"{receiver.url}?token={QUERY}"
    made = webhooks.subscribe(
        url, ["noted"], secret=SECRETS["own"], headers={"X-Key": SECRETS["header"]},
        legacy_signatures=[LegacySignature(scheme="github", secret=SECRETS["legacy"])],
    )  # fmt: skip
    told.append(repr(made))
    told.append(repr(webhooks.rotate(made, secret=SECRETS["next"])))
    told.append(repr(webhooks.subscriptions()))

    client = app.test_client()
    client.post("/notes", json={"url": url, "secret": SECRETS["client"]})
    client.post("/notes", json={"url": f"https://[{QUERY}/"})
    client.post("/notes", json={"url": url, "secret": SECRETS["client"][:-9]})
    app.extensions["webhooks"].database.write, write = (
        _break,
        app.extensions["webhooks"].database.write,
    )
    client.post("/notes", json={"url": url, "secret": SECRETS["client"]})
    app.extensions["webhooks"].database.write = write

    receiver.answers = [(500, {"X-Told": ANSWER}), 503, 410]
    receiver.words = f"no such note: {PAYLOAD}"
    told.append(repr(webhooks["noted"].send({"text": PAYLOAD})))
    webhooks.run_until_idle()
    webhooks["noted"].send({"text": PAYLOAD})
    webhooks.run_until_idle()

    _failed(told, lambda: webhooks["noted"].send({"text": 5, "count": PAYLOAD}))
    _failed(told, lambda: webhooks["noted"].send({"count": 5, PAYLOAD: 1}))
    _failed(told, lambda: webhooks["noted"].send({"text": PAYLOAD}, key=PAYLOAD * 50))
    _failed(told, lambda: webhooks.subscribe(url, ["noted"], secret=SECRETS["own"][:-7]))
    _failed(told, lambda: webhooks.subscribe(f"ftp://x/?{QUERY}", ["noted"]))
    _failed(told, lambda: webhooks.subscribe(url, ["noted"], headers={"Host": SECRETS["header"]}))
    _failed(
        told,
        lambda: webhooks.subscribe(url, ["noted"], headers={"X-A": f"{SECRETS['header']}\r\n"}),
    )
    _failed(told, lambda: verify(PAYLOAD.encode(), {"webhook-id": "a"}, SECRETS["own"]))


def _look(app: Flask, webhooks: Webhooks, told: list[str]) -> None:
    """All that operators look at, and what other tools are told: nothing private is in there."""
    with app.app_context():
        subscriptions = [one.id for one in webhooks.subscriptions()]
        deliveries = webhooks.deliveries()
    messages = sorted({one.message_id for one in deliveries})
    commands = [["show", thing] for thing in (*subscriptions, *messages)]
    commands += [["show", str(one.id)] for one in deliveries]
    commands += [["deliveries", "--json"], ["subscriptions", "--json"]]
    commands += [["trigger", "noted", "--data", f'{{"text": "{PAYLOAD}"}}']]
    commands += [["erase", "--subject", PAYLOAD]]
    for command in commands:
        told.append(app.test_cli_runner().invoke(args=["webhooks", *command]).output)
    client = app.test_client()
    pages = ["/metrics", "/board/", "/board/messages", "/board/subscriptions", "/board/failed"]
    pages += [f"/board/messages/{one}" for one in messages]
    pages += [f"/board/subscriptions/{one}" for one in subscriptions]
    answers = [client.get(page) for page in pages]
    assert {answer.status_code for answer in answers} == {200}
    told += [answer.text for answer in answers]
    assert "".join(told).count("no such note: •••") > 2
    told += [span.to_json() for span in EXPORTER.get_finished_spans()]
    assert any('"name": "deliver noted"' in one for one in told)


def _break(work: Any) -> Any:
    raise RuntimeError("disk full")
