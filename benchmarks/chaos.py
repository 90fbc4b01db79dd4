"""Kills processes at named points, lets other things go wrong, and counts what was lost or doubled.

Run: ``python benchmarks/chaos.py --hits 200``, with ``--database`` for another than SQLite. Every
hit forks a process that sends messages and delivers them, and kills it by SIGKILL when it passes
the point. Then another worker, whose clock is past all leases, delivers the rest. What a receiver
noted, in a process of its own, is joined with what is stored:

- *lost*: a committed message that a subscription never got;
- *phantom*: a request for a message that was never committed;
- *again*: a request that repeats an earlier one of the same delivery;
- *uncounted*: a request that no counted attempt explains: they are counted before they are made.

The status is 0 when nothing is lost, no phantom came, and only those points that lie between a
receiver's answer and its recording sent anything again.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from flask_webhooks import Webhooks
from flask_webhooks.deliver.exchange import Wire
from flask_webhooks.deliver.intake import Intake
from flask_webhooks.state import State
from flask_webhooks.store import adding, lines, outbox, purging, queue, settling
from flask_webhooks.store.database import Database
from flask_webhooks.telling import Telling

#: Seconds by which the clock moves on after every hit: more than a lease lasts.
LATER = 120.0
SUBSCRIPTIONS, MESSAGES = 2, 3

Patch = Callable[[Callable[[], None]], None]
"""Makes a function call what it is given when the point is passed."""


def before(owner: Any, name: str) -> Patch:
    """The point just before ``owner.name`` begins."""

    def patch(passed: Callable[[], None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            passed()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)

    return patch


def after(owner: Any, name: str) -> Patch:
    """The point just after ``owner.name`` has ended."""

    def patch(passed: Callable[[], None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            passed()
            return result

        setattr(owner, name, wrapped)

    return patch


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place in the program to be killed at.

    :ivar work: what the killed process does.
    :ivar most: it is killed at one of so many passages, drawn by lot.
    :ivar again: whether requests may be repeated: receivers have answered and nothing is written.
    """

    name: str
    patch: Patch
    work: Callable[[Shop], None]
    most: int = 1
    again: bool = False


@dataclass
class Shop:
    """An app that sends, its receiver's notes, and the time."""

    app: Flask
    webhooks: Webhooks
    log: Path
    _passed: Any = field(default_factory=lambda: multiprocessing.Value("d", 0.0, lock=False))
    #: Messages that were seen committed.
    committed: set[str] = field(default_factory=set)

    @property
    def passed(self) -> float:
        """Seconds that went by besides the real ones, in all processes."""
        return float(self._passed.value)

    @passed.setter
    def passed(self, seconds: float) -> None:
        self._passed.value = seconds

    @property
    def state(self) -> Any:
        return self.app.extensions["webhooks"]

    @property
    def database(self) -> Database:
        found: Database = self.state.database
        return found

    def send(self) -> None:
        for n in range(MESSAGES):
            self.webhooks["happened"].send({"n": n})

    def deliver(self) -> None:
        self.webhooks.run_until_idle()

    def pending(self) -> int:
        return len(self.webhooks.deliveries(status="pending"))

    def is_busy(self) -> bool:
        """Whether anything waits, is under way, or is to be fanned out; without reading it all."""
        d, tables = self.database.tables.deliveries, self.database.tables
        pending = d.select().where(d.c.status == "pending").limit(1)
        return self.database.read(
            lambda c: outbox.any_waiting(c, tables) or c.execute(pending).first() is not None
        )

    def note_committed(self) -> None:
        m = self.database.tables.messages
        rows = self.database.read(lambda c: list(c.execute(m.select()).mappings()))
        self.committed |= {row["id"] for row in rows}

    def received(self) -> Counter[tuple[str, str]]:
        """Requests, by message and path."""
        lines = self.log.read_text().splitlines()
        return Counter((line.split()[0], line.split()[1]) for line in lines)


def send_and_deliver(shop: Shop) -> None:
    shop.send()
    shop.deliver()


def replay_all(shop: Shop) -> None:
    shop.webhooks.replay(name="happened", status="delivered")


def purge_all(shop: Shop) -> None:
    shop.webhooks.purge(older_than=0)


def send_and_publish(shop: Shop) -> None:
    """Give the ids to an engine, whose worker delivers them at once."""
    shop.send()
    shop.webhooks.publish_by(shop.webhooks.deliver)
    shop.webhooks.dispatch()


def sweep(shop: Shop) -> None:
    """Deliver what a dead process left under lease."""
    shop.deliver()


POINTS = (
    Point(name="send: row written", patch=after(adding, "_as_stored"), work=send_and_deliver,
          most=MESSAGES),
    Point(name="send: committed", patch=before(State, "wake"), work=send_and_deliver,
          most=MESSAGES),
    Point(name="fan-out: rows written", patch=after(outbox, "_insert_deliveries"),
          work=send_and_deliver),
    Point(name="fan-out: committed", patch=after(Intake, "_fan_out"), work=send_and_deliver),
    Point(name="claim: lease written", patch=after(queue, "_lease"), work=send_and_deliver),
    Point(name="claim: committed", patch=before(queue, "_messages"), work=send_and_deliver),
    Point(name="before the request", patch=before(Wire, "begin"), work=send_and_deliver,
          most=4, again=True),
    Point(name="after the answer", patch=after(Wire, "end"), work=send_and_deliver,
          most=4, again=True),
    Point(name="settle: deliveries written", patch=after(settling, "_write_deliveries"),
          work=send_and_deliver, again=True),
    Point(name="settle: attempts written", patch=after(settling, "_write_attempts"),
          work=send_and_deliver, again=True),
    Point(name="settle: committed", patch=before(Telling, "settled"), work=send_and_deliver,
          again=True),
    Point(name="sweep: lease written", patch=after(queue, "_lease"), work=sweep),
    Point(name="sweep: after the answer", patch=after(Wire, "end"), work=sweep,
          most=4, again=True),
    Point(name="publisher: ids taken", patch=after(queue, "enqueue"), work=send_and_publish),
    Point(name="publisher: handed on", patch=before(queue, "claim_these"), work=send_and_publish),
    Point(name="replay: rows written", patch=after(lines, "let_follow"), work=replay_all),
    Point(name="purge: half deleted", patch=before(purging, "delete"), work=purge_all, most=3),
)  # fmt: skip


@dataclass
class Count:
    """What came of one point."""

    hits: int = 0
    messages: int = 0
    requests: int = 0
    lost: int = 0
    phantom: int = 0
    again: int = 0
    uncounted: int = 0


def receive(listener: socket.socket, log: Path) -> None:
    """Note every request, then answer it with 204. Never returns."""
    poll, open_connections = select.poll(), {listener.fileno(): listener}
    poll.register(listener, select.POLLIN)
    with log.open("a", buffering=1) as notes:
        while True:
            for descriptor, _ in poll.poll():
                connection = open_connections[descriptor]
                if connection is listener:
                    accepted, _ = listener.accept()
                    open_connections[accepted.fileno()] = accepted
                    poll.register(accepted, select.POLLIN)
                elif not _answer(connection, notes):
                    poll.unregister(descriptor)
                    open_connections.pop(descriptor).close()


def _answer(connection: socket.socket, notes: Any) -> bool:
    """Read one small request, which comes in one piece; whether the connection goes on."""
    try:
        data = connection.recv(65536)
        if not data:
            return False
        head = data.split(b"\r\n\r\n")[0].decode().split("\r\n")
        name = next(line.split(": ")[1] for line in head if line.startswith("webhook-id: "))
        notes.write(f"{name} {head[0].split()[1]}\n")
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    except OSError:
        return False
    return True


@contextmanager
def shop_in(folder: Path, database: str | None) -> Iterator[Shop]:
    """A shop with a new database and a receiver of its own."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    log = folder / "received"
    log.touch()
    receiver = os.fork()
    if not receiver:
        receive(listener, log)
    app = Flask("chaos", instance_path=str(folder))
    app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True)
    if database is not None:
        app.config["WEBHOOKS_DATABASE_URI"] = database
    webhooks = Webhooks()
    webhooks.webhook("happened", {"type": "object"})
    webhooks.init_app(app)
    shop = Shop(app, webhooks, log)
    shop.state.clock = lambda: time.time() + shop.passed
    try:
        with app.app_context():
            _empty(shop.database)
            for n in range(SUBSCRIPTIONS):
                url = f"http://127.0.0.1:{listener.getsockname()[1]}/{n}"
                webhooks.subscribe(url, ["happened"])
            shop.passed += 1  # a subscription gets what is sent after it was made
            yield shop
    finally:
        shop.database.dispose()
        os.kill(receiver, signal.SIGKILL)
        os.waitpid(receiver, 0)
        listener.close()


def _empty(database: Database) -> None:
    def work(connection: Any) -> None:
        for table in reversed(database.tables.in_order()):
            connection.execute(table.delete())

    database.write(work)


def killed(shop: Shop, point: Point, at: int) -> bool:
    """Do the point's work in a process that is killed at its passage ``at``; whether it was."""
    shop.database.dispose()
    child = os.fork()
    if not child:
        left = [at]

        def passed() -> None:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

        try:
            point.patch(passed)
            with shop.app.app_context():
                point.work(shop)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def run_point(shop: Shop, point: Point, hits: int, chance: random.Random) -> Count:
    """Hit one point so often, recover each time, and count."""
    count = Count()
    for _ in range(hits):
        if point.work not in (send_and_deliver, send_and_publish):
            shop.send()
            if point.work is sweep:
                _abandon(shop)
                shop.passed += LATER
            else:
                shop.deliver()
            shop.note_committed()
        if not killed(shop, point, chance.randint(1, point.most)):
            raise RuntimeError(f"The point {point.name!r} was not passed.")
        count.hits += 1
        shop.note_committed()
        shop.passed += LATER
        shop.deliver()
    return _counted(shop, count)


def _abandon(shop: Shop) -> None:
    """Leave deliveries under lease, as a process does that dies before it sends."""
    dies = Point(name="", patch=before(Wire, "begin"), work=lambda s: s.deliver())
    if not killed(shop, dies, 1):
        raise RuntimeError("Nothing was left under lease.")


def _counted(shop: Shop, count: Count) -> Count:
    received = shop.received()
    paths = {f"/{n}" for n in range(SUBSCRIPTIONS)}
    count.messages, count.requests = len(shop.committed), received.total()
    count.lost = sum((m, p) not in received for m in shop.committed for p in paths)
    count.phantom = sum(n for (m, _), n in received.items() if m not in shop.committed)
    count.lost += shop.pending()
    for one in shop.webhooks.deliveries():
        times = received[one.message_id, "/" + one.url.rpartition("/")[2]]
        count.uncounted += max(times - one.attempts, 0)
        if times > 1:
            replays = sum(a.outcome == "accepted" for a in shop.webhooks.attempts(one)) - 1
            count.again += max(times - 1 - replays, 0)
    return count


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something other than a kill that goes wrong while messages are delivered.

    :ivar only: the database that it can happen to.
    :ivar again: whether requests may be repeated.
    """

    name: str
    happen: Callable[[Shop, random.Random], None]
    only: str | None = None
    again: bool = False


def a_zombie(shop: Shop, chance: random.Random) -> None:
    """A worker stands still after an answer, past its lease, and comes back when all is done."""
    shop.send()
    shop.note_committed()
    shop.database.dispose()
    child = os.fork()
    if not child:
        after(Wire, "end")(lambda: os.kill(os.getpid(), signal.SIGSTOP))
        try:
            with shop.app.app_context():
                shop.deliver()
        finally:
            os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    shop.passed += LATER
    shop.deliver()
    stood = _standing(shop)
    while True:  # each of its threads stops once
        os.kill(child, signal.SIGCONT)
        if not os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
            break
    if _standing(shop) != stood:
        raise RuntimeError("A worker whose lease was over wrote an outcome.")


def _standing(shop: Shop) -> list[Any]:
    found = shop.webhooks.deliveries()
    return [(d.id, d.status, d.attempts, len(shop.webhooks.attempts(d))) for d in found]


def workers_killed_at_random(shop: Shop, chance: random.Random) -> None:
    """Two workers at work, each killed after some milliseconds."""
    for _ in range(10):
        shop.send()
    shop.note_committed()
    shop.database.dispose()
    pair = []
    for _ in range(2):
        child = os.fork()
        if not child:
            with shop.app.app_context():
                shop.state.worker.run()
        pair.append(child)
    for child in pair:
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    shop.passed += LATER
    shop.deliver()


def a_clock_that_leaps(shop: Shop, chance: random.Random) -> None:
    """The clock jumps an hour ahead and back between attempts, while two workers deliver."""
    shop.send()
    shop.note_committed()
    shop.database.dispose()
    child = os.fork()
    if not child:
        shop.state.clock = lambda: time.time() + shop.passed + chance.choice([-3600, 0, 3600])
        try:
            with shop.app.app_context():
                shop.deliver()
        finally:
            os._exit(0)
    shop.deliver()
    os.waitpid(child, 0)
    shop.passed += 2 * 3600 + LATER
    shop.deliver()


def _under(shop: Shop, pragma: str, relief: str) -> None:
    """Deliver while every connection to SQLite obeys a pragma, and once it is lifted."""
    shop.send()
    shop.note_committed()
    in_force = [True]

    def on_checkout(connection: Any, *_: Any) -> None:
        connection.execute(pragma if in_force[0] else relief)

    event.listen(shop.database.engine, "checkout", on_checkout)
    worker = shop.state.worker
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        for _ in range(1000):  # a disk is not full before the last page is
            shop.send()
        raise RuntimeError("A message was accepted that could not be stored.")
    except DBAPIError:
        time.sleep(0.2)
    in_force[0] = False
    give_up = time.monotonic() + 30
    while shop.pending() or _unfanned(shop):
        if time.monotonic() > give_up:
            raise RuntimeError("The worker did not recover.")
        time.sleep(0.05)
    worker.stop()
    thread.join()
    event.remove(shop.database.engine, "checkout", on_checkout)
    shop.state.use(shop.state.settings)  # a stopped worker is over


def _unfanned(shop: Shop) -> bool:
    return shop.database.read(lambda c: outbox.any_waiting(c, shop.database.tables))


def a_full_disk(shop: Shop, chance: random.Random) -> None:
    """No page can be added to the database for a while."""
    _under(shop, "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1073741823")


def a_database_that_cannot_be_written(shop: Shop, chance: random.Random) -> None:
    """It is read-only for a while."""
    _under(shop, "PRAGMA query_only = ON", "PRAGMA query_only = OFF")


def a_database_that_hangs_up(shop: Shop, chance: random.Random) -> None:
    """Every connection is cut, again and again, as when the server restarts."""
    for _ in range(3):
        shop.send()
    shop.note_committed()
    shop.database.dispose()
    child = os.fork()
    if not child:
        logging.disable()
        with shop.app.app_context():
            shop.state.worker.run()
    cutter = create_engine(shop.database.engine.url, isolation_level="AUTOCOMMIT")
    with cutter.connect() as connection:
        for _ in range(20):
            time.sleep(chance.uniform(0.0, 0.04))
            connection.execute(_CUT)
    give_up = time.monotonic() + 30
    while shop.pending() or _unfanned(shop):
        if time.monotonic() > give_up:
            raise RuntimeError("The worker did not recover.")
        time.sleep(0.05)
        shop.passed += 1
        shop.deliver()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    cutter.dispose()


_CUT = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)

FAULTS = (
    Fault(name="workers killed at random", happen=workers_killed_at_random, again=True),
    Fault(name="a zombie wakes up", happen=a_zombie, again=True),
    Fault(name="the clock leaps an hour", happen=a_clock_that_leaps, again=True),
    Fault(name="the disk is full", happen=a_full_disk, only="sqlite"),
    Fault(name="the database is read-only", happen=a_database_that_cannot_be_written,
          only="sqlite"),
    Fault(name="the database hangs up", happen=a_database_that_hangs_up, only="postgresql",
          again=True),
)  # fmt: skip


def run_fault(shop: Shop, fault: Fault, hits: int, chance: random.Random) -> Count:
    """Let one fault happen so often, recover each time, and count."""
    count = Count()
    for _ in range(hits):
        fault.happen(shop, chance)
        shop.note_committed()
        shop.passed += LATER
        shop.deliver()
        count.hits += 1
    return _counted(shop, count)


_COLUMNS = ("hits", "messages", "requests", "lost", "phantom", "again", "uncounted")


def line(point: Point | Fault, count: Count) -> str:
    """One line of the table."""
    cells = "".join(f"{getattr(count, column):>10}" for column in _COLUMNS)
    return f"{point.name:<28}{cells}{'' if holds(point, count) else '   BROKEN'}"


def holds(point: Point | Fault, count: Count) -> bool:
    """Whether all is as promised."""
    kept = not (count.lost or count.phantom or count.uncounted)
    return kept and (point.again or not count.again)


def run(hits: int, seed: int, database: str | None, names: list[str]) -> bool:
    """Hit every point and fault, or those that are named; whether all is as promised."""
    chance, good = random.Random(seed), True
    dialect = (database or "sqlite").partition(":")[0].partition("+")[0]
    logging.getLogger("flask_webhooks").setLevel(logging.CRITICAL)
    print(f"seed {seed}, {dialect}, {SUBSCRIPTIONS} subscriptions")
    print(
        f"{'killed at, or what happened':<28}" + "".join(f"{c:>10}" for c in _COLUMNS), flush=True
    )
    for point in (*POINTS, *FAULTS):
        if names and point.name not in names:
            continue
        if isinstance(point, Fault) and point.only not in (None, dialect):
            continue
        with tempfile.TemporaryDirectory() as folder, shop_in(Path(folder), database) as shop:
            if isinstance(point, Point):
                count = run_point(shop, point, hits, chance)
            else:
                count = run_fault(shop, point, hits, chance)
        print(line(point, count), flush=True)
        good &= holds(point, count)
    return good


def main() -> int:
    """Run what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--hits", type=int, default=200, help="of each point")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--database", help="an SQLAlchemy URL; a new SQLite file by default. "
                         "Its tables are emptied!")  # fmt: skip
    options.add_argument("points", nargs="*", metavar="POINT", help="or fault; by default all")
    chosen = options.parse_args()
    return 0 if run(chosen.hits, chosen.seed, chosen.database, chosen.points) else 1


if __name__ == "__main__":
    sys.exit(main())
