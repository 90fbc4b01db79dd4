"""Waiting for sockets, with the system's poller and with what stands for it on Windows."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from flask_webhooks.deliver import polling
from flask_webhooks.deliver.polling import READ, WRITE, Poller, Readiness, Selecting, Watch, noisy

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[polling.new_poller, Selecting], ids=["own", "Windows"], autouse=True)
def new_poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Poller:
    """Each test waits with both."""
    make: Callable[[], Poller] = request.param
    monkeypatch.setattr(polling, "new_poller", make)
    return make()


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def test_a_poller_tells_what_a_socket_is_ready_for(new_poller: Poller, pair: Pair) -> None:
    """Only of what it was asked for, and of what it was not taken off."""
    one, other = pair
    new_poller.register(one.fileno(), READ)
    assert new_poller.poll(0) == []
    other.send(b"x")
    assert new_poller.poll(0) == [(one.fileno(), READ)]
    new_poller.modify(one.fileno(), WRITE)
    assert new_poller.poll(0) == [(one.fileno(), WRITE)]
    new_poller.unregister(one.fileno())
    new_poller.register(other.fileno(), READ)
    assert new_poller.poll(0) == []


def test_a_socket_that_is_ready_for_both_is_named_once(new_poller: Poller, pair: Pair) -> None:
    one, other = pair
    other.send(b"x")
    new_poller.register(one.fileno(), READ | WRITE)
    assert [descriptor for descriptor, _ in new_poller.poll(0)] == [one.fileno()]


def test_readiness_waits_for_room_only_when_something_is_to_be_sent(pair: Pair) -> None:
    """A quiet socket is ready to be written to, and not to be read."""
    ready = Readiness(pair[0])
    assert [ready.wait(False, 0.0), ready.wait(True, 0.0)] == [False, True]
    assert ready.wait(False, 0.0) is False


def test_the_end_of_a_connection_is_noise(pair: Pair) -> None:
    one, other = pair
    assert noisy([one.fileno(), other.fileno()]) == set()
    other.close()
    assert noisy([one.fileno()]) == {one.fileno()}


def test_any_thread_ends_a_wait_once(pair: Pair) -> None:
    """A bell that was rung twice before ends one wait."""
    watch = Watch()
    watch.add(pair[0].fileno())
    thread = threading.Thread(target=lambda: [watch.wake(), watch.wake()])
    thread.start()
    assert watch.wait(5.0) == []
    thread.join()
    watch.wake()
    assert watch.wait(5.0) == []
    pair[1].send(b"x")
    assert watch.wait(5.0) == [pair[0].fileno()]
    watch.remove(pair[0].fileno())
    assert watch.wait(0.0) == []
    watch.close()
