"""The worker: fan out, claim, let senders attempt, settle in batches, rest.

It knows no declarations and no Flask: what a webhook asks for comes as a :class:`Policy`, and what
happens is told to a :class:`Witness`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import TypeVar

from ..rules.sealing import KeyRing
from ..store import outbox, queue, settling
from ..store.database import Database
from ..store.records import Claimed, Settlement, microseconds
from .attempting import TO_SETTLE, Attempting
from .judging import Policy
from .ownership import Ownership
from .presence import Kind, Presence
from .purger import Purger
from .senders import Senders
from .signer import Signer
from .transport import Transport
from .witness import Witness

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds between two looks at the database when nothing wakes the worker: soon after there was
#: something to do, then twice as many each time, up to the last.
_POLL_AT_FIRST, POLL = 0.02, 0.5
#: Seconds that a lease lasts longer than the total deadline of an attempt, at most.
LEASE_MARGIN = 15.0
_FAN_OUT_BATCH = 300

#: Deliveries leased by one worker at most, and outcomes written at once at least under load.
_MOST_HELD = 1024
_SETTLE_BATCH = 256
#: Seconds that an outcome waits for company before it is written.
_SETTLE_EVERY = 0.05
#: Seconds between two looks for a tenant behind another's backlog.
_LOOK_AROUND_EVERY = 0.25

T = TypeVar("T")


def lease_for(timeout: float) -> float:
    """Seconds that a delivery is leased for: the total deadline of an attempt, and a margin.

    The margin lets a delivery wait for a thread, its outcome be written, and the clocks of two
    machines differ.
    """
    return timeout + min(LEASE_MARGIN, TO_SETTLE + 2 * timeout)


class Worker:
    """Delivers what is due in one database. One per app and process.

    :param policy_of: from the name of a webhook to its policy.
    :param witness: is told what the worker does.
    :param message_signatures: whether requests are signed by RFC 9421 as well.
    :param ownership: how the owner of a URL is asked before its first message, if at all.
    :param host_rate: requests a second to one host at most.
    :param most_pending: deliveries that may be pending for one subscription.
    :param retention: seconds for which messages are kept, where old ones are to be purged.
    :param clock: unix time in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        keyring: Callable[[], KeyRing],
        transport: Transport,
        policy_of: Callable[[str], Policy],
        witness: Witness,
        user_agent: str,
        message_signatures: bool = False,
        ownership: Ownership | None = None,
        host_rate: float | None = None,
        most_pending: int | None = None,
        retention: float | None = None,
        threads: int,
        per_subscription: int,
        disable_after: float,
        lease: float,
        clock: Callable[[], float] = time.time,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._database = database
        self._transport = transport
        # Kept connections outlive run_until_idle, as more may follow, but not the worker.
        weakref.finalize(self, transport.close)
        self._purger = Purger(database, retention, clock)
        #: Who says that it runs, lets it arrive: :meth:`run`, or an engine.
        self.presence = Presence(database, clock)
        self._policy_of = policy_of
        self._policies: dict[str, Policy] = {}
        self._witness = witness
        self._most_pending = most_pending
        self._threads = threads
        self._per_subscription = per_subscription
        self._disable_after = microseconds(disable_after)
        self._lease = microseconds(lease)
        self._clock = clock
        self._attempting = Attempting(
            transport=transport,
            signer=Signer(keyring, user_agent, message_signatures),
            policy_of=self._policy,
            witness=witness,
            ownership=ownership,
            host_rate=host_rate,
            lease=self._lease,
            clock=clock,
            uniform=uniform,
        )
        self._senders = Senders(
            self._attempting, per_subscription=per_subscription, most=threads, noticed=self._notice
        )
        #: The rates that subscriptions ask for, as far as they were met here.
        self._rate_of: dict[str, float] = {}
        #: What ended since the last claim, by subscription: as much as that may be leased ahead.
        self._ended: Counter[str] = Counter()
        self._look_around_at = 0.0
        self._next_due: int | None = None
        self._poll = _POLL_AT_FIRST
        self._database_away = False
        self._running = False
        self._wake = threading.Event()
        #: Set by the senders when it is time to settle, or to claim more.
        self._turn = threading.Event()
        #: With so few that wait, more are claimed.
        self._low = 0
        self._stopping = threading.Event()
        self._stepping = threading.Lock()

    def wake(self) -> None:
        """Say that there may be something to do. Never blocks, never raises."""
        self._wake.set()

    def stop(self) -> None:
        """Let :meth:`run` end: no new claims, what is under way is settled. Signal handlers may."""
        self._stopping.set()
        self._turn.set()
        self._wake.set()

    def run(self, grace: float = 30.0, *, kind: Kind = "process") -> None:
        """Deliver until :meth:`stop`; then settle what is under way within ``grace`` seconds."""
        self._running = True
        self.presence.arrive(kind)
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._purger.purge_if_due()
                if self._step_if_possible():
                    self._poll = _POLL_AT_FIRST
                    self._let_send()
                else:
                    self._rest()
                    self._poll = min(2 * self._poll, POLL)
            self._drain(time.monotonic() + grace)
            self.presence.leave()
        finally:
            self._running = False

    def run_until_idle(self) -> None:
        """Deliver, in this call, all that is due now."""
        while True:
            self._wake.clear()
            if self.step():
                self._let_send()
                continue
            if self._senders.is_idle:
                break
            self._wake.wait(_SETTLE_EVERY)
        if not self._running:
            with self._stepping:
                self._senders.dismiss()

    def deliver(self, delivery_ids: Sequence[int]) -> None:
        """Deliver those that an engine was given, in this call and one after the other.

        What can't be attempted while the lease lasts is due again at once.
        """
        claimed, poisoned = queue.claim_these(
            self._database,
            delivery_ids,
            token=token_hex(16),
            now=self._now(),
            lease=self._lease,
        )
        self._tell_poisoned(poisoned)
        self._policies.clear()
        for one in claimed:
            self._senders.attempt(one)
        while not self._senders.is_settled:
            self._write_and_tell()

    def sweep(self, *, until: float, limit: int) -> list[int]:
        """Fan out what was sent, and take what is due out of the queue for an engine.

        :param until: unix time at which it comes due again, when no task has claimed it.
        :returns: ids for :meth:`deliver`, ``limit`` of them at most.
        """
        tables = self._database.tables
        self._purger.purge_if_due()
        self.presence.beat_if_due()
        self._policies.clear()
        while self._database.read(lambda c: outbox.any_waiting(c, tables)) and self._fan_out():
            pass
        return queue.enqueue(
            self._database,
            now=self._now(),
            until=microseconds(until),
            limit=limit,
            cap=self._per_subscription,
        )

    def release(self, delivery_ids: Sequence[int]) -> None:
        """Put back what :meth:`sweep` took, and no engine could be given."""
        queue.release(self._database, delivery_ids, now=self._now())

    def step(self) -> bool:
        """Write what has ended, fan out, claim and hand out; whether there was anything to do."""
        with self._stepping:
            ended, disabled = self._write()
            busy = bool(ended)
            if not self._stopping.is_set():
                busy |= self._take_on()
        self._tell_all(ended, disabled)
        return busy

    def _write_and_tell(self) -> None:
        with self._stepping:
            ended, disabled = self._write()
        self._tell_all(ended, disabled)

    def _tell_all(self, ended: Sequence[Settlement], disabled: dict[str, str]) -> None:
        for one in ended:
            try:
                self._witness.settled(one, disabled.pop(one.claimed.subscription_id, None))
            except Exception:
                logger.exception("Nobody was told of delivery %s.", one.claimed.delivery_id)

    def _step_if_possible(self) -> bool:
        try:
            busy = self.step()
        except Exception:
            # The database may be away for a while; the rows stay, and so does the worker.
            if not self._database_away:
                logger.exception("The worker could not reach its database; it tries again.")
            self._database_away = True
            self._stopping.wait(POLL)
            return True
        if self._database_away:
            logger.warning("The worker reaches its database again.")
        self._database_away = False
        self.presence.beat_if_due()
        return busy

    def _notice(self) -> None:
        """Called by the senders when something ended."""
        if self._senders.buffer.waiting <= self._low or len(self._senders.done) >= _SETTLE_BATCH:
            self._turn.set()
            self._wake.set()

    def _let_send(self) -> None:
        """Leave the senders alone for a while: a step costs little more for many than for one."""
        if self._senders.buffer.waiting > self._low:
            self._turn.wait(_SETTLE_EVERY)
        self._turn.clear()

    def _rest(self) -> None:
        """Wait to be woken, for the next delivery to come due, or for outcomes to write."""
        until = time.monotonic() + self._pause()
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, _SETTLE_EVERY) if self._senders.buffer.held else left):
                return
            if not self._senders.is_settled:
                return

    def _pause(self) -> float:
        """Seconds until the next look: the poll interval, or until something comes due sooner."""
        pause = min(self._poll, POLL)
        if self._next_due is None:
            return pause
        return min(pause, max(self._next_due - self._now(), 0) / 1e6)

    def _now(self) -> int:
        return microseconds(self._clock())

    # Write back

    def _write(self) -> tuple[list[Settlement], dict[str, str]]:
        self._write_returned()
        return self._write_ended()

    def _write_ended(self) -> tuple[list[Settlement], dict[str, str]]:
        """Write the outcomes; those that were written, and why subscriptions were disabled."""
        ended = _drained(self._senders.done)
        if not ended:
            return [], {}
        try:
            result = self._database.write(
                lambda c: settling.settle(
                    c,
                    self._database.tables,
                    ended,
                    now=self._now(),
                    disable_after=self._disable_after,
                )
            )
        except BaseException:
            # An outcome that isn't written is a duplicate later: keep it.
            self._senders.done.extendleft(reversed(ended))
            raise
        self._ended.update(one.claimed.subscription_id for one in ended)
        return result

    def _write_returned(self) -> None:
        returned = _drained(self._senders.returned)
        if not returned:
            return
        try:
            self._database.write(
                lambda c: queue.hand_back(c, self._database.tables, returned, self._now())
            )
        except BaseException:
            self._senders.returned.extendleft(returned)
            raise

    # Take on

    def _take_on(self) -> bool:
        """Fan out and claim what there is; whether there was anything."""
        tables = self._database.tables
        waiting = self._database.read(lambda c: outbox.any_waiting(c, tables))
        done = self._fan_out() if waiting else 0
        most = (
            min(_MOST_HELD, self._threads + 2 * self._ended.total()) - self._senders.buffer.occupied
        )
        if most > 0:
            done += self._claim(most)
        if not done:
            self._next_due = self._database.read(lambda c: queue.next_due(c, tables, self._now()))
        return done > 0

    def _room(self, subscription_id: str) -> int:
        """How much more of a subscription to lease: the faster it is, the more ahead."""
        rate, buffer = self._rate_of.get(subscription_id), self._senders.buffer
        if rate is None:
            return buffer.room(subscription_id, beyond=2 * self._ended[subscription_id])
        free = self._attempting.rates.free(subscription_id, rate, time.monotonic())
        return min(free - buffer.waits(subscription_id), buffer.room(subscription_id))

    def _fan_out(self) -> int:
        done = self._database.write(
            lambda c: outbox.fan_out(
                c,
                self._database.tables,
                now=self._now(),
                first_delay=lambda name: microseconds(self._policy(name).schedule[0]),
                limit=_FAN_OUT_BATCH,
                most_pending=self._most_pending,
            )
        )
        self._witness.fanned_out(done)
        return done.total()

    def _claim(self, limit: int) -> int:
        claimed, poisoned = queue.claim(
            self._database,
            token=token_hex(16),
            now=self._now(),
            lease=self._lease,
            limit=limit,
            room=self._room,
            look_around=self._is_time_to_look_around(),
        )
        self._tell_poisoned(poisoned)
        self._ended.clear()
        if claimed:
            self._policies.clear()
            self._low = len(claimed) // 4
            self._note_rates(claimed)
            self._senders.send(claimed)
        return len(claimed) + len(poisoned)

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

    def _note_rates(self, claimed: Sequence[Claimed]) -> None:
        for one in claimed:
            if one.terms.rate is not None:
                self._rate_of[one.subscription_id] = one.terms.rate
            else:
                self._rate_of.pop(one.subscription_id, None)

    def _policy(self, name: str) -> Policy:
        """The policy of a webhook, asked for once in each round: a declaration may still come."""
        policy = self._policies.get(name)
        if policy is None:
            policy = self._policies[name] = self._policy_of(name)
        return policy

    # End

    def _drain(self, until: float) -> None:
        """Give back what no thread has begun, then wait for the rest."""
        self._senders.returned.extend(self._senders.buffer.clear())
        while True:
            self._wake.clear()
            self._step_if_possible()
            if self._senders.is_idle or time.monotonic() >= until:
                break
            self._wake.wait(_SETTLE_EVERY)
        if not self._senders.is_idle:
            logger.warning("Stopped with %s deliveries under way.", self._senders.buffer.under_way)
        self._senders.dismiss()
        self._transport.close()


def _drained(items: deque[T]) -> list[T]:
    """What is there now; more may come meanwhile."""
    return [items.popleft() for _ in range(len(items))]
