"""The worker: fan out, claim, attempt on threads, settle in batches, rest.

It knows no declarations and no Flask: what a webhook asks for comes as a :class:`Policy`, and what
happened is told to a callable.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TypeVar

from ..exceptions import SecretError
from ..rules import retry
from ..rules.rates import Rates
from ..rules.sealing import KeyRing
from ..rules.urls import host_of
from ..store import outbox, queue, settling
from ..store.database import Database
from ..store.records import (
    Attempt,
    Claimed,
    DeliveryStatus,
    Settlement,
    microseconds,
    moment,
)
from .buffer import Buffer
from .outcome import Outcome, Reason
from .ownership import Ownership
from .purger import Purger
from .signer import Headers, Signer
from .transport import Outgoing, Transport

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds between two looks at the database when nothing wakes the worker.
POLL = 0.5
#: Seconds that a lease lasts longer than the total deadline of an attempt, at most.
LEASE_MARGIN = 15.0
#: Seconds of a lease that are kept for writing the outcome; later no attempt begins.
TO_SETTLE = 1.0
#: Seconds after which a delivery whose secret could not be opened is looked at again.
PARKED = 60.0
#: Bytes of an answer that are kept for people to look at.
EXCERPT = 4096

_FAN_OUT_BATCH = 300

#: Deliveries leased by one worker at most, and outcomes written at once at least under load.
_MOST_HELD = 1024
_SETTLE_BATCH = 256
#: Seconds that an outcome waits for company before it is written.
_SETTLE_EVERY = 0.05
#: Seconds between two looks for a tenant behind another's backlog.
_LOOK_AROUND_EVERY = 0.25
_FEWEST_THREADS = 2
#: Shares of one processor: below the first more threads help, above the second fewer do.
_SPARE, _BUSY = 0.5, 0.75

T = TypeVar("T")


def lease_for(timeout: float) -> float:
    """Seconds that a delivery is leased for: the total deadline of an attempt, and a margin.

    The margin lets a delivery wait for a thread, its outcome be written, and the clocks of two
    machines differ.
    """
    return timeout + min(LEASE_MARGIN, TO_SETTLE + 2 * timeout)


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
        tell: Callable[[Settlement, str | None], None],
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
        self._signer = Signer(keyring, user_agent, message_signatures)
        self._ownership = ownership
        #: Whose owners passed the check here, by subscription and URL: another URL is another's.
        self._confirmed: set[tuple[str, str]] = set()
        self._host_rate = host_rate
        self._rates = Rates()
        #: The rates that subscriptions ask for, as far as they were met here.
        self._rate_of: dict[str, float] = {}
        self._most_pending = most_pending
        self._purger = Purger(database, retention, clock)
        self._transport = transport
        # Kept connections outlive run_until_idle, as more may follow, but not the worker.
        weakref.finalize(self, transport.close)
        self._policy_of = policy_of
        self._policies: dict[str, Policy] = {}
        self._tell = tell
        self._threads = threads
        self._per_subscription = per_subscription
        self._disable_after = microseconds(disable_after)
        self._lease = microseconds(lease)
        self._clock = clock
        self._uniform = uniform
        self._buffer = Buffer(per_subscription, threads)
        self._done: deque[Settlement] = deque()
        self._returned: deque[Claimed] = deque()
        #: What ended since the last claim, by subscription: as much as that may be leased ahead.
        self._ended: Counter[str] = Counter()
        self._look_around_at = 0.0
        self._width = min(_FEWEST_THREADS, threads)
        self._measured = (time.monotonic(), time.process_time())
        self._senders = 0
        self._next_due: int | None = None
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

    def run(self, grace: float = 30.0) -> None:
        """Deliver until :meth:`stop`; then settle what is under way within ``grace`` seconds."""
        self._running = True
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                self._purger.purge_if_due()
                if self._step_if_possible():
                    self._let_send()
                else:
                    self._rest()
            self._drain(time.monotonic() + grace)
        finally:
            self._running = False

    def run_until_idle(self) -> None:
        """Deliver, in this call, all that is due now."""
        while True:
            self._wake.clear()
            if self.step():
                self._let_send()
                continue
            if self._is_idle():
                break
            self._wake.wait(_SETTLE_EVERY)
        if not self._running:
            with self._stepping:
                self._employ(0)

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
            self._process(one)
        while self._done or self._returned:
            self._write_and_tell()

    def sweep(self, *, until: float, limit: int) -> list[int]:
        """Fan out what was sent, and take what is due out of the queue for an engine.

        :param until: unix time at which it comes due again, when no task has claimed it.
        :returns: ids for :meth:`deliver`, ``limit`` of them at most.
        """
        tables = self._database.tables
        self._purger.purge_if_due()
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
                self._adapt()
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
                self._tell(one, disabled.pop(one.claimed.subscription_id, None))
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
        return busy

    def _is_idle(self) -> bool:
        return not (self._buffer.held or self._done or self._returned)

    def _let_send(self) -> None:
        """Leave the senders alone for a while: a step costs little more for many than for one."""
        if self._buffer.waiting > self._low:
            self._turn.wait(_SETTLE_EVERY)
        self._turn.clear()

    def _rest(self) -> None:
        """Wait to be woken, for the next delivery to come due, or for outcomes to write."""
        until = time.monotonic() + self._pause()
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, _SETTLE_EVERY) if self._buffer.held else left):
                return
            stuck = self._buffer.waiting and self._width < self._threads
            if self._done or self._returned or stuck:
                return

    def _pause(self) -> float:
        """Seconds until the next look: the poll interval, or until something comes due sooner."""
        if self._next_due is None:
            return POLL
        return min(POLL, max(self._next_due - self._now(), 0) / 1e6)

    def _now(self) -> int:
        return microseconds(self._clock())

    # Write back

    def _write(self) -> tuple[list[Settlement], dict[str, str]]:
        self._write_returned()
        return self._write_ended()

    def _write_ended(self) -> tuple[list[Settlement], dict[str, str]]:
        """Write the outcomes; those that were written, and why subscriptions were disabled."""
        ended = _drained(self._done)
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
            self._done.extendleft(reversed(ended))
            raise
        self._ended.update(one.claimed.subscription_id for one in ended)
        return result

    def _write_returned(self) -> None:
        returned = _drained(self._returned)
        if not returned:
            return
        try:
            self._database.write(
                lambda c: queue.hand_back(c, self._database.tables, returned, self._now())
            )
        except BaseException:
            self._returned.extendleft(returned)
            raise

    # Take on

    def _take_on(self) -> bool:
        """Fan out and claim what there is; whether there was anything."""
        tables = self._database.tables
        waiting = self._database.read(lambda c: outbox.any_waiting(c, tables))
        done = self._fan_out() if waiting else 0
        most = min(_MOST_HELD, self._threads + 2 * self._ended.total()) - self._buffer.occupied
        if most > 0:
            done += self._claim(most)
        if not done:
            self._next_due = self._database.read(lambda c: queue.next_due(c, tables, self._now()))
        return done > 0

    def _room(self, subscription_id: str) -> int:
        """How much more of a subscription to lease: the faster it is, the more ahead."""
        rate = self._rate_of.get(subscription_id)
        if rate is None:
            return self._buffer.room(subscription_id, beyond=2 * self._ended[subscription_id])
        free = self._rates.free(subscription_id, rate, time.monotonic())
        return min(free - self._buffer.waits(subscription_id), self._buffer.room(subscription_id))

    def _fan_out(self) -> int:
        return self._database.write(
            lambda c: outbox.fan_out(
                c,
                self._database.tables,
                now=self._now(),
                first_delay=lambda name: microseconds(self._policy(name).schedule[0]),
                limit=_FAN_OUT_BATCH,
                most_pending=self._most_pending,
            )
        )

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
            self._buffer.add(claimed)
            self._employ(min(self._width, self._buffer.held))
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

    def _adapt(self) -> None:
        """More threads while they wait for receivers, fewer while they wait for the processor."""
        now, used = time.monotonic(), time.process_time()
        passed = now - self._measured[0]
        if passed < _SETTLE_EVERY:
            return
        share = (used - self._measured[1]) / passed
        self._measured = (now, used)
        if share > _BUSY:
            self._width = max(self._width // 2, min(_FEWEST_THREADS, self._threads))
        elif share < _SPARE and self._buffer.waiting:
            self._width = min(self._width * 2, self._threads)
        if self._senders > self._width or self._buffer.waiting:
            self._employ(self._width)

    def _employ(self, senders: int) -> None:
        """Have so many sender threads; those that are too many end when they are done."""
        self._buffer.dismiss(max(self._senders - senders, 0))
        for _ in range(senders - self._senders):
            threading.Thread(target=self._send_all, name="webhooks-sender", daemon=True).start()
        self._senders = senders

    # Send: on the sender threads

    def _send_all(self) -> None:
        while (claimed := self._buffer.take()) is not None:
            answered = True
            try:
                answered = self._process(claimed)
            except BaseException:
                # Nothing is known of it: its lease ends, and if that goes on it is set aside.
                logger.exception("Delivery %s could not be judged.", claimed.delivery_id)
            self._buffer.finish(claimed, answered)
            if self._buffer.waiting <= self._low or len(self._done) >= _SETTLE_BATCH:
                self._turn.set()
                self._wake.set()

    def _process(self, claimed: Claimed) -> bool:
        """Attempt a delivery and leave its outcome; whether its receiver answered."""
        started = self._clock()
        policy = self._policy(claimed.name)
        left = claimed.until - microseconds(started)
        if left < min(microseconds(policy.timeout + TO_SETTLE), 0.9 * self._lease):
            self._returned.append(claimed)  # it waited here too long for an attempt
            return True
        if (wait := self._wait(claimed)) > 0:
            self._done.append(_put_off(claimed, "rate-limited", started + wait))
            return True
        try:
            headers = self._signer.headers(claimed, policy.method, int(started))
        except SecretError as error:
            self._done.append(_parked(claimed, error, started))
            return True
        except Exception as error:
            outcome = _broken(claimed, error)
        else:
            outcome = self._attempt(claimed, policy, headers)
        self._done.append(self._judge(claimed, policy, outcome, started))
        return outcome.reason in (Reason.answered, Reason.internal)

    def _attempt(self, claimed: Claimed, policy: Policy, headers: Headers) -> Outcome:
        try:
            failed, spent = self._ask_owner(claimed, policy)
            if failed is not None:
                return failed
            return self._transport.send(
                Outgoing(
                    method=policy.method,
                    url=claimed.url,
                    headers=headers,
                    body=claimed.body,
                    timeout=policy.timeout - spent,
                )
            )
        except Exception as error:
            return _broken(claimed, error)

    def _ask_owner(self, claimed: Claimed, policy: Policy) -> tuple[Outcome | None, float]:
        """Make the ownership check that is still to be passed: how it failed, and its seconds."""
        if self._ownership is None or claimed.confirmed or _owned(claimed) in self._confirmed:
            return None, 0.0

        def sign(message_id: str, body: bytes) -> Headers:
            return self._signer.signed(claimed, message_id, int(self._clock()), body)

        began = time.monotonic()
        failed = self._ownership.ask(self._transport.send, claimed.url, policy.timeout, sign)
        if failed is None:
            self._confirmed.add(_owned(claimed))
        return failed, time.monotonic() - began

    def _wait(self, claimed: Claimed) -> float:
        """Seconds to put a delivery off for, so that nobody is called too often."""
        now, wait = time.monotonic(), 0.0
        if claimed.terms.rate is not None:
            wait = self._rates.wait(claimed.subscription_id, claimed.terms.rate, now)
        if self._host_rate is not None and not wait:
            wait = self._rates.wait(host_of(claimed.url), self._host_rate, now)
        return wait

    def _policy(self, name: str) -> Policy:
        """The policy of a webhook, asked for once in each round: a declaration may still come."""
        policy = self._policies.get(name)
        if policy is None:
            policy = self._policies[name] = self._policy_of(name)
        return policy

    def _judge(
        self, claimed: Claimed, policy: Policy, outcome: Outcome, started: float
    ) -> Settlement:
        """From an outcome to what is written about it."""
        accepted = outcome.status is not None and retry.accepts(policy.answers, outcome.status)
        reason = _reason(outcome, accepted)
        now = self._clock()
        decision = retry.decide(
            accepted=accepted,
            reason=reason,
            status=outcome.status,
            attempts=claimed.position,
            schedule=claimed.terms.schedule or policy.schedule,
            retry_after=None if accepted else retry.parse_retry_after(_asked(outcome), now),
            failing_for=_failing_for(claimed, outcome, now),
            uniform=self._uniform,
        )
        return Settlement(
            claimed=claimed,
            attempt=_attempt(claimed, outcome, reason, started),
            status=DeliveryStatus(decision.status),
            reason=decision.reason,
            due_at=microseconds(now + (decision.delay or 0.0)),
            paused_until=None if decision.pause is None else microseconds(now + decision.pause),
            disable=decision.reason if decision.disable else None,
            confirmed=not claimed.confirmed and _owned(claimed) in self._confirmed,
        )

    # End

    def _drain(self, until: float) -> None:
        """Give back what no thread has begun, then wait for the rest."""
        self._returned.extend(self._buffer.clear())
        while True:
            self._wake.clear()
            self._step_if_possible()
            if self._is_idle() or time.monotonic() >= until:
                break
            self._wake.wait(_SETTLE_EVERY)
        if not self._is_idle():
            logger.warning("Stopped with %s deliveries under way.", self._buffer.under_way)
        self._employ(0)
        self._transport.close()


def _owned(claimed: Claimed) -> tuple[str, str]:
    return claimed.subscription_id, claimed.url


def _drained(items: deque[T]) -> list[T]:
    """What is there now; more may come meanwhile."""
    return [items.popleft() for _ in range(len(items))]


def _parked(claimed: Claimed, error: SecretError, started: float) -> Settlement:
    # Never unsigned, and never given up for what is the operator's to mend.
    logger.error("Delivery %s is parked: %s", claimed.delivery_id, error)
    return _put_off(claimed, "secret-unavailable", started + PARKED)


def _put_off(claimed: Claimed, reason: str, until: float) -> Settlement:
    """No attempt now, and none counted."""
    return Settlement(
        claimed=claimed,
        attempt=None,
        status=DeliveryStatus.PENDING,
        reason=reason,
        due_at=microseconds(until),
    )


def _broken(claimed: Claimed, error: Exception) -> Outcome:
    logger.error("Delivery %s could not be attempted.", claimed.delivery_id, exc_info=error)
    return Outcome(
        reason=Reason.internal, detail="An error in the sender; see its log.", duration=0.0
    )


def _asked(outcome: Outcome) -> str | None:
    """The answer's ``Retry-After``."""
    return next((v for name, v in outcome.headers if name.lower() == "retry-after"), None)


def _failing_for(claimed: Claimed, outcome: Outcome, now: float) -> float:
    """Seconds for which the subscription has only failed; 0 where this says nothing of it."""
    if claimed.failing_since is None or outcome.reason is Reason.internal:
        return 0.0
    return max(now - claimed.failing_since / 1e6, 0.0)


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
