"""Makes attempts at what was leased: allowed, signed, sent and judged."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..exceptions import SecretError
from ..rules.rates import Rates
from ..rules.urls import host_of
from ..store.claims import Claimed, Settlement
from ..store.records import microseconds
from .judging import Policy, judge, put_off
from .outcome import Outcome, Reason
from .ownership import Ownership
from .signer import Headers, Signer
from .together import Together
from .transport import Outgoing, Transport
from .witness import Begun, Witness

logger = logging.getLogger("flask_webhooks.worker")

#: Seconds of a lease that are kept for writing the outcome; later no attempt begins.
TO_SETTLE = 1.0
#: Seconds after which a delivery whose secret could not be opened is looked at again.
PARKED = 60.0


@dataclass(slots=True)
class Ended:
    """What came of a delivery that a sender took.

    :param settlement: ``None`` where it is to be handed back.
    :param outcome: ``None`` where no attempt was made.
    """

    claimed: Claimed
    settlement: Settlement | None
    outcome: Outcome | None = None

    @property
    def answered(self) -> bool:
        """Whether nothing speaks against its receiver."""
        return self.outcome is None or self.outcome.reason in (Reason.answered, Reason.internal)


@dataclass(slots=True, eq=False)
class Ready:
    """An attempt that is to be made: allowed and signed.

    :ivar started: when it was, in microseconds since 1970.
    :ivar since: likewise, by a clock that only goes on, in seconds.
    """

    claimed: Claimed
    policy: Policy
    headers: Headers
    started: int
    mark: int | None = None
    begun: Begun | None = None
    since: float = field(default_factory=time.monotonic)

    def outgoing(self) -> Outgoing:
        """What goes out now; all that was waited for until now counts against its deadline."""
        return Outgoing(
            method=self.policy.method,
            url=self.claimed.url,
            headers=self.headers,
            body=self.claimed.body,
            timeout=self.policy.timeout,
            spent=time.monotonic() - self.since,
        )


class Attempting:
    """Makes attempts, on many threads at once.

    :param policy_of: from the name of a webhook to its policy.
    :param witness: is told of each attempt that begins.
    :param ownership: how the owner of a URL is asked before its first message, if at all.
    :param host_rate: requests a second to one host at most.
    :param lease: seconds that a delivery is leased for.
    :param clock: unix time in seconds.
    :ivar rates: how often each host and subscription may be called.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        signer: Signer,
        policy_of: Callable[[str], Policy],
        witness: Witness,
        ownership: Ownership | None,
        host_rate: float | None,
        lease: float,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._transport = transport
        self._signer = signer
        self._policy_of = policy_of
        self._witness = witness
        self._ownership = ownership
        #: Whose owners passed the check here, by subscription and URL: another URL is another's.
        self._confirmed: set[tuple[str, str]] = set()
        self._host_rate = host_rate
        self.rates = Rates()
        self._lease = lease
        self._clock = clock
        self._uniform = uniform

    def attempt(self, claimed: Claimed) -> Ended:
        """Attempt one delivery, from its beginning to its end."""
        ready = self.allowed(claimed)
        return ready if isinstance(ready, Ended) else self.made(ready)

    def made(self, ready: Ready) -> Ended:
        """Make an attempt, and wait for what it has to wait for."""
        try:
            outcome = self._ask_owner(ready) or self._transport.send(ready.outgoing())
        except Exception as error:
            outcome = _broken(ready.claimed, error)
        return self.judged(ready, outcome)

    def together(self) -> Together[Ready]:
        """For attempts that are made at the same time, on one thread."""
        return Together(self._transport)

    def allowed(self, claimed: Claimed) -> Ready | Ended:
        """What is ready to be sent; or what comes of a delivery that is not to be attempted now."""
        started = microseconds(self._clock())
        policy = self._policy_of(claimed.name)
        if self._is_late(claimed, policy, started):
            return Ended(claimed, None)
        if (wait := self._wait(claimed)) > 0:
            return Ended(claimed, put_off(claimed, "rate-limited", started, wait))
        try:
            # The second that is stored with the attempt: its headers can be made again from it.
            headers = self._signer.headers(claimed, policy.method, started // 1_000_000)
            mark = self._signer.mark(claimed.url, policy.method, headers)
        except SecretError as error:
            # Never unsigned, and never given up for what is the operator's to mend.
            logger.error("Delivery %s is parked: %s", claimed.delivery_id, error)
            return Ended(claimed, put_off(claimed, "secret-unavailable", started, PARKED))
        except Exception as error:
            return self.broken(Ready(claimed, policy, (), started), error)
        begun = self._witness.began(claimed, policy.method)
        headers += begun.headers if begun else ()
        return Ready(claimed, policy, headers, started, mark, begun)

    def _is_late(self, claimed: Claimed, policy: Policy, now: int) -> bool:
        """Whether a delivery waited here too long: its attempt could outlive its lease."""
        left = (claimed.until - now) / 1e6
        return left < min(policy.timeout + TO_SETTLE, 0.9 * self._lease)

    def _wait(self, claimed: Claimed) -> float:
        """Seconds to put a delivery off for, so that nobody is called too often."""
        if claimed.terms.rate is None and self._host_rate is None:
            return 0.0
        now, wait = time.monotonic(), 0.0
        if claimed.terms.rate is not None:
            wait = self.rates.wait(claimed.subscription_id, claimed.terms.rate, now)
        if self._host_rate is not None and not wait:
            wait = self.rates.wait(host_of(claimed.url), self._host_rate, now)
        return wait

    def is_confirmed(self, claimed: Claimed) -> bool:
        """Whether no owner is to be asked before."""
        return self._ownership is None or claimed.confirmed or self._has_passed(claimed)

    def _has_passed(self, claimed: Claimed) -> bool:
        return bool(self._confirmed) and _owned(claimed) in self._confirmed

    def _ask_owner(self, ready: Ready) -> Outcome | None:
        """Make the ownership check that is still to be passed: how it failed, if it did."""
        claimed = ready.claimed
        if self._ownership is None or self.is_confirmed(claimed):
            return None

        def sign(message_id: str, body: bytes) -> Headers:
            return self._signer.signed(claimed, message_id, int(self._clock()), body)

        failed = self._ownership.ask(self._transport.send, claimed.url, ready.policy.timeout, sign)
        if failed is None:
            self._confirmed.add(_owned(claimed))
        return failed

    def broken(self, ready: Ready, error: Exception) -> Ended:
        """What follows from an error on this side, because of which nothing was sent."""
        return self.judged(ready, _broken(ready.claimed, error))

    def judged(self, ready: Ready, outcome: Outcome) -> Ended:
        """What follows from the outcome of an attempt."""
        if ready.begun is not None:
            ready.begun.ended(outcome)
        settlement = judge(
            ready.claimed,
            ready.policy,
            outcome,
            started=ready.started,
            now=self._clock(),
            confirmed=self._has_passed(ready.claimed),
            uniform=self._uniform,
            mark=ready.mark,
        )
        return Ended(ready.claimed, settlement, outcome)


def _owned(claimed: Claimed) -> tuple[str, str]:
    return claimed.subscription_id, claimed.url


def _broken(claimed: Claimed, error: Exception) -> Outcome:
    logger.error("Delivery %s could not be attempted.", claimed.delivery_id, exc_info=error)
    return Outcome(
        reason=Reason.internal, detail="An error in the sender; see its log.", duration=0.0
    )
