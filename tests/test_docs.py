"""The pages tell the truth: their code runs, their commands exist, and nothing is left out.

The convention of the pages: the ```python blocks of one page are one program, run from the top in
an empty folder, in debug mode (as by ``flask --debug``) and under ``TESTING``. The receiver that
``flask webhooks listen`` would be, ``http://127.0.0.1:8765/``, is a real one here. A page may show
calls between views; a program has its views first. A block with neither a function nor an app in it
is the inside of a view.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

import flask_webhooks
from flask_webhooks import Webhooks
from flask_webhooks.config import PREFIX, Settings
from flask_webhooks.rules import signing
from tests.conftest import Receiver

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BOTH = [*PAGES, ROOT / "README.md"]

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
LISTENER = "http://127.0.0.1:8765/"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(page: Path, language: str) -> Iterator[str]:
    """The code of each block, below blank lines: a traceback then shows the page's line."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        if found[1] == language:
            yield "\n" * text.count("\n", 0, found.start(2)) + found[2]


def _name(page: Any) -> str:
    return page.name if isinstance(page, Path) else str(page)


Run = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    """One receiver for all pages."""
    noted = Receiver(url="")
    server = make_server("127.0.0.1", 0, noted, threaded=True, request_handler=_Quiet)
    noted.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield noted
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(server: Receiver) -> Receiver:
    """The receiver, with nothing received."""
    server.received.clear()
    return server


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Iterator[Run]:
    """Runs the blocks of a page, and gives the names that they left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("SHOP_WEBHOOKS_KEY", "0123456789" * 4)
    monkeypatch.setenv("SHOP_WEBHOOKS_KEY_2", "9876543210" * 4)
    monkeypatch.setattr(Flask, "default_config", {**Flask.default_config, "TESTING": True})
    apps: list[Flask] = []
    make = Flask.__init__

    def noted(app: Flask, *args: Any, **kwargs: Any) -> None:
        make(app, *args, **kwargs)
        apps.append(app)

    monkeypatch.setattr(Flask, "__init__", noted)

    def run_page(page: Path) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "page"}
        for block in _blocks(page, "python"):
            for app in apps:
                app._got_first_request = False  # the next block may add a view
            code = block.replace(LISTENER, receiver.url).replace("whsec_…", SECRET)
            inside = "def " not in code and "app" not in code
            with _request(names["app"]) if inside else nullcontext():
                exec(compile(code, str(page), "exec"), names)
        return names

    yield run_page
    for app in apps:
        _close(app)


def _request(app: Flask) -> AbstractContextManager[Any]:
    """A request that is a genuine webhook."""
    body, headers = signed({"train": "Night Owl"})
    return app.test_request_context("/", data=body, headers=headers)


def signed(payload: Any, message_id: str = "msg_1") -> tuple[bytes, dict[str, str]]:
    """A payload as it goes on the wire, with its three headers."""
    body = json.dumps(payload).encode()
    return body, dict(signing.headers(message_id, int(time.time()), body, secrets=[SECRET]))


def _close(app: Flask) -> None:
    if "webhooks" in app.extensions:
        app.extensions["webhooks"].database.dispose()
    if "sqlalchemy" in app.extensions:
        with app.app_context():
            for engine in app.extensions["sqlalchemy"].engines.values():
                engine.dispose()


@pytest.mark.parametrize("page", [p for p in BOTH if list(_blocks(p, "python"))], ids=_name)
def test_the_code_of_a_page_runs(page: Path, run: Run) -> None:
    """Every Python block of the page runs, each after the one above it."""
    run(page)


def test_a_page_delivers_what_it_says(run: Run, receiver: Receiver) -> None:
    """The delivery of the page about delivering reaches a real receiver and succeeds."""
    names = run(DOCS / "delivering.md")

    assert receiver.received[0].body == b'{"train":"Night Owl"}'
    outcome = (names["delivery"].status, names["delivery"].attempts, names["attempt"].status_code)
    assert outcome == ("delivered", 1, 200)


def test_the_callback_page_calls_back(run: Run, receiver: Receiver) -> None:
    """The order of the page about callbacks is called back at the URL that its client gave."""
    names = run(DOCS / "callbacks.md")

    [first, *_] = receiver.received
    assert json.loads(first.body) == {"orderId": "42", "status": "shipped"}
    assert (names["answer"].status_code, names["answer"].json["rule"]) == (422, "address")


@pytest.mark.parametrize(
    "page, path",
    [("quickstart.md", "/"), ("receiving.md", "/webhooks"), ("receiving.md", "/official")],
)
def test_a_receiver_verifies(page: str, path: str, run: Run) -> None:
    """A receiver of the pages takes a genuine webhook, and refuses one with another body."""
    client = run(DOCS / page)["app"].test_client()
    body, headers = signed({"train": "Night Owl"})

    assert client.post(path, data=body, headers=headers).status_code == 204
    assert client.post(path, data=body + b" ", headers=headers).status_code == 400


def test_a_receiver_works_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The receiver of the page for integrators does its work once for each message."""
    client = run(DOCS / "receiving.md")["app"].test_client()
    body, headers = signed({"train": "Night Owl"})
    for _ in range(2):
        client.post("/webhooks", data=body, headers=headers)

    assert capsys.readouterr().out == "Received {'train': 'Night Owl'}\n"


def test_the_tests_of_the_testing_page_pass(tmp_path: Path) -> None:
    """The blocks of the page about testing are a test file of tests that pass."""
    file = tmp_path / "test_shop.py"
    file.write_text("\n".join(_blocks(DOCS / "testing.md", "python")), "utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines()[-1].startswith("12 passed"), done.stdout
    assert done.returncode == 0


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    """The commands of ``flask webhooks``."""
    app = Flask("docs")
    Webhooks(app)
    group = app.cli.commands["webhooks"]
    assert isinstance(group, click.Group)
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def _typed(page: Path) -> Iterator[list[str]]:
    """The ``flask … webhooks …`` commands of the console blocks, as words."""
    for block in _blocks(page, "console"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True) if line.startswith("$ ") else []
            if "flask" in words and "webhooks" in words:
                yield words[words.index("flask") + 1 :]


@pytest.mark.parametrize("page", [p for p in BOTH if list(_typed(p))], ids=_name)
def test_the_commands_of_a_page_exist(
    page: Path,
    commands: dict[str, click.Command],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each ``flask webhooks`` command of the page parses, with its arguments and options."""
    monkeypatch.chdir(tmp_path)
    for words in _typed(page):
        for word in words:
            if word.endswith(".json"):  # a file that is there for who reads the page
                Path(word).write_text("{}", "utf-8")
        at = words.index("webhooks")
        assert re.fullmatch(r"(--app \w+ ?)?(--debug)?", " ".join(words[:at])), words
        command, *arguments = words[at + 1 :]
        if command != "--help":
            commands[command].make_context(command, arguments).close()


def test_every_command_is_on_its_page(commands: dict[str, click.Command]) -> None:
    """The page about commands names each of them, and none that is gone."""
    named = re.findall(r"^```\{command\} (\S+)", (DOCS / "cli.md").read_text("utf-8"), re.MULTILINE)

    assert sorted(named) == sorted(commands)


def test_every_setting_is_on_its_page() -> None:
    """The page of the settings names each field once, and none that is gone."""
    page = (DOCS / "settings.md").read_text("utf-8")
    named = " ".join(re.findall(r"^```\{settings\}\n(.*?)^```", page, re.MULTILINE | re.DOTALL))

    assert sorted(named.split()) == sorted(field.name for field in fields(Settings))


@pytest.mark.parametrize("page", BOTH, ids=_name)
def test_a_setting_that_is_named_exists(page: Path) -> None:
    """Each ``WEBHOOKS_…`` that the page speaks of is a setting, or a variable of the tests."""
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    named = set(re.findall(r"(?<![A-Z_])WEBHOOKS_[A-Z_]*[A-Z]", page.read_text("utf-8")))

    assert {n for n in named if not n.startswith("WEBHOOKS_TEST_")} <= known


def test_every_public_name_is_on_its_page() -> None:
    """The page of the API names everything that the package exports."""
    page = (DOCS / "api.md").read_text("utf-8")
    named = re.findall(r"^\.\. auto\w+:: (\w+)", page, re.MULTILINE)

    assert sorted(named) == flask_webhooks.__all__


def test_every_page_is_listed() -> None:
    """The front page leads to every other page."""
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text("utf-8"),
                       re.MULTILINE | re.DOTALL)  # fmt: skip
    listed = [word for tree in trees for word in tree.split() if re.fullmatch("[a-z]+", word)]

    assert sorted({page.stem for page in PAGES} - {"index"} - set(listed)) == []


def test_the_files_of_the_design_exist() -> None:
    """Every file and folder that the design speaks of is in the repository."""
    text = (DOCS / "design.md").read_text("utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.py|[a-z_]+/))`", text))
    missing = [
        n for n in named if not ((ROOT / n).exists() or (ROOT / "flask_webhooks" / n).exists())
    ]

    assert len(named) > 30 and missing == []


def test_the_design_is_short() -> None:
    """The design fits in 120 lines."""
    assert len((DOCS / "design.md").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_keeps_to_the_words(page: Path) -> None:
    """Outside of code, no page uses a noun that the design has set aside."""
    prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", page.read_text("utf-8"), flags=re.DOTALL)

    assert re.findall(r"(?i)\b(?:events?|hooks?|jobs?|tasks?|endpoints?)\b", prose) == []


def test_the_commands_of_the_readme_are_what_ci_runs() -> None:
    """``.ci/run`` has the README's test command where it says so, and tells its story, too."""
    typed = [line[2:] for block in _blocks(ROOT / "README.md", "console")
             for line in block.splitlines() if line.startswith("$ ")]  # fmt: skip
    script = [line.strip() for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()]
    [said] = [n for n, line in enumerate(script) if "The test command of the README" in line]

    assert [c for c in typed if c.endswith("-m pytest")] == [script[said + 1]]
    [story] = [c for c in typed if c.endswith("-m example_app")]
    assert story.split(" && ")[-1].replace(".venv/", ".venv-more/") in script
