"""A real receiver on loopback: it notes what comes, verifies it, and answers as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from werkzeug.datastructures import Headers

from ..door import state_of
from ..exceptions import VerificationError
from ..rules.signing import verify
from ..store.records import Subscription
from .staying import stay_inside

#: What is done with one request, instead of the plain 200.
_Script = Callable[["_Handler"], None]


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    _keys: tuple[str, ...] = field(repr=False)
    _clock: Callable[[], float] = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON, whether or not it verifies."""
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The ``webhook-id``."""
        return self.headers["webhook-id"]

    def verify(self) -> Any:
        """The payload, once its signature and its age are proven.

        The secrets are those of the subscriptions that this receiver made; captured callbacks are
        verified with the app's public keys. A ``v1`` signature has to be the one that the official
        package of Standard Webhooks makes, too.

        :raises VerificationError: it is not what the app signed.
        :raises ImportError: the package ``standardwebhooks`` is not installed.
        """
        payload = verify(self.body, self.headers, self._keys, now=self._clock)
        signatures = self.headers["webhook-signature"].split(" ")
        ours = [signature for signature in signatures if signature.startswith("v1,")]
        secrets = [key for key in self._keys if key.startswith("whsec_")]
        if ours and secrets and not set(ours) & {self._official(secret) for secret in secrets}:
            raise VerificationError("The official package makes another signature of this request.")
        return payload

    def _official(self, secret: str) -> str:
        try:
            from standardwebhooks import Webhook
        except ImportError:
            raise ImportError(
                "verify() checks with the official package: pip install standardwebhooks."
            ) from None
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return str(Webhook(secret).sign(self.id, at, self.body.decode()))


class WebhookReceiver:
    """A receiver on a port of its own. Use it in ``with``, or :meth:`close` it.

    :ivar url: give it to :meth:`flask_webhooks.Webhooks.subscribe`, or in a call that captures it.
    :ivar requests: everything that came, the first first.
    :param app: the app that is to reach it: plain http to loopback is then allowed to it.
    """

    def __init__(self, app: Any = None) -> None:
        self.requests: list[Received] = []
        self._scripts: deque[_Script] = deque()
        self._keys: list[str] = []
        self._clock: Callable[[], float] = time.time
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        if app is not None:
            self.allow(app)

    def allow(self, app: Any) -> None:
        """Let an app reach this receiver, verify with its keys, and go by its clock."""
        state = state_of(app)
        if not state.settings.allow_loopback:
            state.use(replace(state.settings, allow_loopback=True))
        stay_inside(state)
        self._keys.extend(key.public for key in state.keyring.signing_keys)
        self._clock = lambda: state.clock()

    def subscribe(
        self,
        webhooks: Any,
        *names: str,
        key: str | None = None,
        tenant: str | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> Subscription:
        """Subscribe itself to the named webhooks, or to all; within an app context.

        :returns: the subscription with its secret.
        """
        self.allow(webhooks.current_app())
        wanted = names or tuple(webhook.name for webhook in webhooks)
        made: Subscription = webhooks.subscribe(
            self.url, wanted, key=key, tenant=tenant, filter=filter
        )
        self._keys.append(str(made.secret))
        return made

    @property
    def last(self) -> Received:
        """The request that came last.

        :raises AssertionError: none came.
        """
        if not self.requests:
            raise AssertionError("Nothing was received. Was run_until_idle() called?")
        return self.requests[-1]

    def answer(
        self, status: int, *, headers: Mapping[str, str] | None = None, body: bytes = b"",
        times: int = 1,
    ) -> None:  # fmt: skip
        """Answer the next requests so; afterwards 200 again. What is scripted first comes first."""
        self._script(lambda handler: handler.answer(status, headers or {}, body), times)

    def redirect(self, url: str, *, times: int = 1) -> None:
        """Answer the next requests with 302 to ``url``."""
        self.answer(302, headers={"Location": url}, times=times)

    def drop(self, *, times: int = 1) -> None:
        """Close the connection of the next requests without any answer."""
        self._script(lambda handler: handler.drop(), times)

    def hang(self, *, times: int = 1) -> None:
        """Never answer the next requests: each attempt lasts as long as ``WEBHOOKS_TIMEOUT``."""
        self._script(lambda handler: self._wait_for_end(handler), times)

    def _script(self, script: _Script, times: int) -> None:
        self._scripts.extend([script] * times)

    def _wait_for_end(self, handler: _Handler) -> None:
        handler.connection.settimeout(0.05)
        while not self._closing.is_set():
            try:
                if not handler.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        handler.drop()

    def _receive(self, handler: _Handler, body: bytes) -> None:
        self.requests.append(
            Received(
                method=str(handler.command),
                path=handler.path,
                headers=Headers(handler.headers.items()),
                body=body,
                _keys=tuple(self._keys),
                _clock=self._clock,
            )
        )
        script = self._scripts.popleft() if self._scripts else None
        if script is None:
            handler.answer(200, {}, b"")
        else:
            script(handler)

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> WebhookReceiver:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    # Several connections are opened at once: five would fit, and the sixth wait for a second.
    request_queue_size = 128
    daemon_threads = True
    receiver: WebhookReceiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _take(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.receiver._receive(self, self.rfile.read(length))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET = do_OPTIONS = do_HEAD = _take

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send one answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        # A kept connection that drops counts as stale, and is tried anew within the same attempt.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def drop(self) -> None:
        """End the connection."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
