"""Measures what the two gates cost, beside the bare exchange, and the CPU of TLS beside requests'.

Run ``python benchmarks/gates.py``. Everything stays on loopback; the receivers are a process of
their own, so that CPU is the sender's alone. Each figure is a median.
"""

from __future__ import annotations

import functools
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from receivers import Authority, make_authority  # noqa: E402

from flask_webhooks.deliver.deadline import Deadline  # noqa: E402
from flask_webhooks.deliver.dialling import Dialler, is_own  # noqa: E402
from flask_webhooks.deliver.exchange import Message, Wire  # noqa: E402
from flask_webhooks.deliver.transport import Outgoing, Transport  # noqa: E402
from flask_webhooks.rules.addresses import refusal  # noqa: E402
from flask_webhooks.rules.urls import UrlRules, check_url  # noqa: E402

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RULES = UrlRules(allow_loopback=True)
PUBLIC = [f"93.184.215.{last}" for last in range(1, 17)]


def serve(port: socket.socket, context: Any) -> None:
    """Answer every request with 200, one thread per connection."""

    def talk(conn: socket.socket) -> None:
        try:
            conn = context.wrap_socket(conn, server_side=True) if context else conn
            while conn.recv(65536):
                conn.sendall(OK)
        except OSError:
            pass
        conn.close()

    while True:
        conn, _ = port.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=talk, args=(conn,), daemon=True).start()


@contextmanager
def serving(authority: Authority | None, ports: int = 1) -> Iterator[list[int]]:
    """Run receivers, over TLS for ``localhost`` with an authority, and give their ports."""
    context = authority.context("localhost") if authority else None
    with ExitStack() as open_ones:
        listeners = [
            open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            for _ in range(ports)
        ]
        process = multiprocessing.get_context("fork").Process(
            target=serve_all, args=(listeners, context), daemon=True
        )
        process.start()
        yield [int(one.getsockname()[1]) for one in listeners]
        process.kill()
        process.join()


def serve_all(listeners: list[socket.socket], context: Any) -> None:
    for one in listeners[1:]:
        threading.Thread(target=serve, args=(one, context), daemon=True).start()
    serve(listeners[0], context)


def medians(
    *calls: Callable[[], object], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Give each call's median in microseconds; they take turns, so a busy machine slows all."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + rounds // 10):
        for call, found in zip(calls, times, strict=True):
            started = clock()
            call()
            found.append(clock() - started)
    return [statistics.median(found[rounds // 10 :]) * 1e6 for found in times]


def median(call: Callable[[], object], rounds: int) -> float:
    return medians(call, rounds=rounds)[0]


def row(name: str, microseconds: float, note: str = "") -> None:
    print(f"{name:58}{microseconds:10.1f} us  {note}")


def gates() -> None:
    print("The gates alone")
    url = "https://hooks.example.com/services/T00/B00?token=abc"
    row("gate one: a URL judged", median(lambda: check_url(url, RULES), 5000))
    route = Transport(RULES, verify=False)._route
    row(
        "gate one: a URL judged before (kept-alive attempt)",
        median(lambda: route(url), 20000),
        "aim < 10",
    )
    for number in (1, 4, 16):
        addresses = [ip_address(text) for text in PUBLIC[:number]]
        judged = functools.partial(refusal, is_own=is_own)
        row(
            f"gate two: {number} answer(s) judged, own addresses included",
            median(lambda a=addresses, j=judged: [j(one) for one in a], 2000),
            "aim < 100" if number == 1 else "",
        )

    def resolver(host: str, port: int) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (text, port)) for text in PUBLIC[:1]]

    dialler = Dialler(RULES, resolver, is_own)
    row(
        "the look-up's own thread (resolver that answers at once)",
        median(
            lambda: dialler._addresses("hooks.example.com", 443, Deadline(9, time.monotonic)), 2000
        ),
    )


def exchanges(port: int) -> None:
    print("\nThe same in a whole attempt, over http on loopback")
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"
    message = Message(head=head, body=b"{}", limit=65536)
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = Wire(sock, time.monotonic())

    def bare() -> object:
        return wire.exchange(message, Deadline(9, time.monotonic))

    def bare_and_new() -> None:
        with socket.create_connection(("127.0.0.1", port)) as fresh:
            Wire(fresh, time.monotonic()).exchange(message, Deadline(9, time.monotonic))

    def sending(transport: Transport, host: str) -> Callable[[], object]:
        url = f"http://{host}:{port}/"
        outgoing = Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=9)
        return lambda: transport.send(outgoing)

    def transport(keeping: bool) -> Transport:
        one = Transport(RULES, verify=False, resolver=localhost)
        if not keeping:
            one.close()  # from now on it keeps nothing
        return one

    kept, attempt = medians(bare, sending(transport(True), "127.0.0.1"), rounds=3000)
    row("kept-alive: the bare exchange", kept)
    row("kept-alive: a whole attempt", attempt, f"{attempt - kept:+.1f}")
    new, literal, named = medians(
        bare_and_new,
        sending(transport(False), "127.0.0.1"),
        sending(transport(False), "localhost"),
        rounds=1000,
    )
    row("new connection: connect and the bare exchange", new)
    row("new connection: a whole attempt to an address", literal, f"{literal - new:+.1f}")
    row("new connection: a whole attempt to a name", named, f"{named - new:+.1f}")


def localhost(host: str, port: int) -> list[Any]:
    return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]


@contextmanager
def over_tls(ports: int) -> Iterator[tuple[list[str], str]]:
    """Receivers over TLS: their URLs, and a bundle as long as the usual one that they are in."""
    with tempfile.TemporaryDirectory() as folder:
        authority = make_authority(Path(folder))
        bundle = Path(folder) / "all.pem"
        both = (Path(authority.bundle), Path(DEFAULT_CA_BUNDLE_PATH))
        bundle.write_text("\n".join(path.read_text() for path in both))
        with serving(authority, ports) as found:
            yield [f"https://localhost:{port}/" for port in found], str(bundle)


def posting(transport: Transport, url: str) -> None:
    outcome = transport.send(Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=9))
    assert outcome.status == 200, outcome


def new_connections(rounds: int) -> list[float]:
    """CPU of a new TLS connection with one request, ours and a stock adapter's, in microseconds."""
    with over_tls(1) as ([url], bundle), requests.Session() as session:
        transport = Transport(RULES, verify=bundle, resolver=localhost)
        transport.close()  # from now on it keeps nothing
        session.trust_env = False

        def stock() -> None:
            headers = {"Connection": "close"}
            assert session.post(url, b"{}", verify=bundle, headers=headers, timeout=9).ok
            session.close()

        return medians(
            lambda: posting(transport, url), stock, rounds=rounds, clock=time.process_time
        )


def many_hosts(hosts: int, rounds: int) -> list[float]:
    """CPU of a request to each of many hosts in turn, ours and a default Session's, likewise."""
    with over_tls(hosts) as (urls, bundle), requests.Session() as session:
        transport = Transport(RULES, verify=bundle, resolver=localhost)

        def ours() -> None:
            for url in urls:
                posting(transport, url)

        def stock() -> None:
            for url in urls:
                assert session.post(url, b"{}", verify=bundle, timeout=9).ok

        ours()
        both = medians(ours, stock, rounds=rounds, clock=time.process_time)
    return [one / hosts for one in both]


def tls() -> None:
    print("\nCPU of a new TLS connection with one request, both verifying with one bundle")
    first, second = new_connections(rounds=40)
    row("ours", first)
    row("requests.Session with its stock adapter", second, f"{second / first:.0f} times as much")


def main() -> None:
    gates()
    with serving(None) as [port]:
        exchanges(port)
    tls()


if __name__ == "__main__":
    main()
