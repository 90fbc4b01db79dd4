"""``flask webhooks …`` says what it did, and what to type next."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.cli import AppGroup
from marshmallow import Schema, fields, validate
from werkzeug import Request

from flask_webhooks import Webhooks, verify
from flask_webhooks.cli.answering import Script, ScriptType
from flask_webhooks.cli.working import _Look
from flask_webhooks.deliver.worker import Worker
from flask_webhooks.testing import VirtualClock
from tests.conftest import Receiver


class Booking(Schema):
    train = fields.String(required=True, validate=validate.OneOf(["IC1", "IC2"]))
    at = fields.DateTime(required=True)


@pytest.fixture
def cli(app: Flask, webhooks: Webhooks) -> Any:
    webhooks.webhook("newBooking", Booking, summary="A seat was booked")

    @app.post("/orders")
    @webhooks.callback("onOrder", "{$request.body#/url}", Booking, key="{$response.body#/id}")
    def order() -> Any:
        return {"id": "1"}

    webhooks.init_app(app)
    runner = app.test_cli_runner()

    def run(*arguments: str) -> Result:
        return runner.invoke(args=["webhooks", *arguments])

    return run


def test_a_command_of_the_app_takes_the_place_of_ours(cli: Any, app: Flask) -> None:
    """One that the app adds under the name of ours is the one that runs, beside all the others."""
    group = app.cli.commands["webhooks"]
    assert isinstance(group, AppGroup)

    @group.command("list")
    def own() -> None:
        click.echo("own")

    assert cli("list").output == "own\n"
    assert json.loads(cli("spec").output)["openapi"] == "3.1.1"


def test_list_shows_what_is_declared(cli: Any) -> None:
    """One line for each declaration, with the expression of a callback."""
    assert cli("list").output == (
        "webhook   newBooking  POST  A seat was booked\n"
        "callback  onOrder     POST  {$request.body#/url}\n"
    )


def test_spec_prints_the_document(cli: Any, app: Flask, webhooks: Webhooks) -> None:
    """The output is the document that the app serves."""
    with app.app_context():
        assert json.loads(cli("spec").output) == webhooks.document()


def test_spec_writes_a_file(cli: Any, tmp_path: Path) -> None:
    """``--output`` names a file, and nothing is printed."""
    file = tmp_path / "openapi.json"

    assert cli("spec", "--output", str(file)).output == ""
    assert json.loads(file.read_text())["openapi"] == "3.1.1"


def test_a_subscription_from_birth_to_deletion(cli: Any) -> None:
    """The secret is shown once; lists never show it again."""
    made = cli("subscribe", "https://example.com/hook", "newBooking", "--key", "7").output
    [identifier] = re.findall(r"sub_[0-9a-f]{32}", made)
    [secret] = re.findall(r"whsec_\S+", made)

    listed = cli("subscriptions").output
    assert identifier in listed and secret not in listed
    as_json = json.loads(cli("subscriptions", "--json").output)
    assert (as_json["id"], as_json["key"], as_json["names"]) == (identifier, "7", ["newBooking"])
    assert secret not in cli("subscriptions", "--json").output

    assert cli("unsubscribe", identifier).output == f"Deleted {identifier}.\n"
    assert cli("subscriptions").output.startswith("No subscriptions. Make one: ")
    again = cli("unsubscribe", identifier)
    assert (again.exit_code, again.output) == (
        1,
        f"Error: There is no subscription {identifier}. List them: flask webhooks subscriptions\n",
    )


@pytest.mark.parametrize(
    "arguments, told",
    [
        (("subscribe", "https://10.0.0.1/", "newBooking"), "10.0.0.1"),
        (("subscribe", "https://example.com/", "newBoking"), "Did you mean 'newBooking'?"),
        (("trigger", "nope"), "Declared: newBooking, onOrder."),
        (("trigger", "newBooking", "--data", "{"), "--data is no JSON"),
        (("trigger", "newBooking", "--data", "{}"), "is a required property"),
        (("trigger", "onOrder"), "send(payload, key=…), or by --key"),
        (("subscribe", "https://example.com/", "new*"), "'new*' is no pattern, and no name."),
        (
            ("subscribe", "https://example.com/", "newBooking", "--filter", "{"),
            "--filter is no JSON",
        ),
        (
            ("subscribe", "https://example.com/", "newBooking", "--filter", '{"trian": "IC1"}'),
            "Did you mean 'train'?",
        ),
        (("subscriptions", "--name", "newBoking"), "Did you mean 'newBooking'?"),
    ],
)
def test_errors_are_one_message(cli: Any, arguments: tuple[str, ...], told: str) -> None:
    """A mistake ends with status 1 and a message, never with a traceback."""
    result = cli(*arguments)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ") and told in result.output
    assert "Traceback" not in result.output


def test_trigger_sends_an_example_of_the_schema(cli: Any, receiver: Receiver) -> None:
    """The payload is made from the declared schema, and what came of it is shown."""
    cli("subscribe", receiver.url, "newBooking")

    output = cli("trigger", "newBooking").output

    assert output.splitlines()[1] == f"delivered  {receiver.url}  200"
    body = json.loads(receiver.received[0].body)
    assert body == {"train": "IC1", "at": "2026-01-31T09:30:00+00:00"}


def test_trigger_later_only_stores(cli: Any, receiver: Receiver) -> None:
    """With ``--later`` a worker is left to deliver; ``worker --until-idle`` does."""
    cli("subscribe", receiver.url, "newBooking")

    cli("trigger", "newBooking", "--later")
    assert receiver.received == []

    cli("worker", "--until-idle")
    assert len(receiver.received) == 1
    assert "delivered  1x  newBooking" in cli("deliveries").output
    assert json.loads(cli("deliveries", "--json").output)["status"] == "delivered"


def test_trigger_without_subscribers_says_what_to_do(cli: Any) -> None:
    """Nobody to send to is no error, but a hint."""
    output = cli("trigger", "newBooking").output

    assert output.endswith(
        "Nobody has subscribed to newBooking yet: flask webhooks subscribe URL newBooking\n"
    )


def test_trigger_says_why_a_subscription_got_nothing(cli: Any) -> None:
    """Where somebody has subscribed, but not to this message, ``explain`` tells why."""
    made = cli("subscribe", "https://example.com/", "newBooking", "--tenant", "acme").output
    [identifier] = re.findall(r"sub_[0-9a-f]{32}", made)

    last = cli("trigger", "newBooking").output.splitlines()[-1]

    hint = "No subscription to newBooking gets this message. See why: flask webhooks "
    assert last.startswith(hint + "explain msg_") and last.endswith(identifier)
    assert cli(*last.removeprefix(hint).split()).output.startswith("tenant: ")


def test_a_filter_is_subscribed(cli: Any) -> None:
    """As JSON, and shown with what was made."""
    arguments = ("https://example.com/", "newBooking", "--filter", '{"train": "IC1"}')
    assert 'Filter        {"train": "IC1"}\n' in cli("subscribe", *arguments).output
    assert json.loads(cli("subscriptions", "--json").output)["filter"] == {"train": "IC1"}


def test_who_wants_a_webhook_may_say_so_by_a_pattern(cli: Any) -> None:
    """Filtered by a name, those are listed whose pattern stands for it."""
    for name in ("*", "newBooking", "onOrder"):
        cli("subscribe", "https://example.com/", name)
    found = cli("subscriptions", "--name", "newBooking", "--json").output.splitlines()
    assert [json.loads(line)["names"] for line in found] == [["newBooking"], ["*"]]


def test_create_tables_names_them(cli: Any) -> None:
    """The command says which tables are where."""
    assert cli("create-tables").output.startswith("webhooks_subscriptions, webhooks_names, ")


APP = """
from flask import Flask
from flask_webhooks import Webhooks, verify

app = Flask(__name__, instance_path={instance!r})
app.config["WEBHOOKS_ALLOW_LOOPBACK"] = True
webhooks = Webhooks(app)
webhooks.webhook("thing", {{"type": "object"}})
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Any]:
    """Starts ``flask webhooks …`` as processes of a small app; ends what is left of them."""
    instance = str(tmp_path / "instance")
    (tmp_path / "small.py").write_text(APP.format(instance=instance), "utf-8")
    started: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-m", "flask", "--app", "small", "webhooks", *arguments]
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        timers.append(
            threading.Timer(60, process.kill)
        )  # its output ends, and so does a wait for it
        timers[-1].start()
        return process

    yield start
    for process, timer in zip(started, timers, strict=True):
        timer.cancel()
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str], wanted: str) -> str:
    """The first line of output with ``wanted`` in it."""
    assert process.stdout is not None
    return next(line for line in process.stdout if wanted in line)


def test_listen_verifies_and_prints_a_line(project: Any) -> None:
    """A local receiver subscribes itself, verifies, prints, and cleans up after Ctrl+C."""
    listening = project("listen", "--port", "0", "--answer", "202")
    _line(listening, "Listening on http://127.0.0.1:")

    triggered, _ = project("trigger", "thing").communicate(timeout=30)
    assert "202" in triggered

    line = _line(listening, "msg_")
    assert re.search(r"  202  +\d+\.\d ms  thing  verified  msg_[0-9a-f]{32}  2 bytes$", line)
    listening.send_signal(signal.SIGINT)
    assert "Ended; the subscription is deleted." in listening.communicate(timeout=30)[0]
    assert "No subscriptions." in project("subscriptions").communicate(timeout=30)[0]


def test_listen_answers_by_its_script(project: Any) -> None:
    """One word after the other."""
    listening = project("listen", "--port", "0", "--json", "--answer", "418,201")
    _line(listening, "whsec_")
    for _ in range(2):
        project("trigger", "thing").communicate(timeout=30)
    told = [json.loads(_line(listening, "verdict")) for _ in range(2)]
    assert [one["status"] for one in told] == [418, 201]
    assert {one["name"] for one in told} == {"thing"}


def test_listen_drops_a_connection(project: Any) -> None:
    """The sender notices at once, and not when its time is over."""
    listening = project("listen", "--port", "0", "--answer", "drop")
    _line(listening, "whsec_")
    triggered = project("trigger", "thing").communicate(timeout=50)[0]
    assert "  connect " in triggered and "timeout" not in triggered


def test_the_last_word_of_a_script_stays() -> None:
    """A dropped connection has no status; a slow answer comes when nobody waits any more."""
    steps = ScriptType().convert("503,429:60,drop,slow,201", None, None)
    script = Script(steps, too_long=0.0)
    answers = [script(Request.from_values()) for _ in range(6)]
    assert [(one.status, one.retry_after) for one in answers] == [
        (503, None), (429, "60"), (None, None), (200, None), (201, None), (201, None)
    ]  # fmt: skip
    assert answers[2].verdict == "verified, and dropped without an answer"


def test_deliveries_are_followed(project: Any) -> None:
    """What is there comes first; then a line for each that is new."""
    project("subscribe", "https://nobody.invalid/", "thing").communicate(timeout=30)
    project("trigger", "thing", "--later").communicate(timeout=30)
    project("worker", "--until-idle").communicate(timeout=30)
    following = project("deliveries", "--follow", "--json")
    assert json.loads(_line(following, "msg_"))["id"] == 1
    project("trigger", "thing").communicate(timeout=30)
    while (told := json.loads(_line(following, "msg_")))["id"] != 2:
        assert told["id"] == 1  # tried again


def test_a_worker_tells_as_json_what_it_did(project: Any) -> None:
    """A line when something happened, and nothing else."""
    project("subscribe", "https://nobody.invalid/", "thing").communicate(timeout=30)
    working = project("worker", "--json")
    project("trigger", "thing", "--later").communicate(timeout=30)
    while not (told := json.loads(_line(working, "{")))["failed"]:
        pass
    # The second attempt may have been drawn into the same second.
    assert told["accepted"] == 0 and told["failed"] in (1, 2)
    working.send_signal(signal.SIGTERM)
    rest, _ = working.communicate(timeout=30)
    assert all(line.startswith("{") for line in rest.splitlines())


def test_that_something_goes_on_waiting_is_not_told(
    app: Flask, cli: Any, receiver: Receiver
) -> None:
    """What has come due makes a line of ``worker --json`` once; that it gets older makes none."""
    clock = VirtualClock(app)
    cli("subscribe", receiver.url, "newBooking")
    receiver.answers = [500]
    cli("trigger", "newBooking")
    told = []
    with app.app_context():
        look = _Look()
        for seconds in (60, 5, 5):
            clock.advance(seconds)
            look.again()
            told.append((look.changed, look.due))
    assert told == [(True, 1), (False, 1), (False, 1)]


def test_worker_ends_on_sigterm(project: Any) -> None:
    """A worker process says where it delivers from, and ends cleanly."""
    working = project("worker")
    _line(working, "Delivering from sqlite:///")

    working.send_signal(signal.SIGTERM)

    output, _ = working.communicate(timeout=30)
    assert output.endswith("Stopped. What was not delivered stays stored.\n")
    assert working.returncode == 0


@pytest.fixture
def handlers() -> Iterator[None]:
    """What handles signals is put back in the end."""
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_signal_stops_a_worker_from_another_thread(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that it interrupts may hold a lock that stopping needs."""
    stopped_by: SimpleQueue[threading.Thread] = SimpleQueue()
    found: list[threading.Thread] = []

    def run(worker: Worker) -> None:
        signal.raise_signal(signal.SIGTERM)
        found.append(stopped_by.get(timeout=10))

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(Worker, "stop", lambda _: stopped_by.put(threading.current_thread()))
    cli("worker")
    assert found and found[0] is not threading.main_thread()


def test_a_failed_delivery_is_replayed(cli: Any, receiver: Receiver) -> None:
    """``replay`` counts first and acts on ``--yes``; disabled subscriptions are left out."""
    made = cli("subscribe", receiver.url, "newBooking").output
    [identifier] = re.findall(r"sub_[0-9a-f]{32}", made)
    receiver.answers = [410]
    cli("trigger", "newBooking")
    assert "gone" in cli("deliveries").output

    assert "make 0 deliveries due" in cli("replay", "--status", "exhausted").output
    assert cli("enable", identifier).output == f"Enabled {identifier}.\n"
    assert cli("replay", "--status", "exhausted").output == (
        "This would make 1 delivery due again. Add --yes to do it.\n"
    )
    assert cli("replay", "--status", "exhausted", "--yes").output == (
        "Made 1 delivery due again.\n"
    )
    cli("worker", "--until-idle")
    assert [r.headers["webhook-id"] for r in receiver.received[1:]] == [
        receiver.received[0].headers["webhook-id"]
    ]


def test_a_disabled_subscription_takes_nothing(cli: Any, receiver: Receiver) -> None:
    """``disable`` cancels what waits, and nothing new reaches it until ``enable``."""
    [identifier] = re.findall(
        r"sub_[0-9a-f]{32}", cli("subscribe", receiver.url, "newBooking").output
    )
    assert cli("disable", identifier).output == f"Disabled {identifier}.\n"

    cli("trigger", "newBooking")

    assert receiver.received == []
    again = cli("disable", identifier)
    assert (again.exit_code, again.output) == (
        0, f"{identifier} is disabled already (by hand).\n",
    )  # fmt: skip


def test_secrets_are_sealed_anew(make_app: Callable[..., Flask], receiver: Receiver) -> None:
    """After ``reseal`` the old key can go, and deliveries are signed as before."""
    old, new = "an old key of the ring,  32 long.", "a new key of the ring, 32 chars."

    def open_app(*keys: str) -> tuple[Flask, Webhooks]:
        app, webhooks = make_app(WEBHOOKS_SECRET_KEYS=list(keys)), Webhooks()
        webhooks.webhook("thing", {"type": "object"})
        webhooks.init_app(app)
        return app, webhooks

    app, webhooks = open_app(old)
    with app.app_context():
        secret = webhooks.subscribe(receiver.url, ["thing"]).secret
    app, _ = open_app(new, old)
    run = app.test_cli_runner()
    sealed = run.invoke(args=["webhooks", "reseal"]).output
    assert sealed == "Sealed 1 secret anew; all are sealed with the newest key.\n"

    app, webhooks = open_app(new)
    with app.app_context():
        webhooks["thing"].send({})
        webhooks.run_until_idle()
    [received] = receiver.received
    assert verify(received.body, received.headers, str(secret)) == {}
