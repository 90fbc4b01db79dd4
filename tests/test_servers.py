"""Real servers: whatever forks, preloads or reloads, messages are delivered, each once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.needs import need
from tests.test_crashes import Receiver, receiving

APP = """
import os
from flask import Flask
from flask_webhooks import Webhooks

webhooks = Webhooks()
happened = webhooks.webhook("happened", {"type": "object"})
app = Flask("shop", instance_path=os.environ["INSTANCE"])
app.config.update(WEBHOOKS_ALLOW_LOOPBACK=True)
webhooks.init_app(app)

@app.post("/send")
def send():
    happened.send({"by": os.getpid()})
    return "sent"

if os.environ["EARLY"]:
    with app.app_context():
        happened.send({"by": "the parent"})  # a worker runs before the fork

open(os.path.join(os.path.dirname(__file__), f"loaded-{os.getpid()}"), "w").close()
"""

SUBSCRIBE = """
import sys
from shop import *
with app.app_context():
    webhooks.subscribe(sys.argv[1], ["happened"])
"""

GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "shop:app"]
UWSGI = ["-c", "import pyuwsgi; pyuwsgi.run()", "--http", "127.0.0.1:{port}", "--processes", "2",
         "--module", "shop:app", "--die-on-term", "--master"]  # fmt: skip

SERVERS = {
    "gunicorn sync": ("gunicorn", GUNICORN),
    "gunicorn preload": ("gunicorn", [*GUNICORN, "--preload"]),
    "gunicorn threads": ("gunicorn", [*GUNICORN, "--threads", "4", "--preload"]),
    "gunicorn gevent": ("gevent", [*GUNICORN, "--worker-class", "gevent"]),
    "uwsgi": ("pyuwsgi", [*UWSGI, "--enable-threads"]),
    "uwsgi lazy": ("pyuwsgi", [*UWSGI, "--enable-threads", "--lazy-apps"]),
    "reloader": ("flask", ["-m", "flask", "--app", "shop", "run", "--debug", "--port", "{port}"]),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers at once."""
    with receiving() as noted:
        noted.released.set()
        yield noted


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def sent(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """One POST; the server may still be starting."""
    give_up = time.monotonic() + 60
    while True:
        try:
            assert requests.post(url, timeout=30).status_code == 200
            return
        except requests.ConnectionError:
            assert process.poll() is None and time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)


#: uWSGI runs no hook when it forks, so that an app which sends before needs ``--lazy-apps`` there.
CASES = [(name, "") for name in SERVERS] + [(name, "early") for name in SERVERS if name != "uwsgi"]


@pytest.mark.parametrize(("name", "early"), CASES)
def test_what_a_server_sends_is_delivered(
    name: str, early: str, tmp_path: Path, receiver: Receiver
) -> None:
    """Twenty messages out of its processes, each received once; and it ends when it is told to."""
    module, arguments = SERVERS[name]
    need(module, "servers")
    (tmp_path / "shop.py").write_text(APP)
    port, log = free_port(), tmp_path / "log"
    environment = {
        **os.environ, "INSTANCE": str(tmp_path), "EARLY": "",
        "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
    }  # fmt: skip
    subscribing = [sys.executable, "-c", SUBSCRIBE, receiver.url]
    subprocess.run(subscribing, env=environment, cwd=tmp_path, check=True, timeout=60)
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment | {"EARLY": early}, cwd=tmp_path, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(20):
            sent(f"http://127.0.0.1:{port}/send", process, log)
        give_up = time.monotonic() + 30
        while len(set(receiver.ids)) < 20:
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)
        # A process of uWSGI's that is told to end while it still loads an app, any app, does not.
        while name == "uwsgi lazy" and len(list(tmp_path.glob("loaded-*"))) < 3:
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert len(receiver.ids) == len(set(receiver.ids))


def test_importing_an_app_starts_nothing(tmp_path: Path) -> None:
    """Neither a thread nor a connection is there when a server forks."""
    (tmp_path / "shop.py").write_text(APP)
    look = (
        "import os, shop, threading\n"
        "print(threading.active_count(), os.listdir(os.environ['INSTANCE']))"
    )
    environment = {
        **os.environ, "INSTANCE": str(tmp_path / "instance"), "EARLY": "",
        "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
    }  # fmt: skip
    (tmp_path / "instance").mkdir()
    command = [sys.executable, "-c", look]
    seen = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert seen.stdout == "1 []\n"
