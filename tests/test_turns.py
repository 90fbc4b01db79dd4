"""Writers of one SQLite file take turns, across processes."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flask_webhooks.store.turns import Turns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no lockf")

_HOLD = """
import sys
from flask_webhooks.store.turns import Turns
with Turns(sys.argv[1]).taken():
    print("mine", flush=True)
    sys.stdin.readline()
"""

_PATIENT = """
import sys
from flask_webhooks.store.turns import Turns
said = []
def waits():
    if not said:
        said.append(print("waits", flush=True))
with Turns(sys.argv[1], grace=10).taken(waits, lets_pass=True):
    print("mine", flush=True)
"""

_SEE_WHO_IS_AHEAD = """
import fcntl, sys
from flask_webhooks.store.turns import _AHEAD
with open(sys.argv[1], "r+") as file:
    try:
        while True:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _AHEAD)
            fcntl.lockf(file, fcntl.LOCK_UN, 1, _AHEAD)
    except OSError:
        print("somebody", flush=True)
"""

_STAY_AHEAD = """
import fcntl, sys
from flask_webhooks.store.turns import _AHEAD
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, _AHEAD)
    print("ahead", flush=True)
    sys.stdin.readline()
"""

_FORK = """
import os, signal, sys
from flask_webhooks.store.turns import Turns
turns = Turns(sys.argv[1])
with turns.taken():
    if not os.fork():
        print("forked", flush=True)
        signal.pause()
    os.wait()
"""

_CROSS = """
import sys, threading, time
from flask_webhooks.store.turns import Turns
def come_and_go(turns):
    while time.monotonic() < until:
        with turns.taken():
            time.sleep(0.002)
def watched(turns):
    try:
        come_and_go(turns)
    except OSError as error:
        failed.append(error)
until, failed = time.monotonic() + 1, []
print("begun", flush=True)
every = [Turns(sys.argv[1] + name) for name in ("-a", "-b")]
threads = [threading.Thread(target=watched, args=(turns,)) for turns in every]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failed)
"""

Start = Callable[[str, Path], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Run code in a process of its own, until it has said something."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str, path: Path) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=pipe, stdout=pipe, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def taken_by_a_thread(turns: Turns) -> tuple[threading.Thread, threading.Event]:
    """A thread that wants a turn, and what is set when it has had it."""
    had = threading.Event()

    def want() -> None:
        with turns.taken():
            had.set()

    thread = threading.Thread(target=want, daemon=True)
    thread.start()
    return thread, had


def test_a_process_waits_for_anothers_turn_to_end(tmp_path: Path, start: Start) -> None:
    """And has its own at once then."""
    holder = start(_HOLD, tmp_path / "turns")
    thread, had = taken_by_a_thread(Turns(str(tmp_path / "turns")))
    assert not had.wait(0.2)
    holder.communicate("\n", timeout=10)
    assert had.wait(10)
    thread.join(10)


def test_who_lets_others_pass_has_its_turn_after_them(tmp_path: Path, start: Start) -> None:
    """Though it has waited longer; and then it has its own."""
    turns = Turns(str(tmp_path / "turns"))
    holder = start(_HOLD, tmp_path / "turns")
    patient = start(_PATIENT, tmp_path / "turns")
    had, enough = threading.Event(), threading.Event()

    def want() -> None:
        with turns.taken():
            had.set()
            enough.wait(10)

    thread = threading.Thread(target=want, daemon=True)
    thread.start()
    start(_SEE_WHO_IS_AHEAD, tmp_path / "turns")
    holder.communicate("\n", timeout=10)
    assert had.wait(10)
    assert patient.stdout is not None
    assert select.select([patient.stdout], [], [], 0.2)[0] == []
    enough.set()
    assert patient.communicate(timeout=10)[0] == "mine\n"
    thread.join(10)


def test_who_is_let_pass_and_does_not_come_is_not_waited_for(tmp_path: Path, start: Start) -> None:
    """It may have been stopped: who lets it pass has its turn a moment later."""
    start(_STAY_AHEAD, tmp_path / "turns")
    waits, had = [], threading.Event()

    def want() -> None:
        turns = Turns(str(tmp_path / "turns"), grace=0.01)
        with turns.taken(lambda: waits.append("let pass"), lets_pass=True):
            had.set()

    threading.Thread(target=want, daemon=True).start()
    assert had.wait(10)
    assert waits == ["let pass"]


def test_the_turn_of_a_killed_process_is_over(tmp_path: Path, start: Start) -> None:
    """Nobody waits for it any longer."""
    holder = start(_HOLD, tmp_path / "turns")
    _, had = taken_by_a_thread(Turns(str(tmp_path / "turns")))
    assert not had.is_set()
    holder.kill()
    assert had.wait(10)


def test_a_child_does_not_inherit_a_turn(tmp_path: Path, start: Start) -> None:
    """When the process that had it is killed, its child, which lives on, keeps nobody waiting."""
    parent = start(_FORK, tmp_path / "turns")
    os.kill(parent.pid, signal.SIGKILL)
    _, had = taken_by_a_thread(Turns(str(tmp_path / "turns")))
    assert had.wait(10)
    os.killpg(parent.pid, signal.SIGKILL)


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    """The kernel's lock would let them all in."""
    turns = Turns(str(tmp_path / "turns"))
    with turns.taken():
        thread, had = taken_by_a_thread(turns)
        assert not had.wait(0.1)
    thread.join(10)
    assert had.is_set()


def test_a_turn_that_does_not_end_is_not_waited_for_without_end(tmp_path: Path) -> None:
    """After its patience a thread goes on without one, and ends nobody else's."""
    turns = Turns(str(tmp_path / "turns"), patience=0.05)
    with turns.taken():
        for _ in range(2):
            thread, had = taken_by_a_thread(turns)
            assert had.wait(10)
            thread.join(10)
        assert turns._lock.locked()
    assert not turns._lock.locked()


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    """There are turns within the process all the same, and none can fail."""
    turns = Turns(str(tmp_path / "missing" / "turns"))
    with turns.taken():
        _, had = taken_by_a_thread(turns)
        assert not had.wait(0.1)
    assert had.wait(10)


def test_after_closing_the_next_turn_opens_anew(tmp_path: Path) -> None:
    """Closing is no end."""
    turns = Turns(str(tmp_path / "turns"))
    with turns.taken():
        pass
    turns.close()
    (tmp_path / "turns").unlink()
    with turns.taken():
        assert (tmp_path / "turns").exists()


def test_two_files_in_two_processes_are_no_deadlock(tmp_path: Path, start: Start) -> None:
    """A process whose threads have turns of two databases is refused none: none fails."""
    both = [start(_CROSS, tmp_path / "turns") for _ in range(2)]
    assert [one.communicate(timeout=60)[0] for one in both] == ["[]\n", "[]\n"]


def test_where_the_file_system_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are turns within the process all the same, and none can fail."""

    def refuse(file: int, what: int, length: int, start: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("flask_webhooks.store.turns.fcntl.lockf", refuse)
    turns = Turns(str(tmp_path / "turns"))
    with turns.taken(lets_pass=True):
        _, had = taken_by_a_thread(turns)
        assert not had.wait(0.1)
    assert had.wait(10)
