"""Claims about receivers that mean harm: each attempt ends by its deadline, and stays small."""

from __future__ import annotations

import gzip
import os
import resource
import socket
import struct
from collections.abc import Iterator

import pytest
from receivers import OK, Behaviour, Receiver, receiving

from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules

DEADLINE = 0.5
MARGIN = 0.5
LIMIT = 65536


@pytest.fixture
def transport() -> Iterator[Transport]:
    one = Transport(UrlRules(allow_loopback=True), response_limit=LIMIT)
    yield one
    one.close()


def send(
    transport: Transport, receiver: Receiver, scheme: str = "http", body: bytes = b"{}"
) -> Outcome:
    url = f"{scheme}://127.0.0.1:{receiver.port}/"
    return transport.send(Outgoing(method="POST", url=url, headers=(), body=body, timeout=DEADLINE))


def trickled(head: bytes, piece: bytes, pause: float = 0.05) -> Behaviour:
    """Answer with a head, then with one piece after the other for ever."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, head)
        while receiver.pause(pause):
            receiver.send(conn, piece)

    return behave


def poured(head: bytes, piece: bytes, most: int = 200_000_000) -> Behaviour:
    """Answer with a head, then with pieces as fast as they are taken, up to so many bytes."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, head)
        while receiver.sent < most and not receiver.stop.is_set():
            receiver.send(conn, piece)

    return behave


def silent(receiver: Receiver, conn: socket.socket) -> None:
    receiver.read(conn)
    receiver.stop.wait(5)


def unreading(receiver: Receiver, conn: socket.socket) -> None:
    receiver.stop.wait(5)


def slow_reading(receiver: Receiver, conn: socket.socket) -> None:
    while receiver.pause(0.3):
        conn.recv(1024)


def trickled_handshake(receiver: Receiver, conn: socket.socket) -> None:
    conn.recv(4096)
    # The head of a TLS record that announces 4 kB of handshake, then a byte now and then.
    receiver.send(conn, b"\x16\x03\x03\x10\x00")
    while receiver.pause(0.05):
        receiver.send(conn, b"\x02")


def never_finished_head(receiver: Receiver, conn: socket.socket) -> None:
    receiver.read(conn)
    receiver.send(conn, b"HTTP/1.1 200 OK\r\nX: y\r\n")
    receiver.stop.wait(5)


HUNG: dict[str, tuple[Behaviour, str, bytes]] = {
    "silent": (silent, "http", b"{}"),
    "status line trickled": (trickled(b"HTTP/1.1 200 ", b"O"), "http", b"{}"),
    "headers trickled": (trickled(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "http", b"{}"),
    "one header trickled": (trickled(b"HTTP/1.1 200 OK\r\nX: ", b"y"), "http", b"{}"),
    "head never finished": (never_finished_head, "http", b"{}"),
    "interim answers trickled": (
        trickled(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "http",
        b"{}",
    ),
    "never reads 50 MB": (unreading, "http", bytes(50_000_000)),
    "reads 1 kB now and then": (slow_reading, "http", bytes(50_000_000)),
    "TLS accepted, no handshake": (unreading, "https", b"{}"),
    "TLS handshake trickled": (trickled_handshake, "https", b"{}"),
}


@pytest.mark.parametrize("name", HUNG)
def test_hung_receivers_end_at_the_deadline(name: str, transport: Transport) -> None:
    """A receiver that never gives a whole answer head costs the deadline and not more."""
    behave, scheme, body = HUNG[name]
    with receiving(behave) as receiver:
        outcome = send(transport, receiver, scheme, body)
    assert (outcome.reason, outcome.status) == (Reason.timeout, None)
    assert DEADLINE <= outcome.duration < DEADLINE + MARGIN
    assert outcome.detail.startswith("0.5 s were over while ")


def test_details_name_the_phase(transport: Transport) -> None:
    """What was being done at the deadline is told."""
    phases = {}
    for name in ("silent", "never reads 50 MB", "TLS handshake trickled"):
        behave, scheme, body = HUNG[name]
        with receiving(behave) as receiver:
            phases[name] = send(transport, receiver, scheme, body).detail
    assert phases == {
        "silent": "0.5 s were over while waiting for an answer",
        "never reads 50 MB": "0.5 s were over while sending the request",
        "TLS handshake trickled": "0.5 s were over while in the TLS handshake",
    }


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("behave", "body"),
    [
        (trickled(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x", 1), b""),
        (trickled(b"HTTP/1.1 200 OK\r\n\r\nabc", b"", 1), b"abc"),
        (trickled(CHUNKED + b"1\r\na\r\n", b"", 1), b"a"),
        (trickled(CHUNKED + b"1\r\na\r\n0\r\n", b"X: y\r\n"), b"a"),
        (trickled(CHUNKED + b"1\r\na\r\n1;", b"x"), b"a"),
    ],
    ids=["length", "to the end", "chunks", "trailers", "chunk extension"],
)
def test_a_trickled_body_leaves_the_status(
    behave: Behaviour, body: bytes, transport: Transport
) -> None:
    """A status that came with a whole head counts, though its body outlasts the deadline."""
    with receiving(behave) as receiver:
        outcome = send(transport, receiver)
    assert (outcome.reason, outcome.status, outcome.truncated) == (Reason.answered, 200, True)
    assert outcome.body == body
    assert outcome.detail == "0.5 s were over while reading the answer"
    assert outcome.duration < DEADLINE + MARGIN


BOMB = gzip.compress(bytes(50_000_000))
LOCATION = (
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 200000000\r\n\r\n"
)
MEGABYTE = bytes(1_000_000)

POURED = {
    "200 MB of a redirect": (poured(LOCATION, MEGABYTE), 302, LIMIT),
    "200 MB with a length": (
        poured(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n", MEGABYTE),
        200,
        LIMIT,
    ),
    "endless to the end": (poured(b"HTTP/1.1 200 OK\r\n\r\n", MEGABYTE), 200, LIMIT),
    "endless chunks": (poured(CHUNKED, b"2710\r\n" + bytes(10000) + b"\r\n"), 200, LIMIT),
    "endless tiny chunks": (poured(CHUNKED, b"1\r\nx\r\n" * 10000), 200, 22000),
    "endless trailers": (poured(CHUNKED + b"0\r\n", b"X: y\r\n" * 10000), 200, 0),
    "endless chunk extension": (poured(CHUNKED + b"1;", b"x" * 100000), 200, 0),
}


@pytest.mark.parametrize("name", POURED)
def test_floods_are_cut_at_the_cap(name: str, transport: Transport) -> None:
    """An answer without end is cut at the cap, at once, and its connection is closed."""
    behave, status, kept = POURED[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with receiving(behave) as receiver:
        outcome = send(transport, receiver)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (outcome.reason, outcome.status, outcome.truncated) == (
        Reason.answered,
        status,
        True,
    )
    assert kept <= len(outcome.body) <= LIMIT
    assert outcome.duration < DEADLINE
    assert receiver.sent < 20_000_000  # what the kernel's buffers took
    assert grown < 8_000  # kB


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 ", b"O" * 100000),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10000),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 100000),
        (b"HTTP/1.1 200 OK\r\n", b"y" * 100000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (b"", b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * 1000),
        (b"", os.urandom(100000)),
        (b"", bytes(100000)),
        (b"", b"\r\n" * 50000),
    ],
    ids=["reason", "headers", "value", "name", "100", "103", "noise", "zeros", "blank lines"],
)
def test_floods_before_the_head(head: bytes, piece: bytes, transport: Transport) -> None:
    """A head without end is no answer, and is not read to the deadline."""
    with receiving(poured(head, piece)) as receiver:
        outcome = send(transport, receiver)
    assert (outcome.reason, outcome.status) == (Reason.protocol, None)
    assert outcome.duration < DEADLINE
    assert receiver.sent < 20_000_000


def test_a_bomb_is_not_decoded(transport: Transport) -> None:
    """A compressed answer comes back as the bytes that were sent."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, head + BOMB)

    with receiving(behave) as receiver:
        outcome = send(transport, receiver)
    assert outcome.body == BOMB[:LIMIT]
    assert outcome.truncated == (len(BOMB) > LIMIT)


def reset(conn: socket.socket) -> None:
    """Close with a TCP reset instead of an end."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def test_reset_at_once(transport: Transport) -> None:
    """A connection reset before it is read has not answered."""
    with receiving(lambda receiver, conn: reset(conn)) as receiver:
        outcome = send(transport, receiver)
    assert outcome.reason is Reason.connect


def test_reset_within_the_upload(transport: Transport) -> None:
    """A connection reset in the middle of a long request has not answered."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        conn.recv(1000)
        reset(conn)

    with receiving(behave) as receiver:
        outcome = send(transport, receiver, body=bytes(20_000_000))
    assert outcome.reason is Reason.connect
    assert outcome.detail == "the connection broke: Connection reset by peer"


def test_reset_within_the_head(transport: Transport) -> None:
    """A connection reset before the answer's head is complete has not answered."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, b"HTTP/1.1 200 OK\r\nX:")
        receiver.pause(0.05)
        reset(conn)

    with receiving(behave) as receiver:
        outcome = send(transport, receiver)
    assert (outcome.reason, outcome.status) == (Reason.connect, None)


@pytest.mark.parametrize("status", [200, 503])
def test_reset_within_the_body(status: int, transport: Transport) -> None:
    """A status line and headers count, whatever happens to the body afterwards."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\nabc" % status)
        receiver.pause(0.05)
        reset(conn)

    with receiving(behave) as receiver:
        outcome = send(transport, receiver)
    assert (outcome.reason, outcome.status) == (Reason.answered, status)
    assert (outcome.body, outcome.truncated) == (b"abc", True)


def test_answer_before_the_request_is_read(transport: Transport) -> None:
    """A receiver that refuses a long request early, and stops reading, has answered."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        conn.recv(1000)
        receiver.send(conn, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        receiver.stop.wait(5)

    with receiving(behave) as receiver:
        first = send(transport, receiver, body=bytes(20_000_000))
        second = send(transport, receiver, body=bytes(20_000_000))
    assert (first.status, second.status) == (413, 413)
    assert first.duration < DEADLINE
    assert receiver.connections == 2  # the rest of the first request must not follow


def test_half_closed(transport: Transport) -> None:
    """A receiver that closes its own direction after its answer has answered."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, OK)
        conn.shutdown(socket.SHUT_WR)
        receiver.stop.wait(5)

    with receiving(behave) as receiver:
        outcomes = [send(transport, receiver) for _ in range(2)]
    assert [outcome.status for outcome in outcomes] == [200, 200]


def test_an_answer_ahead_of_its_request(transport: Transport) -> None:
    """What arrives on an idle connection is never taken for the answer to a later request."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        number = len(receiver.requests)
        receiver.read(conn)
        receiver.send(conn, OK + (b"HTTP/1.1 500 Ahead\r\n\r\n" if number == 0 else b""))
        receiver.stop.wait(5)

    with receiving(behave) as receiver:
        statuses = [send(transport, receiver).status for _ in range(2)]
    assert statuses == [200, 200]


def test_silent_addresses_share_the_deadline() -> None:
    """Many addresses that take no connection cost the deadline once, not each."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        stuck = []
        for _ in range(4):  # fill the queue of connections that nobody accepts
            stuck.append(socket.socket())
            stuck[-1].setblocking(False)
            stuck[-1].connect_ex(("127.0.0.1", port))

        def resolver(host: str, asked: int) -> list[tuple[object, ...]]:
            # Stand-ins for many addresses: one port that is full, by different names.
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port))
                for last in [1]
            ]

        transport = Transport(UrlRules(allow_loopback=True), resolver=resolver)
        url = f"http://hooks.localhost:{port}/"
        outgoing = Outgoing(method="POST", url=url, headers=(), body=b"", timeout=DEADLINE)
        outcome = transport.send(outgoing)
        for one in stuck:
            one.close()
    assert outcome.reason is Reason.timeout
    assert outcome.duration < DEADLINE + MARGIN
