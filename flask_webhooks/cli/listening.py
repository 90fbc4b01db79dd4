"""The command ``listen``: a local receiver that verifies each delivery and prints a line for it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from ..exceptions import VerificationError
from ..rules.headers import is_reserved
from ..rules.signing import verify
from ..rules.urls import check_url
from ..state import State
from .door import Door, plain_errors, state

if TYPE_CHECKING:
    from ..deliver.transport import Transport

# What a delivery states itself, and no subscription may.
_OURS = ("content-digest", "content-type", "signature", "signature-input", "user-agent")


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("names", nargs=-1, metavar="[NAME]...")
    @click.option("--port", default=8765, show_default=True, help="Port on 127.0.0.1; 0 takes one.")
    @click.option(
        "--answer", default=200, show_default=True, help="The status code to answer with."
    )
    @click.option("--key", help="Subscribe for this key only.")
    @click.option("--tenant", help="Subscribe for this tenant.")
    @click.option("--forward-to", help="Send each on to this URL of yours, and answer as it does.")
    @plain_errors
    def listen(
        names: tuple[str, ...],
        port: int,
        answer: int,
        key: str | None,
        tenant: str | None,
        forward_to: str | None,
    ) -> None:
        """Receive the named webhooks (all, when none is named) on this machine.

        It subscribes itself, verifies what comes, prints one line for each delivery, and deletes
        its subscription when it ends. Callbacks reach it when a client gives its URL.
        """
        wanted = names or tuple(webhook.name for webhook in webhooks)
        keys = [key.public for key in state().keyring.signing_keys]
        answering = _Forwarder.to(forward_to, state()) if forward_to else _Answer(answer)
        receiver = _Receiver(answering, keys, _name_finder(webhooks))
        server = make_server("127.0.0.1", port, receiver, threaded=True, request_handler=_Quiet)
        url = f"http://127.0.0.1:{server.server_port}/"
        made = webhooks.subscribe(url, wanted, key=key, tenant=tenant)
        receiver.secrets.append(str(made.secret))
        click.echo(f"Listening on {url} for {', '.join(made.names)}. Ctrl+C ends it.")
        click.echo(f"Secret {made.secret}")
        _stop_on_signals(server)
        try:
            server.serve_forever()
        finally:
            webhooks.unsubscribe(made)
            answering.close()
            click.echo("Ended; the subscription is deleted.")


class _Answer:
    """Answers every request alike."""

    def __init__(self, status: int) -> None:
        self._status = status

    def __call__(self, request: Request) -> tuple[int, str]:
        return self._status, "verified"

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class _Forwarder:
    """Sends a request on as it came, by the rules of deliveries; answers as it is answered.

    :param timeout: total deadline in seconds.
    """

    def __init__(self, transport: Transport, url: str, timeout: float) -> None:
        self._transport, self._url, self._timeout = transport, url, timeout

    @classmethod
    def to(cls, url: str, current: State) -> _Forwarder:
        """One that sends to a URL by an app's settings.

        :raises RefusedURLError: the URL breaks a rule.
        """
        check_url(url, current.settings.url_rules())
        return cls(current.transport(), url, current.settings.timeout)

    def __call__(self, request: Request) -> tuple[int, str]:
        from ..deliver.transport import Outgoing

        outcome = self._transport.send(
            Outgoing(
                method="POST",
                url=self._url,
                headers=tuple((n, v) for n, v in request.headers if _goes_on(n)),
                body=request.get_data(),
                timeout=self._timeout,
            )
        )
        if outcome.status is None:
            return 502, f"verified, but {self._url} failed: {outcome.reason} {outcome.detail}"
        return outcome.status, f"verified, and forwarded in {outcome.duration * 1000:.0f} ms"

    def close(self) -> None:
        """Close the connections that were kept."""
        self._transport.close()


def _goes_on(name: str) -> bool:
    """Whether a header is the delivery's own, and not of the connection that it came by."""
    ours = name.lower().startswith("webhook-") or name.lower() in _OURS
    return ours or not is_reserved(name)


class _Receiver:
    """A WSGI app: verify, print a line, answer.

    :param answer: from a verified request to a status and what is said of it.
    """

    def __init__(
        self,
        answer: Callable[[Request], tuple[int, str]],
        keys: Sequence[str],
        name_of: Callable[[str], str],
    ) -> None:
        self.secrets = list(keys)
        self._answer = answer
        self._name_of = name_of

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request, started = Request(environ), time.perf_counter()
        body = request.get_data()
        try:
            verify(body, request.headers, self.secrets)
            status, verdict = self._answer(request)
        except VerificationError as error:
            status, verdict = 400, f"REFUSED: {error}"
        message = request.headers.get("webhook-id", "-")
        milliseconds = (time.perf_counter() - started) * 1000
        clock = time.strftime("%H:%M:%S")
        click.echo(
            f"{clock}  {status}  {milliseconds:5.1f} ms  {self._name_of(message)}  {message}  "
            f"{len(body)} bytes  {verdict}"
        )
        return Response(status=status)(environ, start_response)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the receiver prints its own line."""


def _name_finder(webhooks: Door) -> Callable[[str], str]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def name_of(message: str) -> str:
        with app.app_context():
            found = webhooks.deliveries(message=message)
        return found[0].name if found else "?"

    return name_of


def _stop_on_signals(server: Any) -> None:
    def stop(*_: Any) -> None:
        # shutdown() waits for serve_forever(), which this very thread is in.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
