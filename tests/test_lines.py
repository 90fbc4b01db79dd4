"""Ordered subscriptions: one at a time for each key, in the order of sending, on every database."""

from __future__ import annotations

import pytest

from flask_webhooks.rules.terms import Terms
from flask_webhooks.store import replaying, subscriptions
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus
from tests import servers
from tests.storing import (
    claim,
    claim_and_quarantine,
    deliveries,
    fan_out,
    outcome,
    replay,
    send,
    settle,
    standing,
    subscribe,
)

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url

EXHAUSTED, PENDING = DeliveryStatus.EXHAUSTED, DeliveryStatus.PENDING


def fill(database: Database, order: str, keys: str) -> None:
    """One ordered subscription, and a message for each letter of ``keys``."""
    subscribe(database, "sub_1", terms=Terms(order=order))
    for n, key in enumerate(keys):
        send(database, f"msg_{n}", now=10 + n, key=key)
    fan_out(database, now=0)


def claimed(database: Database, now: int, token: str = "token") -> list[str]:
    return sorted(one.message_id for one in claim(database, now=now, token=token))


def cancel(database: Database, delivery: int, now: int) -> bool:
    return database.write(lambda c: replaying.cancel(c, database.tables, delivery, now=now))


@pytest.mark.parametrize("order", ["skip", "park"])
def test_the_first_of_each_key_goes_and_the_next_when_it_is_delivered(
    database: Database, order: str
) -> None:
    """Two keys make two lines; neither waits for the other."""
    fill(database, order, "abab")
    first = claim(database, now=30)
    assert sorted(one.message_id for one in first) == ["msg_0", "msg_1"]
    assert claimed(database, 40) == []
    settle(database, [outcome(one) for one in first if one.message_id == "msg_0"])
    assert claimed(database, 50) == ["msg_2"]


def test_messages_without_a_key_are_one_line(database: Database) -> None:
    """Of three, one is due."""
    subscribe(database, "sub_1", terms=Terms(order="skip"))
    for n in range(3):
        send(database, f"msg_{n}", now=10 + n)
    fan_out(database, now=0)
    assert claimed(database, 30) == ["msg_0"]


def test_what_is_sent_later_goes_behind_what_waits(database: Database) -> None:
    """A message that is fanned out while the first is under way waits for it."""
    fill(database, "skip", "a")
    [first] = claim(database, now=30)
    send(database, "msg_9", now=31, key="a")
    fan_out(database, now=32)
    assert claimed(database, 40) == []
    settle(database, [outcome(first)], now=41)
    assert claimed(database, 50) == ["msg_9"]


def test_a_retry_keeps_its_place(database: Database) -> None:
    """While the first waits for its next attempt nothing overtakes it."""
    fill(database, "skip", "aa")
    [first] = claim(database, now=30)
    settle(database, [outcome(first, PENDING, due_at=500)], now=40)
    assert claimed(database, 499) == []
    assert claimed(database, 500, "again") == ["msg_0"]


def test_skip_goes_on_after_one_that_was_given_up(database: Database) -> None:
    """The next is due at once."""
    fill(database, "skip", "aa")
    [first] = claim(database, now=30)
    settle(database, [outcome(first, EXHAUSTED)], now=40)
    assert claimed(database, 41) == ["msg_1"]


def test_park_waits_until_it_is_replayed(database: Database) -> None:
    """Nothing of the line goes; the replayed one goes first, then the rest."""
    fill(database, "park", "aaa")
    [first] = claim(database, now=30)
    settle(database, [outcome(first, EXHAUSTED)], now=40)
    assert claimed(database, 1000) == []
    assert replay(database, now=1001, status="exhausted") == 1
    [again] = claim(database, now=1002, token="again")
    assert again.message_id == "msg_0"
    settle(database, [outcome(again)], now=1003)
    assert claimed(database, 1004, "next") == ["msg_1"]


def test_park_goes_on_when_it_is_cancelled(database: Database) -> None:
    """Who cancels the one that was given up gives the line free."""
    fill(database, "park", "aa")
    [first] = claim(database, now=30)
    settle(database, [outcome(first, EXHAUSTED)], now=40)
    assert cancel(database, first.delivery_id, 50)
    assert claimed(database, 51) == ["msg_1"]
    assert [row[:2] for row in standing(database)] == [("cancelled", "by hand"), ("pending", None)]


def test_a_replay_of_what_was_skipped_goes_before_what_waits(database: Database) -> None:
    """While it is pending again, the later ones of its line wait."""
    fill(database, "skip", "aaa")
    [first] = claim(database, now=30)
    settle(database, [outcome(first, EXHAUSTED)], now=40)
    replay(database, now=41, status="exhausted")
    assert claimed(database, 42, "again") == ["msg_0"]


def test_one_that_kills_its_workers_does_not_block_the_line(database: Database) -> None:
    """When it is set aside, the next one of a line that skips goes."""
    fill(database, "skip", "aa")
    for n in range(3):
        assert claimed(database, 30 + 200 * n, f"token{n}") == ["msg_0"]
    assert claim_and_quarantine(database, 1000, "last")[1] != []
    assert claimed(database, 1001, "next") == ["msg_1"]


def test_disabling_cancels_the_whole_line(database: Database) -> None:
    """What waits in line is cancelled like everything that waits."""
    fill(database, "park", "aa")
    database.write(
        lambda c: subscriptions.disable(c, database.tables, "sub_1", reason="by hand", now=30)
    )
    assert [row[0] for row in standing(database)] == ["cancelled", "cancelled"]


def test_other_subscriptions_do_not_stand_in_line(database: Database) -> None:
    """An ordered subscription to the same webhook changes nothing for the others."""
    subscribe(database, "sub_2")
    fill(database, "skip", "aa")
    assert claimed(database, 30) == ["msg_0", "msg_0", "msg_1"]


def test_one_under_way_cannot_be_cancelled(database: Database) -> None:
    """Before its lease ends its receiver may still get it."""
    fill(database, "skip", "a")
    [first] = claim(database, now=30)
    assert not cancel(database, first.delivery_id, 40)
    assert cancel(database, first.delivery_id, 130)
    assert [str(d.status) for d in deliveries(database)] == ["cancelled"]
