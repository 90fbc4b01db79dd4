"""What operators do: end or stop subscriptions, replay or cancel deliveries, purge messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from .exceptions import WebhooksError
from .store import purging, replaying, subscriptions
from .store.database import Database
from .store.records import Owned, microseconds


@dataclass(frozen=True, kw_only=True)
class Operating:
    """Acts on what one app has stored.

    :param wake: tells the worker that there may be something to do.
    :param now: unix time in seconds.
    """

    database: Database
    wake: Callable[[], None]
    now: float

    def unsubscribe(self, subscription: str) -> bool:
        """Delete a subscription with its deliveries; whether there was one."""
        return self.database.write(
            lambda c: subscriptions.delete_subscription(c, self.database.tables, subscription)
        )

    def disable(self, subscription: str) -> bool:
        """Let a subscription take no more deliveries, cancel what waits; whether it was enabled."""
        return self.database.write(
            lambda c: subscriptions.disable(
                c, self.database.tables, subscription, reason="by hand", now=microseconds(self.now)
            )
        )

    def enable(self, subscription: str) -> bool:
        """Let a disabled subscription take deliveries again; whether it was disabled."""
        return self.database.write(
            lambda c: subscriptions.enable(c, self.database.tables, subscription)
        )

    def replay(
        self,
        *,
        delivery: int | None,
        message: str | None,
        subscription: str | None,
        name: str | None,
        status: str | None,
        since: datetime | None,
        until: datetime | None,
        tenant: Owned | None,
        dry_run: bool,
        told: Callable[[int], None],
    ) -> int:
        """Make settled deliveries due again; how many.

        :param told: is given how many were done, as it goes on.
        :raises WebhooksError: there is no filter, or a time has no zone.
        """
        filters = (delivery, message, subscription, name, status, since, until)
        if all(value is None for value in filters):
            raise WebhooksError("replay() needs a filter, such as status='exhausted'.")
        chosen = replaying.replayable(
            self.database.tables, delivery=delivery, message=message, subscription=subscription,
            name=name, status=status, since=_stored(since), until=_stored(until), owned=tenant,
        )  # fmt: skip
        if dry_run:
            return self.database.read(
                lambda c: replaying.count_replayable(c, self.database.tables, chosen)
            )
        count = replaying.replay(self.database, chosen, now=microseconds(self.now), told=told)
        if count:
            self.wake()
        return count

    def cancel(self, delivery: int) -> bool:
        """Give up a delivery that is pending or exhausted; whether it was."""
        done = self.database.write(
            lambda c: replaying.cancel(
                c, self.database.tables, delivery, now=microseconds(self.now)
            )
        )
        if done:
            self.wake()  # what is ordered may go on
        return done

    def purge(self, age: float | None, *, dry_run: bool) -> int:
        """Delete messages that are older than so many seconds; how many.

        :raises WebhooksError: no age is given.
        """
        if age is None:
            raise WebhooksError(
                "purge() needs an age: WEBHOOKS_RETENTION is None, so everything is kept."
            )
        before = microseconds(self.now - age)
        if dry_run:
            return self.database.read(
                lambda c: purging.count(c, self.database.tables, before=before)
            )
        return purging.purge(self.database, before=before)


def _stored(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise WebhooksError(f"{moment} has no time zone: give an aware datetime, such as in UTC.")
    return microseconds(moment.timestamp())
