"""What is looked up: subscriptions, deliveries, attempts, workers, and how the queue stands."""

from __future__ import annotations

from dataclasses import dataclass

from .store import lists, subscriptions, workers
from .store.database import Database
from .store.lists import Standing
from .store.records import Attempt, Delivery, RunningWorker, Subscription, microseconds


@dataclass(frozen=True, kw_only=True)
class Looking:
    """Reads what one app has stored; each filter that is not ``None`` must match.

    :param now: unix time in seconds.
    """

    database: Database
    now: float

    def subscriptions(
        self, *, name: str | None, key: str | None, tenant: str | None, limit: int | None
    ) -> list[Subscription]:
        """Subscriptions, newest first."""
        return self.database.read(
            lambda c: subscriptions.list_subscriptions(
                c, self.database.tables, name=name, key=key, tenant=tenant, limit=limit
            )
        )

    def deliveries(
        self,
        *,
        message: str | None,
        subscription: str | None,
        status: str | None,
        limit: int | None,
    ) -> list[Delivery]:
        """Deliveries, newest first."""
        return self.database.read(
            lambda c: lists.list_deliveries(
                c, self.database.tables, message=message, subscription=subscription,
                status=status, limit=limit,
            )
        )  # fmt: skip

    def attempts(self, delivery: int) -> list[Attempt]:
        """The attempts of one delivery, newest first."""
        return self.database.read(lambda c: lists.list_attempts(c, self.database.tables, delivery))

    def standing(self) -> Standing:
        """How the queue stands."""
        now = microseconds(self.now)
        return self.database.read(lambda c: lists.standing(c, self.database.tables, now))

    def workers(self) -> list[RunningWorker]:
        """The workers that were seen lately, the oldest first."""
        now = microseconds(self.now)
        return self.database.read(lambda c: workers.running(c, self.database.tables, now))
