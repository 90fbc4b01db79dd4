"""Takes on what there is to deliver: fans messages out, and claims as much as can be sent soon."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from secrets import token_hex

from ..rules.rates import Rates
from ..store import outbox, queue
from ..store.claims import Claimed, Settlement
from ..store.database import Database
from ..store.records import microseconds
from ..store.settling import Batch
from .judging import Policies
from .senders import Senders
from .witness import Witness

logger = logging.getLogger("flask_webhooks.worker")

#: Messages fanned out in one transaction at most, and the deliveries that it is to make.
_MESSAGES, _DELIVERIES = 300, 250
#: Deliveries leased by one worker at most, and leased in one transaction.
_MOST_HELD, _LEASED = 1024, 256
#: Seconds between two looks for a tenant behind another's backlog.
_LOOK_AROUND_EVERY = 0.25


class Intake:
    """Takes on for one worker.

    :param rates: how often each subscription may be called.
    :param most_pending: deliveries that may be pending for one subscription.
    :param most: deliveries that may be under way altogether.
    :param lease: microseconds.
    :param clock: unix time in seconds.
    :ivar next_due: when the next delivery comes due, in microseconds since 1970, where the last
        look found nothing to do.
    """

    def __init__(
        self,
        database: Database,
        senders: Senders,
        policies: Policies,
        witness: Witness,
        *,
        rates: Rates,
        most_pending: int | None,
        most: int,
        lease: int,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._senders = senders
        self._policies = policies
        self._witness = witness
        self._rates = rates
        self._most_pending = most_pending
        self._most = most
        self._lease = lease
        self._clock = clock
        #: The rates that subscriptions ask for, as far as they were met here.
        self._rate_of: dict[str, float] = {}
        #: What ended since the last claim, by subscription: as much as that may be leased ahead.
        self._ended: Counter[str] = Counter()
        self._look_around_at = 0.0
        self._messages = _MESSAGES
        self.next_due: int | None = None

    def note_ended(self, settlements: Sequence[Settlement]) -> None:
        """Say what is over: the more of a subscription end, the more are leased."""
        self._ended.update([one.claimed.subscription_id for one in settlements])

    def take_on(self, also: Batch) -> int:
        """Fan out and claim what there is; it waits in the senders' buffer then.

        :param also: what is written with the claim, if there is anything to claim.
        :returns: how much there was to do: how many messages and deliveries.
        """
        done = self.fan_out()
        ahead = min(_MOST_HELD, self._most + 2 * self._ended.total())
        most = min(_LEASED, ahead - self._senders.buffer.occupied)
        if most > 0:
            done += self._claim(most, also)
        if not done:
            tables = self._database.tables
            self.next_due = self._database.read(
                lambda c: queue.next_due(c, tables, self._now()), by_index=True
            )
        return done

    def fan_out(self) -> int:
        """Turn waiting messages into deliveries, some of the oldest; how many messages."""
        # An idle look is no write.
        tables = self._database.tables
        waiting = self._database.read(lambda c: outbox.any_waiting(c, tables), by_index=True)
        return self._fan_out() if waiting else 0

    def _fan_out(self) -> int:
        done = self._database.write(
            lambda c: outbox.fan_out(
                c,
                self._database.tables,
                now=self._now(),
                first_delay=lambda name: microseconds(self._policies.of(name).schedule[0]),
                limit=self._messages,
                most_pending=self._most_pending,
            ),
            by_worker=True,
        )
        messages = done.names.total()
        if done.deliveries:
            self._messages = max(1, min(_MESSAGES, _DELIVERIES * messages // done.deliveries))
        self._witness.fanned_out(done.names)
        return messages

    def claim_these(self, delivery_ids: Sequence[int]) -> list[Claimed]:
        """Lease those of some deliveries that may be attempted now."""
        claimed, poisoned = queue.claim_these(
            self._database,
            delivery_ids,
            token=token_hex(16),
            now=self._now(),
            lease=self._lease,
        )
        self._tell_poisoned(poisoned)
        self._policies.forget()
        return claimed

    def _claim(self, limit: int, also: Batch) -> int:
        claimed, poisoned = queue.claim(
            self._database,
            token=token_hex(16),
            now=self._now(),
            lease=self._lease,
            limit=limit,
            room=self._room,
            look_around=self._is_time_to_look_around(),
            also=also,
        )
        self._tell_poisoned(poisoned)
        self._ended.clear()
        if claimed:
            self._policies.forget()
            self._note_rates(claimed)
            self._senders.buffer.add(claimed)
        return len(claimed) + len(poisoned)

    def _room(self, subscription_id: str) -> int:
        """How much more of a subscription to lease: the faster it is, the more ahead."""
        rate, buffer = self._rate_of.get(subscription_id), self._senders.buffer
        if rate is None:
            return buffer.room(subscription_id, beyond=2 * self._ended[subscription_id])
        free = self._rates.free(subscription_id, rate, time.monotonic())
        return min(free - buffer.waits(subscription_id), buffer.room(subscription_id))

    def _note_rates(self, claimed: Sequence[Claimed]) -> None:
        for one in claimed:
            if one.terms.rate is not None:
                self._rate_of[one.subscription_id] = one.terms.rate
            else:
                self._rate_of.pop(one.subscription_id, None)

    def _tell_poisoned(self, delivery_ids: Sequence[int]) -> None:
        if delivery_ids:
            wrong = "Set aside, as each was begun and never ended: deliveries %s."
            logger.error(wrong, list(delivery_ids))

    def _is_time_to_look_around(self) -> bool:
        """Now and then: it costs a look at every subscription that has something due."""
        now = time.monotonic()
        if now < self._look_around_at:
            return False
        self._look_around_at = now + _LOOK_AROUND_EVERY
        return True

    def _now(self) -> int:
        return microseconds(self._clock())
