"""Makes every outgoing connection: the only way out, and the second gate.

A call goes through requests' adapter into urllib3's pools and connections; ours resolve the host,
judge *all* answers of the resolver, dial a judged address, and hand the socket to the exchange.
Nothing is taken from the environment: no proxy, no netrc, no CA bundle, no cookies; no redirect
is followed. The total deadline covers resolving, connecting, TLS, upload and answer.
"""

from __future__ import annotations

import functools
import math
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from flask_webhooks.deliver.exchange import Answer, Deadline, Failure, Stale, Wire, explained
from flask_webhooks.deliver.outcome import Outcome, Reason
from flask_webhooks.exceptions import RefusedURLError
from flask_webhooks.rules.addresses import Network, refusal
from flask_webhooks.rules.urls import Destination, UrlRules, check_url, networks_for

#: Answers in the shape of :func:`socket.getaddrinfo`.
Resolved = Sequence[tuple[Any, ...]]
Resolver = Callable[[str, int], Resolved]

#: Most addresses of one host that are tried in one attempt.
DIAL_LIMIT = 4
#: Most look-ups that may hang at once; each holds a daemon thread.
LOOKUP_LIMIT = 256
#: Hosts whose connections are kept, and kept connections of one host.
HOST_LIMIT, KEEP_LIMIT = 512, 32
#: Seconds that a connection may idle, and may live: then the host is resolved and judged anew.
IDLE_SECONDS, LIFE_SECONDS = 30.0, 300.0

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORITY = re.compile(r"^[^:]*://[^/?]*")
_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_OURS = frozenset(
    ("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te")
    + ("proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade")
)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One request to send.

    :param headers: printable ASCII, each name once; framing, ``Host`` and ``Accept-Encoding``
        are the transport's own.
    :param timeout: total deadline in seconds, from the look-up to the last byte of the answer.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float


class Transport:
    """Sends requests, from many threads at once. After a fork, build a new one.

    :param rules: what the operator opened; judged again on every call.
    :param response_limit: most bytes kept of an answer's body.
    :param verify: path of a CA bundle, or ``True`` for the one that comes with requests.
    :param resolver: gives a host's addresses, as :func:`socket.getaddrinfo` does.
    :param clock: seconds that only grow.
    """

    def __init__(
        self,
        rules: UrlRules,
        *,
        response_limit: int = 65536,
        verify: bool | str = True,
        resolver: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._route = functools.lru_cache(4096)(functools.partial(_route, rules=rules))
        dialler = _Dialler(rules, _Lookups(resolver or _system_resolver))
        self._adapter = _Adapter(dialler, response_limit, _tls_context(verify))
        self._swept = clock()

    def send(self, outgoing: Outgoing) -> Outcome:
        """Make one attempt. Never raises, but for ``KeyboardInterrupt`` and its like."""
        started = self._clock()
        try:
            answer = self._answer(outgoing)
        except Exception as error:
            reason, detail = _named(error)
            return Outcome(reason=reason, detail=detail, duration=self._clock() - started)
        return Outcome(
            reason=Reason.answered,
            status=answer.status,
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1").strip(" \t"))
                for name, value in answer.headers
            ),
            body=bytes(answer.body),
            truncated=answer.truncated,
            detail=answer.detail,
            duration=self._clock() - started,
        )

    def close(self) -> None:
        """Close all idle connections; those in use are closed when their exchange ends."""
        self._adapter.close()

    def _answer(self, outgoing: Outgoing) -> Answer:
        deadline = Deadline(outgoing.timeout, self._clock)
        request = _prepared(outgoing, self._route(outgoing.url))
        if self._clock() - self._swept > IDLE_SECONDS / 2:
            self._swept = self._clock()
            self._adapter.sweep(self._swept - IDLE_SECONDS)
        response: Any = self._adapter.send(request, timeout=cast(Any, deadline))
        return cast(Answer, response.raw)


def _system_resolver(host: str, port: int) -> Resolved:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _tls_context(verify: bool | str) -> ssl.SSLContext:
    """Build the one context that all connections share: reading a CA bundle is slow.

    Made by hand, since :func:`ssl.create_default_context` and urllib3's own look into the
    environment (``SSL_CERT_FILE``, ``SSLKEYLOGFILE``).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.hostname_checks_common_name = False
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    bundle = Path(DEFAULT_CA_BUNDLE_PATH if verify is True else verify)
    if bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def _named(error: Exception) -> tuple[Reason, str]:
    """Sort an exception into a reason and one line, without the URL: its path may be a secret."""
    if isinstance(error, Failure):
        return error.reason, error.detail
    if isinstance(error, RefusedURLError):
        return Reason.blocked, f"the URL is refused: {str(error).rpartition(' is refused: ')[2]}"
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = frame.tb_frame.f_code.co_qualname if frame is not None else "nowhere"
    return Reason.internal, f"{type(error).__name__} in {place}"


# --- the request -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Route:
    destination: Destination
    authority: str
    target: str


def _route(url: str, rules: UrlRules) -> _Route:
    destination = check_url(url, rules)
    target = _AUTHORITY.sub("", url)
    if not target.startswith("/"):
        target = f"/{target}"
    return _Route(destination=destination, authority=_authority(destination), target=target)


def _authority(destination: Destination) -> str:
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    default = {"https": 443, "http": 80}[destination.scheme]
    return host if destination.port == default else f"{host}:{destination.port}"


class _Request(PreparedRequest):
    """A prepared request that knows its judged destination."""

    route: _Route


def _prepared(outgoing: Outgoing, route: _Route) -> _Request:
    if outgoing.method not in _METHODS:
        raise Failure(Reason.blocked, f"method {outgoing.method[:20]!r} is not one we send")
    headers = {"Host": route.authority, "Accept-Encoding": "identity"}
    seen = {"host", "accept-encoding"}
    for name, value in outgoing.headers:
        lowered = _header_name(name)
        if lowered in seen:
            raise Failure(Reason.blocked, f"header {name} is given twice")
        if not (value.isascii() and value.isprintable()):
            raise Failure(Reason.blocked, f"header {name} holds other than printable ASCII")
        seen.add(lowered)
        headers[name] = value
    if "accept" not in seen:
        headers["Accept"] = "*/*"
    headers["Content-Length"] = str(len(outgoing.body))
    return _request(outgoing, route, headers)


def _request(outgoing: Outgoing, route: _Route, headers: dict[str, str]) -> _Request:
    request = _Request()
    request.method = outgoing.method
    request.url = outgoing.url
    request.headers = headers  # type: ignore[assignment]  # requests would fold names, slowly
    request.body = outgoing.body
    request.route = route
    return request


@functools.lru_cache(1024)
def _header_name(name: str) -> str:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        raise Failure(Reason.blocked, f"header name {name[:40]!r} is not a token")
    if lowered in _OURS:
        raise Failure(Reason.blocked, f"header {name} is the transport's own")
    return lowered


# --- resolving and dialling: the second gate ----------------------------------------------------


class _Lookups:
    """Resolves in daemon threads, since no timeout reaches into a resolver.

    Callers who ask for one host share one look-up, so a name that hangs holds one thread.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pending: dict[tuple[str, int], Future[Resolved]] = {}
        self._lock = threading.Lock()

    def __call__(self, host: str, port: int, seconds: float) -> Resolved:
        """:raises TimeoutError: no answer within so many seconds."""
        return self._started(host, port).result(seconds)

    def _started(self, host: str, port: int) -> Future[Resolved]:
        key = host, port
        with self._lock:
            pending = self._pending.get(key)
            if pending is not None:
                return pending
            if len(self._pending) >= LOOKUP_LIMIT:
                raise Failure(Reason.dns, f"{LOOKUP_LIMIT} look-ups hang already")
            thread = threading.Thread(
                target=self._run, args=(key,), daemon=True, name="webhooks-dns"
            )
            pending = self._pending[key] = Future()
        try:
            thread.start()
        except RuntimeError:
            self._settle(key, RuntimeError("no thread for a look-up"))
        return pending

    def _run(self, key: tuple[str, int]) -> None:
        try:
            self._settle(key, self._resolver(*key))
        except Exception as error:
            self._settle(key, error)

    def _settle(self, key: tuple[str, int], result: Resolved | Exception) -> None:
        with self._lock:
            pending = self._pending.pop(key)
        if isinstance(result, Exception):
            pending.set_exception(result)
        else:
            pending.set_result(result)


class _Dialler:
    """Connects to a host at an address that the rules allow."""

    def __init__(self, rules: UrlRules, lookups: _Lookups) -> None:
        self._rules = rules
        self._lookups = lookups

    def dial(self, destination: Destination, deadline: Deadline) -> socket.socket:
        addresses = self._judged(destination, deadline)
        deadline.phase = "connecting"
        faults = []
        for index, (family, address) in enumerate(addresses):
            share = deadline.remaining() / (len(addresses) - index)
            try:
                return _connected(family, address, share, deadline)
            except OSError as error:
                faults.append(error)
                where_to = f"{address[0]} port {address[1]}"
        deadline.remaining()
        reason = Reason.timeout if isinstance(faults[-1], TimeoutError) else Reason.connect
        raise Failure(reason, f"{where_to}: {explained(faults[-1])}")

    def _judged(self, destination: Destination, deadline: Deadline) -> list[tuple[int, Any]]:
        """Resolve, and refuse all when one answer is forbidden: a mixed answer is an attack."""
        answers = self._resolved(destination, deadline)
        allowed = networks_for(destination, self._rules)
        for _, address in answers:
            why = _refusal(address[0], allowed, self._rules.denied_networks)
            if why is not None:
                raise Failure(Reason.blocked, f"{destination.host} may not be dialled: {why}")
        families: dict[int, list[tuple[int, Any]]] = {}
        for answer in answers:
            families.setdefault(answer[0], []).append(answer)
        turns = chain.from_iterable(zip_longest(*families.values()))
        return [answer for answer in turns if answer is not None][:DIAL_LIMIT]

    def _resolved(self, destination: Destination, deadline: Deadline) -> list[tuple[int, Any]]:
        host, port = destination.host, destination.port
        deadline.phase = "resolving the host"
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        try:
            answers = self._lookups(host, port, deadline.remaining())
        except TimeoutError:
            raise deadline.passed() from None
        except (OSError, UnicodeError) as error:
            text = explained(error) if isinstance(error, OSError) else "not a name"
            raise Failure(Reason.dns, f"{host}: {text}") from None
        found = list(dict.fromkeys((answer[0], tuple(answer[4])) for answer in answers))
        if not found:
            raise Failure(Reason.dns, f"{host} has no address")
        return found


def _literal(host: str, port: int) -> tuple[int, Any] | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return socket.AF_INET6, (host, port, 0, 0)
    return socket.AF_INET, (host, port)


def _refusal(text: str, allowed: tuple[Network, ...], denied: tuple[Network, ...]) -> str | None:
    try:
        address = ip_address(text)
    except ValueError:
        return f"{text!r} is not an IP address"
    return refusal(address, allowed=allowed, denied=denied)


def _connected(family: int, address: Any, seconds: float, deadline: Deadline) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(address)
        deadline.phase = "in the TLS handshake"
        sock.settimeout(deadline.remaining())
    except BaseException:
        sock.close()
        raise
    return sock


# --- requests' and urllib3's parts --------------------------------------------------------------


class _PlainConnection(HTTPConnection):
    """A connection that is dialled by us; ``wire`` is its socket once it is open."""

    dialled: Callable[[], socket.socket]
    wire: Wire

    def _new_conn(self) -> socket.socket:
        return self.dialled()


class _TLSConnection(HTTPSConnection):
    """The same under TLS; urllib3 checks the certificate against the host's name."""

    dialled: Callable[[], socket.socket]
    wire: Wire

    def _new_conn(self) -> socket.socket:
        return self.dialled()


_Connection = _PlainConnection | _TLSConnection


class _Pool(HTTPConnectionPool):
    """The connections to one origin; its ``urlopen`` is our exchange instead of urllib3's.

    Idle connections lie in a deque, which needs no lock; urllib3's own queue stays empty.
    """

    def __init__(
        self, destination: Destination, dialler: _Dialler, context: ssl.SSLContext, limit: int
    ) -> None:
        self.scheme = destination.scheme
        options: dict[str, Any] = {}
        self.ConnectionCls = _PlainConnection
        if destination.scheme == "https":
            self.ConnectionCls = _TLSConnection
            options["ssl_context"] = context
        super().__init__(destination.host, destination.port, **options)
        self._idle: deque[_Connection] = deque()
        self._closed = False
        self._dial = functools.partial(dialler.dial, destination)
        self._limit = limit

    def urlopen(  # type: ignore[override]  # answers with our own type, and only to our adapter
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout: Deadline,
        **unused: object,
    ) -> Answer:
        """Exchange a request; a kept connection that was closed meanwhile is replaced once."""
        lines = [f"{method} {url} HTTP/1.1", *map(": ".join, headers.items()), "\r\n"]
        message = "\r\n".join(lines).encode("ascii") + body
        bodiless = method == "HEAD"
        kept = self._kept(timeout.clock())
        if kept is not None:
            try:
                return self._exchanged(kept, message, timeout, bodiless)
            except Stale:
                pass
        return self._exchanged(self._opened(timeout), message, timeout, bodiless)

    def _exchanged(
        self, connection: _Connection, message: bytes, deadline: Deadline, bodiless: bool
    ) -> Answer:
        wire = connection.wire
        try:
            answer = wire.exchange(message, deadline, self._limit, bodiless)
        except BaseException:
            connection.close()
            raise
        if wire.reusable and wire.idle_since - wire.born < LIFE_SECONDS:
            self._keep(connection)
        else:
            connection.close()
        return answer

    def _kept(self, now: float) -> _Connection | None:
        """Take the idle connection that was used last, if it is still open."""
        while (connection := self._popped(self._idle.pop)) is not None:
            if now - connection.wire.idle_since < IDLE_SECONDS and connection.wire.quiet():
                return connection
            connection.close()
        return None

    def _keep(self, connection: _Connection) -> None:
        self._idle.append(connection)
        if self._closed:  # meanwhile, by another thread
            self.sweep(math.inf)
        elif len(self._idle) > KEEP_LIMIT and (oldest := self._popped(self._idle.popleft)):
            oldest.close()

    def sweep(self, before: float) -> None:
        """Close what has been idle since before a time."""
        while (oldest := self._popped(self._idle.popleft)) is not None:
            if oldest.wire.idle_since >= before:
                return self._idle.appendleft(oldest)
            oldest.close()

    def close(self) -> None:
        self._closed = True
        self.sweep(math.inf)

    @staticmethod
    def _popped(pop: Callable[[], _Connection]) -> _Connection | None:
        try:
            return pop()
        except IndexError:  # emptied by another thread
            return None

    def _opened(self, deadline: Deadline) -> _Connection:
        connection: Any = self._new_conn()
        connection.dialled = functools.partial(self._dial, deadline)
        try:
            connection.connect()
            connection.wire = Wire(connection.sock, deadline.clock())
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise deadline.passed() from None
            if isinstance(error, OSError):  # dialling raises none: this is the handshake
                wrong = f"the TLS handshake failed: {explained(error)}"
                raise Failure(Reason.tls, wrong) from None
            raise
        return connection  # type: ignore[no-any-return]


class _Reply(Response):
    """Carries an answer through requests, without the cookie jar and what else nobody reads."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.raw: Any = answer


class _Adapter(HTTPAdapter):
    """requests' adapter over our pools, without what it would read again for every request."""

    def __init__(self, dialler: _Dialler, limit: int, context: ssl.SSLContext) -> None:
        super().__init__(pool_connections=HOST_LIMIT, pool_maxsize=KEEP_LIMIT)
        self._new_pool = functools.partial(_Pool, dialler=dialler, context=context, limit=limit)
        self._pools = self.poolmanager.pools
        self._pools.dispose_func = _Pool.close

    def get_connection_with_tls_context(  # type: ignore[override]
        self, request: _Request, verify: object, proxies: object = None, cert: object = None
    ) -> _Pool:
        destination = request.route.destination
        key: Any = (destination.scheme, destination.host, destination.port)
        with self._pools.lock:
            pool: Any = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(destination)
        return cast(_Pool, pool)

    def cert_verify(self, conn: object, url: object, verify: object, cert: object) -> None:
        """Do nothing: the shared context has all, and is not to be loaded again."""

    def request_url(self, request: _Request, proxies: object) -> str:  # type: ignore[override]
        return request.route.target

    def build_response(  # type: ignore[override]
        self, req: PreparedRequest, resp: Answer
    ) -> Response:
        return _Reply(resp)

    def sweep(self, before: float) -> None:
        """Close all connections that have been idle since before a time."""
        for key in self._pools.keys():
            pool: Any = self._pools.get(key)
            if pool is not None:
                pool.sweep(before)
