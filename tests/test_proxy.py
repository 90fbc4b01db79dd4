"""Claims about going through the operator's proxy: by CONNECT, by name, and never unasked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from receivers import (
    OK,
    Authority,
    Behaviour,
    Receiver,
    answering,
    make_authority,
    over_tls,
    receiving,
)

from flask_webhooks import Webhooks
from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules

DEADLINE = 0.3
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


def asked(name: str, port: int) -> list[Any]:
    raise AssertionError(f"{name} was looked up")


def relaying(*targets: int, reply: bytes = OPEN) -> Behaviour:
    """Be a proxy: note the request, connect to the next of these ports, and pass bytes on."""
    left = list(targets)

    def behave(proxy: Receiver, conn: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += conn.recv(1)
        proxy.requests.append(head)
        with socket.create_connection(("127.0.0.1", left.pop(0))) as target:
            conn.sendall(reply)
            back = threading.Thread(target=pumped, args=(target, conn), daemon=True)
            back.start()
            pumped(conn, target)
            back.join(2)

    return behave


def pumped(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


Make = Callable[..., Transport]


@pytest.fixture
def through(authority: Authority) -> Iterator[Make]:
    """Makes transports that go through a proxy, and look no name up."""
    made: list[Transport] = []

    def make(port: int, host: str = "127.0.0.1", **options: Any) -> Transport:
        options.setdefault("resolver", asked)
        options |= {"verify": authority.bundle, "proxy": (host, port)}
        made.append(Transport(UrlRules(allow_http=True), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def post(transport: Transport, url: str, timeout: float = 2.0) -> Outcome:
    return transport.send(Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=timeout))


def test_https_goes_by_connect_and_by_name(authority: Authority, through: Make) -> None:
    """The proxy is asked for the host by its name; the handshake inside names it, too."""
    asked_for: list[str | None] = []
    context = authority.context("hooks.example.com")
    context.set_servername_callback(lambda sock, name, context: asked_for.append(name))
    with (
        receiving(over_tls(answering(OK), context)) as receiver,
        receiving(relaying(receiver.port)) as proxy,
    ):
        outcome = post(through(proxy.port), "https://hooks.example.com:8443/a?b")
    assert (outcome.status, outcome.body) == (200, b"ok")
    assert proxy.requests == [
        b"CONNECT hooks.example.com:8443 HTTP/1.1\r\nHost: hooks.example.com:8443\r\n\r\n"
    ]
    assert asked_for == ["hooks.example.com"]
    assert receiver.requests[0].startswith(
        b"POST /a?b HTTP/1.1\r\nHost: hooks.example.com:8443\r\n"
    )


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://hooks.example.com/a", b"hooks.example.com:80"),
        ("http://HOOKS.example.com:80/a", b"hooks.example.com:80"),
        ("http://8.8.8.8/a", b"8.8.8.8:80"),
        ("http://[2606:4700:0::1111]/a", b"[2606:4700::1111]:80"),
    ],
)
def test_http_goes_by_connect_too(url: str, target: bytes, through: Make) -> None:
    """Plain http is sent inside a tunnel as well, with the path alone in its first line."""
    with (
        receiving(answering(OK)) as receiver,
        receiving(relaying(receiver.port)) as proxy,
    ):
        outcome = post(through(proxy.port), url)
    assert outcome.status == 200
    assert proxy.requests == [b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target)]
    assert receiver.requests[0].startswith(b"POST /a HTTP/1.1\r\nHost: ")


def test_the_certificate_must_be_the_hosts(authority: Authority, through: Make) -> None:
    """A certificate for the proxy's address is not one for the host."""
    context = authority.context("127.0.0.1")
    with (
        receiving(over_tls(answering(OK), context)) as receiver,
        receiving(relaying(receiver.port)) as proxy,
    ):
        outcome = post(through(proxy.port), "https://hooks.example.com/")
    assert (outcome.reason, receiver.requests) == (Reason.tls, [])


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x7f000001/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://u@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com\r\nX:y/",
    ],
)
def test_the_first_gate_still_stands(url: str, through: Make) -> None:
    """A URL that the rules refuse never reaches the proxy."""
    with receiving(relaying()) as proxy:
        outcome = post(through(proxy.port), url)
    assert (outcome.reason, proxy.connections) == (Reason.blocked, 0)


def test_tunnels_are_kept_for_their_host_only(through: Make) -> None:
    """One host's requests share a tunnel; another host gets one of its own."""
    with (
        receiving(answering(*[OK] * 3)) as first,
        receiving(answering(OK)) as second,
        receiving(relaying(first.port, second.port)) as proxy,
    ):
        sender = through(proxy.port)
        for host in ("a", "a", "b", "a"):
            assert post(sender, f"http://{host}.example.com/").status == 200
    assert [len(first.requests), len(second.requests), proxy.connections] == [3, 1, 2]


def test_the_proxys_own_name_is_looked_up(through: Make) -> None:
    """The operator's proxy may lie inside: its name is resolved and its address not judged."""
    names: list[str] = []

    def resolver(name: str, port: int) -> list[Any]:
        names.append(name)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    with receiving(answering(OK)) as receiver, receiving(relaying(receiver.port)) as proxy:
        sender = through(proxy.port, "smokescreen", resolver=resolver)
        outcome = post(sender, "http://hooks.example.com/")
    assert (outcome.status, names) == (200, ["smokescreen"])


def saying(reply: bytes) -> Behaviour:
    """Be a proxy that only says something, and closes."""

    def behave(proxy: Receiver, conn: socket.socket) -> None:
        conn.recv(4096)
        proxy.send(conn, reply)

    return behave


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        (
            b"HTTP/1.1 407 Request Rejected by Proxy\r\nContent-Length: 4\r\n\r\nno\r\n",
            Reason.blocked,
            "the proxy refused the host with status 407",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            Reason.blocked,
            "the proxy refused the host with status 403",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 200000000\r\n\r\n",
            Reason.connect,
            "the proxy answered with status 502",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
            Reason.connect,
            "the proxy answered with status 302",
        ),
        (b"", Reason.connect, "the peer closed the connection before an answer"),
        (b"SSH-2.0\r\n", Reason.protocol, "the answer is not HTTP/1: Expected HTTP/"),
        (
            OPEN + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Reason.protocol,
            "the receiver spoke before it was asked",
        ),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_proxys_no(reply: bytes, reason: Reason, detail: str, scheme: str, through: Make) -> None:
    """Without the proxy's 2xx nothing is sent, and the outcome says what it was."""
    with receiving(saying(reply)) as proxy:
        outcome = post(through(proxy.port), f"{scheme}://hooks.example.com/")
    assert (outcome.reason, outcome.status) == (reason, None)
    assert outcome.detail.startswith(detail)


def test_a_dead_proxy_is_no_receivers_fault(through: Make) -> None:
    """A proxy that can't be reached is a fault on this side."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = post(through(port), "https://hooks.example.com/")
    assert outcome.reason is Reason.internal
    assert outcome.detail == f"the proxy: 127.0.0.1 port {port}: Connection refused"


def silent(proxy: Receiver, conn: socket.socket) -> None:
    proxy.stop.wait(5)


def trickling(proxy: Receiver, conn: socket.socket) -> None:
    proxy.send(conn, b"HTTP/1.1 200 OK\r\nX: ")
    while proxy.pause(0.05):
        proxy.send(conn, b"y")


@pytest.mark.parametrize("behave", [silent, trickling])
def test_a_hanging_proxy_ends_at_the_deadline(behave: Behaviour, through: Make) -> None:
    """A proxy that never finishes its answer costs the deadline and not more."""
    with receiving(behave) as proxy:
        outcome = post(through(proxy.port), "https://hooks.example.com/", DEADLINE)
    assert outcome.reason is Reason.timeout
    assert DEADLINE <= outcome.duration < DEADLINE + 0.5


def test_a_hanging_receiver_behind_a_proxy_ends_at_the_deadline(through: Make) -> None:
    """The deadline and the cap hold inside a tunnel."""
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_000_000)
    with (
        receiving(silent) as hung,
        receiving(answering(flood)) as pouring,
        receiving(relaying(hung.port, pouring.port)) as proxy,
    ):
        sender = through(proxy.port, response_limit=1000)
        first = post(sender, "http://a.example.com/", DEADLINE)
        second = post(sender, "http://b.example.com/")
    assert first.reason is Reason.timeout
    assert first.duration < DEADLINE + 0.5
    assert (second.status, len(second.body), second.truncated) == (200, 1000, True)


def test_the_environment_chooses_no_proxy(monkeypatch: pytest.MonkeyPatch, through: Make) -> None:
    """The environment's proxies are not used, and its exceptions do not lead around ours."""
    with (
        receiving(answering(OK)) as receiver,
        receiving(relaying(receiver.port)) as proxy,
        receiving(relaying()) as other,
    ):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{other.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "*")
        outcome = post(through(proxy.port), "http://hooks.example.com/")
    assert (outcome.status, proxy.connections, other.connections) == (200, 1, 0)


def test_the_setting_reaches_the_worker(webhooks: Webhooks, make_app: Callable[..., Flask]) -> None:
    """With ``WEBHOOKS_PROXY`` set, what is delivered goes through that proxy."""
    ping = webhooks.webhook("ping", {"type": "object"})
    with receiving(answering(OK)) as receiver, receiving(relaying(receiver.port)) as proxy:
        app = make_app(
            WEBHOOKS_PROXY=f"http://127.0.0.1:{proxy.port}", WEBHOOKS_ALLOW_HTTP=True,
        )  # fmt: skip
        webhooks.init_app(app)
        with app.app_context():
            webhooks.subscribe("http://hooks.example.com/", ["ping"])
            ping.send({})
            webhooks.run_until_idle()
            statuses = [delivery.status for delivery in webhooks.deliveries()]
    assert statuses == ["delivered"]
    assert proxy.requests[0].startswith(b"CONNECT hooks.example.com:80 HTTP/1.1\r\n")
