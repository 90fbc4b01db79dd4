"""Ends a command that goes on and on, when it is interrupted or terminated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Have SIGTERM and SIGINT call ``stop``, on a thread of its own.

    The thread that they interrupt may hold a lock that ``stop`` takes, or be what it waits for.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop, daemon=True).start())
