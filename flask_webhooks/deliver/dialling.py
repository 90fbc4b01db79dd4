"""Dials hosts at addresses that the rules allow: the second gate.

Looking a name up ends at the deadline. *Every* answer is judged, and one forbidden answer refuses
all: a mixed answer is an attack. At most four of the judged addresses are dialled, in turn.
"""

from __future__ import annotations

import errno
import functools
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import IPv6Address, ip_address
from itertools import chain, zip_longest
from queue import Empty, SimpleQueue
from typing import Any

from ..rules.addresses import Address, refusal
from ..rules.urls import Destination, UrlRules, networks_for
from .deadline import Deadline
from .outcome import Failure, Reason, explained

#: Answers in the shape of :func:`socket.getaddrinfo`.
Resolved = Sequence[tuple[Any, ...]]
Resolver = Callable[[str, int], Resolved]

#: Most addresses of one host that are tried in one attempt.
DIAL_LIMIT = 4
#: Most look-ups that may hang at once; each holds a daemon thread.
LOOKUP_LIMIT = 256
#: Seconds for which a thread waits for another look-up.
LOOKUP_IDLE = 10.0

_OUT_OF_MEANS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Documentation addresses (RFC 5737, RFC 3849): no host's own.
_NOBODYS = {4: "203.0.113.213", 6: "2001:db8:d15c:a4d::1"}


class Dialler:
    """Connects to hosts, judging every address.

    :param is_own: tells whether an address is one of this host's own.
    """

    def __init__(
        self, rules: UrlRules, resolver: Resolver | None, is_own: Callable[[Address], bool]
    ) -> None:
        self._rules = rules
        self._lookups = _Lookups(resolver or _system_resolver)
        self._is_own = is_own

    def dial(self, destination: Destination, deadline: Deadline) -> socket.socket:
        """Connect to a stranger's host.

        :raises Failure: ``dns``, ``blocked``, ``connect``, ``timeout`` or ``internal``.
        """
        judge = functools.partial(
            refusal,
            allowed=networks_for(destination, self._rules),
            denied=self._rules.denied_networks,
            is_own=self._is_own,
        )
        addresses = self._addresses(destination.host, destination.port, deadline)
        for address in addresses:
            why = judge(address)
            if why is not None:
                raise Failure(Reason.blocked, f"{destination.host} may not be dialled: {why}")
        return _dialled(addresses, destination.port, deadline)

    def dial_trusted(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """Connect to a host that the operator named: its addresses are not judged."""
        return _dialled(self._addresses(host, port, deadline), port, deadline)

    def _addresses(self, host: str, port: int, deadline: Deadline) -> list[Address]:
        deadline.phase = "resolving the host"
        try:
            return [ip_address(host)]
        except ValueError:
            pass
        try:
            answers = self._lookups(host, port, deadline.remaining())
        except TimeoutError:
            raise deadline.passed() from None
        except (OSError, UnicodeError) as error:
            text = explained(error) if isinstance(error, OSError) else "not a name"
            raise Failure(Reason.dns, f"{host}: {text}") from None
        texts = dict.fromkeys(str(answer[4][0]) for answer in answers)
        if not texts:
            raise Failure(Reason.dns, f"{host} has no address")
        return [_parsed(host, text) for text in texts]


def is_own(address: Address) -> bool:
    """Tell whether an address is one of this host's own, which may well be public.

    A kernel lets a program bind its host's own addresses only. Nothing is sent, and nothing is
    remembered, so an address counts as soon as it is there. Where binding tells nothing (Linux'
    ``ip_nonlocal_bind`` allows any), an address is own if it is reached from itself.
    """
    text = str(address)
    fault = _bind_fault(text)
    if fault == errno.EADDRNOTAVAIL:
        return False
    if not fault and _bind_fault(_NOBODYS[address.version]) == errno.EADDRNOTAVAIL:
        return True
    return _source(text) == text


def _bind_fault(text: str) -> int | None:
    try:
        with socket.socket(_family(text), socket.SOCK_DGRAM) as probe:
            probe.bind((text, 0))
    except OSError as error:
        return error.errno
    return None


def _source(text: str) -> str:
    """Give the address that a datagram to ``text`` would come from; none is sent."""
    try:
        with socket.socket(_family(text), socket.SOCK_DGRAM) as probe:
            probe.connect((text, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def _family(text: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in text else socket.AF_INET


def _system_resolver(host: str, port: int) -> Resolved:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _parsed(host: str, text: str) -> Address:
    """Read a resolver's answer; a zone leads to a link, where no stranger's host is."""
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or (isinstance(address, IPv6Address) and address.scope_id is not None):
        wrong = f"{text[:60]!r} is not an IP address"
        raise Failure(Reason.blocked, f"{host} may not be dialled: {wrong}")
    return address


def _dialled(addresses: Sequence[Address], port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers; each gets its share of the time left."""
    deadline.phase = "connecting"
    chosen = _in_turn(addresses)[:DIAL_LIMIT]
    for index, address in enumerate(chosen):
        share = deadline.remaining() / (len(chosen) - index)
        try:
            return _connected(str(address), port, share)
        except OSError as error:
            fault = error
    deadline.remaining()
    reason = Reason.timeout if isinstance(fault, TimeoutError) else Reason.connect
    reason = Reason.internal if fault.errno in _OUT_OF_MEANS else reason
    raise Failure(reason, f"{address} port {port}: {explained(fault)}")


def _in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Take the IP versions in turn, so that a host with one dead version still works."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address.version, []).append(address)
    turns = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in turns if address is not None]


def _connected(text: str, port: int, seconds: float) -> socket.socket:
    sock = socket.socket(_family(text), socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((text, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Lookups:
    """Resolves in daemon threads, since no timeout reaches into a resolver.

    Callers who ask for one host share one look-up, so a name that hangs holds one thread. A thread
    that has answered waits a while for another look-up: starting one costs more than most answers.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._pending: dict[tuple[str, int], Future[Resolved]] = {}
        self._lock = threading.Lock()
        self._handed: SimpleQueue[tuple[str, int]] = SimpleQueue()
        #: Threads that wait and for which nothing was handed over yet.
        self._idle = 0

    def __call__(self, host: str, port: int, seconds: float) -> Resolved:
        """:raises TimeoutError: no answer within so many seconds."""
        key = host, port
        with self._lock:
            pending = self._pending.get(key)
            fresh = pending is None
            if pending is None:
                if len(self._pending) >= LOOKUP_LIMIT:
                    raise Failure(Reason.internal, f"{LOOKUP_LIMIT} look-ups hang already")
                pending = self._pending[key] = Future()
        if fresh:
            self._start(key)
        return pending.result(seconds)

    def _start(self, key: tuple[str, int]) -> None:
        with self._lock:
            if handed := self._idle > 0:
                self._idle -= 1
        if handed:
            self._handed.put(key)
            return
        thread = threading.Thread(target=self._run, args=(key,), daemon=True, name="webhooks-dns")
        try:
            thread.start()
        except RuntimeError:
            self._settle(key, RuntimeError("no thread for a look-up"))

    def _run(self, first: tuple[str, int]) -> None:
        key: tuple[str, int] | None = first
        while key is not None:
            try:
                answers: Resolved | Exception = self._resolver(*key)
            except Exception as error:
                answers = error
            with self._lock:
                self._idle += 1
            self._settle(key, answers)
            key = self._next()

    def _next(self) -> tuple[str, int] | None:
        """What is handed over to this thread; ``None`` when it waited in vain."""
        try:
            return self._handed.get(timeout=LOOKUP_IDLE)
        except Empty:
            pass
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return None
        return self._handed.get()  # handed over at the last moment

    def _settle(self, key: tuple[str, int], result: Resolved | Exception) -> None:
        with self._lock:
            pending = self._pending.pop(key)
        if isinstance(result, Exception):
            pending.set_exception(result)
        else:
            pending.set_result(result)
