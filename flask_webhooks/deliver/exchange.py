"""Exchanges one HTTP/1 request for one answer over a connected socket, inside a deadline.

The socket never blocks: whatever has to be waited for is waited for in :meth:`Wire.exchange`, or
for many at once in a :class:`.Watch`, and both know how long is left. So a receiver that trickles,
stalls or never reads can't outlive the deadline. llhttp (by httptools) reads the answer, strictly;
here its size is bounded.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field

import httptools

from .deadline import Deadline
from .outcome import Failure, Reason, explained
from .polling import Readiness

#: Most bytes of an answer before its body: status lines, headers and interim answers.
HEAD_LIMIT = 65536
#: Most header fields of an answer.
FIELD_LIMIT = 256
#: Most interim (1xx) answers before the final one.
INTERIM_LIMIT = 16

# A TLS record holds at most 16 kB. Reading whole records leaves nothing decrypted behind in the
# TLS layer, where waiting for the socket wouldn't see it.
_CHUNK = 16384
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stale(Exception):
    """A kept-alive connection turned out to be closed before any byte of an answer."""


@dataclass(slots=True, kw_only=True)
class Message:
    """The bytes of a request, and what to take of its answer.

    :param limit: most bytes kept of the answer's body; there it counts as received.
    :param bodiless: the answer has no body, whatever its headers say (``HEAD``, ``CONNECT``).
    """

    head: bytes
    body: bytes = b""
    limit: int = 0
    bodiless: bool = False


@dataclass(slots=True)
class Answer:
    """A final answer, its head complete; what is missing of the body is told by ``truncated``."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    truncated: bool = False
    detail: str = ""


class _Reader:
    """What llhttp calls while it reads: fills an answer, counts, and stops at the bounds.

    :ivar spoilt: more arrived than the answer, or less went out than the request.
    """

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.reset()

    def reset(self) -> None:
        self.answer = Answer()
        self.head_done = self.done = self.spoilt = self.keep_alive = self.framed = False
        self.interim = 0

    def on_message_begin(self) -> None:
        self.spoilt = self.done

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:  # trailers
            return
        self.answer.headers.append((name, value))
        if len(self.answer.headers) > FIELD_LIMIT:
            raise Failure(Reason.protocol, f"the answer has more than {FIELD_LIMIT} header fields")
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

    def feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Failure):
                raise error.__context__ from None
            raise
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.spoilt = True
            if not self.done:
                raise Failure(Reason.protocol, f"the answer is not HTTP/1: {error}") from None


class Wire:
    """A connected socket and what has to be remembered about it between exchanges.

    :ivar born: when it was opened, by the deadline's clock.
    :ivar idle_since: when the last exchange ended.
    :ivar reusable: the last answer was read to its end and the peer keeps the connection open.
    """

    def __init__(self, sock: socket.socket, now: float) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._readiness = Readiness(sock)
        self._reader = _Reader()
        self.born = self.idle_since = now
        self.used = self.reusable = False
        self._message = Message(head=b"")
        self._unsent: list[bytes | memoryview] = []
        self._received = 0

    @property
    def sending(self) -> bool:
        """Whether some of the request is still to be sent."""
        return bool(self._unsent)

    def fileno(self) -> int:
        return self._sock.fileno()

    def quiet(self) -> bool:
        """Tell whether an idle connection is still open: nothing has arrived, no end either."""
        return not self._readiness.wait(False, 0.0)

    def close(self) -> None:
        self._sock.close()

    def exchange(self, message: Message, deadline: Deadline) -> Answer:
        """Send a request and read its answer.

        :raises Failure: no whole answer head came, or what came is not HTTP/1.
        :raises Stale: a used connection was closed before any byte of an answer.
        """
        self.begin(message)
        self.push()
        self._wait(deadline)
        while not self.advance(deadline):
            self._wait(deadline)
        return self.end(deadline.clock())

    def begin(self, message: Message) -> None:
        """Take a request; from then on :meth:`push` once, and :meth:`advance`."""
        self._reader.reset()
        self.reusable = False
        self._message = message
        self._received = 0
        # A copy makes one packet of a small request; of a large one it would cost memory.
        head, body = message.head, message.body
        self._unsent = [head + body] if len(body) < _CHUNK else [head, body]

    def advance(self, deadline: Deadline) -> bool:
        """Send and read what can be now, without waiting; whether the exchange is over.

        :raises Failure: as :meth:`exchange` does, also where the deadline has passed.
        :raises Stale: likewise.
        """
        try:
            if self._advanced():
                return True
            # After the look: what came in time counts, though this thread came late.
            if deadline.left() > 0:
                return False
            deadline.phase = self._phase
            raise deadline.passed()
        except Failure as failure:
            return self._broken(failure)

    def end(self, now: float) -> Answer:
        """The answer, when the exchange is over."""
        reader = self._reader
        self.used = True
        kept = reader.done and reader.keep_alive
        self.reusable = kept and not (reader.spoilt or self._message.bodiless or self._unsent)
        self.idle_since = now
        return reader.answer

    def _advanced(self) -> bool:
        reader = self._reader
        self.push()
        data = self._pull()
        if data is None:
            return False
        if not data:
            self._ended()
            return True
        self._received += len(data)
        reader.feed(data)
        self._bound()
        return reader.done or (self._message.bodiless and reader.head_done)

    def _broken(self, failure: Failure) -> bool:
        # An answer whose head was complete is kept: the receiver has said what it thinks.
        reader = self._reader
        if not reader.head_done or failure.reason is Reason.protocol:
            raise failure
        reader.answer.truncated = True
        reader.answer.detail = failure.detail
        return True

    def _wait(self, deadline: Deadline) -> None:
        """Wait until the socket is ready, or the deadline has passed."""
        self._readiness.wait(self.sending, max(deadline.left(), 0.0))

    @property
    def _phase(self) -> str:
        if self._unsent:
            return "sending the request"
        return "reading the answer" if self._received else "waiting for an answer"

    def push(self) -> None:
        """Send what the socket takes now, and take it off the list."""
        unsent = self._unsent
        try:
            while unsent:
                part = unsent[0]
                sent = self._sock.send(part)
                unsent[:1] = [memoryview(part)[sent:]] if sent < len(part) else []
        except _NOT_NOW:
            pass
        except OSError:  # what the peer said before it stopped reading is worth more
            unsent.clear()
            self._reader.spoilt = True

    def _pull(self) -> bytes | None:
        """Read what is there; ``None`` when nothing is, empty at the end."""
        try:
            return self._sock.recv(_CHUNK)
        except _NOT_NOW:
            return None
        except OSError as error:
            if not self._received and self.used:
                raise Stale from None
            reason = Reason.tls if isinstance(error, ssl.SSLError) else Reason.connect
            raise Failure(reason, f"the connection broke: {explained(error)}") from None

    def _bound(self) -> None:
        """Stop at the bounds; framing counts as much as what it frames."""
        reader, received, limit = self._reader, self._received, self._message.limit
        if not reader.head_done and received > HEAD_LIMIT:
            wrong = f"the answer's head is larger than {HEAD_LIMIT} bytes"
            raise Failure(Reason.protocol, wrong)
        if len(reader.answer.body) > limit or received > HEAD_LIMIT + limit:
            del reader.answer.body[limit:]
            reader.answer.truncated = reader.done = True
            reader.keep_alive = False

    def _ended(self) -> None:
        reader = self._reader
        if not self._received and self.used:
            raise Stale
        if not reader.head_done:
            raise Failure(Reason.connect, "the peer closed the connection before an answer")
        reader.answer.truncated = reader.framed
