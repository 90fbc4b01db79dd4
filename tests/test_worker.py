"""The worker, with a receiver that answers as it is told and a clock that stands still."""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from flask_webhooks import verify
from flask_webhooks.deliver.judging import Policy
from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.senders import Senders
from flask_webhooks.deliver.together import Together
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.deliver.witness import Witness
from flask_webhooks.deliver.worker import Worker, lease_for
from flask_webhooks.rules.key_texts import new_secret
from flask_webhooks.rules.sealing import KeyRing
from flask_webhooks.rules.terms import Terms
from flask_webhooks.rules.urls import UrlRules
from flask_webhooks.store import lists, queue, subscriptions
from flask_webhooks.store.claims import Settlement
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import Attempt, microseconds
from flask_webhooks.store.settling import Written
from flask_webhooks.store.tables import make_tables
from tests import receivers, storing

DAY = 86400.0
START = 1_800_000_000.0
SECRET = new_secret()
KEYS = KeyRing(["k" * 32])
SCHEDULE = (0.0, 5.0, 300.0)


def answered(status: int = 204, **headers: str) -> Outcome:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Outcome(
        reason=Reason.answered, status=status, fields=fields, body=b"noted", duration=0.0
    )


def silent(reason: Reason = Reason.timeout) -> Outcome:
    return Outcome(reason=reason, detail="Nothing came.", duration=15.0)


@dataclass
class Receiver:
    """Stands in for the transport: notes what is sent, answers what ``answer`` says."""

    answer: Callable[[Outgoing], Outcome] = lambda outgoing: answered()
    sent: list[Outgoing] = field(default_factory=list)
    closed: bool = False

    def send(self, outgoing: Outgoing) -> Outcome:
        self.sent.append(outgoing)
        return self.answer(outgoing)

    def begin(self, outgoing: Outgoing) -> None:
        """No connection is kept open: each is to be sent alone."""

    def close(self) -> None:
        self.closed = True

    def urls(self) -> Counter[str]:
        return Counter(outgoing.url for outgoing in self.sent)


class Told(Witness):
    """A witness of what was settled."""

    def __init__(self, tell: Callable[[Settlement, str | None], Any]) -> None:
        self._tell = tell

    def settled(self, settlement: Settlement, disabled: str | None) -> None:
        self._tell(settlement, disabled)


@dataclass
class Bench:
    """A worker, what it works with, and what it told."""

    database: Database
    receiver: Receiver = field(default_factory=Receiver)
    now: float = START
    told: list[tuple[str, str, str | None]] = field(default_factory=list)
    policy: Policy = field(default_factory=lambda: Policy(schedule=SCHEDULE))

    def worker(self, **changed: Any) -> Worker:
        values: dict[str, Any] = {
            "database": self.database,
            "keyring": lambda: KEYS,
            "transport": self.receiver,
            "policy_of": lambda name: self.policy,
            "witness": Told(self.tell),
            "user_agent": "Flask-Webhooks/test",
            "threads": 16,
            "per_subscription": 4,
            "disable_after": 5 * DAY,
            "lease": lease_for(15.0),
            "clock": lambda: self.now,
            "uniform": lambda low, high: high,
        }
        return Worker(**(values | changed))

    def tell(self, settlement: Settlement, disabled: str | None) -> None:
        self.told.append((settlement.status, settlement.reason, disabled))

    def subscribe(self, subscription_id: str = "sub_1", **changed: Any) -> None:
        sealed = KEYS.seal(SECRET, tenant=None, subscription=subscription_id)
        storing.subscribe(self.database, subscription_id, **({"sealed_secret": sealed} | changed))

    def send(self, count: int = 1, first: int = 0) -> None:
        for n in range(first, first + count):
            storing.send(self.database, f"msg_{n}", now=microseconds(self.now))

    def run(self, **changed: Any) -> None:
        self.worker(**changed).run_until_idle()

    def standing(self) -> list[tuple[str, str | None, int]]:
        return storing.standing(self.database)

    def dues(self) -> list[float]:
        """Seconds from now until each delivery is due."""
        return [d.due_at.timestamp() - self.now for d in storing.deliveries(self.database)]

    def attempts(self) -> list[Attempt]:
        [delivery] = storing.deliveries(self.database)
        return self.database.read(
            lambda c: lists.list_attempts(c, self.database.tables, delivery.id)
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One worker's bench, its database in memory."""
    database = Database(make_tables(), uri="sqlite://")
    yield Bench(database)
    database.dispose()


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Bench]:
    """One worker's bench, its database in a file: for workers that run on a thread."""
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'worker.sqlite3'}")
    yield Bench(database)
    database.dispose()


@pytest.fixture
def running() -> Iterator[Callable[[Worker], threading.Thread]]:
    """Runs workers on threads, and stops them in the end."""
    started: list[tuple[Worker, threading.Thread]] = []

    def run(worker: Worker) -> threading.Thread:
        thread = threading.Thread(target=worker.run, daemon=True)
        started.append((worker, thread))
        thread.start()
        return thread

    yield run
    for worker, thread in started:
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that other threads bring about."""
    waiting = threading.Event()
    for _ in range(int(seconds * 200)):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("It did not happen in time.")


def test_a_delivery_is_one_signed_request(bench: Bench) -> None:
    """Method, address, body and deadline are the stored and declared ones; the signature holds."""
    bench.policy = Policy(method="PUT", timeout=7.0)
    bench.subscribe()
    bench.send()
    bench.run()
    [sent] = bench.receiver.sent
    assert (sent.method, sent.url, sent.timeout) == ("PUT", "https://sub_1.example/hook", 7.0)
    headers = dict(sent.headers)
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == "Flask-Webhooks/test"
    assert headers["webhook-id"] == "msg_0"
    assert headers["webhook-timestamp"] == "1800000000"
    assert verify(sent.body, headers, SECRET, now=lambda: START) == {"id": 1}
    assert bench.standing() == [("delivered", "accepted", 1)]
    assert bench.told == [("delivered", "accepted", None)]


def test_the_attempt_is_kept(bench: Bench) -> None:
    """When it began, what was answered, and the first 4096 bytes of that."""
    long = Outcome(reason=Reason.answered, status=201, body=b"x" * 5000, duration=0.125)
    bench.receiver.answer = lambda outgoing: long
    bench.subscribe()
    bench.send()
    bench.run()
    [attempt] = bench.attempts()
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "accepted", 201)
    assert (attempt.excerpt, attempt.duration) == (b"x" * 4096, 0.125)
    assert attempt.started_at.timestamp() == START


def test_what_a_captured_url_answered_is_kept_from_everybody(bench: Bench) -> None:
    """It could be a page of the inside, which the caller named."""
    bench.subscribe(callback="onDone", sealed_secret=None)
    bench.send()
    bench.run()
    [attempt] = bench.attempts()
    assert (attempt.status_code, attempt.excerpt) == (204, None)


def test_who_was_captured_verifies_by_the_published_key(bench: Bench) -> None:
    """No secret is needed: the signature is one of ed25519."""
    bench.subscribe(callback="onDone", sealed_secret=None)
    bench.send()
    bench.run()
    [sent] = bench.receiver.sent
    assert verify(sent.body, dict(sent.headers), KEYS.signing_keys[0].public, now=lambda: START)


def test_the_schedule_is_walked_to_its_end(bench: Bench) -> None:
    """Each attempt comes at its time and not before; after the last it is exhausted, and told."""
    bench.receiver.answer = lambda outgoing: answered(500)
    bench.subscribe()
    bench.send()
    bench.run()
    assert (bench.standing(), bench.dues()) == ([("pending", "refused", 1)], [5.0])
    bench.now += 4.99
    bench.run()
    assert len(bench.receiver.sent) == 1
    bench.now += 0.01
    bench.run()
    assert (bench.standing(), bench.dues()) == ([("pending", "refused", 2)], [300.0])
    bench.now += 300.0
    bench.run()
    assert bench.standing() == [("exhausted", "refused", 3)]
    assert {dict(sent.headers)["webhook-id"] for sent in bench.receiver.sent} == {"msg_0"}
    stamps = [int(dict(sent.headers)["webhook-timestamp"]) - START for sent in bench.receiver.sent]
    assert stamps == [0, 5, 305]
    assert bench.told == [
        ("pending", "refused", None), ("pending", "refused", None), ("exhausted", "refused", None),
    ]  # fmt: skip
    bench.now += 10 * DAY
    bench.run()
    assert len(bench.receiver.sent) == 3


def test_the_first_attempt_may_be_delayed_too(bench: Bench) -> None:
    """The schedule's first delay counts from the sending."""
    bench.policy = Policy(schedule=(60.0,))
    bench.subscribe()
    bench.send()
    bench.run()
    assert (bench.receiver.sent, bench.dues()) == ([], [60.0])
    bench.now += 60.0
    bench.run()
    assert len(bench.receiver.sent) == 1


def test_jitter_is_drawn_for_every_attempt(bench: Bench) -> None:
    """The source of chance is asked for a number between none and the schedule's delay."""
    bench.receiver.answer = lambda outgoing: answered(500)
    bench.subscribe()
    bench.send()
    bench.run(uniform=lambda low, high: low + (high - low) / 4)
    assert bench.dues() == [1.25]


def test_retry_after_is_obeyed(bench: Bench) -> None:
    """Its name is read in any case; the delivery waits as long as it asks."""
    bench.receiver.answer = lambda outgoing: answered(500, RETRY_after="120")
    bench.subscribe()
    bench.send()
    bench.run()
    assert bench.dues() == [120.0]


def test_too_much_slows_the_whole_subscription_down(bench: Bench) -> None:
    """After a 429 its other messages wait too, while those of others go on."""
    bench.receiver.answer = lambda o: answered(429 if "sub_1" in o.url else 204, Retry_After="120")
    bench.subscribe("sub_1")
    bench.subscribe("sub_2")
    bench.send()
    bench.run()
    bench.send(first=1)
    bench.run()
    assert bench.receiver.urls() == {
        "https://sub_1.example/hook": 1, "https://sub_2.example/hook": 2,
    }  # fmt: skip
    bench.now += 120.0
    bench.run()
    assert bench.receiver.urls()["https://sub_1.example/hook"] == 3


def test_gone_disables_the_subscription(bench: Bench) -> None:
    """A 410 ends it at once: told, and nothing more is sent."""
    bench.receiver.answer = lambda outgoing: answered(410)
    bench.subscribe()
    bench.send()
    bench.run()
    bench.send(first=1)
    bench.run()
    assert bench.standing() == [("exhausted", "gone", 1)]
    assert bench.told == [("exhausted", "gone", "gone")]
    assert len(bench.receiver.sent) == 1


def test_five_days_of_failures_disable_the_subscription(bench: Bench) -> None:
    """Not on the fifth day, but once it is full; what waited is cancelled."""
    bench.policy = Policy(schedule=(0.0, 5 * DAY - 1, 1.0, DAY))
    bench.receiver.answer = lambda outgoing: answered(500)
    bench.subscribe()
    bench.send()
    bench.run()
    bench.now += 5 * DAY - 1
    bench.run()
    assert [disabled for _, _, disabled in bench.told] == [None, None]
    bench.now += 1
    bench.run()
    assert [disabled for _, _, disabled in bench.told] == [None, None, "failing"]
    assert bench.standing() == [("cancelled", "disabled", 3)]


def test_success_is_what_the_declaration_says(bench: Bench) -> None:
    """A 404 that is declared delivers; a 200 that is not fails."""
    bench.policy = Policy(answers=("404",), schedule=SCHEDULE)
    answers = iter([404, 200])
    bench.receiver.answer = lambda outgoing: answered(next(answers))
    bench.subscribe()
    bench.send()
    bench.run()
    bench.send(first=1)
    bench.run()
    assert [status for status, _, _ in bench.standing()] == ["delivered", "pending"]


@pytest.mark.parametrize("reason", [r for r in Reason if r is not Reason.answered])
def test_without_an_answer_it_is_tried_again(bench: Bench, reason: Reason) -> None:
    """The delivery says why, and keeps its place in the schedule."""
    bench.receiver.answer = lambda outgoing: silent(reason)
    bench.subscribe()
    bench.send()
    bench.run()
    assert (bench.standing(), bench.dues()) == ([("pending", reason.value, 1)], [5.0])
    assert bench.attempts()[0].detail == "Nothing came."


def test_a_secret_that_cant_be_opened_parks_the_delivery(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Never sent unsigned, never counted, looked at again in a minute; others go on."""
    bench.subscribe("sub_1", sealed_secret=KeyRing(["x" * 32]).seal(
        SECRET, tenant=None, subscription="sub_1"))  # fmt: skip
    bench.subscribe("sub_2")
    bench.send()
    with caplog.at_level(logging.ERROR):
        bench.run()
    assert bench.receiver.urls() == {"https://sub_2.example/hook": 1}
    assert bench.standing() == [
        ("pending", "secret-unavailable", 0), ("delivered", "accepted", 1),
    ]  # fmt: skip
    assert bench.dues()[0] == 60.0
    assert "is parked" in caplog.text
    assert SECRET not in caplog.text


def test_an_unexpected_error_is_an_attempt_that_failed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """The delivery is retried, the log has the traceback, and the next one is sent."""

    def answer(outgoing: Outgoing) -> Outcome:
        if "sub_1" in outgoing.url:
            raise RuntimeError("a bug")
        return answered()

    bench.receiver.answer = answer
    bench.subscribe("sub_1")
    bench.subscribe("sub_2")
    bench.send()
    bench.run()
    assert bench.standing() == [("pending", "internal", 1), ("delivered", "accepted", 1)]
    assert "RuntimeError: a bug" in caplog.text


def test_what_kills_its_thread_is_set_aside(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that ends without any outcome leaves its lease; after three it is quarantined."""

    def answer(outgoing: Outgoing) -> Outcome:
        raise SystemExit if "sub_1" in outgoing.url else AssertionError

    bench.receiver.answer = answer
    bench.subscribe("sub_1")
    bench.send()
    for _ in range(4):
        bench.run()
        bench.now += lease_for(15.0)
    assert len(bench.receiver.sent) == 3
    assert bench.standing() == [("exhausted", "quarantined", 3)]
    assert "never ended" in caplog.text


def test_who_is_told_may_fail(bench: Bench) -> None:
    """An error in telling changes nothing about the delivery, nor about the next one."""
    bench.subscribe()
    bench.send(3)
    bench.run(witness=Told(lambda settlement, disabled: 1 / 0))
    assert [status for status, _, _ in bench.standing()] == ["delivered"] * 3


def test_who_is_told_may_send_and_deliver(bench: Bench) -> None:
    """A signal's receiver may send a message and run the worker again."""
    bench.subscribe()
    bench.send()
    worker: Worker

    def tell(settlement: Settlement, disabled: str | None) -> None:
        if settlement.claimed.message_id == "msg_0":
            bench.send(first=1)
            worker.run_until_idle()

    worker = bench.worker(witness=Told(tell))
    worker.run_until_idle()
    assert [status for status, _, _ in bench.standing()] == ["delivered"] * 2


def test_a_subscription_gets_no_more_at_once_than_its_cap(bench: Bench) -> None:
    """However much waits and however many threads there are."""
    lock, under_way, most = threading.Lock(), 0, 0
    full = threading.Event()

    def answer(outgoing: Outgoing) -> Outcome:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == 4:
                full.set()
        full.wait(2)
        with lock:
            under_way -= 1
        return answered()

    bench.receiver.answer = answer
    bench.subscribe()
    bench.send(40)
    bench.run()
    assert most == 4
    assert len(bench.receiver.sent) == 40


def test_as_many_threads_as_receivers_that_make_them_wait(bench: Bench) -> None:
    """Where receivers are slow all threads come to work; no more than were allowed."""
    together = threading.Barrier(8)

    def answer(outgoing: Outgoing) -> Outcome:
        together.wait(5)
        return answered()

    bench.receiver.answer = answer
    for n in range(16):
        bench.subscribe(f"sub_{n}")
    bench.send()
    bench.run(threads=8)
    assert [status for status, _, _ in bench.standing()] == ["delivered"] * 16


def test_receivers_that_hang_hold_up_nobody(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """With four threads, one subscription that hangs, and full queues, the others get theirs."""
    release = threading.Event()

    def answer(outgoing: Outgoing) -> Outcome:
        if "hangs" in outgoing.url:
            release.wait(10)
        return answered()

    in_file.receiver.answer = answer
    in_file.subscribe("sub_hangs")
    for n in range(5):
        in_file.subscribe(f"sub_{n}")
    in_file.send(30)
    worker = in_file.worker(threads=4, per_subscription=2)
    running(worker)
    until(lambda: in_file.receiver.urls().total() - in_file.receiver.urls()[
        "https://sub_hangs.example/hook"] == 150)  # fmt: skip
    assert in_file.receiver.urls()["https://sub_hangs.example/hook"] == 2
    release.set()
    until(lambda: in_file.receiver.urls().total() == 180)


def test_silent_receivers_share_half_of_the_threads(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """Those that did not answer last time together leave the other half to the rest."""
    release, first = threading.Event(), Counter[str]()

    def answer(outgoing: Outgoing) -> Outcome:
        first[outgoing.url] += 1
        if "silent" not in outgoing.url:
            return answered()
        if first[outgoing.url] > 1:
            release.wait(10)
        return silent()

    in_file.receiver.answer = answer
    in_file.policy = Policy(schedule=(0.0, 0.0, 100.0))
    for n in range(8):
        in_file.subscribe(f"sub_silent_{n}")
    in_file.send()
    worker = in_file.worker(threads=4)
    running(worker)
    until(lambda: in_file.receiver.urls().total() == 8 + 2)
    in_file.subscribe("sub_quick")
    in_file.send(20, first=1)
    worker.wake()
    until(lambda: first["https://sub_quick.example/hook"] == 20)
    release.set()


def test_a_backlog_is_claimed_and_settled_in_batches(bench: Bench) -> None:
    """A thousand deliveries to one quick receiver cost some dozens of write transactions."""
    bench.subscribe()
    bench.send(1000)
    written: list[object] = []
    event.listen(bench.database.engine, "commit", written.append)
    bench.run()
    assert len(bench.receiver.sent) == 1000
    assert 10 < len(written) < 100


def test_an_outcome_is_written_with_the_next_claim(bench: Bench) -> None:
    """One transaction for both: each commit waits for the disk."""
    worker = bench.worker()
    bench.subscribe()
    bench.send()
    worker.step()
    until(lambda: worker._senders.done)
    bench.send(first=1)
    while worker.intake.fan_out():
        pass
    written: list[object] = []
    event.listen(bench.database.engine, "commit", written.append)
    worker.step()
    assert len(written) == 1
    worker.run_until_idle()
    assert [status for status, _, _ in bench.standing()] == ["delivered"] * 2


@pytest.mark.parametrize("failing", ["_lease", "_messages"])
def test_an_outcome_is_written_though_what_is_beside_it_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether the claim fails before its commit or after; and it is told of once."""
    worker = bench.worker()
    bench.subscribe()
    bench.send()
    worker.step()
    until(lambda: worker._senders.done)
    bench.send(first=1)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="the disk is gone"):
        patched.setattr(queue, failing, fail)
        worker.step()
    assert [status for status, _, _ in bench.standing()] == ["delivered", "pending"]
    bench.now += 31  # a lease that was written has ended by then
    worker.run_until_idle()
    assert bench.told == [("delivered", "accepted", None)] * 2


@pytest.mark.parametrize(
    ("status", "waiting"), [(429, ("pending", None, 0)), (410, ("cancelled", "disabled", 0))]
)
def test_what_an_outcome_holds_back_is_not_claimed_beside_it(
    bench: Bench, status: int, waiting: tuple[str, str | None, int]
) -> None:
    """A step that writes a 429 or a 410 sends nothing more to that receiver, only to others."""
    refused = answered(status, Retry_After="120")
    accepted = iter([answered(), refused])
    bench.receiver.answer = lambda o: answered() if "sub_2" in o.url else next(accepted)
    worker = bench.worker()
    bench.subscribe()
    bench.send(2)
    worker.step()
    until(lambda: len(worker._senders.done) == 2)
    bench.subscribe("sub_2", now=microseconds(bench.now))
    bench.send(first=2)
    worker.step()
    worker.run_until_idle()
    assert bench.receiver.urls() == {
        "https://sub_1.example/hook": 2, "https://sub_2.example/hook": 1,
    }  # fmt: skip
    assert bench.standing()[2:] == [waiting, ("delivered", "accepted", 1)]


def test_what_was_written_is_told_though_the_step_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fanning out may fail for long; nobody waits for that to hear of an outcome."""
    worker = bench.worker()
    bench.subscribe()
    bench.send()
    worker.step()
    until(lambda: worker._senders.done)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(worker.intake, "fan_out", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        worker.step()
    assert bench.told == [("delivered", "accepted", None)]


def test_two_threads_may_tell_at_the_same_time(bench: Bench) -> None:
    """What one has told of meanwhile is no error for the other, which tells of the rest."""

    class Shared(deque[Written]):
        def popleft(self) -> Written:  # the other thread takes one just before
            if len(self) == 3:
                super().popleft()
            return super().popleft()

    worker = bench.worker()
    bench.subscribe()
    bench.send(3)
    worker.step()
    until(lambda: len(worker._senders.done) == 3)
    worker._recorder._untold = Shared()
    with worker._recorder.batch():
        pass
    worker._recorder.tell()
    assert bench.told == [("delivered", "accepted", None)] * 2


def test_what_waited_too_long_for_a_thread_is_handed_back(bench: Bench) -> None:
    """No attempt begins that could outlive its lease: another worker could be making it then."""
    clock = [START]

    def answer(outgoing: Outgoing) -> Outcome:
        clock[0] += 20.0  # lease_for(15.0) is 30 seconds
        return answered()

    bench.receiver.answer = answer
    bench.subscribe()
    bench.send(3)
    bench.run(threads=1, clock=lambda: clock[0])
    assert [status for status, _, _ in bench.standing()] == ["delivered"] * 3
    assert [attempts for _, _, attempts in bench.standing()] == [1, 1, 1]
    stamps = [float(dict(sent.headers)["webhook-timestamp"]) for sent in bench.receiver.sent]
    assert stamps == [START, START + 20, START + 40]


def test_an_idle_worker_writes_nothing(bench: Bench) -> None:
    """With nothing due but for a paused subscription, no statement but SELECT is sent."""
    bench.receiver.answer = lambda outgoing: answered(503, Retry_After="600")
    bench.policy = Policy(schedule=(0.0, 0.0, 0.0))
    bench.subscribe()
    bench.send(3)
    bench.run()
    worker, seen = bench.worker(), set()

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        seen.add(statement.split()[0])

    event.listen(bench.database.engine, "before_cursor_execute", note)
    for _ in range(5):
        assert worker.step() == 0
    assert seen == {"SELECT"}


def test_a_worker_on_a_thread_is_woken_and_stopped(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """It delivers what comes while it runs, and ends when it is told to, its connections closed."""
    worker = in_file.worker()
    thread = running(worker)
    in_file.subscribe()
    in_file.send()
    worker.wake()
    until(lambda: in_file.told)
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert in_file.receiver.closed


def test_what_comes_due_is_delivered_without_being_woken(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """Looking at the clock is enough: a message of another process, and a retry."""
    answers = iter([500, 204])
    in_file.receiver.answer = lambda outgoing: answered(next(answers))
    in_file.policy = Policy(schedule=(0.0, 5.0))
    running(in_file.worker())
    in_file.subscribe()
    in_file.send()
    until(lambda: len(in_file.told) == 1)
    in_file.now += 5.0
    until(lambda: len(in_file.told) == 2)
    assert in_file.standing() == [("delivered", "accepted", 2)]


def test_stopping_settles_what_is_under_way_and_hands_back_the_rest(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """As on SIGTERM: nothing new begins, no attempt is lost, and others can go on at once."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def answer(outgoing: Outgoing) -> Outcome:
        begun.release()
        release.wait(10)
        return answered()

    in_file.receiver.answer = answer
    in_file.subscribe()
    in_file.send(10)
    worker = in_file.worker(threads=4, per_subscription=2)
    thread = running(worker)
    for _ in range(2):
        assert begun.acquire(timeout=10)
    worker.stop()
    release.set()
    thread.join(10)
    assert not thread.is_alive()
    assert len(in_file.receiver.sent) == 2
    statuses = Counter((status, attempts) for status, _, attempts in in_file.standing())
    assert statuses == {("delivered", 1): 2, ("pending", 0): 8}
    assert set(in_file.dues()) == {0.0}


def test_stopping_waits_no_longer_than_the_grace(
    in_file: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """What hangs longer keeps its lease, so that it is delivered again later, not lost."""
    release, begun = threading.Event(), threading.Event()

    def answer(outgoing: Outgoing) -> Outcome:
        begun.set()
        release.wait(10)
        return answered()

    in_file.receiver.answer = answer
    in_file.subscribe()
    in_file.send()
    worker = in_file.worker()
    thread = threading.Thread(target=worker.run, kwargs={"grace": 0.05}, daemon=True)
    thread.start()
    assert begun.wait(10)
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert in_file.standing() == [("pending", None, 1)]
    assert "1 deliveries under way" in caplog.text
    release.set()


def test_delivering_all_while_a_thread_delivers_too(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """run_until_idle returns when all is delivered, by whomever; each delivery is sent once."""
    in_file.subscribe("sub_1")
    in_file.subscribe("sub_2")
    worker = in_file.worker()
    running(worker)
    for turn in range(5):
        in_file.send(20, first=20 * turn)
        worker.run_until_idle()
        assert len(in_file.receiver.sent) == 40 * (turn + 1)
        assert {status for status, _, _ in in_file.standing()} == {"delivered"}
    in_file.send(1, first=1000)
    until(lambda: len(in_file.receiver.sent) == 202)


def test_two_workers_share_the_work(
    in_file: Bench, running: Callable[[Worker], threading.Thread]
) -> None:
    """Each delivery is sent once, by one of them."""
    for n in range(4):
        in_file.subscribe(f"sub_{n}")
    in_file.send(50)
    running(in_file.worker())
    running(in_file.worker())
    until(lambda: len(in_file.told) == 200)
    sent = Counter((o.url, dict(o.headers)["webhook-id"]) for o in in_file.receiver.sent)
    assert set(sent.values()) == {1}


class Flaky(Database):
    """A database that can be taken away."""

    away = False

    def write(self, work: Any, *, by_worker: bool = False) -> Any:
        self._check()
        return super().write(work, by_worker=by_worker)

    def read(self, work: Any, *, by_index: bool = False) -> Any:
        self._check()
        return super().read(work, by_index=by_index)

    def _check(self) -> None:
        if self.away:
            raise OperationalError("SELECT", {}, Exception("connection refused"))


def test_a_database_that_is_away_for_a_while(
    tmp_path: Path,
    running: Callable[[Worker], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An outcome that can't be written is kept until it is back; nothing is sent twice."""
    monkeypatch.setattr("flask_webhooks.deliver.worker.POLL", 0.01)
    database = Flaky(make_tables(), uri=f"sqlite:///{tmp_path / 'away.sqlite3'}")
    bench = Bench(database)

    def answer(outgoing: Outgoing) -> Outcome:
        database.away = True
        return answered()

    bench.receiver.answer = answer
    bench.subscribe()
    bench.send()
    worker = bench.worker()
    running(worker)
    until(lambda: "could not reach its database" in caplog.text)
    assert bench.told == []
    database.away = False
    until(lambda: bench.told)
    assert bench.standing() == [("delivered", "accepted", 1)]
    assert len(bench.receiver.sent) == 1
    until(lambda: "reaches its database again" in caplog.text)
    assert caplog.text.count("could not reach its database") == 1
    worker.stop()
    database.dispose()


def test_what_was_disabled_meanwhile_is_not_sent(bench: Bench) -> None:
    """Disabling between two attempts ends the delivery without another one."""
    bench.receiver.answer = lambda outgoing: answered(500)
    bench.subscribe()
    bench.send()
    bench.run()
    tables = bench.database.tables
    bench.database.write(
        lambda c: subscriptions.disable(c, tables, "sub_1", reason="by-hand", now=0)
    )
    bench.now += 5.0
    bench.run()
    assert len(bench.receiver.sent) == 1
    assert bench.standing() == [("cancelled", "disabled", 1)]


def test_a_lease_is_longer_than_an_attempt_and_its_settling() -> None:
    """By no more than 15 seconds, and by little where attempts are short."""
    assert [lease_for(timeout) for timeout in (0.5, 5.0, 15.0, 60.0)] == [2.5, 16.0, 30.0, 75.0]


def test_a_subscription_may_have_a_schedule_of_its_own(bench: Bench) -> None:
    """It is walked instead of the webhook's."""
    bench.receiver.answer = lambda outgoing: answered(500)
    bench.subscribe(terms=Terms(schedule=(0.0, 60.0)))
    bench.send()
    bench.run()
    assert bench.dues() == [60.0]
    bench.now += 60.0
    bench.run()
    assert bench.standing() == [("exhausted", "refused", 2)]


def test_a_subscription_may_have_a_rate_of_its_own(bench: Bench) -> None:
    """At two a second, two of its messages go at once, while another's all go."""
    bench.subscribe("sub_1", terms=Terms(rate=2.0))
    bench.subscribe("sub_2")
    bench.send(8)
    bench.run()
    sent = bench.receiver.urls()
    assert sent["https://sub_2.example/hook"] == 8
    assert 2 <= sent["https://sub_1.example/hook"] <= 3
    assert {row[2] for row in bench.standing()} == {0, 1}


def test_a_thread_that_fails_is_replaced(
    in_file: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks in the thread that sends, what waits is delivered by another."""
    ended, failures = Together.ended, iter([RuntimeError("a bug"), RuntimeError("another")])

    def failing(together: Together[Any]) -> Any:
        for error in failures:
            raise error
        return ended(together)

    monkeypatch.setattr(Together, "ended", failing)
    in_file.subscribe()
    in_file.send(12)
    in_file.run()
    assert {status for status, _, _ in in_file.standing()} == {"delivered"}
    assert caplog.messages.count("The thread that sends has failed; another takes over.") == 2


def refuse_threads(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Let threads of a name not start, as where the system has no more of them."""
    start, left = threading.Thread.start, [times]

    def started(thread: threading.Thread) -> None:
        if thread.name == name and left[0]:
            left[0] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", started)


def test_where_the_thread_that_sends_cant_be_started(
    in_file: Bench,
    running: Callable[[Worker], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried again, and then all is delivered."""
    refuse_threads(monkeypatch, "webhooks-sender", 2)
    in_file.subscribe()
    in_file.send(3)
    running(in_file.worker())
    until(lambda: len(in_file.told) == 3)
    assert in_file.standing() == [("delivered", "accepted", 1)] * 3


def test_where_no_thread_can_purge(
    in_file: Bench,
    running: Callable[[Worker], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The worker delivers all the same."""
    refuse_threads(monkeypatch, "webhooks-purger", 1)
    in_file.subscribe()
    in_file.send()
    running(in_file.worker())
    until(lambda: len(in_file.told) == 1)
    assert "Old messages are purged in an hour, not now: can't start new thread." in caplog.text


def test_where_no_thread_can_open_a_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is an attempt that failed on this side: the next one comes by the schedule."""
    refuse_threads(monkeypatch, "webhooks-opener", 1)
    bench.subscribe()
    bench.send()
    bench.run()
    assert [one.outcome for one in bench.attempts()] == ["internal"]
    bench.now += 5
    bench.run()
    assert bench.standing() == [("delivered", "accepted", 2)]


def test_a_call_that_is_done_ends_no_thread_that_another_needs(
    in_file: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls at once: what the second hands out as the first looks round is not broken off."""
    worker, begun, done = in_file.worker(), threading.Event(), threading.Event()
    is_idle, dismiss = Senders.is_idle.fget, Senders.dismiss
    others: list[threading.Thread] = []
    when_dismissed: list[bool] = []

    def looked_round(senders: Senders) -> bool:
        found: bool = is_idle(senders)  # type: ignore[misc]
        if found and not others:
            in_file.send()
            others.append(threading.Thread(target=worker.run_until_idle))
            others[0].start()
            begun.wait(0.3)
        return found

    def dismissed(senders: Senders) -> None:
        when_dismissed.append(is_idle(senders))  # type: ignore[misc]
        dismiss(senders)

    def answer(outgoing: Outgoing) -> Outcome:
        begun.set()
        done.wait(10)
        return answered()

    monkeypatch.setattr(Senders, "is_idle", property(looked_round))
    monkeypatch.setattr(Senders, "dismiss", dismissed)
    in_file.receiver.answer = answer
    in_file.subscribe()
    worker.run_until_idle()
    done.set()
    others[0].join(10)
    assert when_dismissed == [True, True]
    assert in_file.standing() == [("delivered", "accepted", 1)]


def test_an_attempt_on_a_second_connection_has_no_second_deadline(in_file: Bench) -> None:
    """What was waited for on a kept one that broke is part of the attempt, and of its duration."""

    def behave(receiver: receivers.Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if receiver.connections == 1:
            receiver.read(conn)
            receiver.stop.wait(0.3)

    with receivers.receiving(behave) as receiver:
        in_file.subscribe(url=f"http://127.0.0.1:{receiver.port}/")
        worker = in_file.worker(transport=Transport(UrlRules(allow_loopback=True)))
        for n in range(2):
            in_file.send(first=n)
            worker.run_until_idle()
        assert receiver.connections == 2
    durations = in_file.database.read(
        lambda c: c.execute(select(in_file.database.tables.attempts.c.duration)).scalars().all()
    )
    assert durations[1] >= 300_000


def test_a_worker_that_is_gone_closes_its_connections(bench: Bench) -> None:
    """Nobody has to say so."""
    worker = bench.worker()
    del worker
    gc.collect()
    assert bench.receiver.closed


def test_a_child_of_a_fork_closes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock of the parent's transport may be held there for ever."""
    worker = bench.worker()
    monkeypatch.setattr(os, "getpid", lambda: 0)
    del worker
    gc.collect()
    assert not bench.receiver.closed
