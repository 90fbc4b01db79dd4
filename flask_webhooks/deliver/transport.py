"""Sends requests, each once: the only way out.

A call passes the first gate (the URL's text), goes through requests' adapter to a connection that
passed the second (the address dialled), and comes back as an outcome. Nothing is taken from the
environment: no proxy, no netrc, no CA bundle; no cookie is kept and no redirect is followed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from ..exceptions import RefusedURLError
from ..rules.addresses import Address
from ..rules.headers import folded, is_name
from ..rules.urls import Destination, UrlRules, check_url
from .connections import Begun, Connections, tls_context
from .deadline import Deadline
from .dialling import Dialler, Resolver, is_own
from .exchange import Answer, Message, Stale
from .outcome import Failure, Outcome, Reason

_METHODS = frozenset(("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"))
_OURS = frozenset(
    ("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te")
    + ("proxy-authorization", "proxy-connection", "trailer", "transfer-encoding", "upgrade")
)


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """One request to send.

    :param headers: printable ASCII, each name once; framing, ``Host`` and ``Accept-Encoding``
        are the transport's own.
    :param timeout: total deadline in seconds, from the look-up to the last byte of the answer.
    :param spent: seconds of it that are over: something else, or a try before, was waited for.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float
    spent: float = 0.0


class Transport:
    """Sends requests, from many threads at once. After a fork, build a new one.

    :param rules: what the operator opened; judged again on every call.
    :param response_limit: most bytes kept of an answer's body.
    :param verify: path of a CA bundle, or ``True`` for the one that comes with requests.
    :param client_cert: files of a certificate and its key, for receivers that ask for one.
    :param proxy: host and port of an HTTP proxy to go through, which then is the second gate.
    :param resolver: gives a host's addresses, as :func:`socket.getaddrinfo` does.
    :param is_own: tells whether an address is one of this host's own.
    :param clock: seconds that only grow.
    """

    def __init__(
        self,
        rules: UrlRules,
        *,
        response_limit: int = 65536,
        verify: bool | str = True,
        client_cert: tuple[str, str] | None = None,
        proxy: tuple[str, int] | None = None,
        resolver: Resolver | None = None,
        is_own: Callable[[Address], bool] = is_own,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._connections = Connections(
            Dialler(rules, resolver, is_own), tls_context(verify, client_cert), proxy
        )
        self._adapter = _Adapter()
        self._route = functools.lru_cache(4096)(
            functools.partial(_route, rules, self._connections, response_limit)
        )

    def send(self, outgoing: Outgoing) -> Outcome:
        """Make one attempt. Never raises, but for ``KeyboardInterrupt`` and its like."""
        deadline = self._deadline(outgoing)
        try:
            answer = self._adapted(outgoing, False, deadline)
        except Exception as error:
            return self._failed(error, deadline.started)
        return self._answered(answer, deadline.started)

    def begin(self, outgoing: Outgoing) -> Begun | Outcome | None:
        """Send a request on a connection that is kept open, and wait for nothing.

        :returns: what :meth:`advance` carries on; an outcome, if it failed at once; or ``None``
            if no connection is open, so that nothing was sent.
        """
        deadline = self._deadline(outgoing)
        try:
            begun: Begun | None = self._adapted(outgoing, True, deadline)
            return begun
        except Exception as error:
            return self._failed(error, deadline.started)

    def advance(self, begun: Begun) -> tuple[bool, Outcome | None]:
        """Whether an exchange is over, and its outcome; none where its connection was stale."""
        try:
            if not begun.advance():
                return False, None
            return True, self._answered(begun.end(), begun.deadline.started)
        except Stale:
            return True, None
        except Exception as error:
            return True, self._failed(error, begun.deadline.started)

    def _deadline(self, outgoing: Outgoing) -> Deadline:
        return Deadline(outgoing.timeout, self._clock, outgoing.spent)

    def _adapted(self, outgoing: Outgoing, together: bool, deadline: Deadline) -> Any:
        request = _prepared(outgoing, self._route(outgoing.url, together))
        return self._adapter.send(request, timeout=cast(Any, deadline))

    def _failed(self, error: Exception, started: float) -> Outcome:
        reason, detail = _named(error)
        return Outcome(reason=reason, detail=detail, duration=self._clock() - started)

    def _answered(self, answer: Answer, started: float) -> Outcome:
        return Outcome(
            reason=Reason.answered,
            status=answer.status,
            fields=answer.headers,
            body=bytes(answer.body),
            truncated=answer.truncated,
            detail=answer.detail,
            duration=self._clock() - started,
        )

    def now(self) -> float:
        """The seconds by which deadlines are counted."""
        return self._clock()

    def close(self) -> None:
        """Close idle connections now, and those in use when their exchange ends.

        Sending still works afterwards, without keeping connections.
        """
        self._adapter.close()
        self._connections.close()


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


@dataclass(frozen=True, kw_only=True)
class _Route:
    """Where an accepted URL leads; to requests' adapter it is a connection pool of urllib3's.

    :param host: the ``Host`` header.
    :param target: path and query, exactly as they were given.
    :param exchange: the whole exchange, or only its begin.
    """

    destination: Destination
    host: str
    target: str
    exchange: Callable[[Destination, Message, Deadline], Answer | Begun | None]
    limit: int

    def urlopen(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout: Deadline,
        **unused: object,
    ) -> Answer | Begun | None:
        lines = [f"{method} {url} HTTP/1.1", *map(": ".join, headers.items()), "\r\n"]
        head = "\r\n".join(lines).encode("ascii")
        message = Message(head=head, body=body, limit=self.limit, bodiless=method == "HEAD")
        return self.exchange(self.destination, message, timeout)


class _Request(PreparedRequest):
    """A prepared request that knows its judged route.

    It has what an adapter looks at, and nothing of what a ``Session`` would.
    """

    def __init__(self, outgoing: Outgoing, route: _Route) -> None:
        self.method = outgoing.method
        self.url = outgoing.url
        # A plain dict: requests' own would fold names, slowly.
        self.headers = cast(Any, wire_headers(outgoing.headers, outgoing.body, route.host))
        self.body = outgoing.body
        self.route = route


def _route(
    rules: UrlRules, connections: Connections, limit: int, url: str, together: bool
) -> _Route:
    destination = check_url(url, rules)
    return _Route(
        destination=destination,
        host=destination.authority,
        target=destination.target,
        exchange=connections.begin if together else connections.exchange,
        limit=limit,
    )


def _prepared(outgoing: Outgoing, route: _Route) -> _Request:
    if outgoing.method not in _METHODS:
        raise Failure(Reason.blocked, f"method {outgoing.method[:20]!r} is not one we send")
    return _Request(outgoing, route)


def wire_headers(given: Sequence[tuple[str, str]], body: bytes, host: str) -> dict[str, str]:
    """All headers of a request, as they are sent and in that order.

    :raises Failure: one of those given breaks a rule.
    """
    headers = {"Host": host, "Accept-Encoding": "identity"}
    headers.update(given)
    names, values = zip(*given, strict=True) if given else ((), ())
    accepts = _accepts(names)
    if not _is_plain("".join(values)):
        wrong = next(name for name, value in given if not _is_plain(value))
        raise Failure(Reason.blocked, f"header {wrong} holds other than printable ASCII")
    if not accepts:
        headers["Accept"] = "*/*"
    headers["Content-Length"] = str(len(body))
    return headers


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable()


@functools.lru_cache(1024)
def _accepts(names: tuple[str, ...]) -> bool:
    """Judge the names of the headers that are given, and tell whether ``Accept`` is among them."""
    seen = set()
    for name in names:
        if not is_name(name):
            raise Failure(Reason.blocked, f"header name {name[:40]!r} is no token")
        if folded(name) in _OURS:
            raise Failure(Reason.blocked, f"header {name} is the transport's own")
        if folded(name) in seen:
            raise Failure(Reason.blocked, f"header {name} is given twice")
        seen.add(folded(name))
    return "accept" in seen


class _Adapter(HTTPAdapter):
    """requests' adapter, without what it would read, look up or keep for every request."""

    def get_connection_with_tls_context(  # type: ignore[override]
        self, request: _Request, verify: object, proxies: object = None, cert: object = None
    ) -> _Route:
        return request.route

    def cert_verify(self, conn: object, url: object, verify: object, cert: object) -> None:
        """Do nothing: the shared context has all, and is not to be loaded again."""

    def request_url(self, request: _Request, proxies: object) -> str:  # type: ignore[override]
        return request.route.target

    def build_response(self, req: PreparedRequest, resp: Answer) -> Any:  # type: ignore[override]
        return resp
