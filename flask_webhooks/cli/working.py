"""The command ``worker``: it delivers, and a line of the terminal says what is going on."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from flask.cli import AppGroup

from ..door import Door, state
from ..store import following
from ..store.records import microseconds
from .printing import LiveLine, as_json_option, plain_errors, say, say_json
from .stopping import stop_on_signals

#: Seconds between two looks at the queue.
_LOOK_EVERY = 1.0


def add_commands(group: AppGroup, webhooks: Door) -> None:
    """Add this module's commands to ``group``."""

    @group.command()
    @click.option("--until-idle", is_flag=True, help="Deliver what is due now, then end.")
    @click.option(
        "--metrics-port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Answer Prometheus there, meanwhile.",
    )
    @click.option("--metrics-host", default="127.0.0.1", show_default=True,
                  help="The address that this port is opened on.")  # fmt: skip
    @as_json_option
    @plain_errors
    def worker(
        until_idle: bool, metrics_port: int | None, metrics_host: str, as_json: bool
    ) -> None:
        """Deliver until interrupted; then finish what is under way.

        On a terminal a line says what goes on, by all workers; with --json there is a line of it
        for each second in which something did.
        """
        if metrics_port is not None:
            _serve_metrics(metrics_host, metrics_port)
        if until_idle:
            webhooks.run_until_idle()
            return
        running = state().worker
        _keep_what_is_loaded()
        stop_on_signals(running.stop)
        if not as_json:
            url = state().database.shown_url
            say(f"Delivering from {url}. Ctrl+C ends it after what is under way.")
        with _watched(as_json):
            running.run()
        if not as_json:
            say("Stopped. What was not delivered stays stored.")


def _keep_what_is_loaded() -> None:
    """Have garbage collection look no more at the app, which stays: each time it takes 20 ms."""
    gc.collect()
    gc.freeze()


def _serve_metrics(host: str, port: int) -> None:
    try:
        state().counted().serve(host, port)
    except OSError as error:
        raise click.ClickException(
            f"Port {port} of {host} can't be opened for metrics: {error.strerror}. Give another "
            "one with --metrics-port."
        ) from None
    say(f"Prometheus finds the metrics at http://{host}:{port}/metrics", err=True)


@contextmanager
def _watched(as_json: bool) -> Iterator[None]:
    """Tell what goes on meanwhile, where somebody looks."""
    line, ended = LiveLine(), threading.Event()
    if not as_json and not line.is_seen:
        yield
        return
    app = state().app

    def watch() -> None:
        with app.app_context():
            look = _Look()
            while not ended.wait(_LOOK_EVERY):
                look.again()
                if not as_json:
                    line.write(look.told())
                elif look.changed:
                    say_json(look.as_json())

    watching = threading.Thread(target=watch, name="webhooks-watching", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
        line.end()


@dataclass
class _Look:
    """What went on since the command began, counted anew with each look."""

    accepted: int = 0
    failed: int = 0
    due: int = 0
    oldest_due: float = 0.0
    under_way: int = 0
    changed: bool = False

    def __post_init__(self) -> None:
        database = state().database
        self._newest = database.read(lambda c: following.mark(c, database.tables)).attempt

    def again(self) -> None:
        """Look at the attempts since the last time, and at the queue."""
        database, now = state().database, microseconds(state().clock())
        new = database.read(lambda c: following.attempts_since(c, database.tables, self._newest))
        pending = database.read(lambda c: following.pending(c, database.tables, now))
        before = self._counts()
        self._newest = new.newest
        self.accepted += new.accepted
        self.failed += new.failed
        self.due, self.oldest_due, self.under_way = pending
        self.changed = before != self._counts()

    def _counts(self) -> tuple[int, ...]:
        """What makes a line: that something goes on waiting does not."""
        return self.accepted, self.failed, self.under_way, self.due

    def told(self) -> str:
        """One line."""
        late = f", the oldest for {self.oldest_due:.0f} s" if self.due else ""
        return (
            f"{self.accepted:,} accepted  {self.failed:,} failed  |  {self.under_way:,} under way  "
            f"{self.due:,} due{late}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "at": round(time.time(), 3), "accepted": self.accepted, "failed": self.failed,
            "under_way": self.under_way, "due": self.due,
            "oldest_due": round(self.oldest_due, 3),
        }  # fmt: skip
