"""Many exchanges at the same time, on one thread and on connections that are kept open."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.together import UNDER_WAY, Together
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules
from tests.receivers import (
    Authority,
    Behaviour,
    Receiver,
    answering,
    make_authority,
    over_tls,
    receiving,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def post(receiver: Receiver, timeout: float = 5.0, scheme: str = "http") -> Outgoing:
    url = f"{scheme}://127.0.0.1:{receiver.port}/"
    return Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=timeout)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def transport(authority: Authority) -> Iterator[Transport]:
    made = Transport(UrlRules(allow_loopback=True), verify=authority.bundle)
    yield made
    made.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], Receiver]]:
    with ExitStack() as stack:
        yield lambda behave: stack.enter_context(receiving(behave))


Serve = Callable[[Behaviour], Receiver]


def sent_together(
    transport: Transport, requests: list[Outgoing]
) -> Generator[tuple[int, Outcome | None]]:
    """Send them all at the same time; outcomes as they come, each with its place."""
    together: Together[int] = Together(transport)
    waiting = 0
    try:
        for n, request in enumerate(requests):
            begun = together.begin(request, n)
            if begun is UNDER_WAY:
                waiting += 1
            else:
                yield n, begun
        while waiting:
            together.wait()
            for n, outcome in together.ended():
                waiting -= 1
                yield n, outcome
    finally:
        together.close()


def then(*behaviours: Callable[[Receiver, socket.socket], None]) -> Behaviour:
    """Answer the first request, then do something else with each that follows."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, OK)
        for one in behaviours:
            receiver.read(conn)
            one(receiver, conn)

    return behave


def trickle(receiver: Receiver, conn: socket.socket) -> None:
    while not receiver.stop.wait(0.02):
        conn.sendall(b"\r")


def test_kept_connections_serve_them(transport: Transport, serve: Serve) -> None:
    """Each is sent once, on the connection that its origin has."""
    receivers = [serve(answering(OK, OK)) for _ in range(5)]
    requests = [post(receiver) for receiver in receivers]
    assert [transport.send(one).status for one in requests] == [200] * 5
    found = {n: outcome for n, outcome in sent_together(transport, requests) if outcome}
    assert {n: outcome.status for n, outcome in found.items()} == dict.fromkeys(range(5), 200)
    assert [(r.connections, len(r.requests)) for r in receivers] == [(1, 2)] * 5


def test_they_are_kept_open_for_the_next(transport: Transport, serve: Serve) -> None:
    """Three rounds to two receivers need two connections."""
    receivers = [serve(answering(*[OK] * 4)) for _ in range(2)]
    requests = [post(receiver) for receiver in receivers]
    for one in requests:
        transport.send(one)
    for _ in range(3):
        assert all(outcome for _, outcome in sent_together(transport, requests))
    assert [receiver.connections for receiver in receivers] == [1, 1]


def test_over_tls(transport: Transport, serve: Serve, authority: Authority) -> None:
    """A kept TLS connection serves as well."""
    context: ssl.SSLContext = authority.context("127.0.0.1")
    receiver = serve(over_tls(answering(OK, OK), context))
    request = post(receiver, scheme="https")
    assert transport.send(request).status == 200
    [(_, outcome)] = sent_together(transport, [request])
    assert outcome and outcome.status == 200
    assert receiver.connections == 1


def test_none_waits_for_one_that_hangs(transport: Transport, serve: Serve) -> None:
    """Whatever the first does, silence or a trickle, the others' outcomes come before its own."""
    silent = serve(then(lambda receiver, conn: receiver.stop.wait(5) and None))
    trickling = serve(then(trickle))
    quick = [serve(answering(OK, OK)) for _ in range(3)]
    for receiver in (silent, trickling, *quick):
        transport.send(post(receiver))
    requests = [post(silent, 0.3), post(trickling, 0.3), *map(post, quick)]
    ended = [(n, o and o.reason) for n, o in sent_together(transport, requests)]
    assert sorted(ended[:3]) == [(n, Reason.answered) for n in (2, 3, 4)]
    assert sorted(ended[3:]) == [(0, Reason.timeout), (1, Reason.timeout)]


def test_without_a_connection_it_is_left_to_be_sent_alone(
    transport: Transport, serve: Serve
) -> None:
    """Nothing is dialled: that could keep the others waiting."""
    receiver = serve(answering(OK))
    assert list(sent_together(transport, [post(receiver)])) == [(0, None)]
    assert receiver.connections == 0


def test_a_connection_that_closes_instead_of_answering(transport: Transport, serve: Serve) -> None:
    """It was stale, so that the request is left to be sent on a new one."""
    receiver = serve(then(lambda receiver, conn: conn.shutdown(socket.SHUT_RDWR)))
    transport.send(post(receiver))
    assert list(sent_together(transport, [post(receiver)])) == [(0, None)]


def test_what_the_wall_refuses(transport: Transport, serve: Serve) -> None:
    """It is blocked here as well, and keeps nothing from the others."""
    receiver = serve(answering(OK, OK))
    transport.send(post(receiver))
    inside = Outgoing(method="POST", url="http://10.0.0.1/", headers=(), body=b"", timeout=5)
    ended = {n: o and o.reason for n, o in sent_together(transport, [inside, post(receiver)])}
    assert ended == {0: Reason.blocked, 1: Reason.answered}


def test_leaving_early_closes_what_is_under_way(transport: Transport, serve: Serve) -> None:
    """A connection with an answer still to come is not used for another request."""
    receivers = [serve(answering(OK, OK)) for _ in range(3)]
    for receiver in receivers:
        transport.send(post(receiver))
    together = sent_together(transport, [post(receiver) for receiver in receivers])
    next(together)
    together.close()
    assert [transport.send(post(receiver)).status for receiver in receivers] == [200] * 3


def test_deadlines_are_their_own(transport: Transport, serve: Serve, tmp_path: Path) -> None:
    """One with a short deadline ends by it, while one with a longer one is still waited for."""

    def late(receiver: Receiver, conn: socket.socket) -> None:
        receiver.stop.wait(0.4)
        conn.sendall(OK)

    receivers = [serve(then(late)) for _ in range(2)]
    for receiver in receivers:
        transport.send(post(receiver))
    requests = [post(receivers[0], 5.0), post(receivers[1], 0.1)]
    ended = [(n, o and o.reason) for n, o in sent_together(transport, requests)]
    assert ended == [(1, Reason.timeout), (0, Reason.answered)]


def test_whoever_waits_can_be_woken(transport: Transport) -> None:
    """From another thread, before the wait or in it; nothing is lost, and it waits anew."""
    together: Together[int] = Together(transport)
    together.wake()
    together.wake()
    together.wait()
    assert together.ended() == []
    waker = threading.Timer(0.05, together.wake)
    waker.start()
    together.wait()
    assert together.ended() == []
    waker.join()
    together.close()
    together.wake()


def test_what_is_broken_off_is_named(transport: Transport, serve: Serve) -> None:
    """Whoever closes learns what was still under way."""
    receiver = serve(then(lambda receiver, conn: receiver.stop.wait(5) and None))
    transport.send(post(receiver))
    together: Together[str] = Together(transport)
    assert together.begin(post(receiver), "the silent one") is UNDER_WAY
    assert together.close() == ["the silent one"]


def test_an_answer_that_came_in_time_counts(serve: Serve) -> None:
    """Though whoever reads it comes after the deadline."""
    now = [0.0]
    late = Transport(UrlRules(allow_loopback=True), clock=lambda: now[0])
    receiver = serve(answering(OK, OK))
    assert late.send(post(receiver)).status == 200
    together: Together[int] = Together(late)
    assert together.begin(post(receiver), 1) is UNDER_WAY
    [wire] = together._begun.values()
    together._push()
    assert select.select([wire], [], [], 10)[0]
    now[0] = 9.0
    together.wait()
    [(_, outcome)] = together.ended()
    assert outcome and outcome.status == 200
    together.close()
    late.close()


def test_a_large_request_is_sent_as_the_receiver_reads_it(
    transport: Transport, serve: Serve
) -> None:
    """Eight megabytes don't fit into any socket's buffer at once."""
    receiver = serve(answering(OK, OK))
    url = f"http://127.0.0.1:{receiver.port}/"
    transport.send(post(receiver))
    large = Outgoing(method="POST", url=url, headers=(), body=b"x" * 8_000_000, timeout=20.0)
    [(_, outcome)] = sent_together(transport, [large])
    assert outcome and outcome.status == 200
    assert len(receiver.requests[1]) > 8_000_000


def test_what_arrived_before_the_request_is_no_answer(transport: Transport, serve: Serve) -> None:
    """A receiver that says something unasked is asked on another connection."""
    unasked = threading.Event()

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, OK)
        unasked.wait(10)
        conn.sendall(OK)
        receiver.stop.wait(10)

    receiver = serve(behave)
    assert transport.send(post(receiver)).status == 200
    [wire] = transport._connections._idle
    unasked.set()
    assert select.select([wire], [], [], 10)[0]
    assert list(sent_together(transport, [post(receiver)])) == [(0, None)]
    assert len(receiver.requests) == 1
