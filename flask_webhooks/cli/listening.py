"""The command ``listen``: a local receiver that verifies each delivery and prints a line for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click
from flask.cli import AppGroup
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from ..door import Door, state
from ..exceptions import VerificationError
from ..rules.signing import verify
from .answering import Answer, Script, ScriptType, Step
from .forwarding import Forwarder
from .printing import as_json_option, clean, plain_errors, say, say_json
from .stopping import stop_on_signals


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.argument("names", nargs=-1, metavar="[NAME]...")
    @click.option("--port", default=8765, show_default=True, help="Port on 127.0.0.1; 0 takes one.")
    @click.option("--answer", type=ScriptType(), default="200", show_default=True,
                  help="What to answer, one after the other, such as 503,429:60,slow,drop,200; the "
                  "last one stays.")  # fmt: skip
    @click.option("--key", help="Subscribe for this key only.")
    @click.option("--tenant", help="Subscribe for this tenant.")
    @click.option("--forward-to", help="Send each on to this URL of yours, and answer as it does.")
    @as_json_option
    @plain_errors
    def listen(
        names: tuple[str, ...],
        port: int,
        answer: Sequence[Step],
        key: str | None,
        tenant: str | None,
        forward_to: str | None,
        as_json: bool,
    ) -> None:
        """Receive the named webhooks (all, when none is named) on this machine.

        It subscribes itself, verifies what comes, prints one line for each delivery, and deletes
        its subscription when it ends. Callbacks reach it when a client gives its URL.
        """
        wanted = names or tuple(webhook.name for webhook in webhooks)
        keys = [key.public for key in state().keyring.signing_keys]
        answering = _answering(answer, forward_to)
        receiver = _Receiver(answering, keys, _name_finder(webhooks), as_json)
        server = _server(port, receiver)
        url = f"http://127.0.0.1:{server.server_port}/"
        made = webhooks.subscribe(url, wanted, key=key, tenant=tenant)
        receiver.secrets.append(str(made.secret))
        if as_json:
            say_json({"url": url, "names": made.names, "secret": made.secret})
        else:
            say(f"Listening on {url} for {', '.join(made.names)}. Ctrl+C ends it.")
            say(f"Secret {made.secret}")
        stop_on_signals(server.shutdown)
        try:
            server.serve_forever()
        finally:
            webhooks.unsubscribe(made)
            answering.close()
            if not as_json:
                say("Ended; the subscription is deleted.")


def _answering(script: Sequence[Step], forward_to: str | None) -> Script | Forwarder:
    if forward_to is not None:
        return Forwarder.to(forward_to, state())
    return Script(script, too_long=state().settings.timeout + 1.0)


def _server(port: int, receiver: _Receiver) -> Any:
    try:
        return make_server("127.0.0.1", port, receiver, threaded=True, request_handler=_Quiet)
    except (OSError, OverflowError, SystemExit):  # the last is Werkzeug's for a port in use
        raise click.ClickException(
            f"Port {port} can't be listened on. Take another: flask webhooks listen --port 0"
        ) from None


class _Receiver:
    """A WSGI app: verify, print a line, answer.

    :param answer: from a verified request to a status and what is said of it.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        keys: Sequence[str],
        name_of: Callable[[str], str],
        as_json: bool,
    ) -> None:
        self.secrets = list(keys)
        self._answer = answer
        self._name_of = name_of
        self._as_json = as_json

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request, started = Request(environ), time.perf_counter()
        try:
            verify(request.get_data(), request.headers, self.secrets)
            answer = self._answer(request)
        except VerificationError as error:
            answer = Answer(400, f"REFUSED: {error}")
        self._print(request, answer, (time.perf_counter() - started) * 1000)
        if answer.status is None:
            raise ConnectionAbortedError  # the server closes the connection without a word
        response = Response(status=answer.status)
        if answer.retry_after is not None:
            response.headers["Retry-After"] = answer.retry_after
        return response(environ, start_response)

    def _print(self, request: Request, answer: Answer, milliseconds: float) -> None:
        message, size = request.headers.get("webhook-id", "-"), len(request.get_data())
        name = self._name_of(message)
        if self._as_json:
            say_json({
                "at": round(time.time(), 3), "status": answer.status, "name": name,
                "milliseconds": round(milliseconds, 1), "message": message, "bytes": size,
                "verdict": answer.verdict,
            })  # fmt: skip
            return
        clock, good = time.strftime("%H:%M:%S"), answer.status is not None and answer.status < 300
        status = f"{answer.status or 'drop':<4}"
        told = f"{milliseconds:5.1f} ms  {name}  {answer.verdict}  {message}  {size} bytes"
        click.echo(f"{clock}  {click.style(status, 'green' if good else 'red')} {clean(told)}")


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the receiver prints its own line."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close the connection: Werkzeug would keep it open for a next request."""
        self.close_connection = True


def _name_finder(webhooks: Door) -> Callable[[str], str]:
    app = state().app

    def name_of(message: str) -> str:
        with app.app_context():
            found = webhooks.deliveries(message=message, limit=1)
        return found[0].name if found else "?"

    return name_of
