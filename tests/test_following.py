"""What is new since a look, on every database."""

from __future__ import annotations

from flask_webhooks.store import following, replaying
from flask_webhooks.store.database import Database
from tests import servers
from tests.storing import claim, fan_out, outcome, send, settle, subscribe

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url


def test_what_was_made_or_attempted_since_is_found(database: Database) -> None:
    """The oldest first, and only what passes the filters."""
    tables = database.tables
    subscribe(database, "sub_1")
    send(database, "msg_1")
    send(database, "msg_2", now=11)
    fan_out(database)
    start = following.Mark(0, 0)
    found = database.read(lambda c: following.changed_since(c, tables, start, limit=10))
    assert [one.message_id for one in found] == ["msg_1", "msg_2"]
    only = database.read(
        lambda c: following.changed_since(c, tables, start, limit=10, message="msg_2")
    )
    assert [one.message_id for one in only] == ["msg_2"]
    looked = database.read(lambda c: following.mark(c, tables))
    assert (looked.delivery, looked.attempt) == (found[-1].id, 0)


def test_attempts_are_counted_by_outcome(database: Database) -> None:
    """Since an id; the newest id is told, so that the next count goes on from there."""
    tables = database.tables
    subscribe(database, "sub_1")
    send(database)
    fan_out(database)
    assert database.read(lambda c: following.attempts_since(c, tables, 0)) == (0, 0, 0)
    assert database.read(lambda c: following.pending(c, tables, 30)) == (1, 0.00002, 0)
    claimed = claim(database)
    assert database.read(lambda c: following.pending(c, tables, 30)) == (0, 0.0, 1)
    settle(database, [outcome(one) for one in claimed])
    counted = database.read(lambda c: following.attempts_since(c, tables, 0))
    assert (counted.accepted, counted.failed) == (1, 0)
    again = database.read(lambda c: following.attempts_since(c, tables, counted.newest))
    assert again == (0, 0, counted.newest)
    assert database.read(lambda c: following.pending(c, tables, 50)).due == 0


def test_a_replay_goes_in_batches(database: Database) -> None:
    """Each is told of, none is done twice, and what a batch made due again is not counted anew."""
    subscribe(database, "sub_1")
    for number in range(5):
        send(database, f"msg_{number}", now=10 + number)
    fan_out(database)
    settle(database, [outcome(one) for one in claim(database)])
    told: list[int] = []
    batch, replaying._BATCH = replaying._BATCH, 2
    try:
        assert replaying.replay(database, [], now=60, told=told.append) == 5
    finally:
        replaying._BATCH = batch
    assert told == [2, 4, 5]
    assert len(claim(database, now=61)) == 5
