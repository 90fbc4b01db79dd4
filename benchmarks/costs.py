"""What the engine costs beside a yardstick: fan-out, a view's ``send``, a claim, an import, Celery.

``promises.py`` prints them. Each is measured in one run with its yardstick, in turns, so that a
busy machine slows both; medians count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drain import PAYLOAD, bare, sink
from figures import Figure
from flask import Flask
from gates import many_hosts, medians, new_connections
from latencies import fill
from senders import ENVIRONMENT, HERE, app_in, own_database, running, timed
from sqlalchemy import Column, Integer, String, Table, create_engine, func, insert, select, update
from sqlalchemy.orm import Session, registry, scoped_session, sessionmaker

from flask_webhooks import Webhooks
from flask_webhooks.rules.ids import new_id
from flask_webhooks.store import outbox, queue
from flask_webhooks.store.tables import Tables

URL = "http://127.0.0.1:9/"


def subscribed(webhooks: Webhooks, count: int) -> list[str]:
    """Subscribe so many: their ids. One is subscribed, the others are copies of its rows."""
    first = webhooks.subscribe(URL, ["benchmarked"]).id
    database = webhooks._state.database
    ids = [new_id("sub", time.time()) for _ in range(count - 1)]

    def copy(table: Table, column: Column[str], connection: Any) -> None:
        row = connection.execute(select(table).where(column == first)).mappings().one()
        connection.execute(insert(table), [{**row, column.name: one} for one in ids])

    tables: Tables = database.tables
    if ids:
        database.write(lambda c: copy(tables.subscriptions, tables.subscriptions.c.id, c))
        database.write(lambda c: copy(tables.names, tables.names.c.subscription_id, c))
    return [first, *ids]


# Fan-out


def fanning_out(quick: bool, server: str | None) -> list[Figure]:
    """One message to 10,000 subscriptions, beside ``add_all`` of as many mapped objects."""
    count, rounds = (200, 1) if quick else (10_000, 5)
    with tempfile.TemporaryDirectory() as folder, own_database(server) as url:
        app, webhooks = app_in(Path(folder), url)
        with app.app_context():
            database = webhooks._state.database
            ids = subscribed(webhooks, count)
            delivery = mapped(database.tables.deliveries)
            ours, theirs = [], []
            for _ in range(rounds):
                theirs.append(added(webhooks, delivery, ids) / count)
                ours.append(fanned_out(webhooks, count) / count)
            database.dispose()
    mine, other = statistics.median(ours), statistics.median(theirs)
    note = f"{mine * 1e6:.2f} us for each, {other * 1e6:.1f} by add_all"
    where = "PostgreSQL" if server else "SQLite"
    return [
        Figure(
            name=f"Fan-out to {count:,} on {where}, to an ORM's add_all",
            value=mine / other, bound=1 / 50, note=note,
        )
    ]  # fmt: skip


def fanned_out(webhooks: Webhooks, count: int) -> float:
    database = webhooks._state.database
    message = webhooks["benchmarked"].send(PAYLOAD).id
    started = time.perf_counter()
    database.write(
        lambda c: outbox.fan_out(
            c, database.tables, now=now(), first_delay=lambda name: 0, limit=300
        )
    )
    took = time.perf_counter() - started
    d = database.tables.deliveries.c
    found = select(func.count()).where(d.message_id == message)
    rows = database.read(lambda c: c.execute(found).scalar_one())
    assert rows == count
    return took


def added(webhooks: Webhooks, delivery: type, ids: list[str]) -> float:
    """The same rows as mapped objects, of a message that is not fanned out by us."""
    database = webhooks._state.database
    m = database.tables.messages
    message = webhooks["benchmarked"].send(PAYLOAD).id
    database.write(lambda c: c.execute(update(m).where(m.c.id == message).values(fanned_out=True)))
    started = time.perf_counter()
    with Session(database.engine) as session:
        session.add_all(
            delivery(
                message_id=message, subscription_id=one, status="pending", attempts=0,
                attempts_before_replay=0, claims=0, due_at=now(), created_at=now(),
            )
            for one in ids
        )  # fmt: skip
        session.commit()
    return time.perf_counter() - started


def mapped(table: Table) -> type:
    delivery: type = type("Delivery", (), {})
    registry().map_imperatively(delivery, table)
    return delivery


def now() -> int:
    return int(time.time() * 1e6)


# A view


def in_views(quick: bool) -> list[Figure]:
    """A view that inserts a row and commits, with ``send`` in its transaction and without."""
    rounds = 5 if quick else 400
    found = []
    for count in (1, 1000):
        with tempfile.TemporaryDirectory() as folder:
            plain, sending = views(Path(folder), count)
            without, with_send = medians(plain, sending, rounds=rounds)
        note = f"{with_send:.0f} us to {without:.0f} us"
        name = f"A view with send in its transaction, {count:,} subscribed, to one without"
        found.append(Figure(name=name, value=with_send / without, bound=1.2, note=note))
    return found


def views(folder: Path, count: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Calls of two views of an app with a session of its own: one inserts, one sends besides."""
    session = scoped_session(sessionmaker(create_engine(f"sqlite:///{folder / 'app.sqlite3'}")))
    orders = registry()

    @orders.mapped
    class Order:
        __table__ = Table(
            "orders", orders.metadata, Column("id", Integer, primary_key=True),
            Column("text", String, nullable=False),
        )  # fmt: skip

    orders.metadata.create_all(session.get_bind())
    app = Flask("benchmark", instance_path=str(folder))
    app.config.update(TESTING=True, WEBHOOKS_WORKER="external", WEBHOOKS_ALLOW_LOOPBACK=True)
    webhooks = Webhooks(session=session)
    benchmarked = webhooks.webhook("benchmarked", {"type": "object"})

    @app.post("/plain")
    def plain() -> tuple[str, int]:
        session.add(Order(text="x"))
        session.commit()
        return "", 201

    @app.post("/sending")
    @benchmarked
    def sending() -> tuple[str, int]:
        session.add(Order(text="x"))
        benchmarked.send(PAYLOAD)
        session.commit()
        return "", 201

    app.teardown_appcontext(lambda error: session.remove())
    webhooks.init_app(app)
    with app.app_context():
        subscribed(webhooks, count)
    client = app.test_client()

    def called(path: str) -> Callable[[], None]:
        def call() -> None:
            assert client.post(path).status_code == 201

        return call

    return called("/plain"), called("/sending")


# A claim


def claims(quick: bool) -> list[Figure]:
    """A claim from a long queue beside one from a short one, half of both one subscription's."""
    sizes = (1000, 4000) if quick else (1000, 1_000_000)
    took, memory = [], []
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            app, webhooks = app_in(Path(folder), None)
            with app.app_context():
                busy, *others = subscribed(webhooks, 101)
                fill(webhooks, rows // 2, [[busy], others], b"{}")
                found = [claimed_from(webhooks, Path(folder)) for _ in range(1 if quick else 5)]
        took.append(statistics.median(one["ms"] for one in found))
        memory.append(statistics.median(one["MiB"] for one in found))
    what = f"A claim from {sizes[1]:,} due deliveries, to one from {sizes[0]:,}"
    grown = memory[1] - memory[0]
    return [
        Figure(name=what, value=took[1] / took[0], bound=3,
               note=f"{took[1]:.2f} ms to {took[0]:.2f} ms"),
        Figure(name=f"{what}: more memory of the process", value=grown, bound=10, unit="MiB",
               note=f"{memory[1]:.1f} to {memory[0]:.1f}"),
    ]  # fmt: skip


def claimed_from(webhooks: Webhooks, folder: Path) -> dict[str, float]:
    """Claim in a fresh process, then put everything back."""
    command = [sys.executable, "costs.py", str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=HERE, capture_output=True, check=True)
    d = webhooks._state.database.tables.deliveries
    back = update(d).where(d.c.claims > 0)
    back = back.values(claims=0, attempts=0, token=None, due_at=d.c.created_at)
    webhooks._state.database.write(lambda c: c.execute(back))
    found: dict[str, float] = json.loads(done.stdout)
    return found


def claim(folder: Path, times: int = 6) -> dict[str, float]:
    """Claim some batches: the median of all but the first in ms, and the most memory in MiB."""
    app, webhooks = app_in(folder, None)
    took = []
    with app.app_context():
        database = webhooks._state.database
        for _ in range(times):
            started = time.perf_counter()
            found, _ = queue.claim(
                database, token=uuid.uuid4().hex, now=now(), lease=60_000_000, limit=64,
                room=lambda subscription: 4, look_around=True,
            )  # fmt: skip
            took.append(time.perf_counter() - started)
            assert len({one.subscription_id for one in found}) > 10, found
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {"ms": statistics.median(took[1:]) * 1000, "MiB": int(peak.split()[1]) / 1024}


# TLS


def over_tls(quick: bool) -> list[Figure]:
    """CPU of requests over TLS, on new connections and round-robin to fifty hosts."""
    rounds = 1 if quick else 40
    new, new_stock = new_connections(rounds)
    kept, kept_stock = many_hosts(5 if quick else 50, rounds=1 if quick else 5)
    return [
        Figure(name="CPU of a new TLS connection, to a stock adapter's", value=new / new_stock,
               bound=1 / 10, note=f"{new / 1000:.1f} ms to {new_stock / 1000:.1f} ms"),
        Figure(name="CPU of requests to 50 https hosts in turn, to a default Session's",
               value=kept / kept_stock, bound=1 / 30,
               note=f"{kept / 1000:.2f} ms to {kept_stock / 1000:.1f} ms"),
    ]  # fmt: skip


# An import

_IMPORT = """
import gc, time
began = time.perf_counter()
import flask, sqlalchemy
marks = []
gc.callbacks.append(lambda phase, info: marks.append(time.perf_counter()))
between = time.perf_counter()
import flask_webhooks
ended = time.perf_counter()
print(between - began, ended - between, sum(marks[1::2]) - sum(marks[::2]))
"""


def importing(quick: bool) -> list[Figure]:
    """What an import adds to those of Flask and SQLAlchemy, in fresh interpreters.

    The collector's pass over all that those left behind falls due in it, and is counted.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {**ENVIRONMENT, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode

        def run() -> list[float]:
            command = [sys.executable, "-c", _IMPORT]
            done = subprocess.run(command, env=environment, capture_output=True, check=True)
            return [float(part) * 1000 for part in done.stdout.split()]

        run()
        runs = [run() for _ in range(2 if quick else 21)]
    before, added, collecting = (statistics.median(one) for one in zip(*runs, strict=True))
    note = (
        f"{before:.0f} ms without, {(before + added) / before:.2f} times that with it; "
        f"{collecting:.0f} ms are garbage collection"
    )
    return [Figure(name="import flask_webhooks, above flask and sqlalchemy", value=added,
                   bound=30, unit="ms", note=note)]  # fmt: skip


# Celery


def by_celery(quick: bool, broker: str) -> list[Figure]:
    """Deliveries a second through Celery, as a ratio of those of a bare pool."""
    count, ratios = 100 if quick else 5000, []
    with sink() as to:
        for _ in range(1 if quick else 3):
            with tempfile.TemporaryDirectory() as folder:
                app, webhooks = app_in(Path(folder), None)
                with app.app_context():
                    subscriptions = [webhooks.subscribe(to.url(n), ["benchmarked"])
                                     for n in range(10)]  # fmt: skip
                    body = json.dumps(PAYLOAD).encode()
                    fill(webhooks, count // 10, [[one.id] for one in subscriptions], body)
                few = max(count // 5, 50)
                pool, already = bare(to, few, 16)[0] / few, to.count.value
                with running([["costs.py", folder, broker]]):
                    ratios.append(pool / timed(to, count, already))
    note = "higher is better"
    name = "Deliveries a second through Celery, to a bare pool's"
    return [Figure(name=name, value=statistics.median(ratios), note=note)]


def celery_worker(folder: Path, broker: str) -> None:
    """A Celery worker of two processes, until it is killed."""
    from celery import Celery

    celery = Celery("promises", broker=broker)
    celery.conf.task_default_queue = f"webhooks_bench_{folder.name}"
    celery.conf.worker_hijack_root_logger = False
    celery.conf.broker_connection_retry_on_startup = True
    app_in(folder, None, {"WEBHOOKS_WORKER": "celery", "WEBHOOKS_CELERY": celery})
    celery.worker_main(["worker", "-c", "2", "-l", "ERROR", "--without-gossip",
                        "--without-mingle", "--without-heartbeat"])  # fmt: skip


if __name__ == "__main__":
    if sys.argv[2:]:
        celery_worker(Path(sys.argv[1]), sys.argv[2])
    else:
        print(json.dumps(claim(Path(sys.argv[1]))))
