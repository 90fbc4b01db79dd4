"""Delivers by this extension, and by what people use instead, in one run; prints a table of ratios.

Run: ``pip install ".[bench]"``, then ``python benchmarks/senders.py``. Each contender has its queue
filled first. It is timed from the moment that it has sent a tenth to the moment that it has sent
all: imports and starting up are not in it, nor is the filling. All send a 500-byte JSON body,
signed, to one sink on loopback. Rounds are shuffled; each ratio is to the bare pool of the same
round, and the median counts. Ours keeps every attempt, judges every address and writes with
``synchronous = FULL``; the bare pool keeps nothing at all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from drain import PAYLOAD, Sink, bare, sink
from flask import Flask
from peers import PEERS
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from flask_webhooks import Webhooks

HERE = Path(__file__).parent
#: The environment of other processes: they find these modules, and the package beside them.
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}


def app_in(
    folder: Path, database: str | None, settings: Mapping[str, object] = MappingProxyType({})
) -> tuple[Flask, Webhooks]:
    """An app whose queue is in ``folder``, or in another database."""
    app = Flask("benchmark", instance_path=str(folder))
    app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True, WEBHOOKS_WORKER="external")
    app.config.from_prefixed_env()  # for worker processes
    app.config.update(settings)
    if database:
        app.config["WEBHOOKS_DATABASE_URI"] = database
    webhooks = Webhooks()
    webhooks.webhook("benchmarked", {"type": "object"})
    webhooks.init_app(app)
    return app, webhooks


def ours(to: Sink, folder: Path, database: str | None, subscriptions: int) -> Webhooks:
    """An app to which so many have subscribed."""
    app, webhooks = app_in(folder, database)
    app.app_context().push()
    for n in range(subscriptions):
        webhooks.subscribe(to.url(n), ["benchmarked"])
    return webhooks


def work(folder: Path, database: str) -> None:
    """A worker process of ours, by ``flask webhooks worker``, until it is killed."""
    app, _ = app_in(folder, database)
    app.test_cli_runner().invoke(args=["webhooks", "worker"])


def workers(folder: Path, database: str | None, processes: int) -> list[list[str]]:
    """The commands of worker processes of ours."""
    return [["senders.py", "--work", str(folder), database or ""]] * processes


@contextmanager
def running(
    commands: list[list[str]],
    environment: dict[str, str] = ENVIRONMENT,
    log: Path = Path(os.devnull),
) -> Iterator[None]:
    """Processes that run meanwhile, in groups of their own.

    :param log: a file for what they print.
    """
    with log.open("ab") as output:
        started = [
            subprocess.Popen(
                [sys.executable, *command], env=environment, cwd=HERE,
                start_new_session=True, stdout=output, stderr=output,
            )
            for command in commands
        ]  # fmt: skip
    try:
        yield
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def timed(to: Sink, count: int, already: int, seconds: float = 180.0) -> float:
    """Seconds for each delivery, from a tenth of ``count`` to all of it."""
    give_up = time.monotonic() + seconds

    def moment(received: int) -> float:
        while to.count.value - already < received:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{to.count.value - already} of {count} were delivered.")
            time.sleep(0.0005)
        return time.perf_counter()

    first = count // 10
    began = moment(first)
    already_then = to.count.value - already
    return (moment(count) - began) / (count - already_then)


def by_peer(name: str, to: Sink, count: int, broker: str) -> float:
    """One round of another library."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **ENVIRONMENT, "SINK": to.url(0), "BROKER": broker, "FOLDER": folder,
            "QUEUE": f"webhooks_bench_{uuid.uuid4().hex[:8]}",
        }  # fmt: skip
        filling = [sys.executable, "peers.py", name, "enqueue", str(count)]
        subprocess.run(filling, env=environment, cwd=HERE, check=True)
        already = to.count.value
        with running([["peers.py", name, "work"]] * PEERS[name].processes, environment):
            return timed(to, count, already)


def by_us(
    to: Sink, count: int, each: int, processes: int, server: str | None, threads: int = 0
) -> float:
    """One round of ours.

    :param each: how many subscriptions get each message.
    :param server: an SQLAlchemy URL; without one it is a file of SQLite's.
    :param threads: that send the messages while it is timed; without any all is queued before.
    """
    with tempfile.TemporaryDirectory() as folder, own_database(server) as database:
        webhooks = ours(to, Path(folder), database, each)
        if not threads:
            for _ in range(count // each):
                webhooks["benchmarked"].send(PAYLOAD)
            while webhooks._state.worker.intake.fan_out():
                pass
        already = to.count.value
        with running(workers(Path(folder), database, processes)):
            if threads:
                return sending(webhooks, to, count // each, each, already, threads)
            return timed(to, count, already)


def sending(
    webhooks: Webhooks, to: Sink, messages: int, each: int, already: int, threads: int
) -> float:
    """Seconds for each delivery while its message is sent as well, by threads of this process.

    It is timed from the first delivery on: the worker is at work then. Each message is a ``send``
    of its own, and each thread waits for its message to be stored before it sends the next.
    """
    app, send = webhooks.current_app(), webhooks["benchmarked"].send

    def several(times: int) -> None:
        with app.app_context():
            for _ in range(times):
                send(PAYLOAD)

    several(1)
    while to.count.value - already < each:
        time.sleep(0.001)
    shares = [len(range(n, messages - 1, threads)) for n in range(threads)]
    senders = [threading.Thread(target=several, args=(share,)) for share in shares]
    began = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    while to.count.value - already < messages * each:
        time.sleep(0.0005)
    return (time.perf_counter() - began) / ((messages - 1) * each)


def committing(count: int) -> float:
    """Seconds for each message that is only stored, by bare ``sqlite3`` in a commit of its own.

    Nothing that stores each message durably, and waits for that, can be faster.
    """
    body = json.dumps(PAYLOAD)
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "floor.sqlite3", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)")
        began = time.perf_counter()
        for _ in range(count):
            database.execute("INSERT INTO messages (body) VALUES (?)", (body,))
        took = time.perf_counter() - began
        database.close()
    return took / count


@contextmanager
def own_database(server: str | None) -> Iterator[str | None]:
    """A new database on a server, dropped in the end."""
    if server is None:
        yield None
        return
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"webhooks_bench_{uuid.uuid4().hex[:8]}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@dataclass
class Contender:
    """One way to deliver; what its rounds took for each delivery, in seconds."""

    name: str
    run: Callable[[], float]
    seconds: list[float] = field(default_factory=list)


def contenders(to: Sink, options: argparse.Namespace) -> list[Contender]:
    """The bare pool first, ours, and the peers that are installed."""
    count, few = options.deliveries, max(options.deliveries // 5, 300)

    def bare_pool() -> float:
        return bare(to, few, 16)[0] / few

    found = [
        Contender("requests.Session, 16 threads, not durable", bare_pool),
        Contender("ours, full queue, 1 process", lambda: by_us(to, count, 10, 1, None)),
        Contender("ours, full queue, 2 processes", lambda: by_us(to, 2 * count, 10, 2, None)),
        Contender("ours, one send for each, 1 thread", lambda: by_us(to, count, 1, 1, None, 1)),
        Contender("ours, one send for each, 16 threads", lambda: by_us(to, count, 1, 1, None, 16)),
        Contender("ours, one send for ten", lambda: by_us(to, count, 10, 1, None, 1)),
        Contender("one INSERT and COMMIT each, nothing sent", lambda: committing(count)),
    ]
    if options.postgresql:
        server = options.postgresql
        found.append(
            Contender("ours, PostgreSQL, 2 processes", lambda: by_us(to, count, 10, 2, server))
        )
    for name, peer in PEERS.items():
        if importlib.util.find_spec(peer.module):
            found.append(Contender(name, lambda n=name: by_peer(n, to, few, options.redis)))
        else:
            print(f"Left out, as it is not installed: {name}")
    return found


def report(rows: list[Contender]) -> None:
    base = rows[0]
    print(f"{'':44}{'ratio':>7} {'[min-max]':>13}{'rate/s':>9}")
    for one in rows:
        if not one.seconds:
            continue
        ratios = sorted(b / s for b, s in zip(base.seconds, one.seconds, strict=True))
        rate = 1 / statistics.median(one.seconds)
        span = f"[{ratios[0]:.2f}-{ratios[-1]:.2f}]"
        print(f"{one.name:44}{statistics.median(ratios):7.2f} {span:>13}{rate:9.0f}")


def main() -> None:
    """Run the rounds that the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--deliveries", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default="", help="a part of the names of contenders")
    options.add_argument("--redis", default="redis://127.0.0.1:6379/9")
    options.add_argument("--postgresql", help="an SQLAlchemy URL of a server")
    options.add_argument("--work", nargs=2, metavar=("FOLDER", "DATABASE"), help="(internal)")
    chosen = options.parse_args()
    if chosen.work:
        return work(Path(chosen.work[0]), chosen.work[1])
    with sink() as to:
        rows = contenders(to, chosen)
        rows = [rows[0], *(row for row in rows[1:] if chosen.only in row.name)]
        for n in range(chosen.rounds):
            for one in random.Random(n).sample(rows, len(rows)):
                one.seconds.append(one.run())
    report(rows)


if __name__ == "__main__":
    main()
