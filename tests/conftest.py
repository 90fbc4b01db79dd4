"""What most tests share: an app in a folder of its own, and a real receiver on loopback."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_webhooks import Webhooks


@pytest.fixture(autouse=True)
def late_retries() -> None:
    """Jitter is drawn from the same numbers in every test: no retry is due at once by chance.

    The first eight draws of this seed are all above 0.6, so that the second attempt of the default
    schedule comes three seconds after the first one or later.
    """
    random.seed(3439)


@pytest.fixture
def webhooks() -> Webhooks:
    """The extension, with nothing declared."""
    return Webhooks()


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., Flask]:
    """Makes apps under test, with a folder of their own and loopback receivers allowed."""

    def make(**settings: Any) -> Flask:
        app = Flask("shop", instance_path=str(tmp_path / "instance"))
        app.config.update(TESTING=True, WEBHOOKS_ALLOW_LOOPBACK=True, **settings)
        return app

    return make


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """An app under test."""
    return make_app()


@dataclass
class Received:
    """One request as a receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A real receiver on loopback: it notes what comes, and answers what it is told to."""

    url: str
    received: list[Received] = field(default_factory=list)
    #: Answers still to give, in order; 200 when there are none. A pair is a status and headers.
    answers: list[Any] = field(default_factory=list)
    #: The body of every answer.
    words: str = "noted"

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, request.get_data()))
        answer = self.answers.pop(0) if self.answers else 200
        status, extra = answer if isinstance(answer, tuple) else (answer, {})
        return Response(self.words, status=status, headers=extra)(environ, start_response)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that runs as long as the test."""
    noted = Receiver(url="")
    server = make_server("127.0.0.1", 0, noted, threaded=True, request_handler=_Quiet)
    noted.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield noted
    server.shutdown()
    thread.join()
    server.server_close()
