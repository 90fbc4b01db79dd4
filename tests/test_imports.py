"""What is imported when: little to declare, no more than is used by an app, all by a worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Libraries and rooms that a process which only serves and sends goes without.
UNUSED = (
    "celery", "certifi", "cryptography", "httptools", "prometheus_client", "requests", "rich",
    "urllib3", "flask_webhooks.cli.looking", "flask_webhooks.deliver", "flask_webhooks.erasing",
    "flask_webhooks.explaining", "flask_webhooks.manage.api", "flask_webhooks.manage.board",
    "flask_webhooks.manage.guide", "flask_webhooks.rules.sealing", "flask_webhooks.testing",
)  # fmt: skip

BEGIN = """
import sys
from flask import Flask
from flask_webhooks import Webhooks

def ours():
    return {name for name in sys.modules if name.startswith("flask_webhooks")}

app = Flask("shop", instance_path=sys.argv[1])
app.config.update(WEBHOOKS_WORKER="external", WEBHOOKS_ALLOW_LOOPBACK=True)
webhooks = Webhooks()
webhook = webhooks.webhook("newBooking")
"""


def run(script: str, *arguments: str) -> list[str]:
    """The words that a script prints in a fresh interpreter."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_who_declares_imports_no_room_of_an_app(tmp_path: Path) -> None:
    """Before an app is initialized, these modules are loaded and no others of the package."""
    assert run(BEGIN + "print(*sorted(ours()))", str(tmp_path)) == [
        "flask_webhooks",
        "flask_webhooks.adoption",
        "flask_webhooks.arguments",
        "flask_webhooks.declarations",
        "flask_webhooks.door",
        "flask_webhooks.exceptions",
        "flask_webhooks.extension",
        "flask_webhooks.reports",
        "flask_webhooks.rules",
        "flask_webhooks.rules.expressions",
        "flask_webhooks.rules.headers",
        "flask_webhooks.rules.key_texts",
        "flask_webhooks.rules.options",
        "flask_webhooks.rules.patterns",
        "flask_webhooks.rules.retry",
        "flask_webhooks.rules.signing",
        "flask_webhooks.rules.slips",
        "flask_webhooks.rules.terms",
        "flask_webhooks.signals",
        "flask_webhooks.store",
        "flask_webhooks.store.records",
    ]


def test_who_declares_imports_no_library_but_flask() -> None:
    """Importing the package loads none of the libraries that describe, store, seal and send."""
    libraries = ("apispec", "jsonschema_rs", "marshmallow", "sqlalchemy", *UNUSED)
    script = "import sys, flask_webhooks; print(*set(sys.argv[1:]) & set(sys.modules))"
    assert run(script, *libraries) == []


def test_an_app_goes_without_what_it_does_not_use(tmp_path: Path) -> None:
    """An app that sends while others deliver loads nothing of transport, commands and pages."""
    send = """
webhooks.init_app(app)
with app.app_context():
    webhook.send({})
print(*set(sys.argv[2:]) & set(sys.modules))
"""
    assert run(BEGIN + send, str(tmp_path), *UNUSED) == []


def test_an_app_that_describes_nothing_needs_no_schemas(tmp_path: Path) -> None:
    """An app loads neither apispec nor marshmallow before something is described."""
    script = BEGIN + "webhooks.init_app(app)\nprint(*set(sys.argv[2:]) & set(sys.modules))"
    assert run(script, str(tmp_path), "apispec", "jsonschema_rs", "marshmallow") == []


def test_a_worker_has_all_that_its_thread_needs(tmp_path: Path) -> None:
    """An attempt imports nothing, so that no import is under way when a process forks."""
    deliver = """
webhooks.init_app(app)
with app.app_context():
    webhooks.subscribe("http://127.0.0.1:9/", ["newBooking"])
    message = webhook.send({})
    webhooks._state.worker
    before = set(sys.modules)
    webhooks.run_until_idle()
    [delivery] = webhooks.deliveries(message=message)
    print(delivery.reason, delivery.attempts, *set(sys.modules) - before)
"""
    assert run(BEGIN + deliver, str(tmp_path)) == ["connect", "1"]
