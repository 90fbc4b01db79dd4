"""Runs a Flask app in a process of its own, on loopback, for as long as it is wanted."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from flask import Flask
from werkzeug.serving import make_server

_START = multiprocessing.get_context("spawn")  # a fresh interpreter, as another program would have


@dataclass
class Running:
    """An app that answers at ``url``."""

    name: str
    url: str


@contextmanager
def running(
    name: str, make_app: Callable[[str], Flask], argument: str, port: int = 0
) -> Iterator[Running]:
    """Run ``make_app(argument)`` until the block ends.

    :param port: 0 takes a free one.
    """
    line, far_end = _START.Pipe()
    process = _START.Process(target=_serve, args=(far_end, port, make_app, argument), daemon=True)
    _start_deaf_to_ctrl_c(process)
    far_end.close()
    try:
        yield Running(name, f"http://127.0.0.1:{_port(line, name)}")
    finally:
        line.close()
        process.join(5)
        process.kill()


def _start_deaf_to_ctrl_c(process: BaseProcess) -> None:
    """Ctrl+C reaches every process of a terminal; only the starting one is to act on it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)


def _port(line: Connection, name: str) -> int:
    """The port that the process listens on; its first words on the line."""
    try:
        port: int = line.recv()
    except EOFError:
        raise SystemExit(f"The {name} did not start; its error is above.") from None
    return port


def _serve(line: Connection, port: int, make_app: Callable[[str], Flask], argument: str) -> None:
    for name in ("werkzeug", "flask_webhooks.delivery"):  # the story tells of it itself
        logging.getLogger(name).setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", port, make_app(argument), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with suppress(EOFError, OSError):  # the line ends when the starting process drops it, or dies
        line.send(server.server_port)
        line.recv()
    server.shutdown()
