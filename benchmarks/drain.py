"""How fast one worker drains durable, signed deliveries, beside a pool of ``requests.Session``.

Run: ``python benchmarks/drain.py``. Both send the same signed POSTs to the same sink, a process of
its own on loopback, in shuffled rounds; only ratios inside one run are evidence. Before the clock
starts our messages are stored; fan-out, claims, attempts and outcomes are all in the time. The bare
pool stores nothing at all.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import multiprocessing
import random
import re
import select
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from flask import Flask

from flask_webhooks import Webhooks

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
PAYLOAD = {"id": 1, "text": "x" * 480}


class Arrivals:
    """The requests that come to some listeners, received by one thread.

    :param until: a descriptor that ends the wait as well, when it is readable.
    """

    def __init__(self, listeners: Sequence[socket.socket], until: int | None = None) -> None:
        self._poll = select.epoll()
        self._listeners = {one.fileno(): (n, one) for n, one in enumerate(listeners)}
        self._connections: dict[int, tuple[int, socket.socket, bytearray]] = {}
        for descriptor in (*self._listeners, *([] if until is None else [until])):
            self._poll.register(descriptor, select.EPOLLIN)

    def wait(self, seconds: float | None = None) -> Iterator[tuple[int, socket.socket, bytes]]:
        """Wait for some: the number of its listener, the connection and the body of each."""
        for descriptor, _ in self._poll.poll(seconds):
            if descriptor in self._listeners:
                self._accept(*self._listeners[descriptor])
            if descriptor not in self._connections:
                continue
            n, connection, data = self._connections[descriptor]
            if received := _received(connection):
                data += received
                yield from ((n, connection, body) for body in bodies(data))
                continue
            self._poll.unregister(connection)
            connection.close()
            del self._connections[descriptor]

    def _accept(self, n: int, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = (n, connection, bytearray())
        self._poll.register(connection, select.EPOLLIN)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:  # a worker was killed
        return b""


def bodies(data: bytearray) -> Iterator[bytes]:
    """Take the requests that are whole out of what was received: their bodies."""
    while (end := data.find(b"\r\n\r\n")) >= 0:
        found = _LENGTH.search(data, 0, end)
        whole = end + 4 + int(found[1] if found else 0)
        if len(data) < whole:
            break
        body = bytes(data[end + 4 : whole])
        del data[:whole]
        yield body


def serve(ready: Any, count: Any) -> None:
    """Answer every request with 204, in one thread, and count them."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    arrivals = Arrivals([listener])
    ready.send(listener.getsockname()[1])
    while True:
        for _, connection, _ in arrivals.wait():
            connection.sendall(ANSWER)
            count.value += 1


@dataclass
class Sink:
    """The sink's address, and how many requests it answered."""

    port: int
    count: Any

    def url(self, n: int) -> str:
        return f"http://127.0.0.1:{self.port}/hook/{n}"


@contextmanager
def sink() -> Iterator[Sink]:
    """A sink in a process of its own."""
    here, there = multiprocessing.Pipe()
    count = multiprocessing.Value("q", 0, lock=False)
    process = multiprocessing.Process(target=serve, args=(there, count), daemon=True)
    process.start()
    yield Sink(here.recv(), count)
    process.terminate()
    process.join()


def bare(to: Sink, deliveries: int, threads: int) -> tuple[float, float]:
    """Seconds, and seconds of CPU: a thread pool, a Session each, signed as the standard says."""
    local, key = threading.local(), b"k" * 32
    body = json.dumps(PAYLOAD).encode()

    def send(n: int) -> None:
        session = getattr(local, "session", None)
        if session is None:
            session = local.session = requests.Session()
        name, stamp = f"msg_{n}", str(int(time.time()))
        content = b".".join((name.encode(), stamp.encode(), body))
        signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        headers = {
            "Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
        }  # fmt: skip
        session.post(to.url(0), data=body, headers=headers, timeout=15).raise_for_status()

    with ThreadPoolExecutor(threads) as pool:
        started, used = time.perf_counter(), time.process_time()
        list(pool.map(send, range(deliveries)))
        return time.perf_counter() - started, time.process_time() - used


def ours(to: Sink, deliveries: int, each: int, database: str | None) -> tuple[float, float]:
    """Seconds, and seconds of CPU: one worker, from stored messages to recorded outcomes.

    :param each: how many subscriptions get each message.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = Flask("benchmark", instance_path=folder)
        app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True)
        app.config["WEBHOOKS_DATABASE_URI"] = database or f"sqlite:///{Path(folder) / 'w.sqlite3'}"
        webhooks = Webhooks()
        benchmarked = webhooks.webhook("benchmarked", {"type": "object"})
        webhooks.init_app(app)
        with app.app_context():
            for subscription in webhooks.subscriptions():
                webhooks.unsubscribe(subscription)
            for n in range(each):
                webhooks.subscribe(to.url(n), ["benchmarked"])
            webhooks.run_until_idle()  # a worker has imported its modules long ago
            for _ in range(deliveries // each):
                benchmarked.send(PAYLOAD)
            before = to.count.value
            started, used = time.perf_counter(), time.process_time()
            webhooks.run_until_idle()
            took = time.perf_counter() - started, time.process_time() - used
            delivered = webhooks.deliveries(status="delivered")
            assert len(delivered) == to.count.value - before == deliveries
            app.extensions["webhooks"].database.dispose()
    return took


@dataclass
class Contender:
    """One way to deliver, and what its rounds took for each delivery, in seconds."""

    name: str
    run: Callable[[], tuple[float, float]]
    deliveries: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def round(self) -> None:
        seconds, cpu = self.run()
        self.seconds.append(seconds / self.deliveries)
        self.cpu.append(cpu / self.deliveries)


def report(contenders: list[Contender]) -> None:
    """Print rates, and ratios to the first contender of the same round."""
    base = contenders[0]
    print(f"{'':44}{'ratio':>7} {'[min-max]':>13}{'rate/s':>9}{'CPU us':>8}")
    for one in contenders:
        ratios = sorted(b / s for b, s in zip(base.seconds, one.seconds, strict=True))
        rate = 1 / statistics.median(one.seconds)
        span = f"[{ratios[0]:.1f}-{ratios[-1]:.1f}]"
        print(
            f"{one.name:44}{statistics.median(ratios):7.2f} {span:>13}{rate:9.0f}"
            f"{statistics.median(one.cpu) * 1e6:8.0f}"
        )


def main() -> None:
    """Run the rounds that the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--deliveries", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=16, help="of the bare pool")
    options.add_argument("--database", help="an SQLAlchemy URL; a new SQLite file by default")
    chosen = options.parse_args()
    count, few = chosen.deliveries, max(chosen.deliveries // 4, 500)
    with sink() as to:
        contenders = [
            Contender(
                f"requests.Session, {chosen.threads} threads, not durable",
                lambda: bare(to, few, chosen.threads), few,
            ),
            Contender(
                "Flask-Webhooks, 1 message : 1 delivery",
                lambda: ours(to, count, 1, chosen.database), count,
            ),
            Contender(
                "Flask-Webhooks, 1 message : 10 deliveries",
                lambda: ours(to, count, 10, chosen.database), count,
            ),
        ]  # fmt: skip
        for n in range(chosen.rounds):
            for one in random.Random(n).sample(contenders, len(contenders)):
                one.round()
    report(contenders)


if __name__ == "__main__":
    main()
