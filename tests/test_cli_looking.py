"""``flask webhooks`` looks: at the queue, at one thing, and at why."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_webhooks import Webhooks
from tests.conftest import Receiver


@pytest.fixture
def cli(app: Flask, webhooks: Webhooks) -> Any:
    """Runs commands of a shop with two webhooks."""
    webhooks.webhook("paid", {"properties": {"total": {"type": "number"}}})
    webhooks.webhook("sent", {})
    webhooks.init_app(app)
    runner = app.test_cli_runner()

    def run(*arguments: str) -> Result:
        return runner.invoke(args=["webhooks", *arguments])

    return run


def asked(result: Result) -> Any:
    """The JSON that a command printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture
def sent(cli: Any, receiver: Receiver) -> dict[str, Any]:
    """A subscription whose receiver failed once, and its message."""
    made = asked(cli("subscribe", receiver.url + "?token=tell-nobody", "paid", "--json"))
    receiver.answers = [500]
    found: dict[str, Any] = asked(cli("trigger", "paid", "--data", '{"total": 5}', "--json"))
    return {"subscription": made["id"], "message": found["id"], **found["deliveries"][0]}


def test_status_counts(cli: Any, sent: dict[str, Any]) -> None:
    """What is enabled and what waits, in lines and as JSON."""
    assert cli("status").output.splitlines()[:2] == [
        "Subscriptions  enabled 1  disabled 0",
        "Deliveries     pending 1  delivered 0  exhausted 0  cancelled 0",
    ]
    found = asked(cli("status", "--json"))
    assert (found["deliveries"], found["waiting"]) == ({"pending": 1}, 0)


def test_status_says_what_to_type(cli: Any, sent: dict[str, Any]) -> None:
    """A message that nobody takes up asks for a worker."""
    cli("trigger", "paid", "--later")
    assert cli("status").output.splitlines()[-1] == (
        "Nobody delivers. Start a worker: flask webhooks worker"
    )


def test_show_a_message(cli: Any, sent: dict[str, Any], receiver: Receiver) -> None:
    """Its payload, each delivery with its words, and each attempt with the answer."""
    lines = cli("show", sent["message"]).output.splitlines()
    assert re.fullmatch(r"Message   msg_\w{32}  paid  \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", lines[0])
    assert lines[1:5] == ["Tenant    -    Key  -", "{", '  "total": 5', "}"]
    assert lines[6] == f"Delivery  {sent['id']}  pending  to {receiver.url}"
    assert lines[7].startswith("          The last attempt failed: The receiver answered 500")
    assert re.fullmatch(r" +1\.  \S+ \S+  500  \d+ ms  noted", lines[8])


def test_show_a_delivery_alone(cli: Any, sent: dict[str, Any]) -> None:
    """Its first line is the delivery's, with nothing above."""
    assert cli("show", str(sent["id"])).output.startswith(f"Delivery  {sent['id']}  pending")


def test_times_are_utc(cli: Any, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """In every zone they are those that ``replay --since`` takes, and end with a Z."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        made = re.search(r"Made      (\S+ \S+)Z", cli("show", sent["subscription"]).output)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert made is not None
    stored = json.loads(cli("subscriptions", "--json").output)["created_at"]
    assert made[1] == stored[:19].replace("T", " ")


def test_show_headers(cli: Any, sent: dict[str, Any], receiver: Receiver) -> None:
    """Each attempt's, as its receiver got them, under the number of the attempt."""
    lines = cli("show", sent["message"], "--headers").output.splitlines()
    start = lines.index("         1. Headers.")
    shown = dict(line.strip().split(": ", 1) for line in lines[start + 1 :])
    assert {name.lower(): value for name, value in shown.items()} == receiver.received[-1].headers


def test_show_as_json(cli: Any, sent: dict[str, Any], receiver: Receiver) -> None:
    """One object; the same for a delivery and for a subscription, without secrets."""
    found = asked(cli("show", sent["message"], "--json"))
    assert found["message"]["payload"] == {"total": 5}
    [delivery] = found["deliveries"]
    assert delivery["explanation"]["code"] == "retry"
    [attempt] = delivery["attempts_made"]
    assert (attempt["status_code"], attempt["answer"]) == (500, "noted")
    assert "mark" not in attempt
    shown = {header["name"].lower(): header["value"] for header in attempt["sent"]["headers"]}
    assert shown == receiver.received[-1].headers
    assert asked(cli("show", str(sent["id"]), "--json"))["deliveries"] == found["deliveries"]
    of_subscription = cli("show", sent["subscription"], "--json").output
    assert json.loads(of_subscription)["deliveries"] == found["deliveries"]
    assert "tell-nobody" not in of_subscription and "whsec_" not in of_subscription


def test_show_a_subscription(cli: Any, app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """What it asks for; its URL without the query."""
    with app.app_context():
        made = webhooks.subscribe(
            receiver.url + "?token=tell-nobody", ["paid"], filter={"total": {"gt": 1}}, rate=5
        )
    output = cli("show", made.id).output
    assert f"URL       {receiver.url}\n" in output
    assert 'Filter    {"total": {"gt": 1}}\nRate      5\n' in output
    assert "tell-nobody" not in output
    assert output.endswith("No deliveries. Make one: flask webhooks trigger NAME\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "msg_x"), "List what was sent: flask webhooks deliveries"),
        (("show", "sub_x"), "List them: flask webhooks subscriptions"),
        (("show", "99"), "List them: flask webhooks deliveries"),
        (("show", "9" * 30), "List them: flask webhooks deliveries"),
        (("explain", "msg_x", "sub_x"), "There is no message msg_x"),
        (("rotate", "sub_x"), "List them: flask webhooks subscriptions"),
        (("test", "sub_x"), "List them: flask webhooks subscriptions"),
        (("enable", "sub_x"), "List them: flask webhooks subscriptions"),
        (("disable", "sub_x"), "List them: flask webhooks subscriptions"),
        (("unsubscribe", "sub_x"), "List them: flask webhooks subscriptions"),
        (("cancel", "99"), "Look at it: flask webhooks show 99"),
        (("replay",), "Say what to replay, for example: --status exhausted"),
        (("listen", "--answer", "sometimes"), "'sometimes' is none of these: a status such as 503"),
    ],
)
def test_an_error_says_what_to_type_next(cli: Any, arguments: tuple[str, ...], told: str) -> None:
    """One message, and no traceback."""
    result = cli(*arguments)
    assert result.exit_code in (1, 2)
    assert told in " ".join(result.output.split())


def test_explain_says_why(cli: Any, sent: dict[str, Any]) -> None:
    """A code and a sentence, or both as JSON."""
    assert cli("explain", sent["message"], sent["subscription"]).output.startswith(
        "retry: The last attempt failed: The receiver answered 500 Internal Server Error"
    )
    told = asked(cli("explain", sent["message"], sent["subscription"], "--json"))
    assert (told["code"], told["delivery"]) == ("retry", sent["id"])


def test_lists_read_no_more_than_they_show(
    cli: Any, app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """The newest fifty, or as many as ``--limit`` says; that there are more is said aside."""
    with app.app_context():
        for _ in range(3):
            webhooks.subscribe(receiver.url, ["paid"])
        webhooks["paid"].send({"total": 1})
        webhooks.run_until_idle()
        assert len(webhooks.deliveries(limit=2)) == 2
        assert len(webhooks.subscriptions(limit=1)) == 1
    for command in ("deliveries", "subscriptions"):
        listed = cli(command, "--limit", "2")
        assert len(listed.stdout.splitlines()) == 2
        assert listed.stderr == "There are more than 2: --limit shows more of them.\n"
        assert cli(command).stderr == ""
    assert cli("deliveries", "--limit", "0").exit_code == 2


def test_what_is_declared_as_json(cli: Any) -> None:
    """One object a line."""
    lines = cli("list", "--json").output.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["paid", "sent"]
