"""Opens connections, through the proxy if there is one, under TLS for https; and keeps idle ones.

A kept connection serves the one scheme, host and port that it was opened and judged for.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..rules.urls import Destination
from .deadline import Deadline
from .dialling import Dialler
from .exchange import Answer, Message, Stale, Wire
from .outcome import Failure, Reason, explained

#: Most idle connections, to all hosts together.
KEEP_LIMIT = 256
#: Seconds that a connection may idle, and may live: then the host is resolved and judged anew.
IDLE_SECONDS, LIFE_SECONDS = 30.0, 300.0

_Origin = tuple[str, str, int]


def tls_context(verify: bool | str, client_cert: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Build the one context that all connections share: reading a CA bundle is slow.

    Made by hand, since :func:`ssl.create_default_context` and urllib3's own look into the
    environment (``SSL_CERT_FILE``, ``SSLKEYLOGFILE``).

    :param verify: path of a CA bundle, or ``True`` for the one that comes with requests.
    :param client_cert: files of a certificate and its key, shown to receivers that ask.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.hostname_checks_common_name = False
    if client_cert is not None:
        context.load_cert_chain(*client_cert)
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


@dataclass(slots=True, eq=False)
class Begun:
    """A request that was sent, and waits for its answer.

    :ivar put_back: keeps the connection, or closes it, when the answer is there.
    """

    wire: Wire
    deadline: Deadline
    put_back: Callable[[], None]

    def advance(self) -> bool:
        """Read what is there; whether the answer is complete. Errors as :meth:`.Wire.advance`."""
        try:
            return self.wire.advance(self.deadline)
        except BaseException:
            self.wire.close()
            raise

    def end(self) -> Answer:
        """The complete answer; its connection may serve others."""
        answer = self.wire.end(self.deadline.clock())
        self.put_back()
        return answer


class Connections:
    """All connections of one transport, used from many threads at once.

    :param proxy: host and port of the HTTP proxy that every connection goes through. The address
        is the proxy's to judge then: hosts are named to it, and not resolved here.
    """

    def __init__(
        self, dialler: Dialler, context: ssl.SSLContext, proxy: tuple[str, int] | None
    ) -> None:
        self._dialler = dialler
        self._context = context
        self._proxy = proxy
        self._lock = threading.Lock()
        self._idle: dict[Wire, _Origin] = {}  # the longest idle first
        self._of: dict[_Origin, list[Wire]] = {}
        self._closed = False

    def exchange(self, destination: Destination, message: Message, deadline: Deadline) -> Answer:
        """Exchange a request; a kept connection that was closed meanwhile is replaced once."""
        origin = _origin(destination)
        kept = self._kept(origin, deadline.clock())
        try:
            wire = kept or self._opened(destination, deadline)
            answer = _exchanged(wire, message, deadline)
        except Stale:
            wire = self._opened(destination, deadline)
            answer = _exchanged(wire, message, deadline)
        self._put_back(origin, wire)
        return answer

    def begin(self, destination: Destination, message: Message, deadline: Deadline) -> Begun | None:
        """Put a request on a kept connection; ``None`` if there is none.

        Whether it is still open is to be seen by :func:`.noisy` before the request is pushed.
        """
        origin = _origin(destination)
        wire = self._newest(origin, deadline.clock())
        if wire is None:
            return None
        wire.begin(message)
        return Begun(wire, deadline, partial(self._put_back, origin, wire))

    def _put_back(self, origin: _Origin, wire: Wire) -> None:
        if wire.reusable and wire.idle_since - wire.born < LIFE_SECONDS:
            self._keep(origin, wire)
        else:
            wire.close()

    def close(self) -> None:
        """Close what idles; what is in use is closed when its exchange ends."""
        with self._lock:
            self._closed = True
            for wire in list(self._idle):
                self._taken(wire).close()

    # Opening

    def _opened(self, destination: Destination, deadline: Deadline) -> Wire:
        sock = self._reached(destination, deadline)
        if destination.scheme == "https":
            sock = self._secured(sock, destination.host, deadline)
        return Wire(sock, deadline.clock())

    def _reached(self, destination: Destination, deadline: Deadline) -> socket.socket:
        if self._proxy is None:
            return self._dialler.dial(destination, deadline)
        try:
            sock = self._dialler.dial_trusted(*self._proxy, deadline)
        except Failure as failure:  # no receiver's fault
            raise Failure(Reason.internal, f"the proxy: {failure.detail}") from None
        try:
            _tunnel(sock, destination, deadline)
        except BaseException:
            sock.close()
            raise
        return sock

    def _secured(self, sock: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        """Shake hands under the host's name, whatever address was dialled."""
        deadline.phase = "in the TLS handshake"
        try:
            sock.settimeout(deadline.remaining())
            return self._context.wrap_socket(sock, server_hostname=host)
        except BaseException as error:
            sock.close()
            if isinstance(error, TimeoutError):
                raise deadline.passed() from None
            if isinstance(error, OSError):
                wrong = f"the TLS handshake failed: {explained(error)}"
                raise Failure(Reason.tls, wrong) from None
            raise

    # Keeping

    def _kept(self, origin: _Origin, now: float) -> Wire | None:
        """Take the idle connection that was used last, if it is still open."""
        while (wire := self._newest(origin, now)) is not None:
            if wire.quiet():
                return wire
            wire.close()
        return None

    def _newest(self, origin: _Origin, now: float) -> Wire | None:
        with self._lock:
            while (
                self._idle and now - (oldest := next(iter(self._idle))).idle_since >= IDLE_SECONDS
            ):
                self._taken(oldest).close()
            wires = self._of.get(origin)
            return self._taken(wires[-1]) if wires else None

    def _keep(self, origin: _Origin, wire: Wire) -> None:
        with self._lock:
            self._idle[wire] = origin
            self._of.setdefault(origin, []).append(wire)
            if self._closed:
                self._taken(wire).close()
            elif len(self._idle) > KEEP_LIMIT:
                self._taken(next(iter(self._idle))).close()

    def _taken(self, wire: Wire) -> Wire:
        origin = self._idle.pop(wire)
        wires = self._of[origin]
        wires.remove(wire)
        if not wires:
            del self._of[origin]
        return wire


def _origin(destination: Destination) -> _Origin:
    return destination.scheme, destination.host, destination.port


def _exchanged(wire: Wire, message: Message, deadline: Deadline) -> Answer:
    try:
        return wire.exchange(message, deadline)
    except BaseException:
        wire.close()
        raise


def _tunnel(sock: socket.socket, destination: Destination, deadline: Deadline) -> None:
    """Ask a proxy to connect the socket through to a destination (RFC 9110, section 9.3.6)."""
    authority = destination.authority_with_port
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("ascii")
    message = Message(head=head, bodiless=True)
    answer = Wire(sock, deadline.clock()).exchange(message, deadline)
    if answer.status in (403, 407):  # Smokescreen's no is 407
        raise Failure(Reason.blocked, f"the proxy refused the host with status {answer.status}")
    if not 200 <= answer.status < 300:
        raise Failure(Reason.connect, f"the proxy answered with status {answer.status}")
    if answer.truncated:
        raise Failure(Reason.protocol, "the receiver spoke before it was asked")
