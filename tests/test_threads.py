"""Threads on demand."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from flask_webhooks.deliver.threads import Threads


def test_there_are_as_many_as_are_busy() -> None:
    """Three things that wait for each other are done; so each has a thread of its own."""
    meeting = threading.Barrier(4)
    threads: Threads[int] = Threads(lambda what: meeting.wait(10) and None, "test-busy")
    for n in range(3):
        threads.hand(n)
    meeting.wait(10)
    assert not meeting.broken
    threads.dismiss()


def test_a_free_one_is_used_again() -> None:
    """Twenty things, one after the other, are done by the same thread."""
    names: SimpleQueue[str] = SimpleQueue()
    freed = threading.Event()
    threads: Threads[int] = Threads(
        lambda what: names.put(threading.current_thread().name + str(threading.get_ident())), "one"
    )
    used = set()
    for n in range(20):
        threads.hand(n)
        used.add(names.get(timeout=10))
        while not threads._free:
            freed.wait(0.001)
    threads.dismiss()
    assert len(used) == 1


def test_dismissed_they_end_when_they_are_done() -> None:
    """What was handed out before is done first."""
    done: list[int] = []
    threads: Threads[int] = Threads(done.append, "test-dismissed")
    before = set(threading.enumerate())
    for n in range(5):
        threads.hand(n)
    started = set(threading.enumerate()) - before
    threads.dismiss()
    for thread in started:
        thread.join(10)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert not any(thread.is_alive() for thread in started)
