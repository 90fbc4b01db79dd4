"""A real Chromium for tests: what serves an app to it, and what watches it.

Needed are the extra ``browser``, Chromium (on the path, or named by ``CHROMIUM``) and axe-core
(``npm install --prefix tests/npm``). Without them these tests are skipped, or fail where
``WEBHOOKS_TEST_REQUIRE`` lists ``browser``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

NPM = Path(__file__).parent / "npm"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


def unavailable(reason: str) -> NoReturn:
    if "browser" in os.environ.get("WEBHOOKS_TEST_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium; closed after this module, since its event loop would be in others' way."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("playwright is not installed: pip install '.[browser]'")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        unavailable("there is no chromium on the path: install it, or name it by CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def axe() -> Path:
    """The script of axe-core."""
    modules = os.environ.get("WEBHOOKS_TEST_NODE_MODULES") or NPM / "node_modules"
    script = Path(modules) / "axe-core" / "axe.min.js"
    if not script.is_file():
        unavailable(f"no axe-core in {modules}: run npm install --prefix tests/npm")
    return script


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(app: Flask) -> Iterator[str]:
    """The URL of a real server of ``app``."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Seen:
    """A page, with what it complained of and whom it called."""

    page: Any
    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return width


@contextlib.contextmanager
def seen(
    browser: Any, base: str, elsewhere: dict[str, bytes] | None = None, **options: Any
) -> Iterator[Seen]:
    """A page of ``browser`` that reaches ``base`` only.

    :param elsewhere: what other URLs hold; every other request is noted and refused.
    """
    context = browser.new_context(**options)
    watched = Seen(context.new_page())

    def route(route: Any) -> None:
        url = route.request.url
        if url.startswith(base + "/"):
            route.continue_()
        elif url in (elsewhere or {}):
            kind = "text/css" if url.endswith(".css") else "text/javascript"
            allowed = {"Access-Control-Allow-Origin": "*", "Content-Type": kind}
            route.fulfill(body=(elsewhere or {})[url], headers=allowed)
        else:
            watched.foreign.append(url)
            route.abort()

    context.route("**/*", route)
    watched.page.on("pageerror", lambda error: watched.console.append(str(error)))
    watched.page.on(
        "console", lambda m: watched.console.append(m.text) if m.type == "error" else None
    )
    yield watched
    context.close()


def violations(page: Any, axe: Path, context: str = "document") -> list[str]:
    """What axe finds, as rule and place."""
    page.add_script_tag(path=str(axe))
    found = page.evaluate(f"axe.run({context})")["violations"]
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]
