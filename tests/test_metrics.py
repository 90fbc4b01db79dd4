"""Metrics: what Prometheus is told by a worker and by a view."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from flask_webhooks import ConfigurationError, Webhooks
from flask_webhooks.store.records import Attempt, moment
from flask_webhooks.telling.metrics import outcome_class
from tests import storing
from tests.conftest import Receiver

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def app(make_app: Callable[..., Flask], webhooks: Webhooks) -> Flask:
    made = make_app(WEBHOOKS_SCHEDULE=[0, 3600])
    webhooks.webhook("noted")
    webhooks.init_app(made)
    made.register_blueprint(
        webhooks.metrics(lambda: request.headers.get("Authorization") == "Bearer 123")
    )
    return made


def _text(app: Flask, accept: str = "") -> Any:
    headers = {"Authorization": "Bearer 123", "Accept": accept}
    return app.test_client().get("/metrics", headers=headers)


def _samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def _live(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """One message is accepted; another is refused, and waits; a third belongs to nobody now."""
    receiver.answers = [200, 503]
    with app.app_context():
        first = webhooks.subscribe(receiver.url, ["noted"])
        for number in range(2):
            webhooks["noted"].send({"n": number})
            webhooks.run_until_idle()
        webhooks.subscribe(receiver.url, ["noted"], tenant="other")
        webhooks.disable(webhooks.subscribe(receiver.url, ["noted"], tenant="third"))
        assert first.status == "enabled"


def test_what_was_attempted_is_counted_by_webhook_and_outcome(
    app: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """Messages, attempts, durations and ages are counted; the store says how it stands now."""
    _live(app, webhooks, receiver)
    found = _samples(_text(app).text)

    assert found["webhooks_messages_total", (("webhook", "noted"),)] == 2
    attempts = {dict(labels)["outcome"]: value for (name, labels), value in found.items()
                if name == "webhooks_attempts_total"}  # fmt: skip
    assert attempts == {"accepted": 1, "http_5xx": 1}
    assert found["webhooks_attempt_duration_seconds_count", ()] == 2
    assert found["webhooks_delivery_age_seconds_count", ()] == 1
    assert found["webhooks_delivery_age_seconds_bucket", (("le", "300.0"),)] == 1
    assert found["webhooks_pending", ()] == 1
    assert found["webhooks_due", ()] == 0
    assert found["webhooks_oldest_due_seconds", ()] == 0
    assert found["webhooks_subscriptions", (("status", "enabled"),)] == 2
    assert found["webhooks_subscriptions", (("status", "disabled"),)] == 1
    assert found["webhooks_store_up", ()] == 1


def test_what_is_due_shows_for_how_long(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """Two minutes after a retry has come due without a worker, the gauge says 120 seconds."""
    state = app.extensions["webhooks"]
    _live(app, webhooks, receiver)
    with app.app_context():
        [pending] = webhooks.deliveries(status="pending")
    state.clock = lambda: pending.due_at.timestamp() + 120
    found = _samples(_text(app).text)
    assert (found["webhooks_due", ()], round(found["webhooks_oldest_due_seconds", ()])) == (1, 120)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_every_metric_keeps_the_conventions(
    app: Flask, webhooks: Webhooks, receiver: Receiver, accept: str
) -> None:
    """Each has help, a type, one prefix and base units; no label has a URL or an id."""
    _live(app, webhooks, receiver)
    answer = _text(app, accept)
    parse = (open_parser.text_string_to_metric_families if accept
             else text_string_to_metric_families)  # fmt: skip
    families = {family.name: family for family in parse(answer.text)}
    own = {name: f for name, f in families.items() if not name.endswith("_created")}

    assert answer.content_type.startswith("application/openmetrics" if accept else "text/plain")
    assert {name: family.type for name, family in own.items()} == {
        "webhooks_messages": "counter", "webhooks_attempts": "counter",
        "webhooks_attempt_duration_seconds": "histogram",
        "webhooks_delivery_age_seconds": "histogram",
        "webhooks_store_up": "gauge", "webhooks_pending": "gauge", "webhooks_due": "gauge",
        "webhooks_oldest_due_seconds": "gauge", "webhooks_subscriptions": "gauge",
        "webhooks_workers": "gauge",
    }  # fmt: skip
    assert all(family.documentation.endswith(".") for family in own.values())
    for family in own.values():
        for sample in family.samples:
            assert re.fullmatch("webhooks_[a-z_]+", sample.name)
            assert set(sample.labels) <= {"webhook", "outcome", "status", "le"}


def test_undeclared_names_are_one_label(app: Flask, webhooks: Webhooks, receiver: Receiver) -> None:
    """However many webhooks were declared once, the series do not grow with their old messages."""
    state = app.extensions["webhooks"]
    with app.app_context():
        sealed = state.keyring.seal("whsec_" + "A" * 32, tenant=None, subscription="sub_1")
        storing.subscribe(
            state.database, "sub_1", names=["*"], url=receiver.url, sealed_secret=sealed
        )
        for number in range(5):
            storing.send(state.database, f"msg_{number}", name=f"gone.{number}")
        webhooks.run_until_idle()
    found = _samples(_text(app).text)
    assert found["webhooks_messages_total", (("webhook", "undeclared"),)] == 5
    labels = (("outcome", "accepted"), ("webhook", "undeclared"))
    assert found["webhooks_attempts_total", labels] == 5
    assert not [name for name, _ in found if "gone" in name]


@pytest.mark.parametrize(
    ("outcome", "status", "expected"),
    [
        ("accepted", 204, "accepted"),
        ("refused", 302, "http_3xx"),
        ("refused", 410, "http_4xx"),
        ("refused", 999, "http_9xx"),
        ("timeout", None, "timeout"),
        ("blocked", None, "blocked"),
    ],
)
def test_outcomes_fall_into_a_few_classes(outcome: str, status: int | None, expected: str) -> None:
    """Statuses count by their class; what got no answer by its reason."""
    attempt = Attempt(
        delivery_id=1, number=1, outcome=outcome, status_code=status, detail="", excerpt=None,
        started_at=moment(0), duration=0.1,
    )  # fmt: skip
    assert outcome_class(attempt) == expected


def test_to_strangers_there_are_no_metrics(app: Flask) -> None:
    """Whom the app does not let see them gets 404, as for a URL that does not exist."""
    assert app.test_client().get("/metrics").status_code == 404


def test_a_store_that_is_away_hides_nothing_else(
    app: Flask, webhooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process counted is told all the same, and that the store is not up."""
    _live(app, webhooks, receiver)
    monkeypatch.setattr(app.extensions["webhooks"].database, "read", lambda work: 1 / 0)
    found = _samples(_text(app).text)
    assert found["webhooks_store_up", ()] == 0
    assert found["webhooks_attempt_duration_seconds_count", ()] == 2
    assert ("webhooks_pending", ()) not in found


def test_metrics_before_init_app_are_refused(webhooks: Webhooks) -> None:
    """What is registered too early says what to do, and counts nothing silently."""
    with pytest.raises(ConfigurationError, match="after webhooks.init_app"):
        Flask("early").register_blueprint(webhooks.metrics(lambda: True))


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        yield free.getsockname()[1]


def test_a_worker_answers_on_a_port_of_its_own(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver, port: int
) -> None:
    """``--metrics-port`` tells what that worker did; a port that is taken is named."""
    app = make_app()
    webhooks.webhook("noted")
    webhooks.init_app(app)
    with app.app_context():
        webhooks.subscribe(receiver.url, ["noted"])
        webhooks["noted"].send({"n": 1})
    run = app.test_cli_runner().invoke

    taken = run(args=["webhooks", "worker", "--until-idle", "--metrics-port", str(port)])
    assert taken.exit_code == 1
    assert f"Port {port} of 127.0.0.1 can't be opened" in taken.output

    with socket.create_server(("127.0.0.1", 0)) as found:
        free = found.getsockname()[1]
    done = run(args=["webhooks", "worker", "--until-idle", "--metrics-port", str(free)])
    assert done.stderr == f"Prometheus finds the metrics at http://127.0.0.1:{free}/metrics\n"
    with urllib.request.urlopen(f"http://127.0.0.1:{free}/metrics", timeout=5) as answer:
        told = _samples(answer.read().decode())
    assert told["webhooks_messages_total", (("webhook", "noted"),)] == 1
    assert told["webhooks_pending", ()] == 0


TOGETHER = """
import sys
from flask import Flask
from prometheus_client import Counter
from flask_webhooks import Webhooks

folder, url, count = sys.argv[1:]
app = Flask("shop", instance_path=folder)
app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True)
webhooks = Webhooks(app)
noted = webhooks.webhook("noted")
Counter("shop_orders", "Orders.").inc()
with app.app_context():
    if not webhooks.subscriptions():
        webhooks.subscribe(url, ["noted"])
    for n in range(int(count)):
        noted.send({"n": n})
    webhooks.run_until_idle()
    assert not webhooks.deliveries(status="pending")
if count == "0":
    app.register_blueprint(webhooks.metrics(lambda: True))
    print(app.test_client().get("/metrics").text)
"""


def _counting(folder: Path, files: Path, receiver: Receiver, count: int) -> Any:
    return subprocess.run(
        [sys.executable, "-c", TOGETHER, str(folder), receiver.url, str(count)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(files)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip


def test_processes_with_a_folder_count_together(tmp_path: Path, receiver: Receiver) -> None:
    """Without being asked to; one of them tells what all did, once each, and nothing of the app's
    own."""
    files = tmp_path / "files"
    files.mkdir()
    for count in (2, 3):
        _counting(tmp_path, files, receiver, count)
    text = _counting(tmp_path, files, receiver, 0).stdout
    found = _samples(text)

    assert found["webhooks_messages_total", (("webhook", "noted"),)] == 5
    assert found["webhooks_attempts_total", (("outcome", "accepted"), ("webhook", "noted"))] == 5
    assert found["webhooks_attempt_duration_seconds_count", ()] == 5
    assert found["webhooks_delivery_age_seconds_bucket", (("le", "+Inf"),)] == 5
    assert (found["webhooks_store_up", ()], found["webhooks_pending", ()]) == (1, 0)
    assert "shop_orders" not in text


def test_a_folder_that_is_missing_stops_no_delivery(tmp_path: Path, receiver: Receiver) -> None:
    """It is logged, once, and the messages arrive."""
    code = TOGETHER.replace('Counter("shop_orders", "Orders.").inc()', "")
    files = str(tmp_path / "missing")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), receiver.url, "2"],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": files},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(receiver.received) == 2
    assert done.stderr.count("Nothing is counted in this process, though") == 1


def test_a_probe_fails_when_something_is_due_for_too_long(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver
) -> None:
    """``status --fail-if-due-for`` ends with 1 only beyond its seconds, and says the same."""
    app = make_app(WEBHOOKS_SCHEDULE=[0, 1])
    webhooks.webhook("noted")
    webhooks.init_app(app)
    state, run = app.extensions["webhooks"], app.test_cli_runner().invoke
    receiver.answers = [500]
    with app.app_context():
        webhooks.subscribe(receiver.url, ["noted"])
        webhooks["noted"].send({"n": 1})
        webhooks.run_until_idle()
        [pending] = webhooks.deliveries()
    state.clock = lambda: pending.due_at.timestamp() + 60
    command = ["webhooks", "status", "--fail-if-due-for"]
    assert [run(args=[*command, seconds]).exit_code for seconds in ("61", "59")] == [0, 1]
