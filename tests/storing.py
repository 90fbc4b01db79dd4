"""Short words for the store's functions, with the defaults that most tests share.

Times are small whole numbers of microseconds: the store only compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_webhooks.store import adding, lists, outbox, queue, replaying, settling, subscriptions
from flask_webhooks.store.claims import Claimed, Settlement
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Message,
    Subscription,
    moment,
)

#: A lease, and what a subscription may fail, in the tests' microseconds.
LEASE = 100
DISABLE_AFTER = 1000


def subscribe(database: Database, subscription_id: str, **changed: Any) -> Subscription:
    """A subscription to ``newBooking``, made at 0."""
    values: dict[str, Any] = {
        "url": f"https://{subscription_id}.example/hook", "names": ["newBooking"], "key": None,
        "host": f"{subscription_id}.example", "tenant": None, "sealed_secret": b"sealed", "now": 0,
    }  # fmt: skip
    values |= changed
    return database.write(
        lambda c: subscriptions.add_subscription(c, database.tables, subscription_id, **values)
    )


def send(database: Database, message_id: str = "msg_1", **changed: Any) -> Message:
    """A message of ``newBooking``, sent at 10."""
    values: dict[str, Any] = {
        "name": "newBooking", "key": None, "tenant": None, "body": b'{"id":1}',
        "idempotency_key": None, "now": 10,
    }  # fmt: skip
    values |= changed
    new = adding.new_message(message_id, **values)
    return database.write(lambda c: adding.add_messages(c, database.tables, [new])[0])


def fan_out(database: Database, *, now: int = 20, limit: int = 100, delay: int = 0) -> int:
    """Fan out what waits."""
    done = database.write(
        lambda c: outbox.fan_out(
            c, database.tables, now=now, first_delay=lambda name: delay, limit=limit
        ),
        by_worker=True,
    )
    return done.names.total()


def claim(
    database: Database,
    *,
    now: int = 30,
    token: str = "token",
    limit: int = 100,
    cap: int = 100,
    rooms: Mapping[str, int] | None = None,
    look_around: bool = False,
    also: settling.Batch | None = None,
) -> list[Claimed]:
    """Claim what is due, as many as ``cap`` of each subscription."""
    return claim_and_quarantine(database, now, token, limit, cap, rooms, look_around, also)[0]


def claim_and_quarantine(
    database: Database,
    now: int,
    token: str = "token",
    limit: int = 100,
    cap: int = 100,
    rooms: Mapping[str, int] | None = None,
    look_around: bool = False,
    also: settling.Batch | None = None,
) -> tuple[list[Claimed], list[int]]:
    """Claim, and say what was set aside."""
    return queue.claim(
        database,
        token=token,
        now=now,
        lease=LEASE,
        limit=limit,
        room=lambda subscription_id: (rooms or {}).get(subscription_id, cap),
        look_around=look_around,
        also=also,
    )


def outcome(
    claimed: Claimed, status: DeliveryStatus = DeliveryStatus.DELIVERED, **changed: Any
) -> Settlement:
    """What came of a claim: one attempt, answered with 204."""
    delivered = status is DeliveryStatus.DELIVERED
    attempt = Attempt(
        delivery_id=claimed.delivery_id,
        number=claimed.number,
        outcome="accepted" if delivered else "refused",
        status_code=204 if delivered else 500,
        detail="",
        excerpt=b"noted",
        started_at=moment(30),
        duration=0.25,
    )
    values: dict[str, Any] = {
        "claimed": claimed, "attempt": attempt, "status": status, "due_at": 500,
        "reason": attempt.outcome,
    }  # fmt: skip
    return Settlement(**(values | changed))


def settle(
    database: Database, settlements: Sequence[Settlement], *, now: int = 40
) -> tuple[list[Settlement], dict[str, str]]:
    """Write what came of claims: what was written, and why which subscriptions were disabled."""
    batch = settling.Batch(settlements, now=now, disable_after=DISABLE_AFTER)
    batch.write_alone(database)
    written = batch.written()
    disabled = {w.settlement.claimed.subscription_id: w.disabled for w in written if w.disabled}
    return [w.settlement for w in written], disabled


def deliveries(database: Database, **filters: Any) -> list[Delivery]:
    """Deliveries, in the order of their messages and subscriptions."""
    found = database.read(lambda c: lists.list_deliveries(c, database.tables, **filters))
    return sorted(found, key=lambda delivery: (delivery.message_id, delivery.subscription_id))


def reached(database: Database) -> set[tuple[str, str]]:
    """Pairs of message and subscription."""
    return {(d.message_id, d.subscription_id) for d in deliveries(database)}


def standing(database: Database) -> list[tuple[str, str | None, int]]:
    """Status, reason and attempts of every delivery, in the same order."""
    return [(str(d.status), d.reason, d.attempts) for d in deliveries(database)]


def replay(database: Database, *, now: int = 600, dry_run: bool = False, **filters: Any) -> int:
    """Replay what the filters choose."""
    values: dict[str, Any] = dict.fromkeys(
        ["delivery", "message", "subscription", "name", "status", "since", "until"]
    )
    chosen = replaying.replayable(database.tables, **(values | filters))
    if dry_run:
        return database.read(lambda c: replaying.count_replayable(c, database.tables, chosen))
    return replaying.replay(database, chosen, now=now)
