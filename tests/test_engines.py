"""Celery and Dramatiq, real workers on real brokers: the row is the truth, they move ids."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.needs import need
from tests.servers import server_url
from tests.test_crashes import Receiver, receiving

APP = """
import os
import flask_webhooks.deliver.dispatcher as dispatcher
import flask_webhooks.deliver.attempting as attempting
import flask_webhooks.deliver.worker as worker
from flask import Flask
from flask_webhooks import Webhooks

worker.LEASE_MARGIN = 0.7
worker.TO_SETTLE = attempting.TO_SETTLE = 0.5
dispatcher.AGAIN = 3.0
webhooks = Webhooks()
happened = webhooks.webhook("happened", {"type": "object"})
app = Flask("shop", instance_path=os.environ["INSTANCE"])
app.config.update(
    WEBHOOKS_ALLOW_LOOPBACK=True, WEBHOOKS_TIMEOUT=1.0, WEBHOOKS_SCHEDULE=[0, 0, 0, 0, 0, 0],
)
"""

CELERY = (
    APP
    + """
from celery import Celery
import flask_webhooks.deliver.engines.celery as engine

engine.SWEEP_EVERY = 0.5
celery = Celery("shop", broker=os.environ["BROKER"])
celery.conf.task_default_queue = os.environ["QUEUE"]
celery.conf.broker_connection_timeout = 1
celery.conf.worker_hijack_root_logger = False
app.extensions["celery"] = celery
app.config["WEBHOOKS_WORKER"] = "celery"
webhooks.init_app(app)
"""
)

DRAMATIQ = (
    APP
    + """
import threading, time
import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["BROKER"], namespace=os.environ["QUEUE"]))
app.config["WEBHOOKS_WORKER"] = "external"
webhooks.init_app(app)

@dramatiq.actor
def deliver(deliveries):
    with app.app_context():
        webhooks.deliver(deliveries)
        webhooks.dispatch()

with app.app_context():
    webhooks.publish_by(lambda deliveries: deliver.send(deliveries))
"""
)

SEND = """
import sys, time
from shop import *
with app.app_context():
    if sys.argv[1]:
        webhooks.subscribe(sys.argv[1], ["happened"])
    began = time.monotonic()
    for n in range(int(sys.argv[2])):
        happened.send({"n": n})
    took = time.monotonic() - began
    if sys.argv[3:] == ["dispatch"]:
        webhooks.dispatch()
    time.sleep(float(os.environ.get("LINGER", "0.7")))
print("sent in less than a second" if took < 1 else took)
"""

STANDING = """
from shop import *
with app.app_context():
    print(sorted(str(d.status) for d in webhooks.deliveries()))
"""


METRICS = """
from shop import *
app.register_blueprint(webhooks.metrics(lambda: True))
print(app.test_client().get("/metrics").text)
"""


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts processes of one app in a folder of its own; kills what is left of them."""
    started: list[subprocess.Popen[str]] = []
    queue = f"webhooks_test_{uuid.uuid4().hex[:12]}"

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ, "INSTANCE": str(tmp_path), "QUEUE": queue,
            "PYTHONPATH": f"{tmp_path}:{os.getcwd()}", **variables,
        }  # fmt: skip
        with (tmp_path / f"log{len(started)}").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, cwd=tmp_path, text=True,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers at once, unless a test holds it."""
    with receiving() as noted:
        noted.released.set()
        yield noted


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("log*")))


def until(folder: Path, condition: Callable[[], object], seconds: float = 40.0) -> None:
    """Wait for what other processes bring about."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, logs(folder)
        time.sleep(0.02)


def finished(process: subprocess.Popen[str], folder: Path) -> str:
    assert process.wait(60) == 0, logs(folder)
    return sorted(folder.glob("log*"), key=lambda p: int(p.name[3:]))[-1].read_text()


CELERY_WORKER = ("-m", "celery", "-A", "shop:celery", "worker", "-c", "2", "--without-gossip",
                 "--without-mingle", "-l", "WARNING")  # fmt: skip


def _workers(folder: Path) -> list[tuple[str, int]]:
    """Kind and process of the workers that a database knows of; none while it has no tables."""
    with closing(sqlite3.connect(folder / "webhooks.sqlite3", timeout=30)) as connection:
        try:
            return connection.execute("SELECT kind, pid FROM webhooks_workers").fetchall()
        except sqlite3.OperationalError:
            return []


def test_a_celery_worker_is_seen_until_it_ends(run: Run, tmp_path: Path) -> None:
    """Its main process is, however many it forks, and not an app that only publishes."""
    need("celery", "celery")
    (tmp_path / "shop.py").write_text(CELERY)
    url = server_url("redis")
    finished(run("-c", SEND, "http://127.0.0.1:9/", "3", BROKER=url), tmp_path)
    assert _workers(tmp_path) == []
    worker = run(*CELERY_WORKER, BROKER=url)
    until(tmp_path, lambda: _workers(tmp_path))
    assert _workers(tmp_path) == [("celery", worker.pid)]
    worker.terminate()
    assert worker.wait(60) == 0, logs(tmp_path)
    assert _workers(tmp_path) == []


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_celery_workers_deliver(kind: str, run: Run, receiver: Receiver, tmp_path: Path) -> None:
    """What is sent with no worker running is delivered, each once, when one comes; its processes
    count together, and another one tells."""
    need("celery", "celery")
    (tmp_path / "shop.py").write_text(CELERY)
    url = server_url(kind)
    said = finished(run("-c", SEND, receiver.url, "12", BROKER=url), tmp_path)
    assert "sent in less than a second" in said
    files = tmp_path / "files"
    files.mkdir()
    run(*CELERY_WORKER, BROKER=url, PROMETHEUS_MULTIPROC_DIR=str(files))
    until(tmp_path, lambda: len(set(receiver.ids)) == 12)
    assert len(receiver.ids) == 12
    standing = finished(run("-c", STANDING, BROKER=url), tmp_path)
    assert standing.count("delivered") == 12

    def all_counted() -> bool:
        asked = run("-c", METRICS, BROKER=url, PROMETHEUS_MULTIPROC_DIR=str(files))
        told = finished(asked, tmp_path)
        return 'webhooks_attempts_total{outcome="accepted",webhook="happened"} 12.0' in told

    until(tmp_path, all_counted)


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_a_celery_worker_that_is_killed_loses_nothing(
    kind: str, run: Run, receiver: Receiver, tmp_path: Path
) -> None:
    """Killed with its pool while receivers are waited for; the next worker delivers the rest."""
    need("celery", "celery")
    (tmp_path / "shop.py").write_text(CELERY)
    url = server_url(kind)
    receiver.released.clear()
    finished(run("-c", SEND, receiver.url, "6", BROKER=url), tmp_path)
    killed = run(*CELERY_WORKER, BROKER=url)
    until(tmp_path, lambda: len(receiver.ids) >= 2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    receiver.released.set()
    run(*CELERY_WORKER, BROKER=url)
    until(tmp_path, lambda: len(set(receiver.answered)) == 6)

    def all_delivered() -> bool:
        return finished(run("-c", STANDING, BROKER=url), tmp_path).count("delivered") == 6

    until(tmp_path, all_delivered)


def test_a_broker_that_is_away_blocks_no_sender(
    run: Run, receiver: Receiver, tmp_path: Path
) -> None:
    """Messages are stored while nothing answers there, and swept when a worker has a broker."""
    need("celery", "celery")
    (tmp_path / "shop.py").write_text(CELERY)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        said = finished(run("-c", SEND, receiver.url, "5", BROKER=away), tmp_path)
    assert "sent in less than a second" in said
    run(*CELERY_WORKER, BROKER=server_url("redis"))
    until(tmp_path, lambda: len(set(receiver.ids)) == 5)


def test_a_broker_that_forgets_loses_nothing(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    """Its queue is deleted after publishing; the sweep publishes the ids again."""
    need("celery", "celery")
    redis = need("redis", "celery")
    (tmp_path / "shop.py").write_text(CELERY)
    url = server_url("redis")
    finished(run("-c", SEND, receiver.url, "4", BROKER=url), tmp_path)
    parts = urlsplit(url)
    broker = redis.Redis(parts.hostname or "", parts.port or 6379)
    queues = [key for key in broker.keys("webhooks_test_*") if broker.type(key) == b"list"]
    assert queues
    assert broker.delete(*queues) >= 1
    broker.close()
    run(*CELERY_WORKER, BROKER=url)
    until(tmp_path, lambda: len(set(receiver.ids)) == 4)


def test_another_engine_needs_a_few_lines(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    """Dramatiq delivers through the same seam, by an actor and a function that publishes."""
    need("dramatiq", "test")
    (tmp_path / "shop.py").write_text(DRAMATIQ)
    url = server_url("redis")
    finished(run("-c", SEND, receiver.url, "9", "dispatch", BROKER=url), tmp_path)
    run("-m", "dramatiq", "shop", "--processes", "1", "--threads", "2", BROKER=url)
    until(tmp_path, lambda: len(set(receiver.ids)) == 9)
    assert len(receiver.ids) == 9
