"""Messages: one row each, fanned out once to those who want them. The same on every database."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event, select

from flask_webhooks.rules.terms import Terms
from flask_webhooks.store import lists, outbox, subscriptions
from flask_webhooks.store.database import Database
from tests import servers
from tests.storing import claim, deliveries, fan_out, reached, send, settle, standing, subscribe
from tests.storing import outcome as ended

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url


def test_a_message_is_stored_as_it_was_given(database: Database) -> None:
    """Name, key, tenant, time and the very bytes of the body come back out of the table."""
    body = '{"name":"Zoë 🚂"}'.encode() + bytes(range(256))
    send(database, "msg_1", key="42", tenant="acme", body=body, now=1_700_000_000_000_001)
    [row] = database.read(lambda c: c.execute(select(database.tables.messages)).all())
    assert (row.id, row.name, row.key, row.tenant) == ("msg_1", "newBooking", "42", "acme")
    assert bytes(row.body) == body
    assert row.created_at == 1_700_000_000_000_001


def test_a_repeated_idempotency_key_gives_the_first_message(database: Database) -> None:
    """The second sending stores nothing, and answers with the first's id and body."""
    first = send(database, "msg_1", idempotency_key="order-42", body=b"1")
    second = send(database, "msg_2", idempotency_key="order-42", body=b"2")
    assert (first.id, second.id, second.body) == ("msg_1", "msg_1", b"1")
    count = database.read(lambda c: len(c.execute(select(database.tables.messages)).all()))
    assert count == 1


@pytest.mark.parametrize(
    "other", [{"tenant": "acme"}, {"name": "other"}, {"idempotency_key": "ORDER-42"}]
)
def test_idempotency_keys_are_told_apart(database: Database, other: dict[str, str]) -> None:
    """The same key of another tenant or webhook, or in another case, is another message."""
    send(database, "msg_1", idempotency_key="order-42")
    assert send(database, "msg_2", **{"idempotency_key": "order-42"} | other).id == "msg_2"


def test_two_senders_of_one_idempotency_key_at_once(database: Database) -> None:
    """However they interleave, all of them are given one and the same message."""
    given: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: given.append(
                send(database, f"msg_{n}", idempotency_key="order-42").id
            )
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 4
    assert len(set(given)) == 1


@pytest.mark.parametrize(
    ("subscription", "message"),
    [
        ({}, {}),
        ({"names": ["other", "newBooking"]}, {}),
        ({"key": "42"}, {"key": "42"}),
        ({}, {"key": "42"}),
        ({"tenant": "acme"}, {"tenant": "acme"}),
        ({"now": 10}, {}),
        ({"expires_at": 11}, {}),
    ],
)
def test_who_gets_a_message(
    database: Database, subscription: dict[str, object], message: dict[str, object]
) -> None:
    """One that wants the name, existed, has not expired, and has its tenant and its key or none."""
    subscribe(database, "sub_1", **subscription)
    send(database, "msg_1", **message)
    assert fan_out(database) == 1
    assert reached(database) == {("msg_1", "sub_1")}


@pytest.mark.parametrize(
    ("subscription", "message"),
    [
        ({"names": ["other"]}, {}),
        ({"names": ["newbooking"]}, {}),
        ({"key": "42"}, {}),
        ({"key": "42"}, {"key": "43"}),
        ({"key": "abc"}, {"key": "ABC"}),
        ({"key": "é"}, {"key": "e"}),
        ({"tenant": "acme"}, {}),
        ({}, {"tenant": "acme"}),
        ({"tenant": "acme"}, {"tenant": "ACME"}),
        ({"now": 11}, {}),
        ({"expires_at": 10}, {}),
    ],
)
def test_who_gets_no_message(
    database: Database, subscription: dict[str, object], message: dict[str, object]
) -> None:
    """None of another name, key or tenant, by a letter's case either; none later; none expired."""
    subscribe(database, "sub_1", **subscription)
    send(database, "msg_1", **message)
    assert fan_out(database) == 1
    assert reached(database) == set()


def test_a_disabled_subscription_gets_no_message(database: Database) -> None:
    """Disabling stops what is sent from then on, and what was not fanned out yet."""
    subscribe(database, "sub_1")
    send(database)
    database.write(
        lambda c: subscriptions.disable(c, database.tables, "sub_1", reason="by-hand", now=15)
    )
    fan_out(database)
    assert reached(database) == set()


def test_fanning_out_twice_adds_nothing(database: Database) -> None:
    """Neither a second round nor a message marked as new again makes a second delivery."""
    subscribe(database, "sub_1")
    send(database)
    assert (fan_out(database), fan_out(database)) == (1, 0)
    again = database.tables.messages.update().values(fanned_out=False)
    database.write(lambda c: c.execute(again))
    assert fan_out(database) == 1
    assert len(deliveries(database)) == 1


def test_many_messages_to_many_subscriptions(database: Database) -> None:
    """A round takes as many messages as it is told, the oldest first."""
    for n in range(3):
        subscribe(database, f"sub_{n}")
    for n in range(5):
        send(database, f"msg_{n}", now=10 + n)
    assert fan_out(database, limit=2) == 2
    assert reached(database) == {(f"msg_{m}", f"sub_{s}") for m in range(2) for s in range(3)}
    assert fan_out(database) == 3
    assert len(deliveries(database)) == 15


def test_what_is_made_is_counted(database: Database) -> None:
    """The worker goes by it: so many messages at once that their deliveries are about as many."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2")
    for n in range(3):
        send(database, f"msg_{n}")
    done = database.write(
        lambda c: outbox.fan_out(
            c, database.tables, now=20, first_delay=lambda name: 0, limit=2, most_pending=100
        )
    )
    assert (dict(done.names), done.deliveries) == ({"newBooking": 2}, 4)


def test_somebody_elses_one_shot_subscription_costs_nothing(database: Database) -> None:
    """Messages that it does not want are fanned out together all the same."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2", names=["other"], once=True)
    for n in range(3):
        send(database, f"msg_{n}")
    made = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(f"INSERT INTO {database.tables.deliveries.name}"):
            made.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    assert fan_out(database) == 3
    event.remove(database.engine, "before_cursor_execute", note)
    assert (len(made), len(deliveries(database))) == (1, 3)


def test_the_first_attempt_waits_for_the_schedule(database: Database) -> None:
    """The first delay counts from the time of sending, not from that of fanning out."""
    subscribe(database, "sub_1")
    send(database, now=1_000_000)
    fan_out(database, now=3_000_000, delay=5_000_000)
    [delivery] = deliveries(database)
    assert delivery.due_at.timestamp() == 6.0
    assert delivery.created_at.timestamp() == 3.0


def test_two_workers_fan_out_at_once(database: Database) -> None:
    """Each message is fanned out by one of them: no delivery is missing and none is there twice."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2")
    for n in range(20):
        send(database, f"msg_{n}")
    done: list[int] = []

    def work() -> None:
        while count := fan_out(database, limit=3):
            done.append(count)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fan_out(database)  # what one had locked while the other looked
    assert sum(done) <= 20
    assert len(deliveries(database)) == 40
    assert len(reached(database)) == 40


def test_a_one_shot_subscription_gets_one_message(database: Database) -> None:
    """It gets the first of several in one round, and nothing in later rounds."""
    subscribe(database, "sub_once", once=True)
    subscribe(database, "sub_all")
    send(database, "msg_1", now=10)
    send(database, "msg_2", now=11)
    fan_out(database)
    send(database, "msg_3", now=12)
    fan_out(database)
    assert {m for m, s in reached(database) if s == "sub_once"} == {"msg_1"}
    assert {m for m, s in reached(database) if s == "sub_all"} == {"msg_1", "msg_2", "msg_3"}


def test_a_message_that_commits_late_does_not_reopen_a_one_shot_subscription(
    database: Database,
) -> None:
    """A message that was sent earlier but committed later finds it used up."""
    subscribe(database, "sub_once", once=True)
    send(database, "msg_2", now=12)
    fan_out(database)
    send(database, "msg_1", now=11)
    fan_out(database)
    assert reached(database) == {("msg_2", "sub_once")}


def test_two_workers_and_a_one_shot_subscription(database: Database) -> None:
    """Two workers with one message each still make one delivery."""
    subscribe(database, "sub_once", once=True)
    for n in range(6):
        send(database, f"msg_{n}", now=10 + n)
    threads = [
        threading.Thread(target=fan_out, args=(database,), kwargs={"limit": 1}) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reached(database)) == 1


def test_deleting_a_subscription_deletes_its_deliveries(database: Database) -> None:
    """Deliveries and attempts go with it; what others got stays."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2")
    send(database)
    fan_out(database)
    settle(database, [ended(claimed) for claimed in claim(database)])
    tables = database.tables
    gone = database.write(lambda c: subscriptions.delete_subscription(c, tables, "sub_1"))
    assert gone
    assert reached(database) == {("msg_1", "sub_2")}
    assert standing(database) == [("delivered", "accepted", 1)]
    [kept] = deliveries(database)
    assert len(database.read(lambda c: lists.list_attempts(c, tables, kept.id))) == 1
    assert not database.write(lambda c: subscriptions.delete_subscription(c, tables, "sub_1"))


def test_what_a_full_subscription_gets_beyond_is_kept_as_exhausted(database: Database) -> None:
    """Two may be pending: the third message is there with its reason, and can be replayed."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2")
    for n in range(3):
        send(database, f"msg_{n}", now=10 + n)
        database.write(
            lambda c: outbox.fan_out(
                c, database.tables, now=20, first_delay=lambda name: 0, limit=1, most_pending=2
            )
        )
    assert standing(database) == [("pending", None, 0)] * 4 + [("exhausted", "overflow", 0)] * 2


def test_a_subscription_may_have_a_first_delay_of_its_own(database: Database) -> None:
    """Its schedule's first delay counts from the sending, and the webhook's for the others."""
    subscribe(database, "sub_1", terms=Terms(schedule=(0.00007, 1.0)))
    subscribe(database, "sub_2")
    send(database, now=10)
    fan_out(database, now=10, delay=5)
    assert [round(d.due_at.timestamp() * 1e6) for d in deliveries(database)] == [80, 15]
