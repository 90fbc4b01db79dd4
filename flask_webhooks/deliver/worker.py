"""The worker: fan out, claim, let senders attempt, settle in batches, rest.

It knows no declarations and no Flask: what a webhook asks for comes as a :class:`Policy`, and what
happens is told to a :class:`Witness`.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from ..rules.sealing import KeyRing
from ..store import queue
from ..store.database import Database
from ..store.records import microseconds
from .alternating import Alternating
from .attempting import TO_SETTLE, Attempting
from .intake import Intake
from .judging import Policies, Policy
from .ownership import Ownership
from .presence import Kind, Presence
from .purger import Purger
from .recording import BATCH, Recorder
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
#: Seconds that an outcome waits for company before it is written.
_SETTLE_EVERY = 0.05
#: Seconds from one step to the next where there was little to do: more at once costs hardly more.
_STEP_EVERY, _FEW = 0.01, 64


def lease_for(timeout: float) -> float:
    """Seconds that a delivery is leased for: the total deadline of an attempt, and a margin.

    The margin lets a delivery wait for a thread, its outcome be written, and the clocks of two
    machines differ.
    """
    return timeout + min(LEASE_MARGIN, TO_SETTLE + 2 * timeout)


def _close_own(transport: Transport, pid: int) -> None:
    # In a child of a fork a lock may be held for ever, by a thread that has stayed behind.
    if pid == os.getpid():
        transport.close()


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
        weakref.finalize(self, _close_own, transport, os.getpid())
        self._purger = Purger(database, retention, clock)
        #: Who says that it runs, lets it arrive: :meth:`run`, or an engine.
        self.presence = Presence(database, clock)
        self._policies = Policies(policy_of)
        self._per_subscription = per_subscription
        self._clock = clock
        self._attempting = Attempting(
            transport=transport,
            signer=Signer(keyring, user_agent, message_signatures),
            policy_of=self._policies.of,
            witness=witness,
            ownership=ownership,
            host_rate=host_rate,
            lease=lease,
            clock=clock,
            uniform=uniform,
        )
        self._alternating = Alternating()
        # What this worker's thread waits for in there is time for the thread that sends.
        database.pauses = self._alternating
        self._senders = Senders(
            self._attempting,
            per_subscription=per_subscription,
            most=threads,
            alternating=self._alternating,
            noticed=self._notice,
        )
        self.intake = Intake(
            database,
            self._senders,
            self._policies,
            witness,
            rates=self._attempting.rates,
            most_pending=most_pending,
            most=threads,
            lease=microseconds(lease),
            clock=clock,
        )
        self._recorder = Recorder(
            database, self._senders, witness, disable_after=disable_after, clock=clock
        )
        self._poll = _POLL_AT_FIRST
        self._database_away = False
        self._running = False
        self._wake = threading.Event()
        #: Set by the senders when it is time to settle, or to claim more.
        self._nudge = threading.Event()
        #: With so few that wait, more are claimed.
        self._low = 0
        self._stopping = threading.Event()
        self._stepping = threading.Lock()

    def wake(self) -> None:
        """Say that there may be something to do. Never blocks, never raises."""
        self._wake.set()

    def stop(self) -> None:
        """Let :meth:`run` end: no new claims, what is under way is settled.

        Not for signal handlers: the thread that they interrupt may have one of the locks.
        """
        self._stopping.set()
        self._senders.hold()
        self._nudge.set()
        self._wake.set()

    def run(self, grace: float = 30.0, *, kind: Kind = "process") -> None:
        """Deliver until :meth:`stop`; then settle what is under way within ``grace`` seconds."""
        self._running = True
        self.presence.arrive(kind)
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._purger.purge_if_due()
                began = time.monotonic()
                if done := self._step_if_possible():
                    self._poll = _POLL_AT_FIRST
                    self._let_send()
                    if done < _FEW:
                        self._stopping.wait(max(began + _STEP_EVERY - time.monotonic(), 0.0))
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
            elif self._is_through():
                break
            else:
                self._wake.wait(_SETTLE_EVERY)

    def _is_through(self) -> bool:
        """Whether all is delivered, by others' steps as well; then the threads may end."""
        with self._stepping:
            through = self._senders.is_idle
            if through and not self._running:
                self._senders.dismiss()
            return through

    def deliver(self, delivery_ids: Sequence[int]) -> None:
        """Deliver those that an engine was given, in this call and one after the other.

        What can't be attempted while the lease lasts is due again at once.
        """
        claimed = self.intake.claim_these(delivery_ids)
        for one in claimed:
            self._senders.attempt(one)
        while not self._senders.is_settled:
            self._write_and_tell()

    def sweep(self, *, until: float, limit: int) -> list[int]:
        """Fan out what was sent, and take what is due out of the queue for an engine.

        :param until: unix time at which it comes due again, when no task has claimed it.
        :returns: ids for :meth:`deliver`, ``limit`` of them at most.
        """
        self._purger.purge_if_due()
        self.presence.beat_if_due()
        self._policies.forget()
        while self.intake.fan_out():
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

    def step(self) -> int:
        """Write what has ended, fan out, claim and hand out; how much there was to do."""
        try:
            with self._stepping, self._alternating.turn():
                return self._write_and_take_on()
        finally:  # though it failed: what was written stands
            self._recorder.tell()

    def _write_and_take_on(self) -> int:
        self._recorder.hand_back()
        with self._recorder.batch() as batch:
            done = len(batch.settlements)
            self.intake.note_ended(batch.settlements)
            if not self._stopping.is_set():
                done += self.intake.take_on(batch)
                self._senders.send()
        self._low = self._senders.buffer.waiting // 4
        return done

    def _write_and_tell(self) -> None:
        try:
            with self._stepping:
                self._recorder.write()
        finally:
            self._recorder.tell()

    def _step_if_possible(self) -> int:
        try:
            done = self.step()
        except Exception:
            # The database may be away for a while; the rows stay, and so does the worker.
            if not self._database_away:
                logger.exception("The worker could not reach its database; it tries again.")
            self._database_away = True
            self._stopping.wait(POLL)
            return _FEW
        if self._database_away:
            logger.warning("The worker reaches its database again.")
        self._database_away = False
        self.presence.beat_if_due()
        return done

    def _notice(self) -> None:
        """Called by the senders when something ended."""
        if self._senders.buffer.waiting <= self._low or len(self._senders.done) >= BATCH:
            self._nudge.set()
            self._wake.set()

    def _let_send(self) -> None:
        """Leave the senders alone for a while: a step costs little more for many than for one."""
        if self._senders.buffer.waiting > self._low and len(self._senders.done) < BATCH:
            self._nudge.wait(_SETTLE_EVERY)
        self._nudge.clear()

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
        if self.intake.next_due is None:
            return pause
        return min(pause, max(self.intake.next_due - self._now(), 0) / 1e6)

    def _now(self) -> int:
        return microseconds(self._clock())

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
