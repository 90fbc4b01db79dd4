"""Two threads that take turns."""

from __future__ import annotations

import threading

from flask_webhooks.deliver.alternating import Alternating


def test_who_waits_is_next() -> None:
    """A thread that goes on at once doesn't have two turns in a row, while the other waits."""
    alternating, order = Alternating(patience=10.0), []
    other_waits = threading.Event()

    def other() -> None:
        other_waits.set()
        with alternating.turn():
            order.append("other")

    thread = threading.Thread(target=other)
    with alternating.turn():
        thread.start()
        other_waits.wait(10)
        while not alternating._next.locked():
            pass
        order.append("one")
    with alternating.turn():
        order.append("one again")
    thread.join()
    assert order == ["one", "other", "one again"]


def test_who_pauses_lets_the_other_go_on() -> None:
    """Until it resumes; one that has no turn has none to give up, or to have again."""
    alternating = Alternating(patience=10.0)
    alternating.pause()
    alternating.resume()
    order = []

    def other() -> None:
        with alternating.turn():
            order.append("other")

    with alternating.turn():
        order.append("one")
        alternating.pause()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
        alternating.resume()
        assert alternating._turn.locked()
        order.append("one again")
    assert not alternating._turn.locked()
    assert order == ["one", "other", "one again"]


def test_who_hurries_is_next() -> None:
    """Who pauses and hurries has the turn where it is free, and else keeps the other to one."""
    alternating = Alternating(patience=10.0)
    with alternating.turn():
        alternating.pause()
        alternating.hurry()
        assert alternating._turn.locked()
        alternating.pause()
        assert alternating._turn.acquire(timeout=0)  # the other's
        alternating.hurry()
        assert alternating._next.locked()
        alternating._turn.release()
        alternating.pause()
        assert not alternating._next.locked()
        alternating.resume()
        assert alternating._turn.locked()
    assert not (alternating._turn.locked() or alternating._next.locked())


def test_who_has_not_paused_does_not_hurry() -> None:
    """Another thread's transaction changes nothing for the two."""
    alternating = Alternating(patience=10.0)
    alternating.hurry()
    alternating.pause()
    alternating.resume()
    assert not (alternating._turn.locked() or alternating._next.locked())


def test_what_was_not_resumed_is_not_ended_twice() -> None:
    """A turn that is paused in the end is the other's."""
    alternating = Alternating(patience=10.0)
    with alternating.turn():
        alternating.pause()
        assert alternating._turn.acquire(timeout=0)
    assert alternating._turn.locked()


def test_nobody_waits_for_long() -> None:
    """Who has waited long enough goes on without a turn, and takes nothing from who has it."""
    alternating = Alternating(patience=0.001)
    with alternating.turn():
        done = threading.Event()

        def other() -> None:
            with alternating.turn():
                done.set()

        thread = threading.Thread(target=other)
        thread.start()
        assert done.wait(10)
        thread.join()
        assert alternating._turn.locked()
    assert not alternating._turn.locked()


def test_a_turn_ends_with_an_error() -> None:
    """The other goes on."""
    alternating = Alternating(patience=10.0)
    try:
        with alternating.turn():
            raise ValueError
    except ValueError:
        assert not alternating._turn.locked()
