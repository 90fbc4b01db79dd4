"""A model of the queue, driven at random: no lease is shared, no row is lost, none comes back.

The model knows what a delivery's status must be and until when it is leased. Every step does the
same to a real store; after every step the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from flask_webhooks.rules.terms import Terms
from flask_webhooks.store import purging, queue, subscriptions
from flask_webhooks.store.claims import Claimed
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus
from flask_webhooks.store.tables import make_tables
from tests import storing
from tests.storing import LEASE

PENDING, DELIVERED = DeliveryStatus.PENDING, DeliveryStatus.DELIVERED
EXHAUSTED, CANCELLED = DeliveryStatus.EXHAUSTED, DeliveryStatus.CANCELLED


@dataclass
class Modelled:
    """What must be true of one delivery."""

    subscription: str
    status: DeliveryStatus = PENDING
    token: str | None = None
    until: int = 0
    attempts: int = 0

    def is_leased(self, now: int) -> bool:
        return self.token is not None and self.until > now


class Model(RuleBasedStateMachine):
    """Subscriptions, messages, claims and what comes of them, in any order."""

    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(make_tables(), uri="sqlite://")
        self.now, self.count = 1000, 0
        self.enabled: dict[str, bool] = {}
        self.ordered: set[str] = set()
        self.waiting: list[tuple[str, list[str]]] = []
        self.deliveries: dict[tuple[str, str], Modelled] = {}
        self.ids: dict[int, tuple[str, str]] = {}

    def teardown(self) -> None:
        self.database.dispose()

    def _name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count:05}"

    @rule(order=st.sampled_from([None, None, "skip", "park"]))
    def subscribe(self, order: str | None) -> None:
        made = self._name("sub")
        storing.subscribe(self.database, made, now=self.now, terms=Terms(order=order))
        self.enabled[made] = True
        self.ordered |= {made} if order else set()
        self.now += 1

    @rule()
    def send(self) -> None:
        made = self._name("msg")
        storing.send(self.database, made, now=self.now)
        self.waiting.append((made, list(self.enabled)))
        self.now += 1

    @rule(limit=st.integers(1, 4))
    def fan_out(self, limit: int) -> None:
        storing.fan_out(self.database, now=self.now, limit=limit)
        for message, wanted in self.waiting[:limit]:
            for subscription in wanted:
                if self.enabled.get(subscription):
                    self.deliveries[message, subscription] = Modelled(subscription)
        del self.waiting[:limit]
        for one in storing.deliveries(self.database):
            self.ids[one.id] = (one.message_id, one.subscription_id)

    @rule(target=claims, limit=st.integers(1, 5))
    def claim(self, limit: int) -> Any:
        token = self._name("token")
        claimed, set_aside = storing.claim_and_quarantine(self.database, self.now, token, limit)
        for one in claimed:
            modelled = self.deliveries[self.ids[one.delivery_id]]
            assert not modelled.is_leased(self.now), "two live leases"
            assert modelled.status is PENDING, "a settled delivery came back"
            assert one.number == modelled.attempts + 1
            modelled.token, modelled.until = token, self.now + LEASE
            modelled.attempts += 1
        for delivery in set_aside:
            modelled = self.deliveries[self.ids[delivery]]
            assert not modelled.is_leased(self.now)
            modelled.status, modelled.token = EXHAUSTED, None
        lines = [(c.subscription_id, c.line) for c in claimed if c.line is not None]
        assert len(lines) == len(set(lines)), "two of one line under way"
        return claimed

    @rule(claimed=claims, status=st.sampled_from([PENDING, DELIVERED, EXHAUSTED]))
    def settle(self, claimed: list[Claimed], status: DeliveryStatus) -> None:
        outcomes = [storing.outcome(one, status, due_at=self.now + 50) for one in claimed]
        written, _ = storing.settle(self.database, outcomes, now=self.now)
        accepted = {s.claimed.delivery_id for s in written}
        for one in claimed:
            modelled = self.deliveries.get(self.ids[one.delivery_id])
            held = modelled is not None and modelled.token == one.token
            assert (one.delivery_id in accepted) == held, "a token that no longer holds was taken"
            if modelled is not None and held:
                modelled.status, modelled.token = status, None

    @rule(claimed=consumes(claims))
    def hand_back(self, claimed: list[Claimed]) -> None:
        self.database.write(lambda c: queue.hand_back(c, self.database.tables, claimed, self.now))
        for one in claimed:
            modelled = self.deliveries.get(self.ids[one.delivery_id])
            if modelled is not None and modelled.token == one.token:
                modelled.token, modelled.attempts = None, modelled.attempts - 1

    @rule(pick=st.randoms(use_true_random=False))
    def disable(self, pick: Any) -> None:
        if not self.enabled:
            return
        chosen = pick.choice(sorted(self.enabled))
        self.database.write(
            lambda c: subscriptions.disable(
                c, self.database.tables, chosen, reason="by hand", now=self.now
            )
        )
        self.enabled[chosen] = False
        for modelled in self.deliveries.values():
            if modelled.subscription == chosen and modelled.token is None:
                cancelled = modelled.status is PENDING
                modelled.status = CANCELLED if cancelled else modelled.status

    @rule()
    def enable_all(self) -> None:
        for chosen in sorted(self.enabled):
            self.database.write(
                lambda c, chosen=chosen: subscriptions.enable(c, self.database.tables, chosen)
            )
            self.enabled[chosen] = True

    @rule()
    def replay(self) -> None:
        storing.replay(self.database, now=self.now, status="exhausted")
        for modelled in self.deliveries.values():
            if modelled.status is EXHAUSTED and self.enabled[modelled.subscription]:
                modelled.status = PENDING

    @rule()
    def purge(self) -> None:
        purging.purge(self.database, before=self.now)
        pending = {m for (m, _), one in self.deliveries.items() if one.status is PENDING}
        self.deliveries = {k: v for k, v in self.deliveries.items() if k[0] in pending}

    @rule(microseconds=st.integers(1, 3 * LEASE))
    def time_passes(self, microseconds: int) -> None:
        self.now += microseconds

    @invariant()
    def store_and_model_agree(self) -> None:
        """The same deliveries with the same statuses and attempts, none more and none less."""
        stored = {
            (d.message_id, d.subscription_id): (d.status, d.attempts)
            for d in storing.deliveries(self.database)
        }
        # A claim cancels what is due of a disabled subscription: told by the store alone.
        for key, (status, _) in stored.items():
            modelled = self.deliveries[key]
            if status is CANCELLED and modelled.status is PENDING:
                assert not self.enabled[modelled.subscription]
                modelled.status, modelled.token = CANCELLED, None
        assert stored == {k: (v.status, v.attempts) for k, v in self.deliveries.items()}


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
