"""A clock that stands still until a test moves it, so that retries need no sleeping."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from ..door import state_of
from ..store import queue
from ..store.records import microseconds
from .staying import stay_inside

#: Moves of the clock after which a delivery that never settles is given up.
_MOST_MOVES = 1000


class VirtualClock:
    """The clock of one app, from now on: what is due, and what is signed, goes by it.

    :param app: an app with the extension.
    :ivar now: unix time in seconds; at first that of the machine.
    """

    def __init__(self, app: Any) -> None:
        self.now = time.time()
        self._state = state_of(app)
        self._state.clock = self
        stay_inside(self._state)

    def __call__(self) -> float:
        return self.now

    def advance(self, span: float | timedelta) -> None:
        """Move on by so many seconds, or by a ``timedelta``."""
        self.now += span.total_seconds() if isinstance(span, timedelta) else span

    def run_until_settled(self) -> None:
        """Deliver, and move on to whatever is due next, until nothing is pending any more.

        A schedule of three days is over in a moment.

        :raises AssertionError: something is pending after a thousand moves.
        """
        for _ in range(_MOST_MOVES):
            self._state.run_until_idle()
            due = self._next_due()
            if due is None:
                return
            self.now = max(self.now, due)
        raise AssertionError(f"Something is still pending after {_MOST_MOVES} attempts to settle.")

    def _next_due(self) -> float | None:
        database = self._state.database
        due = database.read(
            lambda c: queue.next_possible(c, database.tables, microseconds(self.now))
        )
        return None if due is None else due / 1_000_000

    def stop(self) -> None:
        """Let the app go by the machine's clock again."""
        self._state.clock = time.time
