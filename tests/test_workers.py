"""Workers that run are seen, on every database; those that ended are not."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from flask_webhooks import Webhooks
from flask_webhooks.deliver.presence import Presence
from flask_webhooks.deliver.purger import Purger
from flask_webhooks.deliver.worker import Worker
from flask_webhooks.store import workers
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import RunningWorker, microseconds, moment
from tests import servers, test_worker
from tests.test_cli_looking import asked
from tests.test_worker import START, Bench, until

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url
in_file, running = test_worker.in_file, test_worker.running


def a_worker(worker_id: str = "wrk_1", seen: float = START, **changed: Any) -> RunningWorker:
    """One that started at the beginning."""
    worker = RunningWorker(
        id=worker_id, host="web-1", pid=4711, kind="process",
        started_at=moment(microseconds(START)), seen_at=moment(microseconds(seen)),
    )  # fmt: skip
    return replace(worker, **changed)


def note(database: Database, worker: RunningWorker) -> None:
    database.write(lambda c: workers.note(c, database.tables, worker))


def seen(database: Database, now: float = START) -> list[RunningWorker]:
    return database.read(lambda c: workers.running(c, database.tables, microseconds(now)))


def rows(database: Database) -> int:
    return len(database.read(lambda c: c.execute(database.tables.workers.select()).all()))


# The store


def test_a_worker_has_one_row(database: Database) -> None:
    """Noted twice it is there once, as it began and as it was seen last."""
    note(database, a_worker())
    note(database, a_worker(seen=START + 10))
    assert seen(database, START + 10) == [a_worker(seen=START + 10)]


def test_what_was_not_seen_for_a_minute_is_gone(database: Database) -> None:
    """To the second; it is back as soon as it is noted again."""
    note(database, a_worker())
    assert seen(database, START + 60) == [a_worker()]
    assert seen(database, START + 60.001) == []
    note(database, a_worker(seen=START + 90))
    assert len(seen(database, START + 90)) == 1


def test_workers_are_listed_from_the_oldest(database: Database) -> None:
    """By when they started, whoever was noted first."""
    younger = a_worker("wrk_2", started_at=moment(microseconds(START + 1)))
    note(database, younger)
    note(database, a_worker())
    assert [one.id for one in seen(database)] == ["wrk_1", "wrk_2"]


def test_a_worker_is_forgotten_alone(database: Database) -> None:
    """The others stay; one that is not there is no error."""
    note(database, a_worker())
    note(database, a_worker("wrk_2"))
    for _ in range(2):
        database.write(lambda c: workers.forget(c, database.tables, "wrk_1"))
    assert [one.id for one in seen(database)] == ["wrk_2"]


@pytest.mark.parametrize("retention", [None, 86400.0])
def test_the_purge_forgets_who_is_gone(database: Database, retention: float | None) -> None:
    """Also where messages are kept for ever; who was seen within the minute stays."""
    note(database, a_worker())
    note(database, a_worker("wrk_2", seen=START + 50))
    Purger(database, retention, lambda: START + 61).purge()
    assert (rows(database), seen(database, START + 61)[0].id) == (1, "wrk_2")


def test_a_beat_is_one_statement(database: Database) -> None:
    """All but the first, between the beginning of a transaction and its end."""
    note(database, a_worker())
    statements: list[str] = []

    def noted(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement.split()[0])

    event.listen(database.engine, "before_cursor_execute", noted)
    note(database, a_worker(seen=START + 10))
    event.remove(database.engine, "before_cursor_execute", noted)
    assert [one for one in statements if one not in ("BEGIN", "COMMIT")] == ["UPDATE"]


# A worker's presence


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def test_a_worker_writes_every_ten_seconds(database: Database) -> None:
    """However often it is asked to; a clock that was set back does not silence it."""
    clock = Clock()
    presence = Presence(database, clock)
    presence.arrive("thread")
    written = []
    for now in (0.0, 9.9, 10.0, 19.0, 20.0, -30.0):
        clock.now = START + now
        presence.beat_if_due()
        written.append(seen(database, clock.now)[0].seen_at.timestamp() - START)
    assert written == [0.0, 0.0, 10.0, 10.0, 20.0, -30.0]
    [one] = seen(database, START)
    assert (one.kind, one.started_at.timestamp()) == ("thread", START)


def test_who_has_not_arrived_is_not_seen(database: Database) -> None:
    """Nor who has left; leaving without having come is no error."""
    presence = Presence(database, lambda: START)
    presence.beat_if_due()
    presence.leave()
    assert rows(database) == 0
    presence.arrive("celery")
    presence.arrive("process")
    presence.beat_if_due()
    assert [one.kind for one in seen(database)] == ["celery"]
    presence.leave()
    presence.beat_if_due()
    assert rows(database) == 0


def test_a_worker_that_was_taken_for_gone_comes_back(database: Database) -> None:
    """Its row was purged while it stood still; its next beat makes it anew."""
    clock = Clock()
    presence = Presence(database, clock)
    presence.arrive("process")
    presence.beat_if_due()
    database.write(lambda c: workers.forget_gone(c, database.tables, microseconds(START + 61)))
    clock.now = START + 70
    presence.beat_if_due()
    assert len(seen(database, START + 70)) == 1


def run_and_stop(worker: Worker, meanwhile: Callable[[], object]) -> None:
    """Run a worker until something is so, then end it cleanly."""
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        until(meanwhile)
    finally:
        worker.stop()
        thread.join(10)
    assert not thread.is_alive()


def test_a_running_worker_is_seen_until_it_stops(in_file: Bench) -> None:
    """Its row comes with its first step, and goes with a clean stop."""
    run_and_stop(in_file.worker(), lambda: seen(in_file.database))
    assert rows(in_file.database) == 0


def test_delivering_once_is_not_running(in_file: Bench) -> None:
    """``run_until_idle`` leaves no row."""
    in_file.subscribe()
    in_file.send()
    in_file.run()
    assert (len(in_file.receiver.sent), rows(in_file.database)) == (1, 0)


def test_deliveries_go_on_without_a_row(in_file: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A table that can't be written is logged once, and every delivery is made."""
    in_file.subscribe()
    # Not for ever: where each look takes ten seconds, no lease lasts until its attempt.
    passing = iter([10, 10, 10])

    def refuse(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "webhooks_workers" in statement:
            in_file.now += next(passing, 0)
            raise OperationalError(statement, {}, Exception("no such table"))

    in_file.database.ensure_tables()
    event.listen(in_file.database.engine, "before_cursor_execute", refuse)
    in_file.send(20)
    told = "Others can't see that this worker runs."
    run_and_stop(
        in_file.worker(threads=1), lambda: len(in_file.receiver.sent) == 20 and told in caplog.text
    )
    assert caplog.messages.count(told) == 1
    assert {status for status, _, _ in in_file.standing()} == {"delivered"}


# What people see


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Webhooks:
    webhooks.webhook("paid", {})
    webhooks.init_app(app)
    app.extensions["webhooks"].clock = lambda: START + 12
    return webhooks


def two(app: Flask) -> None:
    """A worker that was seen 12 seconds ago, and one whose clock is ahead by a second."""
    database = app.extensions["webhooks"].database
    note(database, a_worker())
    ahead = a_worker("wrk_2", seen=START + 13, host="web-2", pid=7, kind="thread")
    note(database, ahead)


def status(app: Flask, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["webhooks", "status", *arguments])


def test_status_tells_of_workers(app: Flask, shop: Webhooks) -> None:
    """How many, where, of what kind, and when they were seen."""
    two(app)
    assert status(app).output.splitlines()[4:] == [
        "Workers        2 (web-1:4711 process, seen 12 s ago; web-2:7 thread, seen 0 s ago)"
    ]


def test_status_tells_of_workers_as_json(app: Flask, shop: Webhooks) -> None:
    """Each with all that is known of it."""
    two(app)
    found = asked(status(app, "--json"))["workers"]
    assert [one["id"] for one in found] == ["wrk_1", "wrk_2"]
    assert found[0] == {
        "id": "wrk_1", "host": "web-1", "pid": 4711, "kind": "process",
        "started_at": "2027-01-15T08:00:00+00:00", "seen_at": "2027-01-15T08:00:00+00:00",
    }  # fmt: skip


def test_many_workers_are_one_line(app: Flask, shop: Webhooks) -> None:
    """Five are told of, and how many more there are."""
    for n in range(7):
        note(app.extensions["webhooks"].database, a_worker(f"wrk_{n}"))
    line = status(app).output.splitlines()[4]
    assert line.startswith("Workers        7 (web-1:4711 process") and line.endswith("; 2 more)")


@pytest.mark.parametrize(
    "kind, told",
    [
        ("external", "Nobody delivers. Start a worker: flask webhooks worker"),
        (
            "thread",
            "Nobody delivers: the app's own thread starts with its next request. Or start a "
            "worker: flask webhooks worker",
        ),
    ],
)
def test_without_a_worker_status_says_what_to_type(
    make_app: Callable[..., Flask], webhooks: Webhooks, kind: str, told: str
) -> None:
    """It depends on who is to deliver."""
    app = make_app(WEBHOOKS_WORKER=kind)
    webhooks.init_app(app)
    assert status(app).output.splitlines()[4:] == ["Workers        none", told]


def test_an_engine_of_ones_own_is_not_missed(app: Flask, shop: Webhooks) -> None:
    """Its workers are nothing that could be seen."""
    with app.app_context():
        shop.publish_by(lambda ids: None)
    assert status(app).output.splitlines()[-1] == (
        "An engine of your own delivers, and its workers are not seen here."
    )


def test_a_thread_of_the_app_is_seen(make_app: Callable[..., Flask], webhooks: Webhooks) -> None:
    """It is one of the kind ``thread``, from the first request on."""
    app = make_app(WEBHOOKS_WORKER="thread")
    webhooks.init_app(app)
    app.test_client().get("/openapi.json")
    try:
        with app.app_context():
            until(webhooks.workers)
            assert [one.kind for one in webhooks.workers()] == ["thread"]
    finally:
        app.extensions["webhooks"].worker.stop()


def test_the_board_shows_workers_to_operators(app: Flask, shop: Webhooks) -> None:
    """The overview counts and lists them, or says that there are none; the portal never does."""
    app.register_blueprint(shop.board(lambda: "read"), url_prefix="/board")
    app.register_blueprint(shop.portal(), url_prefix="/portal")
    board, portal = app.test_client(), app.test_client()
    with app.test_request_context():
        portal.get(shop.portal_link("ann").removeprefix("http://localhost"))
    assert "nobody delivers" in board.get("/board/").text
    two(app)
    page, theirs = board.get("/board/").text, portal.get("/portal/").text
    assert "<dd>2</dd>" in page and "seen in the last minute" in page
    assert re.search(r"web-1</th><td>4711</td><td>own process</td>.*12 seconds ago", page)
    assert re.search(r"web-2</th><td>7</td><td>thread of the app</td>.*just now", page)
    assert "<h1>Overview</h1>" in theirs
    assert "web-1" not in theirs and "Workers" not in theirs


def test_prometheus_counts_workers(app: Flask, shop: Webhooks) -> None:
    """The gauge is asked of the store."""
    two(app)
    app.register_blueprint(shop.metrics(lambda: True))
    assert "\nwebhooks_workers 2.0\n" in app.test_client().get("/metrics").text
