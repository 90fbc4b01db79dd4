"""Claims about the second gate, and about what goes over the wire and comes back."""

from __future__ import annotations

import errno
import http.client
import io
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from receivers import OK, Authority, Receiver, answering, make_authority, over_tls, receiving

from flask_webhooks.deliver.deadline import Deadline
from flask_webhooks.deliver.exchange import Message, Wire
from flask_webhooks.deliver.outcome import Failure, Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules

DEVELOPMENT = UrlRules(allow_loopback=True)
PUBLIC = "93.184.215.14"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Resolver:
    """Answers look-ups from a list of answers, the last one for ever, and counts them."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[tuple[Any, ...]]:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append((host, port))
        if isinstance(answer, Exception):
            raise answer
        return [resolved(address, port) for address in answer]


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def resolved(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


def post(url: str, timeout: float = 2.0, body: bytes = b"{}", **headers: str) -> Outgoing:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Outgoing(method="POST", url=url, headers=pairs, body=body, timeout=timeout)


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Records every address that is dialled, and refuses the connection."""
    seen: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


@pytest.fixture
def transport(authority: Authority) -> Iterator[Callable[..., Transport]]:
    """Makes transports, and closes them afterwards."""
    made: list[Transport] = []

    def make(rules: UrlRules = DEVELOPMENT, **options: Any) -> Transport:
        options.setdefault("verify", authority.bundle)  # smaller than the real one
        made.append(Transport(rules, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


Make = Callable[..., Transport]

FORBIDDEN = [
    ["127.0.0.1"],
    ["0.0.0.0"],
    ["10.0.0.1"],
    ["100.64.0.1"],
    ["100.100.100.200"],
    ["168.63.129.16"],
    ["169.254.169.254"],
    ["172.16.0.1"],
    ["192.0.0.192"],
    ["192.0.2.1"],
    ["192.88.99.1"],
    ["192.168.0.1"],
    ["198.18.0.1"],
    ["203.0.113.1"],
    ["224.0.0.1"],
    ["240.0.0.1"],
    ["255.255.255.255"],
    ["::1"],
    ["::"],
    ["::127.0.0.1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:8.8.8.8"],
    ["::ffff:0:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["64:ff9b:1::7f00:1"],
    ["100::1"],
    ["2001::1"],
    ["2001:20::1"],
    ["2001:db8::1"],
    ["2002:7f00:1::1"],
    ["3fff::1"],
    ["4000::1"],
    ["5f00::1"],
    ["fc00::1"],
    ["fd00:ec2::254"],
    ["fe80::1"],
    ["fe80::1%lo"],
    ["fec0::1"],
    ["ff02::1"],
    [PUBLIC, "127.0.0.1"],
    ["127.0.0.1", PUBLIC],
    ["2606:4700::1111", "::1"],
    ["2606:4700::1111", "10.0.0.1"],
    [PUBLIC] * 199 + ["10.0.0.1"],
    ["not an address"],
    ["2130706433"],
    ["127.1"],
    [""],
]


@pytest.mark.parametrize("answer", FORBIDDEN, ids=lambda answer: answer[-1])
@pytest.mark.parametrize("url", ["https://hooks.example.com/", "http://hooks.example.com/"])
def test_forbidden_answers_are_never_dialled(
    url: str, answer: list[str], dials: list[Any], transport: Make
) -> None:
    """One forbidden address among a host's answers refuses all; nothing is dialled."""
    resolver = Resolver(answer)
    outcome = transport(UrlRules(allow_http=True), resolver=resolver).send(post(url))
    assert (outcome.reason, outcome.status, dials) == (Reason.blocked, None, [])
    assert len(resolver.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://１２７.０.０.１/",  # noqa: RUF001
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://u@hooks.example.com/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com:22/",
        "http://hooks.example.com/",
        "file:///etc/passwd",
        "https://hooks.example.com/\r\nX: y",
        "",
    ],
)
def test_first_gate_stands_before_each_attempt(url: str, dials: list[Any], transport: Make) -> None:
    """A URL that reached the database past the first gate is refused before any look-up."""
    resolver = Resolver([PUBLIC])
    outcome = transport(UrlRules(), resolver=resolver).send(post(url))
    assert (outcome.reason, resolver.asked, dials) == (Reason.blocked, [], [])


def test_public_answers_are_dialled(dials: list[Any], transport: Make) -> None:
    """Public addresses are dialled, one after the other, families in turn, four at most."""
    six = ["2606:4700::1", "2606:4700::2", "2606:4700::3", "2606:4700::4"]
    resolver = Resolver([*six, PUBLIC, "1.1.1.1", "8.8.8.8"])
    outcome = transport(UrlRules(), resolver=resolver).send(post("https://hooks.example.com/"))
    assert dials == ["2606:4700::1", PUBLIC, "2606:4700::2", "1.1.1.1"]
    assert outcome.reason is Reason.connect
    assert outcome.detail == "1.1.1.1 port 443: Connection refused"
    assert resolver.asked == [("hooks.example.com", 443)]


def test_literals_are_dialled_without_a_look_up(dials: list[Any], transport: Make) -> None:
    """A URL with an address in it asks no resolver."""
    resolver = Resolver(["127.0.0.1"])
    sender = transport(UrlRules(), resolver=resolver)
    sender.send(post("https://8.8.8.8/"))
    sender.send(post("https://[2606:4700:0::1111]/"))
    assert (dials, resolver.asked) == (["8.8.8.8", "2606:4700::1111"], [])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(socket.AF_INET6, 1, 6, "", (PUBLIC, 22))], [PUBLIC]),
        ([(socket.AF_INET, 3, 99, "", ("2606:4700::1", 22, 9, 9))], ["2606:4700::1"]),
        ([(socket.AF_UNIX, 1, 0, "", "/var/run/docker.sock")], []),
        ([(socket.AF_INET6, 1, 6, "", (10, b"raw"))], []),
        ([(socket.AF_INET, 1, 6, "", (2130706433, 80))], []),
        ([(socket.AF_INET, 1, 6, "", (PUBLIC, 80)), ()], []),
        ([None], []),
        (None, []),
    ],
)
def test_only_the_address_of_an_answer_counts(
    answers: Any, expected: list[str], monkeypatch: pytest.MonkeyPatch, transport: Make
) -> None:
    """Family, port and zone come from what was judged, never from the resolver."""
    seen: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        seen.append((self.family, self.type, *address))
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)
    sender = transport(UrlRules(), resolver=lambda host, port: answers)
    outcome = sender.send(post("https://hooks.example.com/"))
    families = {False: socket.AF_INET, True: socket.AF_INET6}
    assert seen == [(families[":" in a], socket.SOCK_STREAM, a, 443) for a in expected]
    assert outcome.status is None


def test_no_descriptors_are_no_receivers_fault(
    monkeypatch: pytest.MonkeyPatch, transport: Make
) -> None:
    """When this process may open no more sockets, the outcome is a fault on this side."""

    def connect(self: socket.socket, address: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "connect", connect)
    outcome = transport(UrlRules()).send(post("https://8.8.8.8/"))
    assert outcome.reason is Reason.internal


def test_rebinding(dials: list[Any], transport: Make) -> None:
    """What one attempt judged is what it dials; the next attempt resolves and judges anew."""
    resolver = Resolver([PUBLIC], ["127.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC])
    sender = transport(UrlRules(), resolver=resolver)
    reasons = [sender.send(post("https://hooks.example.com/")).reason for _ in range(4)]
    assert reasons == [Reason.connect, Reason.blocked, Reason.blocked, Reason.connect]
    assert dials == [PUBLIC, PUBLIC]


def test_a_host_that_says_localhost_must_be_loopback(dials: list[Any], transport: Make) -> None:
    """Allowing loopback lets localhost lead to loopback only, and no other host there."""
    inside = transport(resolver=Resolver(["10.0.0.1"])).send(post("http://localhost:5000/"))
    outside = transport(resolver=Resolver(["127.0.0.1"])).send(post("https://example.com/"))
    local = transport(resolver=Resolver(["127.0.0.1"])).send(post("http://localhost:5000/"))
    assert (inside.reason, outside.reason) == (Reason.blocked, Reason.blocked)
    assert (local.reason, dials) == (Reason.connect, ["127.0.0.1"])


def test_operators_networks(dials: list[Any], transport: Make) -> None:
    """Opened networks are dialled, and a denied network inside them is not."""
    rules = UrlRules(
        allowed_networks=(ip_network("10.0.0.0/8"),), denied_networks=(ip_network("10.9.0.0/16"),)
    )
    resolver = Resolver(["10.1.0.1"], ["10.9.0.1"], ["192.168.0.1"])
    sender = transport(rules, resolver=resolver)
    reasons = [sender.send(post("https://hooks.internal/")).reason for _ in range(3)]
    assert reasons == [Reason.connect, Reason.blocked, Reason.blocked]
    assert dials == ["10.1.0.1"]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            "hooks.example.com: Name or service not known",
        ),
        (UnicodeError("label too long"), "hooks.example.com: not a name"),
        ([], "hooks.example.com has no address"),
    ],
)
def test_names_without_an_address(
    answer: Any, detail: str, dials: list[Any], transport: Make
) -> None:
    """A name that can't be resolved is the reason "dns"."""
    sender = transport(UrlRules(), resolver=Resolver(answer))
    outcome = sender.send(post("https://hooks.example.com/"))
    assert (outcome.reason, outcome.detail, dials) == (Reason.dns, detail, [])


def test_what_was_spent_before_counts_against_the_deadline(transport: Make) -> None:
    """Nobody is called when it is over already, and the duration has all of it."""
    with receiving(answering(OK)) as receiver:
        request = replace(post(f"http://127.0.0.1:{receiver.port}/", timeout=5.0), spent=5.0)
        outcome = transport().send(request)
    assert (outcome.reason, outcome.detail) == (
        Reason.timeout, "5 s were over while connecting",
    )  # fmt: skip
    assert (outcome.duration >= 5.0, receiver.connections) == (True, 0)


def test_a_hanging_resolver_ends_at_the_deadline(transport: Make) -> None:
    """A resolver that hangs costs the deadline and, for one host, one thread."""
    release, threads = threading.Event(), set()

    def hang(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        threads.add(threading.get_ident())
        release.wait(5)
        return []

    sender = transport(UrlRules(), resolver=hang)
    outcomes = [sender.send(post("https://hooks.example.com/", 0.2)) for _ in range(3)]
    release.set()
    assert [outcome.reason for outcome in outcomes] == [Reason.timeout] * 3
    assert max(outcome.duration for outcome in outcomes) < 0.4
    assert outcomes[0].detail == "0.2 s were over while resolving the host"
    assert len(threads) == 1


def test_hanging_lookups_are_bounded(monkeypatch: pytest.MonkeyPatch, transport: Make) -> None:
    """When too many look-ups hang, further hosts fail at once; known ones may go on."""
    monkeypatch.setattr("flask_webhooks.deliver.dialling.LOOKUP_LIMIT", 2)
    release = threading.Event()

    def hang(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        release.wait(5)
        return []

    sender = transport(UrlRules(), resolver=hang)
    reasons = [sender.send(post(f"https://{n}.example.com/", 0.1)).reason for n in "abc"]
    release.set()
    assert reasons == [Reason.timeout, Reason.timeout, Reason.internal]


def test_bytes_on_the_wire(transport: Make) -> None:
    """One request is these bytes: what the caller gave, and four headers of ours."""
    with receiving(answering(OK)) as receiver:
        outcome = transport().send(
            post(
                f"http://127.0.0.1:{receiver.port}/a/%C3%BC?x=[1]&y",
                body=b'{"a": 1}\x00\xff',
                Content_Type="application/json",
                webhook_id="msg_1",
            )
        )
    assert outcome.status == 200
    assert receiver.requests == [
        b"POST /a/%C3%BC?x=[1]&y HTTP/1.1\r\n"
        b"Host: 127.0.0.1:" + str(receiver.port).encode() + b"\r\n"
        b"Accept-Encoding: identity\r\n"
        b"Content-Type: application/json\r\n"
        b"webhook-id: msg_1\r\n"
        b"Accept: */*\r\n"
        b"Content-Length: 10\r\n"
        b"\r\n"
        b'{"a": 1}\x00\xff'
    ]


@pytest.mark.parametrize(
    ("tail", "target"),
    [
        ("", b"/"),
        ("/", b"/"),
        ("?x=1", b"/?x=1"),
        ("/a?x=/b?c", b"/a?x=/b?c"),
        ("?x=/a", b"/?x=/a"),
        ("//a/../b/./c", b"//a/../b/./c"),
        ("/a%2Fb", b"/a%2Fb"),
        ("/http://x/", b"/http://x/"),
    ],
)
def test_target_is_sent_as_written(tail: str, target: bytes, transport: Make) -> None:
    """The path and query go out exactly as they were stored."""
    with receiving(answering(OK)) as receiver:
        transport().send(post(f"http://127.0.0.1:{receiver.port}{tail}"))
    assert receiver.requests[0].split(b" ")[1] == target


def test_host_header_of_a_name(transport: Make) -> None:
    """The Host header is the name in lower case, with a port that is not the default."""
    with receiving(answering(OK)) as receiver:
        sender = transport(resolver=Resolver(["127.0.0.1"]))
        sender.send(post(f"http://App.LOCALHOST:{receiver.port}/"))
    assert f"\r\nHost: app.localhost:{receiver.port}\r\n".encode() in receiver.requests[0]


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_host_header_of_ipv6(transport: Make) -> None:
    """The Host header of an IPv6 address keeps its brackets."""
    with receiving(answering(OK), host="::1") as receiver:
        outcome = transport().send(post(f"http://[::1]:{receiver.port}/"))
    assert outcome.status == 200
    assert f"\r\nHost: [::1]:{receiver.port}\r\n".encode() in receiver.requests[0]


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("X\r\nHost", "y", "header name 'X\\r\\nHost' is no token"),
        ("X Y", "z", "header name 'X Y' is no token"),
        ("X:", "z", "header name 'X:' is no token"),
        ("Content_Length", "0", "header Content_Length is the transport's own"),
        ("X\t", "z", "header name 'X\\t' is no token"),
        ("X\n", "z", "header name 'X\\n' is no token"),
        ("", "z", "header name '' is no token"),
        ("X\x00", "z", "header name 'X\\x00' is no token"),
        ("Ü", "z", "header name 'Ü' is no token"),
        ("X", "a\r\nHost: evil", "header X holds other than printable ASCII"),
        ("X", "a\nb", "header X holds other than printable ASCII"),
        ("X", "a\x00", "header X holds other than printable ASCII"),
        ("X", "a\tb", "header X holds other than printable ASCII"),
        ("X", "\N{GRINNING FACE}", "header X holds other than printable ASCII"),
        ("X", "é", "header X holds other than printable ASCII"),
        ("Host", "evil.example", "header Host is the transport's own"),
        ("content-length", "0", "header content-length is the transport's own"),
        ("Transfer-Encoding", "chunked", "header Transfer-Encoding is the transport's own"),
        ("Connection", "close", "header Connection is the transport's own"),
        ("Expect", "100-continue", "header Expect is the transport's own"),
        ("Upgrade", "h2c", "header Upgrade is the transport's own"),
        ("TE", "trailers", "header TE is the transport's own"),
        ("accept", "text/plain", "header accept is given twice"),
    ],
)
def test_headers_can_inject_nothing(
    name: str, value: str, detail: str, dials: list[Any], transport: Make
) -> None:
    """A header that is not one, or frames the request, is refused before any connection."""
    outgoing = Outgoing(
        method="POST",
        url="http://127.0.0.1:9/",
        headers=(("Accept", "*/*"), (name, value)),
        body=b"",
        timeout=1,
    )
    outcome = transport().send(outgoing)
    assert (outcome.reason, outcome.detail, dials) == (Reason.blocked, detail, [])


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "", "POST / HTTP/1.1\r\nX:"])
def test_methods(method: str, dials: list[Any], transport: Make) -> None:
    """A method that is none of the seven is refused before any connection."""
    outgoing = Outgoing(method=method, url="http://127.0.0.1:9/", headers=(), body=b"", timeout=1)
    outcome = transport().send(outgoing)
    assert (outcome.reason, dials) == (Reason.blocked, [])


def answered(answer: bytes, transport: Make, method: str = "POST", **options: Any) -> Outcome:
    """Send one request to a receiver that answers with these bytes and closes."""
    with receiving(answering(answer)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        outgoing = Outgoing(method=method, url=url, headers=(), body=b"{}", timeout=10)
        return transport(**options).send(outgoing)


def test_answers_come_back_raw(transport: Make) -> None:
    """Status, headers and body come back as sent: in order, doubled, never decoded."""
    outcome = answered(
        b"HTTP/1.1 202 Fine\r\nX-A: 1\r\nSet-Cookie: a=b\r\nx-a:  \xe9 \r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00",
        transport,
    )
    assert (outcome.reason, outcome.status, outcome.truncated) == (Reason.answered, 202, False)
    assert outcome.headers == (
        ("X-A", "1"),
        ("Set-Cookie", "a=b"),
        ("x-a", "\xe9"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "3"),
    )
    assert outcome.body == b"\x1f\x8b\x00"


@pytest.mark.parametrize(
    ("answer", "status", "body", "truncated"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", False),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", False),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", 200, b"to the end", False),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", 200, b"cut", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
            200,
            b"abcde",
            False,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200, b"ab", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK, 200, b"ok", False),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, 200, b"ok", False),
        (b"HTTP/1.1 200 OK\r\nUpgrade: h2\r\nConnection: Upgrade\r\n\r\nx", 200, b"x", False),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", 410, b"", False),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 429, b"", False),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", 599, b"", False),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, b"", False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", False),
        (OK + OK, 200, b"ok", False),
        (OK + b"rubbish", 200, b"ok", False),
    ],
)
def test_framings(
    answer: bytes, status: int, body: bytes, truncated: bool, transport: Make
) -> None:
    """Each framing that HTTP/1 has is read, and what broke off is marked."""
    outcome = answered(answer, transport)
    assert (outcome.reason, outcome.status) == (Reason.answered, status)
    assert (outcome.body, outcome.truncated) == (body, truncated)


@pytest.mark.parametrize(
    "answer",
    [
        b"just some text\r\n",
        b"<html>HTTP/0.9</html>",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 -20 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"-ERR wrong number of arguments\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + OK,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200000,
        b"HTTP/1.1 200 " + b"y" * 200000,
        b"H" * 200000,
    ],
    ids=lambda answer: str(answer[:60]),
)
def test_what_is_not_http(answer: bytes, transport: Make) -> None:
    """An answer that HTTP/1 does not allow, or with too large a head, is never a success."""
    outcome = answered(answer, transport)
    assert (outcome.reason, outcome.status, outcome.body) == (Reason.protocol, None, b"")


def test_closing_without_an_answer(transport: Make) -> None:
    """A receiver which closes before or within the head of its answer has not answered."""
    for answer in (b"", b"HTTP/1.1 200 OK\r\nX:"):
        outcome = answered(answer, transport)
        assert outcome.reason is Reason.connect
        assert outcome.detail == "the peer closed the connection before an answer"


def test_head_has_no_body(transport: Make) -> None:
    """An answer to HEAD ends with its head, whatever length it tells."""
    outcome = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", transport, method="HEAD")
    assert (outcome.status, outcome.body, outcome.truncated) == (200, b"", False)


@pytest.mark.parametrize(
    ("length", "kept", "truncated"), [(9, 9, False), (10, 10, False), (11, 10, True)]
)
@pytest.mark.parametrize("framed", [True, False])
def test_the_cap(length: int, kept: int, truncated: bool, framed: bool, transport: Make) -> None:
    """At the cap an answer counts as received; up to it nothing is lost."""
    head = b"HTTP/1.1 200 OK\r\n"
    head += b"Content-Length: %d\r\n\r\n" % length if framed else b"\r\n"
    outcome = answered(head + b"x" * length, transport, response_limit=10)
    assert (outcome.status, outcome.body) == (200, b"x" * kept)
    assert outcome.truncated is truncated


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int, transport: Make) -> None:
    """A redirect is an answer like any other: nobody goes where it points."""
    with receiving(answering(OK)) as target:
        location = f"Location: http://127.0.0.1:{target.port}/\r\nContent-Length: 0\r\n\r\n"
        outcome = answered(f"HTTP/1.1 {status} Moved\r\n{location}".encode(), transport)
    assert (outcome.status, target.connections) == (status, 0)


def test_cookies_are_not_kept(transport: Make) -> None:
    """A cookie that a receiver sets never comes back to it."""
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    with receiving(answering(cookie, cookie)) as receiver:
        sender = transport()
        for _ in range(2):
            sender.send(post(f"http://127.0.0.1:{receiver.port}/"))
    assert len(receiver.requests) == 2
    assert b"ookie" not in b"".join(receiver.requests)


def test_the_environment_has_no_effect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, authority: Authority, transport: Make
) -> None:
    """Proxies, netrc, CA bundles and key logs of the environment change nothing."""
    (tmp_path / ".netrc").write_text("default login user password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with (
        receiving(answering(OK)) as plain,
        receiving(over_tls(answering(OK), authority.context("127.0.0.1"))) as tls,
    ):
        sender = transport()
        first = sender.send(post(f"http://127.0.0.1:{plain.port}/"))
        second = sender.send(post(f"https://127.0.0.1:{tls.port}/"))
    assert (first.status, second.status) == (200, 200)
    assert b"uthorization" not in plain.requests[0] + tls.requests[0]
    assert not (tmp_path / "keys").exists()


def test_a_trusted_ca_of_the_environment_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, transport: Make
) -> None:
    """A CA bundle named by the environment makes no certificate good."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, authority.bundle)
    with receiving(over_tls(answering(OK), authority.context("127.0.0.1"))) as receiver:
        outcome = transport(verify=True).send(post(f"https://127.0.0.1:{receiver.port}/"))
    assert outcome.reason is Reason.tls


def secure(
    authority: Authority, context: ssl.SSLContext, transport: Make, **options: Any
) -> tuple[Outcome, Receiver]:
    """Send one request over TLS to ``hooks.localhost``, answered under this context."""
    with receiving(over_tls(answering(OK), context)) as receiver:
        sender = transport(resolver=Resolver(["127.0.0.1"]), verify=authority.bundle, **options)
        return sender.send(post(f"https://hooks.localhost:{receiver.port}/")), receiver


def test_tls_with_the_right_name(authority: Authority, transport: Make) -> None:
    """A certificate for the URL's host, though another address is dialled, is accepted."""
    outcome, receiver = secure(authority, authority.context("hooks.localhost"), transport)
    assert (outcome.reason, outcome.status, outcome.body) == (Reason.answered, 200, b"ok")
    assert f"Host: hooks.localhost:{receiver.port}".encode() in receiver.requests[0]


def test_tls_names_the_host(authority: Authority, transport: Make) -> None:
    """The handshake asks for the URL's host (SNI), not for the address."""
    asked: list[str | None] = []
    context = authority.context("hooks.localhost")
    context.set_servername_callback(lambda sock, name, context: asked.append(name))
    secure(authority, context, transport)
    assert asked == ["hooks.localhost"]


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"names": ("other.localhost",)}, "Hostname mismatch"),
        ({"names": ("127.0.0.1",)}, "Hostname mismatch"),
        ({"names": ("localhost",)}, "Hostname mismatch"),
        ({"names": ("hooks.localhost",), "self_signed": True}, "self-signed certificate"),
        ({"names": ("hooks.localhost",), "days": -1}, "certificate has expired"),
        ({"names": ("hooks.localhost",), "days": 60}, "certificate is not yet valid"),
    ],
)
def test_bad_certificates(
    options: dict[str, Any], detail: str, authority: Authority, transport: Make
) -> None:
    """A certificate that is not good for the host is refused, and no request is sent."""
    names = options.pop("names")
    outcome, receiver = secure(authority, authority.context(*names, **options), transport)
    assert outcome.reason is Reason.tls
    assert detail in outcome.detail
    assert (receiver.connections, receiver.requests) == (1, [])


def test_old_tls(authority: Authority, transport: Make) -> None:
    """A receiver that speaks only TLS 1.1 is refused."""
    context = authority.context("hooks.localhost")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    outcome, receiver = secure(authority, context, transport)
    assert (outcome.reason, receiver.requests) == (Reason.tls, [])


def test_not_tls_at_all(transport: Make) -> None:
    """A receiver that answers a handshake in plain text gets no request."""

    def speak(receiver: Receiver, conn: socket.socket) -> None:
        conn.recv(4096)
        receiver.send(conn, OK)

    with receiving(speak) as receiver:
        outcome = transport().send(post(f"https://127.0.0.1:{receiver.port}/"))
    assert outcome.reason is Reason.tls


def test_tls_is_kept_alive(authority: Authority, transport: Make) -> None:
    """Several requests to one host share one TLS connection."""
    behave = over_tls(answering(*[OK] * 5), authority.context("127.0.0.1"))
    with receiving(behave) as receiver:
        sender = transport()
        url = f"https://127.0.0.1:{receiver.port}/"
        assert [sender.send(post(url)).status for _ in range(5)] == [200] * 5
    assert receiver.connections == 1


def test_large_bodies_over_tls(authority: Authority, transport: Make) -> None:
    """A body of 5 MB arrives whole, and an answer of several TLS records comes back whole."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"y" * 60000
    behave = over_tls(answering(answer), authority.context("127.0.0.1"))
    body = os.urandom(5_000_000)
    with receiving(behave) as receiver:
        sender = transport()
        outcome = sender.send(post(f"https://127.0.0.1:{receiver.port}/", 5, body=body))
    assert outcome.body == b"y" * 60000
    assert receiver.requests[0].endswith(body)


def test_connections_are_kept_and_not_resolved_again(transport: Make) -> None:
    """A kept connection stays bound to its judged address: no second look-up."""
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    with receiving(answering(*[OK] * 3)) as receiver:
        sender = transport(resolver=resolver)
        url = f"http://hooks.localhost:{receiver.port}/"
        assert [sender.send(post(url)).status for _ in range(3)] == [200] * 3
    assert (receiver.connections, len(resolver.asked)) == (1, 1)


@pytest.mark.parametrize("idle", [0.0, 5.0])
def test_a_stale_connection_is_replaced_once(idle: float, transport: Make) -> None:
    """A kept connection that the peer has closed is replaced, unseen by the caller."""
    clock = Clock()
    with receiving(answering(OK)) as receiver:
        sender = transport(clock=clock)
        outcomes = []
        for _ in range(3):
            outcomes.append(sender.send(post(f"http://127.0.0.1:{receiver.port}/")))
            clock.now += idle
    assert [outcome.status for outcome in outcomes] == [200] * 3
    assert (receiver.connections, len(receiver.requests)) == (3, 3)


def test_the_replacement_is_judged_anew(transport: Make) -> None:
    """When a stale connection is replaced, a host that now leads inside is refused."""
    resolver = Resolver(["127.0.0.1"], ["10.0.0.1"])
    with receiving(answering(OK)) as receiver:
        sender = transport(resolver=resolver)
        url = f"http://hooks.localhost:{receiver.port}/"
        reasons = [sender.send(post(url)).reason for _ in range(2)]
    assert reasons == [Reason.answered, Reason.blocked]


def test_a_fresh_connection_is_not_tried_twice(transport: Make) -> None:
    """A receiver that closes a fresh connection without an answer sees one request."""
    with receiving(answering(b"")) as receiver:
        outcome = transport().send(post(f"http://127.0.0.1:{receiver.port}/"))
    assert (outcome.reason, len(receiver.requests)) == (Reason.connect, 1)


@pytest.mark.parametrize("seconds", [31.0, 400.0])
def test_long_idle_connections_are_not_used(seconds: float, transport: Make) -> None:
    """After half a minute of idling, the host is resolved and judged again."""
    clock, resolver = Clock(), Resolver(["127.0.0.1"])
    with receiving(answering(*[OK] * 2)) as receiver:
        sender = transport(clock=clock, resolver=resolver)
        for _ in range(2):
            sender.send(post(f"http://hooks.localhost:{receiver.port}/"))
            clock.now += seconds
    assert (receiver.connections, len(resolver.asked)) == (2, 2)


def test_busy_connections_end_too(transport: Make) -> None:
    """A connection in constant use is replaced after five minutes."""
    clock, resolver = Clock(), Resolver(["127.0.0.1"])
    with receiving(answering(*[OK] * 20)) as receiver:
        sender = transport(clock=clock, resolver=resolver)
        for _ in range(20):
            sender.send(post(f"http://hooks.localhost:{receiver.port}/"))
            clock.now += 20
    assert len(resolver.asked) == 2


def test_idle_connections_of_other_hosts_are_closed(transport: Make) -> None:
    """A host that is no longer called keeps no connection open."""
    clock = Clock()
    gone = threading.Event()

    def watch(receiver: Receiver, conn: socket.socket) -> None:
        receiver.read(conn)
        receiver.send(conn, OK)
        if not receiver.read(conn):
            gone.set()

    with receiving(watch) as first, receiving(answering(OK)) as second:
        sender = transport(clock=clock)
        sender.send(post(f"http://127.0.0.1:{first.port}/"))
        clock.now += 40
        sender.send(post(f"http://127.0.0.1:{second.port}/"))
        assert gone.wait(2)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"surplus",
        OK + OK,
    ],
)
def test_connections_that_may_not_be_reused(answer: bytes, transport: Make) -> None:
    """A connection that ends, or holds more than its answer, serves no second request."""
    with receiving(answering(answer, OK)) as receiver:
        sender = transport()
        for _ in range(2):
            assert sender.send(post(f"http://127.0.0.1:{receiver.port}/")).body == b"ok"
    assert receiver.connections == 2


def test_many_threads_share_a_transport(transport: Make) -> None:
    """Sixteen threads through one transport get their own answers, never another's."""

    def echo(receiver: Receiver, conn: socket.socket) -> None:
        while request := receiver.read(conn):
            body = request.partition(b"\r\n\r\n")[2]
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            receiver.send(conn, head + body)

    wrong: list[bytes] = []
    with receiving(echo) as receiver:
        sender = transport()

        def work(number: int) -> None:
            for turn in range(50):
                body = b"%d.%d" % (number, turn)
                outcome = sender.send(post(f"http://127.0.0.1:{receiver.port}/", 5, body=body))
                if outcome.body != body:
                    wrong.append(body)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(receiver.requests) == 800
    assert receiver.connections <= 16


def test_closing_closes_idle_connections(transport: Make) -> None:
    """After close, kept connections are gone; a later send still works, on a new one."""
    with receiving(answering(OK)) as receiver:
        sender = transport()
        url = f"http://127.0.0.1:{receiver.port}/"
        sender.send(post(url))
        sender.close()
        assert sender.send(post(url)).status == 200
    assert receiver.connections == 2


class Gate:
    """Answers when it is told to, and sees how many of its connections end."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.answer = threading.Event()

    def __call__(self, receiver: Receiver, conn: socket.socket) -> None:
        while receiver.read(conn):
            self.arrived.release()
            self.answer.wait(5)
            receiver.send(conn, OK)
        self.ended.release()

    def send(self, sender: Transport, url: str, number: int) -> list[threading.Thread]:
        """Start so many sends at once, and wait until all have arrived."""
        threads = [
            threading.Thread(target=sender.send, args=(post(url, 5),)) for _ in range(number)
        ]
        for thread in threads:
            thread.start()
        assert all(self.arrived.acquire(timeout=2) for _ in threads)
        return threads


def test_closing_while_in_use(transport: Make) -> None:
    """A connection in use when the transport is closed ends with its exchange."""
    gate = Gate()
    with receiving(gate) as receiver:
        sender = transport()
        threads = gate.send(sender, f"http://127.0.0.1:{receiver.port}/", 2)
        sender.close()
        gate.answer.set()
        for thread in threads:
            thread.join()
        assert gate.ended.acquire(timeout=2)
        assert gate.ended.acquire(timeout=2)


def test_kept_connections_are_bounded(monkeypatch: pytest.MonkeyPatch, transport: Make) -> None:
    """Of all connections only so many are kept; the others end."""
    monkeypatch.setattr("flask_webhooks.deliver.connections.KEEP_LIMIT", 2)
    gate = Gate()
    with receiving(gate) as receiver:
        threads = gate.send(transport(), f"http://127.0.0.1:{receiver.port}/", 4)
        gate.answer.set()
        for thread in threads:
            thread.join()
        assert gate.ended.acquire(timeout=2)
        assert gate.ended.acquire(timeout=2)
        assert not gate.ended.acquire(timeout=0.1)


def test_localhost_by_the_systems_resolver(transport: Make) -> None:
    """Without a resolver of the caller's, the system's is asked, and each address is tried."""
    with receiving(answering(OK)) as receiver:
        outcome = transport().send(post(f"http://localhost:{receiver.port}/"))
    assert outcome.status == 200


def test_the_bundle_is_read_once(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, transport: Make
) -> None:
    """All TLS connections share one context: the CA bundle is read once, not for each."""
    loaded: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *args: Any, **options: Any) -> None:
        loaded.append(options)
        load(self, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    sender = transport()
    context = authority.context("127.0.0.1")
    for _ in range(3):
        with receiving(over_tls(answering(OK), context)) as receiver:
            assert sender.send(post(f"https://127.0.0.1:{receiver.port}/")).status == 200
    assert loaded == [{"cafile": Path(authority.bundle)}]


def test_verify_can_be_a_folder_or_off(
    tmp_path: Path, authority: Authority, transport: Make
) -> None:
    """A folder holds certificates to trust, here none; False trusts any certificate."""
    context = authority.context("other.localhost")
    with receiving(over_tls(answering(OK), context)) as receiver:
        outgoing = post(f"https://127.0.0.1:{receiver.port}/")
        assert transport(verify=str(tmp_path)).send(outgoing).reason is Reason.tls
        assert transport(verify=False).send(outgoing).status == 200


def test_faults_of_ours_do_not_raise(transport: Make) -> None:
    """A fault on this side is an outcome that names the error's type and no value."""

    def broken(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        raise LookupError("s3cret")

    outcome = transport(UrlRules(), resolver=broken).send(post("https://example.com/"))
    assert outcome.reason is Reason.internal
    assert outcome.detail.startswith("LookupError in ")
    assert "s3cret" not in outcome.detail


def test_interrupts_pass(transport: Make) -> None:
    """KeyboardInterrupt is not an outcome."""

    def interrupted() -> float:
        if threading.current_thread() is threading.main_thread() and armed:
            raise KeyboardInterrupt
        return 0.0

    armed: list[bool] = []
    sender = transport(clock=interrupted)
    armed.append(True)
    with pytest.raises(KeyboardInterrupt):
        sender.send(post("http://127.0.0.1:9/"))


def test_details_hold_no_path_query_or_body(dials: list[Any], transport: Make) -> None:
    """What operators read names the host, and neither path, query, header value nor body."""
    secret = "s3cret"
    rules = UrlRules(allow_http=True)
    for url, answer in [
        (f"https://example.com/{secret}?{secret}", ["10.0.0.1"]),
        (f"https://example.com/{secret}?{secret}", [PUBLIC]),
        (f"https://example.com:22/{secret}?{secret}", [PUBLIC]),
        (f"https://u:{secret}@example.com/{secret}", [PUBLIC]),
        (f"https://example.com/ {secret} is refused: {secret}", [PUBLIC]),
        (f"https://10.0.0.1/{secret}", [PUBLIC]),
    ]:
        sender = transport(rules, resolver=Resolver(answer))
        outcome = sender.send(post(url, body=secret.encode(), X=secret))
        assert outcome.detail
        assert secret not in outcome.detail
        assert outcome.detail.isprintable()


def test_an_outcome_shows_no_body() -> None:
    """The representation of an outcome does not hold the answer's body."""
    outcome = Outcome(reason=Reason.answered, status=200, body=b"s3cret", duration=0.1)
    assert "s3cret" not in repr(outcome)


def test_an_outgoing_shows_no_headers_and_no_body() -> None:
    """The representation of a request holds neither its signature nor its payload."""
    outgoing = post("https://example.com/", body=b"s3cret", Authorization="s3cret")
    assert "s3cret" not in repr(outgoing)


class Packets:
    """Stands in for a socket: gives an answer cut into packets, then the end."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        self.packets = [data[a:b] for a, b in pairwise(edges) if b > a]

    def setblocking(self, flag: bool) -> None:
        pass

    def send(self, data: memoryview) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        return self.packets.pop(0) if self.packets else b""


def read(data: bytes, cuts: list[int]) -> Any:
    try:
        with mock.patch("flask_webhooks.deliver.exchange.Readiness"):  # it is always ready
            wire = Wire(cast(Any, Packets(data, cuts)), 0.0)
            message = Message(head=b"POST", limit=100)
            answer = wire.exchange(message, Deadline(9, lambda: 0.0))
    except Failure as failure:
        return failure.reason
    return answer.status, answer.headers, bytes(answer.body), answer.truncated, wire.reusable


ANSWERS = st.sampled_from(
    [
        OK,
        OK[:-1],
        OK + b"surplus",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 204 No\r\nX: y\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n" + b"x" * 150,
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ]
)


@given(ANSWERS, st.lists(st.integers(0, 300), max_size=12))
def test_packets_do_not_matter(data: bytes, cuts: list[int]) -> None:
    """However an answer is cut into packets, the same is read."""
    whole, pieces = read(data, []), read(data, cuts)
    if data.endswith(b"surplus"):  # whether it came in time to be seen does matter
        whole, pieces = whole[:-1], pieces[:-1]
    assert pieces == whole


@given(st.binary(max_size=300), st.booleans(), st.lists(st.integers(0, 300), max_size=4))
def test_any_bytes_are_an_answer_or_a_failure(data: bytes, begun: bool, cuts: list[int]) -> None:
    """Whatever a receiver sends is read as an answer or named a failure, never a bug."""
    outcome = read((b"HTTP/1.1 200 OK\r\n" if begun else b"") + data, cuts)
    assert isinstance(outcome, tuple) or outcome in (Reason.protocol, Reason.connect)


class Stream:
    """Stands in for a socket, as :mod:`http.client` reads one."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def read_by_http_client(data: bytes) -> tuple[int, bytes] | None:
    """What the standard library reads of an answer; nothing if it finds none."""
    response = http.client.HTTPResponse(cast(Any, Stream(data)), method="POST")
    try:
        response.begin()
        return response.status, response.read()[:100]
    except http.client.IncompleteRead as error:
        return response.status, error.partial[:100]
    except (http.client.HTTPException, ValueError):
        return None


def read_by_us(data: bytes) -> tuple[int, bytes] | None:
    answer = read(data, [])
    return (answer[0], answer[2]) if isinstance(answer, tuple) else None


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = HEAD + b"Content-Length: 2\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (SIZED + b"\r\nok", (200, b"ok")),
        (SIZED + b"\r\nokk", (200, b"ok")),
        (SIZED + b"\r\no", (200, b"o")),
        (HEAD + b"content-length:2\r\n\r\nok", (200, b"ok")),
        (HEAD + b"Content-Length: 2 \r\n\r\nok", (200, b"ok")),
        (HEAD + b"\r\nto the end", (200, b"to the end")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
        (b"HTTP/1.1 200\r\n\r\n", (200, b"")),
        (b"HTTP/1.1 200 \r\n\r\nx", (200, b"x")),
        (b"HTTP/1.1 200 \xff\r\n\r\nx", (200, b"x")),
        (b"HTTP/1.1 204 No\r\n\r\nx", (204, b"")),
        (b"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx", (204, b"")),
        (b"HTTP/1.1 205 No\r\nContent-Length: 1\r\n\r\nx", (205, b"x")),
        (b"HTTP/1.1 304 No\r\nContent-Length: 1\r\n\r\n", (304, b"")),
        (b"HTTP/1.1 600 X\r\n\r\nx", (600, b"x")),
        (HEAD + b"X: \xff\r\n\r\nx", (200, b"x")),
        (HEAD + b"X:\r\nX: \r\n\r\nx", (200, b"x")),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", (200, b"ok")),
        (CHUNKED + b"2;a=b\r\nok\r\n0\r\nT: x\r\n\r\n", (200, b"ok")),
        (CHUNKED + b"00A\r\n0123456789\r\n0\r\n\r\n", (200, b"0123456789")),
        (CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", (200, b"ok")),
        (CHUNKED + b"2\r\nok\r\n", (200, b"ok")),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\nsurplus", (200, b"ok")),
        (HEAD + b"transfer-encoding:Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", (200, b"ok")),
        (HEAD + b"Transfer-Encoding: xchunked\r\n\r\nok", (200, b"ok")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED + b"\r\nok", (200, b"ok")),
        (b"", None),
        (b"<html>", None),
        (b"HTTP/2 200 OK\r\n\r\n", None),
        (b"HTTP/10.1 200 OK\r\n\r\n", None),
        (b"http/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 99 X\r\n\r\n", None),
        (b"HTTP/1.1 1000 X\r\n\r\n", None),
        (b"HTTP/1.1 +20 X\r\n\r\n", None),
        (b"HTTP/1.1 200OK\r\n\r\n", None),
    ],
    ids=repr,
)
def test_answers_are_read_as_the_standard_library_does(
    data: bytes, expected: tuple[int, bytes] | None
) -> None:
    """An answer in the grammar, and what is none, is read as :mod:`http.client` reads it."""
    assert read_by_us(data) == read_by_http_client(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        CHUNKED + b"2\nok\n0\n\n",
        CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b" 2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2_0\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nokX\r\n0\r\n\r\n",
        CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        SIZED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        SIZED + b"Content-Length: 3\r\n\r\nok!",
        HEAD + b"Content-Length: 2, 2\r\n\r\nok",
        HEAD + b"Content-Length: +2\r\n\r\nok",
        HEAD + b"Content-Length: 2_0\r\n\r\nok",
        HEAD + b"Content-Length: -2\r\n\r\nok",
        HEAD + b"Content-Length: 0x2\r\n\r\nok",
        HEAD + b"Content-Length : 2\r\n\r\nok",
        HEAD + b" Content-Length: 2\r\n\r\nok",
        HEAD + b"X: a\r\n b\r\n\r\nx",
        HEAD + b"X: a\rb\r\n\r\nx",
        HEAD + b"X: a\x00b\r\n\r\nx",
        HEAD + b"no colon\r\n\r\nx",
        HEAD + b": v\r\n\r\nx",
        SIZED.replace(b"\r", b"") + b"\nok",
        HEAD[:-2],
        HEAD,
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.9 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
    ],
    ids=repr,
)
def test_where_the_standard_library_is_lenient(data: bytes) -> None:
    """What :mod:`http.client` guesses an answer in, against RFC 9112, is none to us."""
    assert read_by_http_client(data) is not None
    assert read_by_us(data) is None


@pytest.mark.parametrize(
    ("data", "ours", "others"),
    [
        # RFC 9110, section 15.2: any 1xx is interim; http.client knows 100 alone.
        (b"HTTP/1.1 103 Early\r\n\r\n" + SIZED + b"\r\nok", (200, b"ok"), (103, b"")),
        # RFC 9112, section 2.2, lets a server skip empty lines; llhttp grants it to a client, too.
        (b"\r\n" + SIZED + b"\r\nok", (200, b"ok"), None),
        # RFC 9112, section 6.1: the last coding frames; http.client compares the whole value.
        (
            HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            (200, b"ok"),
            (200, b"2\r\nok\r\n0\r\n\r\n"),
        ),
        # What came of a chunk that broke off is kept.
        (CHUNKED + b"5\r\nok", (200, b"ok"), (200, b"")),
    ],
    ids=repr,
)
def test_where_ours_reads_more(
    data: bytes, ours: tuple[int, bytes], others: tuple[int, bytes] | None
) -> None:
    """The few answers that we read and :mod:`http.client` does not are these."""
    assert (read_by_us(data), read_by_http_client(data)) == (ours, others)


FIELDS = [
    b"Content-Length: 2\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"X: y\r\n",
    b"",
]
BODIES = [b"", b"ok", b"ok" * 99, b"2\r\nok\r\n0\r\n\r\n", b"1;x\r\no\r\n0\r\nT: x\r\n\r\n"]
STARTS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 500\r\n", b"HTTP/1.1 204 No\r\n"]


@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(FIELDS), max_size=3),
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=2)), max_size=2),
)
def test_what_we_accept_the_standard_library_reads_alike(
    start: bytes, fields: list[bytes], body: bytes, changes: list[tuple[int, bytes]]
) -> None:
    """However an answer is damaged: where we read a whole one, http.client reads the same."""
    data = start + b"".join(fields) + b"\r\n" + body
    for place, bytes_ in changes:
        place %= len(data)
        data = data[:place] + bytes_ + data[place + 1 :]
    answer = read(data, [])
    codings = re.search(rb"(?i)transfer-encoding:[^\r]*[^ a-z]", data)
    if isinstance(answer, tuple) and not answer[3] and data[:1] not in b"\r\n" and not codings:
        assert read_by_http_client(data) == (answer[0], answer[2])


ANY_HTTP = UrlRules(allow_http=True, allowed_ports=(8080,))


def written(url: str, *headers: tuple[str, str]) -> tuple[str, int, bytes] | None:
    """What is dialled for a URL, and what is written there; nothing if it is refused."""
    dialled: list[tuple[str, int]] = []

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        dialled.append(address[:2])

    def wrote(self: socket.socket, data: memoryview) -> int:
        lines.append(bytes(data))
        return len(data)

    lines: list[bytes] = []
    sender = Transport(ANY_HTTP, verify=False, resolver=Resolver([PUBLIC]))
    with (
        mock.patch.object(socket.socket, "connect", connect),
        mock.patch.object(socket.socket, "send", wrote),
        mock.patch.object(socket.socket, "recv", lambda self, size: b""),
    ):
        outgoing = Outgoing(method="POST", url=url, headers=headers, body=b"{}", timeout=5)
        sender.send(outgoing)
    assert len(dialled) <= 1
    return (*dialled[0], b"".join(lines)) if dialled else None


SIGNS = "a . / ? # @ : \\ % [ ] .. // é & = ; , ! ~ * ' ( ) $ + _ - | ^ ` { } < > \" A"
PIECES = "%2f %2F %0d%0a %00 %40 :80 :443 example.com 127.0.0.1 8.8.8.8 ::1 [2606:4700::1111] xn--a"
BLANKS = [" ", "\t", "\r\n", "\x00", "\x7f", "\u2028", "\u202e"]
URL_PIECES = st.sampled_from([*SIGNS.split(" "), *PIECES.split(" "), *BLANKS])


@given(st.lists(URL_PIECES, max_size=8).map("".join), st.booleans())
def test_stored_dialled_and_written_are_the_same(text: str, whole: bool) -> None:
    """A URL that is accepted stands in the request as it is stored, letter for letter."""
    url = f"http://{text}" if whole else f"http://hooks.example.com/{text}"
    found = written(url)
    if found is None:
        return
    address, port, request = found
    authority = re.split("[/?]", url[7:], maxsplit=1)[0]
    rest = url[7 + len(authority) :]
    target = rest if rest.startswith("/") else f"/{rest}"
    host = authority.lower().removesuffix(":80")
    literal = re.fullmatch(r"[0-9.]+|\[.*\]", host)
    assert request.decode("ascii") == (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n"
        "Accept: */*\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert (address, port) == (host.strip("[]") if literal else PUBLIC, 80)


LOOSE = st.text(max_size=9) | st.text("aZ9-_: \r\n\t\0é", max_size=9)


@given(LOOSE, LOOSE)
def test_headers_are_one_line_each(name: str, value: str) -> None:
    """Whatever a header's name and value are, they add one line, or nothing is sent."""
    found = written("http://hooks.example.com/", (name, value))
    if found is not None:
        lines = found[2].partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert len(lines) == 5 + (name.lower() != "accept")
        assert f"{name}: {value}".encode() in lines


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "[2606:4700::1111]",
        "hooks.example.com",
        "HOOKS.example.com",
        "xn--bcher-kva.example",
    ],
)
@pytest.mark.parametrize(("port", "shown"), [("", ""), (":80", ""), (":8080", ":8080")])
def test_the_host_header_is_the_urls_authority(host: str, port: str, shown: str) -> None:
    """The Host header is the URL's host in lower case, and its port unless it is the default."""
    found = written(f"http://{host}{port}/")
    assert found is not None
    assert f"\r\nHost: {host.lower()}{shown}\r\n".encode() in found[2]
