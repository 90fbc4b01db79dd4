"""Writes what came of attempts, a batch in each transaction, and tells of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from ..store import queue
from ..store.database import Database
from ..store.records import microseconds
from ..store.settling import Batch, Written
from .senders import Senders
from .witness import Witness

logger = logging.getLogger("flask_webhooks.worker")

#: Outcomes that are written in one transaction: whoever waits for it waits for milliseconds.
BATCH = 256

T = TypeVar("T")


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
        self._untold: deque[Written] = deque()

    def write(self) -> None:
        """Write all that has ended, and hand back what was not attempted."""
        self.hand_back()
        for _ in range(0, len(self._senders.done), BATCH):
            with self.batch():
                pass

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """The first of what has ended: written by whoever likes meanwhile, or in the end.

        What can't be written stays where it was: an outcome that is lost is a duplicate later.
        """
        now = microseconds(self._clock())
        batch = Batch(_taken(self._senders.done, BATCH), now=now, disable_after=self._disable_after)
        try:
            yield batch
        finally:
            self._end(batch)

    def _end(self, batch: Batch) -> None:
        try:
            batch.write_alone(self._database)
        except BaseException:
            self._senders.done.extendleft(reversed(batch.settlements))
            raise
        self._untold += batch.written()

    def tell(self) -> None:
        """Tell of what was written."""
        for one in _taken(self._untold, len(self._untold)):
            try:
                self._witness.settled(one.settlement, one.disabled)
            except Exception:
                logger.exception(
                    "Nobody was told of delivery %s.", one.settlement.claimed.delivery_id
                )

    def hand_back(self) -> None:
        """Hand back what was leased, and not attempted."""
        returned = _taken(self._senders.returned, len(self._senders.returned))
        if not returned:
            return
        try:
            self._database.write(
                lambda c: queue.hand_back(
                    c, self._database.tables, returned, microseconds(self._clock())
                ),
                by_worker=True,
            )
        except BaseException:
            self._senders.returned.extendleft(returned)
            raise


def _taken(items: deque[T], most: int) -> list[T]:
    """The first of what is there now; others may add to it, or take from it, meanwhile."""
    taken: list[T] = []
    with suppress(IndexError):
        for _ in range(min(most, len(items))):
            taken.append(items.popleft())
    return taken
