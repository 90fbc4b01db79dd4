"""Retention: what is old and done goes, what waits stays."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from flask_webhooks.deliver.purger import Purger
from flask_webhooks.store import purging, replaying
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus
from tests import servers
from tests.storing import claim, fan_out, outcome, send, settle, subscribe

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url
few_parameters = servers.few_parameters


def _counts(database: Database) -> dict[str, int]:
    tables = database.tables
    return {
        table.name.partition("_")[2]: database.read(
            lambda c, t=table: c.execute(select(func.count()).select_from(t)).scalar_one()
        )
        for table in tables.in_order()
    }


OLD = 1_000


def _attempted(database: Database, message_id: str, *, delivered: bool = True) -> None:
    """One message to ``sub_1``, whose only attempt has been made."""
    send(database, message_id)
    fan_out(database)
    status = DeliveryStatus.DELIVERED if delivered else DeliveryStatus.PENDING
    settle(database, [outcome(one, status) for one in claim(database)])


def test_what_is_done_goes_with_all_that_belongs_to_it(database: Database) -> None:
    """A delivered message that is old enough goes with its delivery and attempt."""
    subscribe(database, "sub_1")
    _attempted(database, "msg_1")

    assert purging.purge(database, before=OLD) == 1

    assert _counts(database) == {
        "subscriptions": 1, "names": 1, "messages": 0, "deliveries": 0, "attempts": 0, "answers": 0,
        "workers": 0, "passes": 0,
    }  # fmt: skip


def test_what_waits_is_never_purged(database: Database) -> None:
    """Neither a message with a pending delivery nor one that was never fanned out goes."""
    subscribe(database, "sub_1")
    _attempted(database, "msg_1", delivered=False)
    send(database, "msg_2")

    assert database.read(lambda c: purging.count(c, database.tables, before=OLD)) == 0
    assert purging.purge(database, before=OLD) == 0
    assert _counts(database)["messages"] == 2


def test_a_message_that_nobody_wanted_is_purged(database: Database) -> None:
    """A message without any delivery goes when it is old, since nothing is left to do."""
    send(database, "msg_1")
    fan_out(database)
    assert purging.purge(database, before=OLD) == 1


def test_the_young_stay(database: Database) -> None:
    """A message of the very moment stays; one of the microsecond before goes."""
    send(database, "msg_1", now=10)
    send(database, "msg_2", now=11)
    fan_out(database)
    assert purging.purge(database, before=11) == 1
    assert _counts(database)["messages"] == 1


def test_more_than_one_batch_goes(database: Database) -> None:
    """Two batches and a half are all purged, and counted beforehand."""
    count = 2 * purging.BATCH + purging.BATCH // 2
    for number in range(count):
        send(database, f"msg_{number}")
    fan_out(database, limit=count)
    assert database.read(lambda c: purging.count(c, database.tables, before=OLD)) == count
    assert purging.purge(database, before=OLD) == count
    assert _counts(database)["messages"] == 0


def test_a_replayed_delivery_is_safe_again(database: Database) -> None:
    """What was delivered long ago and is replayed now stays until it is done again."""
    subscribe(database, "sub_1")
    _attempted(database, "msg_1")
    chosen = replaying.replayable(
        database.tables, delivery=None, message="msg_1", subscription=None, name=None,
        status="delivered", since=None, until=None,
    )  # fmt: skip
    replaying.replay(database, chosen, now=50)

    assert purging.purge(database, before=OLD) == 0
    assert [one.message_id for one in claim(database, now=60)] == ["msg_1"]


def test_expired_subscriptions_go_when_nothing_refers_to_them(database: Database) -> None:
    """A captured URL that expired goes after its last message; one without an end stays."""
    subscribe(database, "sub_1", callback="onDone", expires_at=15)
    subscribe(database, "sub_2")
    send(database)
    fan_out(database)
    purging.purge(database, before=5)
    assert _counts(database)["subscriptions"] == 2

    settle(database, [outcome(one) for one in claim(database)])
    purging.purge(database, before=OLD)
    assert _counts(database)["subscriptions"] == 1


def test_a_worker_purges_what_is_older_than_the_retention(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """At 1,000 seconds with a retention of 999.999985 s what was sent at 10 µs goes."""
    send(database, "msg_1", now=10)
    send(database, "msg_2", now=20)
    fan_out(database)
    with caplog.at_level("INFO"):
        Purger(database, 999.999985, lambda: 1000.0).purge()
    assert _counts(database)["messages"] == 1
    assert caplog.messages == ["Purged 1 messages that were older than WEBHOOKS_RETENTION."]


def test_messages_with_many_receivers_go_too(few_parameters: Database) -> None:
    """More deliveries than a statement takes parameters are deleted by one."""
    for n in range(12):
        subscribe(few_parameters, f"sub_{n}")
    for n in range(100):
        send(few_parameters, f"msg_{n}")
    fan_out(few_parameters)
    for _ in range(6):
        settle(few_parameters, [outcome(one) for one in claim(few_parameters, limit=200)])

    assert purging.purge(few_parameters, before=OLD) == 100

    assert _counts(few_parameters)["deliveries"] == _counts(few_parameters)["attempts"] == 0
