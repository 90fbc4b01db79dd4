"""Exchanges one HTTP/1 request for one answer over a connected socket, inside a deadline.

The socket never blocks: whatever has to be waited for is waited for in :meth:`Wire._wait`, which
knows how long is left. So a receiver that trickles, stalls or never reads can't outlive the
deadline. llhttp (by httptools) reads the answer, strictly; here its size is bounded.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools
from urllib3.util import Timeout, wait

from flask_webhooks.deliver.outcome import Reason

#: Most bytes of an answer before its body: status lines, headers and interim answers.
HEAD_LIMIT = 65536
#: Most interim (1xx) answers before the final one.
INTERIM_LIMIT = 16

# A TLS record holds at most 16 kB. Reading whole records leaves nothing decrypted behind in the
# TLS layer, where waiting for the socket wouldn't see it.
_CHUNK = 16384
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Failure(Exception):
    """An attempt came to nothing. Not an ``OSError``, which requests would wrap."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Stale(Exception):
    """A kept-alive connection turned out to be closed before any byte of an answer."""


class Deadline(Timeout):
    """The total time of one attempt. A ``Timeout`` only so that requests hands it through.

    :ivar phase: what is being done, for the message when time is up.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.phase = "starting"
        self._seconds = seconds
        self._end = clock() + seconds

    def remaining(self) -> float:
        """Give the seconds left: more than 0, or it raises :class:`Failure`."""
        left = self._end - self.clock()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> Failure:
        return Failure(Reason.timeout, f"{self._seconds:g} s were over while {self.phase}")


@dataclass(slots=True)
class Answer:
    """A final answer, its head complete; what is missing of the body is told by ``truncated``."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    detail: str = ""


class _Reader:
    """What llhttp calls while it reads: fills an answer, counts, and stops at the bounds."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.reset()

    def reset(self) -> None:
        self.answer = Answer()
        self.head_done = self.done = self.surplus = self.keep_alive = self.framed = False
        self.interim = 0

    def on_message_begin(self) -> None:
        self.surplus = self.done

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:  # trailers
            return
        self.answer.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.framed = True

    def on_headers_complete(self) -> None:
        if self.done:
            return
        status = self.parser.get_status_code()
        if not self.parser.get_http_version().startswith("1."):
            raise Failure(Reason.protocol, "the answer is not HTTP/1")
        if not 100 <= status <= 999 or status == 101:
            raise Failure(Reason.protocol, f"status {status:03d} is no answer to a request")
        if status < 200:
            self._forget_interim()
        else:
            self.answer.status = status
            self.head_done = True

    def _forget_interim(self) -> None:
        self.interim += 1
        if self.interim > INTERIM_LIMIT:
            raise Failure(Reason.protocol, f"more than {INTERIM_LIMIT} interim (1xx) answers")
        self.answer.headers.clear()
        self.framed = False

    def on_body(self, data: bytes) -> None:
        if not self.done:
            self.answer.body += data

    def on_message_complete(self) -> None:
        if self.head_done and not self.done:
            self.done = True
            self.keep_alive = self.parser.should_keep_alive()


class Wire:
    """A connected socket and what has to be remembered about it between exchanges.

    :ivar idle_since: when the last exchange ended, by the deadline's clock.
    :ivar reusable: the last answer was read to its end and the peer keeps the connection open.
    """

    def __init__(self, sock: socket.socket, now: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = _Reader()
        self.born = self.idle_since = now
        self.used = self.reusable = False

    def quiet(self) -> bool:
        """Tell whether an idle connection is still open: nothing has arrived, no end either."""
        return not wait.wait_for_socket(self._sock, read=True, timeout=0.0)

    def exchange(self, message: bytes, deadline: Deadline, limit: int, bodiless: bool) -> Answer:
        """Send a request and read its answer.

        :param limit: most bytes kept of the body; there the answer counts as received.
        :param bodiless: the answer has no body, whatever its headers say (``HEAD``).
        :raises Failure: no whole answer head came, or what came is not HTTP/1.
        :raises Stale: a used connection was closed before any byte of an answer.
        """
        reader = self._reader
        reader.reset()
        self.reusable = False
        try:
            unsent = self._push(memoryview(message))
            self._receive(unsent, deadline, limit, bodiless)
        except Failure as failure:
            self._salvage(failure)
        answer = reader.answer
        self.used = True
        self.reusable = reader.done and reader.keep_alive and not (reader.surplus or bodiless)
        self.idle_since = deadline.clock()
        return answer

    def _salvage(self, failure: Failure) -> None:
        """Keep an answer whose head was complete: the receiver has said what it thinks."""
        if not self._reader.head_done or failure.reason is Reason.protocol:
            raise failure
        self._reader.answer.truncated = True
        self._reader.answer.detail = failure.detail

    def _receive(
        self, unsent: memoryview | None, deadline: Deadline, limit: int, bodiless: bool
    ) -> None:
        reader = self._reader
        received = 0
        while not (reader.done or (bodiless and reader.head_done)):
            if unsent is None:
                self._wait(deadline, "reading the answer" if received else "waiting for an answer")
            else:
                self._wait(deadline, "sending the request", write=True)
                unsent = self._push(unsent)
            data = self._pull(received)
            if data is None:
                continue
            if not data:
                return self._ended(received)
            received += len(data)
            self._feed(data)
            if self._is_over(received, limit):
                return None
        if unsent is not None:
            reader.keep_alive = False

    def _wait(self, deadline: Deadline, phase: str, write: bool = False) -> None:
        deadline.phase = phase
        left = deadline.remaining()
        if not wait.wait_for_socket(self._sock, read=True, write=write, timeout=left):
            raise deadline.passed()

    def _push(self, unsent: memoryview) -> memoryview | None:
        """Send what the socket takes now; ``None`` when nothing is left to send."""
        try:
            sent = self._sock.send(unsent)
        except _NOT_NOW:
            return unsent
        except OSError:  # what the peer said before it stopped reading is worth more
            return None
        return unsent[sent:] if sent < len(unsent) else None

    def _pull(self, received: int) -> bytes | None:
        """Read what is there; ``None`` when nothing is, empty at the end."""
        try:
            return self._sock.recv(_CHUNK)
        except _NOT_NOW:
            return None
        except OSError as error:
            if not received and self.used:
                raise Stale from None
            reason = Reason.tls if isinstance(error, ssl.SSLError) else Reason.connect
            raise Failure(reason, f"the connection broke: {explained(error)}") from None

    def _feed(self, data: bytes) -> None:
        reader = self._reader
        try:
            reader.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Failure):
                raise error.__context__ from None
            raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            reader.surplus = True
            if not reader.done:
                raise Failure(Reason.protocol, f"the answer is not HTTP/1: {error}") from None

    def _is_over(self, received: int, limit: int) -> bool:
        """Stop at the bounds; framing counts as much as what it frames."""
        reader = self._reader
        if not reader.head_done:
            if received > HEAD_LIMIT:
                wrong = f"the answer's head is larger than {HEAD_LIMIT} bytes"
                raise Failure(Reason.protocol, wrong)
            return False
        if len(reader.answer.body) <= limit and received <= HEAD_LIMIT + limit:
            return False
        del reader.answer.body[limit:]
        reader.answer.truncated = True
        reader.done = reader.keep_alive = False
        return True

    def _ended(self, received: int) -> None:
        reader = self._reader
        if not received and self.used:
            raise Stale
        if not reader.head_done:
            raise Failure(Reason.connect, "the peer closed the connection before an answer")
        reader.answer.truncated = reader.framed


def explained(error: OSError) -> str:
    """Word a system's or TLS error in one line, without what a peer could have written."""
    text = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error.strerror
    return str(text or type(error).__name__)
