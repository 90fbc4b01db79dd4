"""The worker: fan out, claim, attempt on threads, settle in batches, rest.

It knows no declarations and no Flask: what a webhook asks for comes as a :class:`Policy`, and what
happened is told to a callable.
"""

from __future__ import annotations

import logging
import queue as queues
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TypeVar

from ..exceptions import SecretError
from ..rules import retry, signing
from ..rules.sealing import KeyRing
from ..store import outbox, queue
from ..store.database import Database
from ..store.records import (
    Attempt,
    Claimed,
    DeliveryStatus,
    Settlement,
    microseconds,
    moment,
)
from .outcome import Outcome, Reason
from .transport import Outgoing, Transport

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds between two looks at the database when nothing wakes the worker.
POLL = 0.5
#: Seconds that a lease lasts longer than the total deadline of an attempt.
LEASE_MARGIN = 15.0
#: Seconds after which a delivery whose secret could not be opened is looked at again.
PARKED = 60.0
#: Bytes of an answer that are kept for people to look at.
EXCERPT = 4096

_FAN_OUT_BATCH = 100

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the declaration of a webhook asks of its delivery."""

    method: str = "POST"
    #: Status codes and classes that count as success.
    answers: tuple[str, ...] = ("2XX",)
    schedule: Sequence[float] = retry.DEFAULT_SCHEDULE
    #: Total deadline of an attempt in seconds.
    timeout: float = 15.0


class Worker:
    """Delivers what is due in one database. One per app and process.

    :param policy_of: from the name of a webhook to its policy.
    :param tell: called with every settlement that was written, and the reason when it disabled the
        subscription.
    :param clock: unix time in seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        keyring: Callable[[], KeyRing],
        transport: Transport,
        policy_of: Callable[[str], Policy],
        tell: Callable[[Settlement, str | None], None],
        user_agent: str,
        threads: int,
        per_subscription: int,
        disable_after: float,
        lease: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._transport = transport
        self._policy_of = policy_of
        self._tell = tell
        self._user_agent = user_agent
        self._threads = threads
        self._per_subscription = per_subscription
        self._disable_after = microseconds(disable_after)
        self._lease = microseconds(lease)
        self._clock = clock
        self._todo: queues.SimpleQueue[Claimed | None] = queues.SimpleQueue()
        self._done: queues.SimpleQueue[Settlement] = queues.SimpleQueue()
        self._in_flight: Counter[str] = Counter()
        self._senders: list[threading.Thread] = []
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._stepping = threading.Lock()

    def wake(self) -> None:
        """Say that there may be something to do. Never blocks, never raises."""
        self._wake.set()

    def stop(self) -> None:
        """Let :meth:`run` end: no new claims, what is under way is settled. Safe in a signal handler."""
        self._stopping.set()
        self._wake.set()

    def run(self, grace: float = 30.0) -> None:
        """Deliver until :meth:`stop`; then settle what is under way, for ``grace`` seconds at most."""
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self.step()
            except Exception:
                # The database may be away for a while; the rows stay, and so does the worker.
                logger.exception("The worker could not reach its database; it will try again.")
                busy = False
            if not busy and not self._stopping.is_set():
                self._wake.wait(self._pause())
        self._drain(time.monotonic() + grace)

    def run_until_idle(self) -> None:
        """Deliver, in this call, all that is due now."""
        while True:
            self._wake.clear()
            if self.step():
                continue
            if not self._in_flight.total():
                break
            self._wake.wait(POLL)
        self._dismiss()

    def step(self) -> bool:
        """Settle what has ended, fan out, claim and hand out; whether there was anything to do."""
        with self._stepping:
            settled = self._settle()
            if self._stopping.is_set() or not self._anything_due():
                return settled
            return bool(settled | (self._fan_out() > 0) | (self._claim() > 0))

    def _now(self) -> int:
        return microseconds(self._clock())

    def _anything_due(self) -> bool:
        waiting, due = self._database.read(
            lambda c: (
                outbox.any_waiting(c, self._database.tables),
                queue.next_due(c, self._database.tables),
            )
        )
        self._next_due = due
        return waiting or (due is not None and due <= self._now())

    def _pause(self) -> float:
        """Seconds until the next look: the poll interval, or less when something comes due sooner."""
        if self._next_due is None or self._next_due <= self._now():
            return POLL
        return min(POLL, (self._next_due - self._now()) / 1e6)

    _next_due: int | None = None

    def _fan_out(self) -> int:
        now = self._now()
        return self._database.write(
            lambda c: outbox.fan_out(
                c, self._database.tables, now=now, first_due=self._first_due, limit=_FAN_OUT_BATCH
            )
        )

    def _first_due(self, name: str, sent: int) -> int:
        return sent + microseconds(self._policy_of(name).schedule[0])

    def _claim(self) -> int:
        room = self._threads - self._in_flight.total()
        if room <= 0:
            return 0
        claimed = self._database.write(
            lambda c: queue.claim(
                c,
                self._database.tables,
                token=token_hex(16),
                now=self._now(),
                lease=self._lease,
                limit=room,
                per_subscription=self._per_subscription,
                in_flight=self._in_flight,
            )
        )
        self._in_flight.update(one.subscription_id for one in claimed)
        self._staff(len(claimed))
        for one in claimed:
            self._todo.put(one)
        return len(claimed)

    def _staff(self, wanted: int) -> None:
        """Have a thread for each delivery under way, up to the limit; threads stay for the next ones."""
        needed = min(self._threads, max(wanted, self._in_flight.total()))
        while len(self._senders) < needed:
            name = f"webhooks-sender-{len(self._senders)}"
            thread = threading.Thread(target=self._send_all, name=name, daemon=True)
            self._senders.append(thread)
            thread.start()

    def _send_all(self) -> None:
        while (claimed := self._todo.get()) is not None:
            self._done.put(self._process(claimed))
            self._wake.set()

    def _process(self, claimed: Claimed) -> Settlement:
        try:
            return self._settlement(claimed)
        except Exception:
            logger.exception("Delivery %s could not be attempted.", claimed.delivery_id)
            broken = Outcome(
                reason=Reason.internal, detail="An error in the sender; see its log.", duration=0.0
            )
            return self._judge(claimed, broken, self._clock())

    def _settlement(self, claimed: Claimed) -> Settlement:
        started = self._clock()
        policy = self._policy_of(claimed.name)
        try:
            headers = self._headers(claimed, int(started))
        except SecretError as error:
            # Never unsigned, and never given up for what is the operator's to mend.
            logger.error("Delivery %s is parked: %s", claimed.delivery_id, error)
            return Settlement(
                claimed=claimed,
                attempt=None,
                status=DeliveryStatus.PENDING,
                reason="secret-unavailable",
                due_at=microseconds(started + PARKED),
            )
        outcome = self._transport.send(
            Outgoing(
                method=policy.method,
                url=claimed.url,
                headers=headers,
                body=claimed.body,
                timeout=policy.timeout,
            )
        )
        return self._judge(claimed, outcome, started)

    def _headers(self, claimed: Claimed, timestamp: int) -> tuple[tuple[str, str], ...]:
        keyring = self._keyring()
        secrets = []
        if claimed.sealed_secret is not None:
            secrets.append(
                keyring.open(
                    claimed.sealed_secret,
                    tenant=claimed.tenant,
                    subscription=claimed.subscription_id,
                )
            )
        # Who was captured never saw a secret of ours: the published public key serves it.
        keys = keyring.signing_keys[:2] if claimed.callback or not secrets else ()
        signed = signing.headers(
            claimed.message_id, timestamp, claimed.body, secrets=secrets, signing_keys=keys
        )
        return (
            ("Content-Type", "application/json"),
            ("User-Agent", self._user_agent),
            *signed,
        )

    def _judge(self, claimed: Claimed, outcome: Outcome, started: float) -> Settlement:
        """From an outcome to what is written about it."""
        policy = self._policy_of(claimed.name)
        accepted = outcome.status is not None and retry.accepts(policy.answers, outcome.status)
        reason = _reason(outcome, accepted)
        asked = {name.lower(): value for name, value in outcome.headers}.get("retry-after")
        decision = retry.decide(
            accepted=accepted,
            reason=reason,
            status=outcome.status,
            attempts=claimed.position,
            schedule=policy.schedule,
            retry_after=retry.parse_retry_after(asked, self._clock()),
        )
        now = self._clock()
        return Settlement(
            claimed=claimed,
            attempt=_attempt(claimed, outcome, reason, started),
            status=DeliveryStatus(decision.status),
            reason=decision.reason,
            due_at=microseconds(now + (decision.delay or 0.0)),
            paused_until=None if decision.pause is None else microseconds(now + decision.pause),
            disable=decision.reason if decision.disable else None,
        )

    def _settle(self) -> bool:
        ended = _drained(self._done)
        if not ended:
            return False
        try:
            written, disabled = self._database.write(
                lambda c: queue.settle(
                    c,
                    self._database.tables,
                    ended,
                    now=self._now(),
                    disable_after=self._disable_after,
                )
            )
        except BaseException:
            for one in ended:  # An outcome that isn't written is a duplicate later: keep it.
                self._done.put(one)
            raise
        self._in_flight.subtract(one.claimed.subscription_id for one in ended)
        self._in_flight += Counter()
        for one in written:
            self._tell(one, disabled.pop(one.claimed.subscription_id, None))
        return True

    def _drain(self, until: float) -> None:
        """Give back what no thread has begun, then wait for the rest."""
        unbegun = _drained(self._todo)
        idle = [one for one in unbegun if one is not None]
        if idle:
            now = self._now()
            self._database.write(lambda c: queue.hand_back(c, self._database.tables, idle, now))
            self._in_flight.subtract(one.subscription_id for one in idle)
        while self._in_flight.total() > 0 and time.monotonic() < until:
            self._wake.clear()
            if not self.step():
                self._wake.wait(0.1)
        self._dismiss()
        self._transport.close()

    def _dismiss(self) -> None:
        """Let the sender threads end once they have done what they were handed."""
        with self._stepping:
            for _ in self._senders:
                self._todo.put(None)
            self._senders.clear()


def _drained(items: queues.SimpleQueue[T]) -> list[T]:
    found = []
    while True:
        try:
            found.append(items.get_nowait())
        except queues.Empty:
            return found


def _reason(outcome: Outcome, accepted: bool) -> str:
    if outcome.reason is not Reason.answered:
        return str(outcome.reason)
    return "accepted" if accepted else "refused"


def _attempt(claimed: Claimed, outcome: Outcome, reason: str, started: float) -> Attempt:
    return Attempt(
        delivery_id=claimed.delivery_id,
        number=claimed.number,
        outcome=reason,
        status_code=outcome.status,
        detail=outcome.detail,
        # A stranger's answer to a captured URL is nobody's to read: it could show an inside page.
        excerpt=None if claimed.callback else outcome.body[:EXCERPT],
        started_at=moment(microseconds(started)),
        duration=outcome.duration,
    )
