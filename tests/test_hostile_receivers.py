"""Claims about receivers that mean harm: each attempt ends by its deadline, and stays small."""

from __future__ import annotations

import gzip
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from receivers import OK, Authority, Behaviour, Receiver, make_authority, over_tls, receiving

from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules

DEADLINE = 0.3
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


def pouring_interims(receiver: Receiver, conn: socket.socket) -> None:
    while not receiver.stop.is_set():
        receiver.send(conn, b"HTTP/1.1 102 Processing\r\nX: " + b"y" * 200 + b"\r\n\r\n")


def noisy(receiver: Receiver, conn: socket.socket) -> None:
    conn.recv(4096)
    receiver.send(conn, os.urandom(10_000_000))


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
    assert outcome.detail.startswith("0.3 s were over while ")


def test_details_name_the_phase(transport: Transport) -> None:
    """What was being done at the deadline is told."""
    phases = {}
    for name in ("silent", "never reads 50 MB", "TLS handshake trickled"):
        behave, scheme, body = HUNG[name]
        with receiving(behave) as receiver:
            phases[name] = send(transport, receiver, scheme, body).detail
    assert phases == {
        "silent": "0.3 s were over while waiting for an answer",
        "never reads 50 MB": "0.3 s were over while sending the request",
        "TLS handshake trickled": "0.3 s were over while in the TLS handshake",
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
    assert outcome.detail == "0.3 s were over while reading the answer"
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
    "endless tiny chunks": (poured(CHUNKED, b"1\r\nx\r\n" * 10000), 200, 20000),
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
    assert (outcome.reason, outcome.status) == (Reason.connect, None)


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


def test_an_answer_ahead_of_its_request_and_later(transport: Transport) -> None:
    """What arrives while a connection idles ends that connection."""
    sent = threading.Event()

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, OK)
        receiver.pause(0.05)
        receiver.send(conn, b"HTTP/1.1 500 Ahead\r\nContent-Length: 0\r\n\r\n")
        sent.set()
        receiver.stop.wait(5)

    with receiving(behave) as receiver:
        first = send(transport, receiver)
        assert sent.wait(2)
        second = send(transport, receiver)
    assert (first.status, second.status) == (200, 200)


def test_silent_addresses_share_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many addresses that take no connection cost the deadline once, not each."""
    waits: list[float] = []

    def connect(self: socket.socket, address: object) -> None:
        waits.append(self.gettimeout() or 0.0)
        clock.append(clock[-1] + waits[-1])
        raise TimeoutError("timed out")

    def resolver(host: str, port: int) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, 1, 6, "", (f"93.184.215.{last}", port)) for last in range(200)]

    clock = [0.0]
    monkeypatch.setattr(socket.socket, "connect", connect)
    transport = Transport(UrlRules(), resolver=resolver, clock=lambda: clock[-1])
    url = "https://hooks.example.com/"
    outcome = transport.send(Outgoing(method="POST", url=url, headers=(), body=b"", timeout=8.0))
    assert waits == [2.0, 2.0, 2.0, 2.0]
    assert (outcome.reason, outcome.duration) == (Reason.timeout, 8.0)
    assert outcome.detail == "8 s were over while connecting"


def many_fields(number: int) -> Behaviour:
    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, b"HTTP/1.1 200 OK\r\n" + b"X:\r\n" * number + b"\r\n")

    return behave


@pytest.mark.parametrize(
    ("number", "reason"), [(256, Reason.answered), (257, Reason.protocol), (9000, Reason.protocol)]
)
def test_header_fields_are_counted(number: int, reason: Reason, transport: Transport) -> None:
    """Many small header fields, each an object of ours, are cut at a number, not at a size."""
    with receiving(many_fields(number)) as receiver:
        assert send(transport, receiver).reason is reason


def upgraded(behave: Behaviour, authority: Authority) -> Behaviour:
    return over_tls(behave, authority.context("127.0.0.1"))


def test_resets_around_the_handshake(authority: Authority, verifying: Transport) -> None:
    """A reset before or in the handshake is TLS's failure, one after it the connection's."""

    def in_handshake(receiver: Receiver, conn: socket.socket) -> None:
        conn.recv(100)
        reset(conn)

    def after_handshake(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        reset(conn)

    reasons = []
    for behave in (in_handshake, upgraded(after_handshake, authority)):
        with receiving(behave) as receiver:
            reasons.append(send(verifying, receiver, "https").reason)
    assert reasons == [Reason.tls, Reason.connect]


TLS_HUNG: dict[str, tuple[Behaviour, bytes]] = {
    "silent": (silent, b"{}"),
    "headers trickled": (trickled(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), b"{}"),
    "never reads 50 MB": (unreading, bytes(50_000_000)),
    "reads 1 kB now and then": (slow_reading, bytes(50_000_000)),
}


@pytest.mark.parametrize("name", TLS_HUNG)
def test_hung_receivers_end_at_the_deadline_over_tls(
    name: str, authority: Authority, verifying: Transport
) -> None:
    """Under TLS, too, a receiver that never gives a whole answer head costs the deadline."""
    behave, body = TLS_HUNG[name]
    with receiving(upgraded(behave, authority)) as receiver:
        outcome = send(verifying, receiver, "https", body)
    assert outcome.reason is Reason.timeout
    assert DEADLINE <= outcome.duration < DEADLINE + MARGIN


def test_trickled_and_poured_bodies_over_tls(authority: Authority, verifying: Transport) -> None:
    """Under TLS, too, a body is cut at the deadline and at the cap, and the status counts."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    outcomes = []
    for behave in (trickled(head, b"x"), poured(head, MEGABYTE)):
        with receiving(upgraded(behave, authority)) as receiver:
            outcomes.append(send(verifying, receiver, "https"))
    assert [(o.status, o.truncated) for o in outcomes] == [(200, True), (200, True)]
    assert len(outcomes[1].body) == LIMIT
    assert outcomes[0].duration < DEADLINE + MARGIN


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def verifying(authority: Authority) -> Iterator[Transport]:
    one = Transport(UrlRules(allow_loopback=True), response_limit=LIMIT, verify=authority.bundle)
    yield one
    one.close()


SENDER = """
import json, sys
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

def measured(transport, url, size, deadline):
    body = b"x" * size
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before = kilobytes("VmRSS")
    outcome = transport.send(
        Outgoing(method="POST", url=url, headers=(), body=body, timeout=deadline)
    )
    return str(outcome.reason), outcome.duration, kilobytes("VmHWM") - before

transport = Transport(UrlRules(allow_loopback=True), verify=sys.argv[1])
for line in sys.stdin:
    print(json.dumps(measured(transport, *json.loads(line))), flush=True)
"""


def in_the_middle(answer: bytes) -> Behaviour:
    """Say this, and reset in the middle of it."""

    def behave(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, answer)
        reset(conn)

    return behave


HOSTILE: dict[str, tuple[Behaviour, str, int]] = {
    **{name: (behave, scheme, len(body)) for name, (behave, scheme, body) in HUNG.items()},
    **{name: (behave, "http", 2) for name, (behave, _, _) in POURED.items()},
    "gzip bomb": (poured(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", BOMB), "http", 2),
    "huge headers": (poured(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 8000 + b"\r\n"), "http", 2),
    "tiny headers": (poured(b"HTTP/1.1 200 OK\r\n", b"X:\r\n" * 9000), "http", 2),
    "endless 1xx": (pouring_interims, "http", 2),
    "HTTP/0.9": (poured(b"<html>", MEGABYTE), "http", 2),
    "bad chunks": (poured(CHUNKED, b"zz\r\n" * 1000), "http", 2),
    "two answers": (poured(OK, OK * 1000), "http", 2),
    "reset within the body": (in_the_middle(LOCATION + MEGABYTE), "http", 2),
    "noise for a handshake": (noisy, "https", 2),
    "TLS, then silent": (silent, "tls", 2),
    "TLS, never reads 50 MB": (unreading, "tls", 50_000_000),
    "TLS, 200 MB of a redirect": (poured(LOCATION, MEGABYTE), "tls", 2),
    "TLS, endless chunks": (poured(CHUNKED, b"2710\r\n" + bytes(10000) + b"\r\n"), "tls", 2),
}


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux' /proc")
def test_hostile_receivers_cost_little_time_and_memory(authority: Authority) -> None:
    """Each of 30 receivers that mean harm costs less than deadline + 0.5 s and 8 MB."""
    costs: dict[str, tuple[str, float, int]] = {}
    command = [sys.executable, "-c", SENDER, authority.bundle]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sender:
        assert sender.stdin and sender.stdout
        for name, (behave, scheme, size) in {"warm": (silent, "http", 2), **HOSTILE}.items():
            served = upgraded(behave, authority) if scheme == "tls" else behave
            with receiving(served) as receiver:
                url = f"{'http' if scheme == 'http' else 'https'}://127.0.0.1:{receiver.port}/"
                print(json.dumps([url, size, DEADLINE]), file=sender.stdin, flush=True)
                costs[name] = json.loads(sender.stdout.readline())
        sender.stdin.close()
    del costs["warm"]
    assert len(costs) == 30
    assert {name: cost for name, cost in costs.items() if cost[1] > DEADLINE + MARGIN} == {}
    assert {name: cost for name, cost in costs.items() if cost[2] > 8_000} == {}
    if "WEBHOOKS_TEST_COSTS" in os.environ:
        for name, (reason, seconds, kilobytes) in costs.items():
            print(f"{name:30} {reason:9} {seconds:6.3f} s {kilobytes:6} kB")
