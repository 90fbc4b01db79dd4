"""Writes what came of attempts, a batch in each transaction, and tells of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from ..store import queue, settling
from ..store.database import Database
from ..store.records import Settlement, microseconds
from .senders import Senders
from .witness import Witness

logger = logging.getLogger("flask_webhooks.worker")

#: Outcomes that are written in one transaction: whoever waits for it waits for milliseconds.
BATCH = 128

T = TypeVar("T")


class Written(NamedTuple):
    """An outcome that stands in the database, and why it disabled its subscription, if it did."""

    settlement: Settlement
    disabled: str | None


class Recorder:
    """Writes for one worker.

    :param disable_after: seconds; a subscription that only failed for so long is disabled.
    :param clock: unix time in seconds.
    """

    def __init__(
        self,
        database: Database,
        senders: Senders,
        witness: Witness,
        *,
        disable_after: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._senders = senders
        self._witness = witness
        self._disable_after = microseconds(disable_after)
        self._clock = clock

    def write(self) -> list[Written]:
        """Write all that has ended, and hand back what was not attempted.

        What can't be written stays where it was: an outcome that is lost is a duplicate later.
        """
        self._write_returned()
        written: list[Written] = []
        for _ in range(0, len(self._senders.done), BATCH):
            written += self._write_ended()
        return written

    def tell(self, written: Sequence[Written]) -> None:
        """Tell of what was written."""
        for one in written:
            try:
                self._witness.settled(one.settlement, one.disabled)
            except Exception:
                logger.exception(
                    "Nobody was told of delivery %s.", one.settlement.claimed.delivery_id
                )

    def _write_ended(self) -> list[Written]:
        ended = _taken(self._senders.done, BATCH)
        try:
            live, disabled = self._database.write(
                lambda c: settling.settle(
                    c,
                    self._database.tables,
                    ended,
                    now=self._now(),
                    disable_after=self._disable_after,
                ),
                by_index=True,
            )
        except BaseException:
            self._senders.done.extendleft(reversed(ended))
            raise
        return [Written(one, disabled.pop(one.claimed.subscription_id, None)) for one in live]

    def _write_returned(self) -> None:
        returned = _taken(self._senders.returned, len(self._senders.returned))
        if not returned:
            return
        try:
            self._database.write(
                lambda c: queue.hand_back(c, self._database.tables, returned, self._now()),
                by_index=True,
            )
        except BaseException:
            self._senders.returned.extendleft(returned)
            raise

    def _now(self) -> int:
        return microseconds(self._clock())


def _taken(items: deque[T], most: int) -> list[T]:
    """The first of what is there now; more may come meanwhile."""
    return [items.popleft() for _ in range(min(most, len(items)))]
