"""Latencies while something is in the way: a full queue, receivers that hang, another's backlog.

``promises.py`` prints them. Workers and receivers are processes of their own; the receivers are on
addresses of their own too, and note when a message came that says when it was sent.
"""

from __future__ import annotations

import heapq
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from drain import ANSWER, PAYLOAD, Arrivals, sink
from figures import Figure, percentile
from senders import ENVIRONMENT, app_in, ours, running, workers
from sqlalchemy import text

from flask_webhooks import Webhooks

#: Seconds of an attempt that hangs.
TIMEOUT = 5.0
PROCESSES = 2


# Queues that are full


def fill(webhooks: Webhooks, messages: int, groups: Sequence[Sequence[str]], body: bytes) -> None:
    """Queue deliveries: of each message one to each group, whose subscriptions take turns."""
    state = webhooks._state
    tables, now = state.database.tables, int(time.time() * 1e6)
    counted = (
        "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :messages) "
    )
    values = {"messages": messages, "now": now, "body": body}
    add_messages = (
        f"{counted} INSERT INTO {tables.messages.name} (id, name, body, created_at, fanned_out) "
        "SELECT printf('msg_%08d', n), 'benchmarked', :body, :now, 1 FROM n"
    )
    add_deliveries = (
        f"{counted} INSERT INTO {tables.deliveries.name} (message_id, subscription_id, status, "
        "attempts, attempts_before_replay, claims, due_at, created_at) "
        "SELECT printf('msg_%08d', n), g.value, 'pending', 0, 0, 0, :now, :now "
        "FROM n JOIN json_each(:group) AS g ON g.key = n % :turns ORDER BY n"
    )
    state.database.write(lambda c: c.execute(text(add_messages), values))
    for group in groups:
        turns = {"group": json.dumps(list(group)), "turns": len(group)}
        state.database.write(lambda c, t=turns: c.execute(text(add_deliveries), {**values, **t}))


def sending(quick: bool) -> list[Figure]:
    """``send`` in its own transaction, paced, while workers drain a full queue in SQLite."""
    queued, sends = (500, 40) if quick else (25_000, 2000)
    with tempfile.TemporaryDirectory() as name, sink() as to:
        folder = Path(name)
        webhooks = ours(to, folder, None, 10)
        groups = [[one.id] for one in webhooks.subscriptions()]
        webhooks["benchmarked"].send(PAYLOAD)  # imports what it needs
        fill(webhooks, queued, groups, json.dumps(PAYLOAD).encode())
        with running(workers(folder, None, PROCESSES), log=folder / "log"):
            wait_for(lambda: to.count.value > queued)
            took, errors = paced(lambda: webhooks["benchmarked"].send(PAYLOAD), sends, 200.0)
            left = 10 * (queued + sends) - to.count.value
        locked = (folder / "log").read_text().count("database is locked")
    note = f"{sends} sends, {left} of {10 * (queued + sends)} deliveries left in the end"
    what = "send while 2 workers drain SQLite"
    return [
        Figure(name=f"{what}: median", value=1000 * median(took), unit="ms", note=note),
        Figure(name=f"{what}: p99", value=1000 * percentile(took, 0.99), bound=15, unit="ms"),
        Figure(name=f"{what}: max", value=1000 * max(took), unit="ms"),
        Figure(name=f"{what}: errors, locked or other", value=locked + errors, bound=0),
    ]


def paced(act: Callable[[], object], times: int, rate: float) -> tuple[list[float], int]:
    """Act at a steady pace: how long each took in seconds, and how many failed."""
    took, errors, began = [], 0, time.perf_counter()
    for n in range(times):
        time.sleep(max(began + n / rate - time.perf_counter(), 0))
        started = time.perf_counter()
        try:
            act()
        except Exception as error:
            errors += 1
            print(f"{type(error).__name__}: {error}")
        took.append(time.perf_counter() - started)
    return took, errors


def wait_for(there: Callable[[], bool], seconds: float = 120.0) -> None:
    give_up = time.monotonic() + seconds
    while not there():
        if time.monotonic() > give_up:
            raise TimeoutError("What was sent did not arrive.")
        time.sleep(0.005)


# Receivers that note


class Note(NamedTuple):
    """A message that came: where, when it was sent and when it was there (unix time)."""

    receiver: int
    sent: float
    came: float


@dataclass
class Receivers:
    """Receivers in a process of their own.

    :ivar urls: one for each of them.
    """

    urls: list[str]
    _pipe: Any

    def notes(self) -> list[Note]:
        """What came since they were last asked."""
        self._pipe.send(None)
        found: list[Note] = self._pipe.recv()
        return found

    def delay(self, seconds: Sequence[float]) -> None:
        """From now on each answers after so long; never after ``inf``."""
        self._pipe.send(list(seconds))


@contextmanager
def receivers(delays: Sequence[float]) -> Iterator[Receivers]:
    """Receivers on as many addresses of loopback; each answers after its delay."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_receive, args=(there, list(delays)), daemon=True)
    process.start()
    try:
        yield Receivers(here.recv(), here)
    finally:
        process.kill()
        process.join()


def _receive(pipe: Any, delays: list[float]) -> None:
    listeners = [
        socket.create_server((f"127.0.1.{n + 1}", 0), backlog=256) for n in range(len(delays))
    ]
    pipe.send(["http://{}:{}/".format(*one.getsockname()) for one in listeners])
    arrivals, notes, late = Arrivals(listeners, until=pipe.fileno()), [], []
    while True:
        patience = max(late[0][0] - time.monotonic(), 0) if late else None
        for n, connection, body in arrivals.wait(patience):
            notes.append(Note(n, json.loads(body)["at"], time.time()))
            if delays[n] == 0:
                connection.sendall(ANSWER)
            elif delays[n] < inf:
                heapq.heappush(late, (time.monotonic() + delays[n], id(connection), connection))
        while late and late[0][0] <= time.monotonic():
            with suppress(OSError):  # it was given up
                heapq.heappop(late)[2].sendall(ANSWER)
        if pipe.poll():
            asked = pipe.recv()
            if asked is None:
                pipe.send(notes)
                notes = []
            else:
                delays = asked


def timed_payload() -> dict[str, Any]:
    return {**PAYLOAD, "at": time.time()}


# A receiver that hangs


def hanging(quick: bool) -> list[Figure]:
    """The healthy receivers' latency while others hang, beside that before they did."""
    found = []
    for of, hung, bound in ((50, 1, 1.2), (100, 10, 1.5)):
        runs = [hang(of, hung, quick) for _ in range(1 if quick else 3)]
        what = f"{hung} of {of} hang: the others' p99 to that without"
        for n, phase, limit in ((1, "at first", None), (2, "after", bound)):
            ratios = [run[n][1] / run[0][1] for run in runs]
            note = (
                ", ".join(f"{run[n][1] * 1000:.0f}/{run[0][1] * 1000:.0f}" for run in runs)
                + f" ms; p50 {median(run[n][0] for run in runs) * 1000:.0f}/"
                + (f"{median(run[0][0] for run in runs) * 1000:.0f} ms")
            )
            found.append(
                Figure(name=f"{what}, {phase}", value=median(ratios), bound=limit, note=note)
            )
    return found


def hang(of: int, hung: int, quick: bool) -> list[tuple[float, float]]:
    """Median and p99 without a hang, in the first seconds of one, and after.

    All receivers answer before, so that connections are open and workers warm.
    """
    pace = 20 if quick else 1000 / of
    timeout, phases = (1.0, (1, 1.5, 1)) if quick else (TIMEOUT, (15, TIMEOUT + 1, 15))
    environment = {**ENVIRONMENT, "FLASK_WEBHOOKS_TIMEOUT": str(timeout)}
    with tempfile.TemporaryDirectory() as folder, receivers([0.01] * of) as them:
        app, webhooks = app_in(Path(folder), None)
        with app.app_context(), running(workers(Path(folder), None, PROCESSES), environment):
            for url in them.urls:
                webhooks.subscribe(url, ["benchmarked"])

            def latencies(seconds: float) -> tuple[float, float]:
                healthy = range(hung, of)
                took = received(webhooks, them, healthy, int(seconds * pace), pace)
                return percentile(took, 0.5), percentile(took, 0.99)

            latencies(0.5 if quick else 5)
            before = latencies(phases[0])
            them.delay([inf] * hung + [0.01] * (of - hung))
            return [before, latencies(phases[1]), latencies(phases[2])]


def received(
    webhooks: Webhooks, them: Receivers, healthy: Sequence[int], messages: int, pace: float
) -> list[float]:
    """Send at a steady pace: seconds until each healthy receiver had each message."""
    them.notes()
    paced(lambda: webhooks["benchmarked"].send(timed_payload()), messages, pace)
    took: list[float] = []

    def all_there() -> bool:
        took.extend(one.came - one.sent for one in them.notes() if one.receiver in healthy)
        return len(took) >= messages * len(healthy)

    wait_for(all_there)
    return took


# Another tenant's backlog


def backlog(quick: bool) -> list[Figure]:
    """How long one tenant's message takes while another's fill the queue."""
    found = []
    for delay, manner in ((0.0, "quick"), (0.05, "slow")):
        took = behind(delay, quick)
        name = f"Message of one tenant, 100,000 of another's queued, whose is {manner}"
        note = f"median {median(took):.3f} s of {len(took)}"
        found.append(Figure(name=name, value=max(took), bound=1.0, unit="s", note=note))
    return found


def behind(delay: float, quick: bool) -> list[float]:
    """Seconds until each of some messages came."""
    queued, messages = (1000, 2) if quick else (100_000, 20)
    with tempfile.TemporaryDirectory() as folder, receivers([delay, 0.0]) as them:
        app, webhooks = app_in(Path(folder), None)
        with app.app_context():
            busy = webhooks.subscribe(them.urls[0], ["benchmarked"], tenant="busy")
            webhooks.subscribe(them.urls[1], ["benchmarked"], tenant="other")
            fill(webhooks, queued, [[busy.id]], b'{"at": 0}')
            with running(workers(Path(folder), None, PROCESSES)):
                wait_for(lambda: them.notes() != [])
                for _ in range(messages):
                    webhooks["benchmarked"].send(timed_payload(), tenant="other")
                    time.sleep(0.37)
                took: list[float] = []

                def all_there() -> bool:
                    took.extend(one.came - one.sent for one in them.notes() if one.receiver)
                    return len(took) >= messages

                wait_for(all_there)
    return took
