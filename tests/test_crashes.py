"""Real processes, killed for real: nothing is lost, and a duplicate carries the same id.

A lease is made short here, so that what a dead process held is due again within a second or two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from flask import Flask

from flask_webhooks import Webhooks
from tests import servers

pg_fresh, mysql_fresh = servers.pg_fresh, servers.mysql_fresh

APP = """
import os
import flask_webhooks.deliver.attempting as attempting
import flask_webhooks.deliver.worker as worker
from flask import Flask
from flask_webhooks import Webhooks

worker.LEASE_MARGIN, worker.POLL = 0.7, 0.05
worker.TO_SETTLE = attempting.TO_SETTLE = 0.5
webhooks = Webhooks()
new_booking = webhooks.webhook("newBooking", {"type": "object"})

app = Flask("shop", instance_path=os.environ["INSTANCE"])
app.config["WEBHOOKS_ALLOW_LOOPBACK"] = True
app.config["WEBHOOKS_TIMEOUT"] = 1.0
app.config["WEBHOOKS_SCHEDULE"] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
app.config["WEBHOOKS_WORKER"] = os.environ.get("WORKER", "external")
if "DATABASE" in os.environ:
    app.config["WEBHOOKS_DATABASE_URI"] = os.environ["DATABASE"]
webhooks.init_app(app)

def send(*ids):
    with app.app_context():
        for one in ids:
            new_booking.send({"id": one})

def standing():
    with app.app_context():
        return sorted((d.status, d.attempts) for d in webhooks.deliveries())
"""


@dataclass
class Receiver:
    """Notes the ids that it is sent; a held request is answered when it is released."""

    url: str = ""
    ids: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver of this process, one thread for each connection."""
    noted = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            noted.ids.append(self.headers["webhook-id"])
            noted.came.release()
            noted.released.wait(10)
            self.send_response(204)
            self.end_headers()
            noted.answered.append(self.headers["webhook-id"])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # Several connections are opened at once: five would fit, and the sixth wait for a second.
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A peer that was killed is no surprise."""

    server = Server(("127.0.0.1", 0), Handler)
    noted.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield noted
    finally:
        noted.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that runs as long as the test."""
    with receiving() as noted:
        yield noted


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts processes of one app in a folder of its own; kills what is left of them."""
    (tmp_path / "shop.py").write_text(APP)
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ, "INSTANCE": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
            "FLASK_APP": "shop", **variables,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


WORKER = ("-m", "flask", "webhooks", "worker")


def said(process: subprocess.Popen[str]) -> str:
    """All that a process printed, once it has ended well."""
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    return output


@dataclass
class Shop:
    """The same app in this process, to prepare a test and to see how it ended."""

    app: Flask
    webhooks: Webhooks

    def send(self, url: str, count: int = 1) -> None:
        with self.app.app_context():
            self.webhooks.subscribe(url, ["newBooking"])
            for n in range(count):
                self.webhooks["newBooking"].send({"id": n})

    def standing(self) -> list[tuple[str, int]]:
        """Status and attempts of each delivery."""
        with self.app.app_context():
            return [(str(d.status), d.attempts) for d in self.webhooks.deliveries()]

    def deliver_a_minute_later(self) -> None:
        """When all leases have ended."""
        state = self.app.extensions["webhooks"]
        state.clock = lambda: time.time() + 60
        with self.app.app_context():
            self.webhooks.run_until_idle()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The app whose processes a test kills."""
    webhooks = Webhooks()
    webhooks.webhook("newBooking", {"type": "object"})
    app = Flask("shop", instance_path=str(tmp_path))
    app.config.update(
        TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True, WEBHOOKS_SCHEDULE=[0, 0, 0],
        WEBHOOKS_TIMEOUT=1.0,
    )  # fmt: skip
    webhooks.init_app(app)
    yield Shop(app, webhooks)
    app.extensions["webhooks"].database.dispose()


def test_a_worker_that_is_killed_while_it_sends(run: Run, receiver: Receiver, shop: Shop) -> None:
    """The next worker delivers the same message, with the same id, once the lease has ended."""
    shop.send(receiver.url)
    killed = run(*WORKER)
    assert receiver.came.acquire(timeout=20)
    killed.kill()
    killed.wait()
    assert shop.standing() == [("pending", 1)]
    receiver.released.set()
    successor = run(*WORKER)
    assert receiver.came.acquire(timeout=20)
    successor.send_signal(signal.SIGTERM)
    assert "Stopped." in said(successor)
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert receiver.ids[0].startswith("msg_")
    assert shop.standing() == [("delivered", 2)]


def test_sigterm_ends_a_worker_after_what_is_under_way(
    run: Run, receiver: Receiver, shop: Shop
) -> None:
    """The attempt is finished and recorded; the process says so and exits with 0."""
    shop.send(receiver.url)
    worker = run(*WORKER)
    assert receiver.came.acquire(timeout=20)
    worker.send_signal(signal.SIGTERM)
    receiver.released.set()
    assert "Stopped. What was not delivered stays stored." in said(worker)
    assert len(receiver.ids) == 1
    assert shop.standing() == [("delivered", 1)]


_DIE = """
import os, signal
from shop import *
from flask_webhooks.deliver.transport import Transport
from flask_webhooks.store import settling

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

{where} = die
with app.app_context():
    webhooks.run_until_idle()
"""


@pytest.mark.parametrize(
    ("where", "requests"),
    [
        ("Transport.send", 1),
        ("settling._write_deliveries", 2),
        ("settling._write_subscriptions", 2),
    ],
)
def test_a_kill_at_the_worst_moment(
    run: Run, receiver: Receiver, shop: Shop, where: str, requests: int
) -> None:
    """Before the request: no duplicate. Before the answer is recorded: one, with the same id."""
    receiver.released.set()
    shop.send(receiver.url)
    killed = run("-c", _DIE.format(where=where))
    killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert shop.standing() == [("pending", 1)]
    shop.deliver_a_minute_later()
    assert len(receiver.ids) == requests
    assert len(set(receiver.ids)) == 1
    assert shop.standing() == [("delivered", 2)]


_CHAOS = """
import json, os, random, signal, sys, time
from shop import *
import flask_webhooks.deliver.transport  # before the forks, or they would do little else

COUNT, KILLS = 100, 8
chance = random.Random(7)

def worker():
    child = os.fork()
    if child:
        return child
    with app.app_context():
        app.extensions["webhooks"].worker.run()

with app.app_context():
    webhooks.subscribe(sys.argv[1], ["newBooking"])
    webhooks.subscribe(sys.argv[1], ["newBooking"])
send(*range(COUNT // 2))
app.extensions["webhooks"].database.dispose()
pair = [worker(), worker()]
for turn in range(KILLS):
    time.sleep(chance.uniform(0.01, 0.12))
    victim = pair.pop(0)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    pair.append(worker())
    if turn == KILLS // 2:
        send(*range(COUNT // 2, COUNT))
give_up = time.monotonic() + 20
while time.monotonic() < give_up and any(s != "delivered" for s, _ in standing()):
    time.sleep(0.05)
for survivor in pair:
    os.kill(survivor, signal.SIGKILL)
    os.waitpid(survivor, 0)
with app.app_context():
    found = webhooks.deliveries(status="delivered")
    print(json.dumps([(d.message_id, d.attempts) for d in found]))
"""


@pytest.mark.parametrize("kind", ["file", "pg", "mysql"])
def test_workers_that_are_killed_at_random(
    kind: str, run: Run, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    """Of 200 deliveries under 8 kills none is lost, and every request was counted before."""
    variables = {} if kind == "file" else {"DATABASE": request.getfixturevalue(f"{kind}_fresh")}
    receiver.released.set()
    delivered = json.loads(said(run("-c", _CHAOS, receiver.url, **variables)))
    assert len(delivered) == 200
    attempts: Counter[str] = Counter()
    for message_id, count in delivered:
        attempts[message_id] += count
    times = Counter(receiver.ids)
    assert set(times) == set(attempts)
    assert len(times) == 100
    assert all(2 <= times[message_id] <= attempts[message_id] for message_id in times)


_FORK = """
import os, sys, time
from shop import *

with app.app_context():
    webhooks.subscribe(sys.argv[1], ["newBooking"])
send("parent")
while standing() != [("delivered", 1)]:
    time.sleep(0.01)
child = os.fork()
if not child:
    send("child")
    while standing() != [("delivered", 1)] * 2:
        time.sleep(0.01)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
send("parent again")
while standing() != [("delivered", 1)] * 3:
    time.sleep(0.01)
print("done")
"""


@pytest.mark.parametrize("kind", ["file", "pg"])
def test_a_fork_of_a_process_whose_worker_runs(
    kind: str, run: Run, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    """The child delivers by a thread and connections of its own, the parent by the old ones."""
    variables = {"WORKER": "thread"}
    if kind == "pg":
        variables["DATABASE"] = request.getfixturevalue("pg_fresh")
    receiver.released.set()
    assert said(run("-W", "ignore", "-c", _FORK, receiver.url, **variables)) == "done\n"
    assert len(receiver.ids) == 3
