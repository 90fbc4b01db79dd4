"""The queue: leased, capped, settled under the token, set aside, replayed. The same everywhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, update

from flask_webhooks.store import lists, outbox, queue, statements, subscriptions
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus, Subscription
from flask_webhooks.store.settling import Batch
from tests import servers
from tests.storing import (
    DISABLE_AFTER,
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


def fill(database: Database, messages: int, *subscription_ids: str) -> None:
    """So many due deliveries for each subscription, oldest message first."""
    for subscription_id in subscription_ids or ("sub_1",):
        subscribe(database, subscription_id)
    for n in range(messages):
        send(database, f"msg_{n:03}", now=10 + n)
    fan_out(database, now=0)


def state_of(database: Database, subscription_id: str = "sub_1") -> Subscription:
    found = database.read(
        lambda c: subscriptions.get_subscription(c, database.tables, subscription_id)
    )
    assert found is not None
    return found


def disable(database: Database, subscription_id: str = "sub_1") -> bool:
    return database.write(
        lambda c: subscriptions.disable(
            c, database.tables, subscription_id, reason="by-hand", now=35
        )
    )


def test_a_claim_has_all_that_an_attempt_needs(database: Database) -> None:
    """Ids, place in the schedule, body, address and secret: the sender needs to read no more."""
    subscribe(
        database, "sub_1", tenant="acme", sealed_secret=b"\x00\xff", callback="onDone", key="42"
    )
    send(database, "msg_1", tenant="acme", key="42", body=b"\x00\xff")
    fan_out(database)
    [one] = claim(database, now=30, token="mine")
    [delivery] = deliveries(database)
    assert one.delivery_id == delivery.id
    assert (one.token, one.number, one.position) == ("mine", 1, 1)
    assert (one.message_id, one.name, one.body) == ("msg_1", "newBooking", b"\x00\xff")
    assert (one.subscription_id, one.tenant, one.callback) == ("sub_1", "acme", "onDone")
    assert one.url == "https://sub_1.example/hook"
    assert (one.sealed_secret, one.until, one.failing_since) == (b"\x00\xff", 130, None)


def test_nothing_is_claimed_before_it_is_due(database: Database) -> None:
    """A delivery is claimed at its time, not a microsecond earlier."""
    subscribe(database, "sub_1")
    send(database, now=10)
    fan_out(database, delay=50)
    assert claim(database, now=59) == []
    assert len(claim(database, now=60)) == 1


def test_a_leased_delivery_is_claimed_again_only_after_its_lease(database: Database) -> None:
    """Within the lease nobody else gets it; once it ends anybody does, and the attempt counts."""
    fill(database, 1)
    assert len(claim(database, now=30, token="first")) == 1
    assert claim(database, now=129, token="second") == []
    [again] = claim(database, now=130, token="second")
    assert (again.number, again.position) == (2, 2)
    assert standing(database) == [("pending", None, 2)]


def test_the_oldest_are_claimed_first(database: Database) -> None:
    """A claim takes no more than its limit, in the order of due times."""
    fill(database, 5)
    assert [one.message_id for one in claim(database, limit=2)] == ["msg_000", "msg_001"]
    assert [one.message_id for one in claim(database, limit=2)] == ["msg_002", "msg_003"]


def test_first_tries_go_before_late_retries(database: Database) -> None:
    """A retry that came due earlier does not hold up a new message."""
    fill(database, 1)
    [failed] = claim(database)
    settle(database, [outcome(failed, PENDING, due_at=41)])
    send(database, "msg_new", now=50)
    fan_out(database)
    assert [one.message_id for one in claim(database, now=60, limit=1)] == ["msg_new"]


def test_a_subscription_gets_no_more_than_its_room(database: Database) -> None:
    """Of each subscription only so many are claimed as there is room for, the rest stays due."""
    fill(database, 6, "sub_1", "sub_2")
    got = claim(database, rooms={"sub_1": 1, "sub_2": 4})
    assert Counter(one.subscription_id for one in got) == {"sub_1": 1, "sub_2": 4}
    assert len(claim(database)) == 7


@pytest.mark.parametrize("blocked", ["full", "paused"])
def test_a_pile_in_front_hides_nobody(database: Database, blocked: str) -> None:
    """Due deliveries of a full or paused subscription, however many, don't keep others waiting."""
    subscribe(database, "sub_pile")
    for n in range(60):
        send(database, f"msg_{n:03}", now=10 + n)
    fan_out(database)
    subscribe(database, "sub_late", now=80)
    subscribe(database, "sub_later", now=80)
    send(database, "msg_late", now=80)
    fan_out(database)
    if blocked == "paused":
        s = database.tables.subscriptions
        pause = update(s).where(s.c.id == "sub_pile").values(paused_until=100)
        database.write(lambda c: c.execute(pause))
    got = claim(database, now=90, limit=4, rooms={"sub_pile": 0} if blocked == "full" else None)
    assert {one.subscription_id for one in got} == {"sub_late", "sub_later"}
    assert {one.message_id for one in got} == {"msg_late"}


def test_a_paused_subscription_is_claimed_when_the_pause_ends(database: Database) -> None:
    """A settlement may hold back its whole subscription; a later pause is never shortened."""
    fill(database, 3)
    first, second, _ = claim(database, now=30)
    settle(database, [outcome(first, PENDING, due_at=41, paused_until=300)])
    settle(database, [outcome(second, PENDING, due_at=41, paused_until=200)])
    assert claim(database, now=299) == []
    assert len(claim(database, now=300)) == 3


def test_two_claimers_never_get_the_same_delivery(database: Database) -> None:
    """With four claimers at once every delivery is claimed exactly once."""
    fill(database, 60)
    got: list[int] = []
    failed: list[BaseException] = []

    def work(n: int) -> None:
        try:
            turn = 0
            while len(got) < 60 and turn < 200:
                turn += 1
                found = claim(database, now=100, token=f"{n}-{turn}", limit=3)
                got.extend(one.delivery_id for one in found)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(got) == 60
    assert len(set(got)) == 60


def test_an_outcome_is_written_with_its_attempt(database: Database) -> None:
    """The delivery is settled, and the attempt tells what was answered and how long it took."""
    fill(database, 1)
    [one] = claim(database)
    written, disabled = settle(database, [outcome(one)], now=40)
    assert (written, disabled) == ([outcome(one)], {})
    [delivery] = deliveries(database)
    assert (delivery.status, delivery.reason, delivery.attempts) == ("delivered", "accepted", 1)
    assert delivery.settled_at is not None
    [attempt] = database.read(lambda c: lists.list_attempts(c, database.tables, delivery.id))
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "accepted", 204)
    assert (attempt.excerpt, attempt.duration) == (b"noted", 0.25)
    assert claim(database, now=10_000) == []


def test_a_batch_settles_each_delivery_by_its_own_outcome(database: Database) -> None:
    """Delivered, exhausted and to be retried, in one batch."""
    fill(database, 3)
    one, two, three = claim(database)
    settle(database, [outcome(one), outcome(two, EXHAUSTED), outcome(three, PENDING, due_at=77)])
    assert standing(database) == [
        ("delivered", "accepted", 1), ("exhausted", "refused", 1), ("pending", "refused", 1),
    ]  # fmt: skip
    assert claim(database, now=76) == []
    assert [c.message_id for c in claim(database, now=77)] == ["msg_002"]


def test_what_another_worker_leases_first_is_made_up_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that finds the rows it has seen leased takes those behind them."""
    fill(database, 8)
    write = database.write

    def overtaken(*given: Any, **options: Any) -> Any:
        monkeypatch.setattr(database, "write", write)
        assert len(claim(database, limit=4, token="theirs")) == 4
        return write(*given, **options)

    monkeypatch.setattr(database, "write", overtaken)
    mine = claim(database, limit=4, token="mine")
    assert [one.message_id for one in mine] == ["msg_004", "msg_005", "msg_006", "msg_007"]


def test_a_late_outcome_is_not_written(database: Database) -> None:
    """Who lost the lease writes nothing, neither of the delivery nor of its subscription."""
    fill(database, 1)
    [slow] = claim(database, now=30, token="slow")
    [quick] = claim(database, now=200, token="quick")
    assert settle(database, [outcome(slow, EXHAUSTED, disable="gone")]) == ([], {})
    assert standing(database) == [("pending", None, 2)]
    assert state_of(database).status == "enabled"
    written, _ = settle(database, [outcome(slow, EXHAUSTED), outcome(quick)])
    assert [s.claimed.token for s in written] == ["quick"]
    assert standing(database) == [("delivered", "accepted", 2)]
    [delivery] = deliveries(database)
    attempts = database.read(lambda c: lists.list_attempts(c, database.tables, delivery.id))
    assert [a.number for a in attempts] == [2]


def test_one_late_outcome_keeps_no_other_of_its_batch_from_being_written(
    database: Database,
) -> None:
    """Of one claim, one was leased again by somebody else meanwhile: only that one waits."""
    fill(database, 3)
    mine = claim(database, now=30, token="mine")
    claim(database, now=200, token="theirs", limit=1)
    written, _ = settle(database, [outcome(one) for one in mine])
    assert [s.claimed.message_id for s in written] == ["msg_001", "msg_002"]
    assert standing(database) == [
        ("pending", None, 2), ("delivered", "accepted", 1), ("delivered", "accepted", 1),
    ]  # fmt: skip
    found = [
        database.read(lambda c, of=one.id: lists.list_attempts(c, database.tables, of))
        for one in deliveries(database)
    ]
    assert [len(attempts) for attempts in found] == [0, 1, 1]


def test_a_claim_takes_what_is_behind_the_outcomes_that_it_writes(database: Database) -> None:
    """Though those were all that it had seen, as their leases are over."""
    fill(database, 8)
    ended = [outcome(one) for one in claim(database, now=30, limit=4, token="first")]
    claim(database, now=40, limit=4, token="second")
    batch = Batch(ended, now=200, disable_after=DISABLE_AFTER)
    taken = claim(database, now=200, limit=4, token="third", also=batch)
    assert [one.message_id for one in taken] == ["msg_004", "msg_005", "msg_006", "msg_007"]
    assert len(batch.written()) == 4


def test_a_claim_leaves_a_late_outcome_out(database: Database) -> None:
    """And writes what came with it."""
    fill(database, 3)
    mine = claim(database, now=30, limit=2, token="mine")
    claim(database, now=200, limit=2, token="theirs")
    batch = Batch([outcome(one) for one in mine], now=201, disable_after=DISABLE_AFTER)
    taken = claim(database, now=201, token="again", also=batch)
    written = [w.settlement.claimed.message_id for w in batch.written()]
    assert (written, [one.message_id for one in taken]) == (["msg_001"], [])


def test_what_a_receiver_answered_is_kept_as_it_was(database: Database) -> None:
    """Quotes, braces, backslashes and any byte: no database reads more than a text in them."""
    fill(database, 1)
    [one] = claim(database)
    detail, excerpt = 'NULL, "{\\"a\\\\", \'b\'}; -- \u20ac', bytes(range(256))
    ended = outcome(one)
    assert ended.attempt is not None
    settle(
        database, [replace(ended, attempt=replace(ended.attempt, detail=detail, excerpt=excerpt))]
    )
    [delivery] = deliveries(database)
    [kept] = database.read(lambda c: lists.list_attempts(c, database.tables, delivery.id))
    assert (kept.detail, kept.excerpt) == (detail, excerpt)


def test_an_attempt_that_was_not_made_is_not_counted(database: Database) -> None:
    """A settlement without an attempt leaves the count as it was before the claim."""
    fill(database, 1)
    [one] = claim(database)
    parked = outcome(one, PENDING, attempt=None, reason="secret-unavailable", due_at=50)
    settle(database, [parked])
    assert standing(database) == [("pending", "secret-unavailable", 0)]
    [again] = claim(database, now=50)
    assert (again.number, again.position) == (1, 1)


def test_what_is_handed_back_is_due_at_once_and_not_counted(database: Database) -> None:
    """Another worker gets it in the next moment; only the holder of the token can hand it back."""
    fill(database, 2)
    one, two = claim(database, now=30, token="mine")
    tables = database.tables
    database.write(lambda c: queue.hand_back(c, tables, [one], 31))
    [again] = claim(database, now=31, token="theirs")
    assert (again.delivery_id, again.number) == (one.delivery_id, 1)
    database.write(lambda c: queue.hand_back(c, tables, [one, two], 32))
    assert [c.delivery_id for c in claim(database, now=33)] == [two.delivery_id]


def test_what_never_ends_is_set_aside(database: Database) -> None:
    """After three claims without an outcome a delivery is exhausted as quarantined, and named."""
    fill(database, 1)
    for turn in range(3):
        assert len(claim(database, now=100 + 200 * turn)) == 1
    claimed, poisoned = claim_and_quarantine(database, now=1000)
    [delivery] = deliveries(database)
    assert (claimed, poisoned) == ([], [delivery.id])
    assert (delivery.status, delivery.reason) == ("exhausted", "quarantined")


def test_an_outcome_or_a_hand_back_begins_the_count_of_claims_anew(database: Database) -> None:
    """Only claims without any outcome in between make a delivery poisonous."""
    fill(database, 1)
    tables = database.tables
    for turn in range(8):
        now = 100 + 10 * turn
        [one] = claim(database, now=now)
        if turn % 2:
            settle(database, [outcome(one, PENDING, due_at=now + 1)])
        else:
            database.write(lambda c, one=one, now=now: queue.hand_back(c, tables, [one], now))
    assert len(claim(database, now=1000)) == 1


def test_text_that_a_database_would_refuse_is_stored_anyway(database: Database) -> None:
    """What a receiver made us note can't keep outcomes from being written."""
    fill(database, 1)
    [one] = claim(database)
    settlement = outcome(one)
    odd = outcome(one, attempt=_with_detail(settlement.attempt, "a\x00b \ud800 🚂"))
    settle(database, [odd])
    [attempt] = database.read(lambda c: lists.list_attempts(c, database.tables, one.delivery_id))
    assert attempt.detail == "ab ? 🚂"


def _with_detail(attempt: object, detail: str) -> object:
    from dataclasses import replace as changed

    return changed(attempt, detail=detail)  # type: ignore[type-var]


def test_disabling_cancels_what_waits(database: Database) -> None:
    """Waiting deliveries are cancelled at once; one under way is when its attempt has failed."""
    fill(database, 3)
    failing, succeeding = claim(database, limit=2)
    assert disable(database)
    assert not disable(database)
    assert standing(database)[2] == ("cancelled", "disabled", 0)
    settle(database, [outcome(failing, PENDING), outcome(succeeding)])
    assert [status for status, _, _ in standing(database)] == [
        "pending", "delivered", "cancelled",
    ]  # fmt: skip
    assert claim(database, now=1000) == []
    assert standing(database)[0] == ("cancelled", "disabled", 1)


def test_a_failure_of_a_disabled_subscription_cancels_at_once(database: Database) -> None:
    """An attempt that fails after its subscription was disabled is not retried."""
    fill(database, 1)
    [one] = claim(database)
    disable(database)
    settle(database, [outcome(one, PENDING)])
    assert standing(database) == [("cancelled", "disabled", 1)]


def test_a_lease_that_ends_after_disabling_is_cancelled(database: Database) -> None:
    """A worker that died with it leaves no delivery that is pending for ever."""
    fill(database, 1)
    claim(database, now=30)
    disable(database)
    assert standing(database) == [("pending", None, 1)]
    assert claim(database, now=130) == []
    assert standing(database) == [("cancelled", "disabled", 1)]


def test_gone_disables_the_subscription(database: Database) -> None:
    """The settlement that asks for it says so once, and the rest of the queue is cancelled."""
    fill(database, 3)
    one, two = claim(database, limit=2)
    gone = outcome(one, EXHAUSTED, reason="gone", disable="gone")
    also = outcome(two, EXHAUSTED, reason="gone", disable="gone")
    _, disabled = settle(database, [gone, also])
    assert disabled == {"sub_1": "gone"}
    assert (state_of(database).status, state_of(database).reason) == ("disabled", "gone")
    assert standing(database)[2] == ("cancelled", "disabled", 0)


def test_a_subscription_that_only_fails_is_disabled_in_the_end(database: Database) -> None:
    """Not before the time is up, counted from the first failure."""
    fill(database, 3)
    one, two, three = claim(database, now=30)
    assert settle(database, [outcome(one, PENDING)], now=40)[1] == {}
    assert settle(database, [outcome(two, PENDING)], now=1039)[1] == {}
    assert settle(database, [outcome(three, PENDING)], now=1040)[1] == {"sub_1": "failing"}
    assert state_of(database).status == "disabled"


def test_one_success_ends_a_streak_of_failures(database: Database) -> None:
    """The time begins anew with the next failure."""
    fill(database, 3)
    one, two, three = claim(database, now=30)
    settle(database, [outcome(one, PENDING)], now=40)
    settle(database, [outcome(two)], now=900)
    assert settle(database, [outcome(three, PENDING)], now=1100)[1] == {}
    [retried] = claim(database, now=500, limit=1)
    assert retried.failing_since == 1100


def test_a_fault_of_ours_is_not_held_against_the_receiver(database: Database) -> None:
    """An internal error neither begins a streak of failures nor ends in disabling."""
    fill(database, 2)
    one, two = claim(database, now=30)
    for claimed, now in ((one, 40), (two, 5000)):
        settlement = outcome(claimed, PENDING, reason="internal")
        attempt = settlement.attempt
        assert attempt is not None
        object.__setattr__(attempt, "outcome", "internal")
        assert settle(database, [settlement], now=now)[1] == {}
    assert state_of(database).status == "enabled"


def test_a_replay_begins_the_schedule_anew_with_the_same_message(database: Database) -> None:
    """The delivery is due at once, at the first place of its schedule; attempts count on."""
    fill(database, 1)
    [one] = claim(database)
    settle(database, [outcome(one, EXHAUSTED)])
    assert replay(database, now=600, status="exhausted") == 1
    assert standing(database) == [("pending", "replayed", 1)]
    [again] = claim(database, now=600)
    assert (again.message_id, again.number, again.position) == ("msg_000", 2, 1)


def test_a_dry_run_only_counts(database: Database) -> None:
    """It gives the number that a replay would give, and changes nothing."""
    fill(database, 3)
    settle(database, [outcome(one, EXHAUSTED) for one in claim(database)])
    assert replay(database, dry_run=True, status="exhausted") == 3
    assert [status for status, _, _ in standing(database)] == ["exhausted"] * 3
    assert replay(database, status="exhausted") == 3


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"message": "msg_001"}, 1),
        ({"subscription": "sub_1"}, 2),
        ({"subscription": "sub_2"}, 0),
        ({"name": "newBooking"}, 2),
        ({"name": "other"}, 0),
        ({"status": "delivered"}, 1),
        ({"since": 0}, 2),
        ({"since": 1}, 0),
        ({"until": 1}, 2),
        ({"until": 0}, 0),
        ({"message": "msg_000", "status": "delivered"}, 1),
    ],
)
def test_what_a_replay_chooses(database: Database, filters: dict[str, object], count: int) -> None:
    """Each filter narrows it; without a status only what was not delivered is chosen."""
    fill(database, 3)
    one, two, three = claim(database)
    settle(database, [outcome(one), outcome(two, EXHAUSTED), outcome(three, EXHAUSTED)])
    assert replay(database, **filters) == count


def test_one_named_delivery_is_replayed_whatever_became_of_it(database: Database) -> None:
    """A delivered one, too; a pending one never."""
    fill(database, 2)
    one, two = claim(database)
    settle(database, [outcome(one)])
    assert replay(database, delivery=one.delivery_id) == 1
    assert replay(database, delivery=two.delivery_id) == 0


def test_looking_ahead(database: Database) -> None:
    """It is known whether a message waits, and when the next delivery comes due."""
    tables = database.tables

    def look(now: int) -> tuple[bool, int | None]:
        return database.read(
            lambda c: (outbox.any_waiting(c, tables), queue.next_due(c, tables, now))
        )

    assert look(0) == (False, None)
    subscribe(database, "sub_1")
    send(database, now=10)
    assert look(10) == (True, None)
    fan_out(database, delay=50)
    assert look(59) == (False, 60)
    assert look(60) == (False, None)
    assert len(claim(database, now=60)) == 1
    assert look(61) == (False, 160)


def test_a_tenant_behind_anothers_backlog_has_its_turn(database: Database) -> None:
    """Looking around finds the late message of one tenant behind the early ones of another."""
    for n in range(4):
        subscribe(database, f"sub_{n}", tenant="big")
    subscribe(database, "sub_9", tenant="small")
    for n in range(40):
        send(database, f"msg_{n:03}", now=10 + n, tenant="big")
    send(database, "msg_late", now=60, tenant="small")
    fan_out(database, now=0)
    ordinary = claim(database, now=100, limit=8, token="ordinary")
    assert {one.tenant for one in ordinary} == {"big"}
    around = claim(database, now=100, limit=8, token="around", look_around=True)
    assert [one.tenant for one in around] == ["big", "small", *["big"] * 6]


def test_tenants_share_what_may_be_leased(database: Database) -> None:
    """Of four, each of two tenants gets two, whoever was first."""
    subscribe(database, "sub_1", tenant="a")
    subscribe(database, "sub_2", tenant="b")
    for n in range(5):
        send(database, f"msg_a{n}", now=10 + n, tenant="a")
    for n in range(5):
        send(database, f"msg_b{n}", now=20 + n, tenant="b")
    fan_out(database, now=0)
    assert Counter(one.tenant for one in claim(database, now=100, limit=4)) == {"a": 2, "b": 2}


def test_a_url_that_changes_while_its_owner_is_asked_stays_unconfirmed(database: Database) -> None:
    """What the old URL's owner answered is not written down as the new one's yes."""
    fill(database, 1)
    [claimed] = claim(database)
    changed = {"url": "https://b.example/", "host": "b.example"}
    database.write(
        lambda c: subscriptions.change_subscription(c, database.tables, "sub_1", changed, now=35)
    )

    settle(database, [outcome(claimed, confirmed=True)])
    send(database, "msg_b", now=50)
    fan_out(database, now=60)

    assert [one.confirmed for one in claim(database, now=70)] == [False]


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """How PostgreSQL carries out what is asked of it meanwhile, line by line."""
    lines: list[str] = []

    def explain(
        _: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if statement.startswith(("SELECT ", "UPDATE ")) and "set_config" not in statement:
            with cursor.connection.cursor() as own:
                own.execute(f"EXPLAIN {statement}", parameters)
                lines.extend(row[0] for row in own)

    event.listen(database.engine, "before_cursor_execute", explain)
    yield lines
    event.remove(database.engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("name", ["due_of", "lease", "held", "settled", "enqueued", "released"])
def test_sqlite_finds_known_deliveries_by_their_ids(file_database: Database, name: str) -> None:
    """However many are due besides: no index of all that is due is walked."""
    statement = getattr(statements, name)(file_database.tables, "sqlite")
    file_database.ensure_tables()
    words = str(statement.compile(dialect=file_database.engine.dialect))
    with file_database.engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {words}", (None,) * words.count("?")
        ).all()
    steps = [row[-1] for row in plan if file_database.tables.deliveries.name in row[-1]]
    found = f"SEARCH {file_database.tables.deliveries.name} USING INTEGER PRIMARY KEY (rowid=?)"
    assert steps == [found]


def test_postgresql_never_reads_the_whole_queue(pg_database: Database) -> None:
    """Though its statistics are of an empty table: each row is found by an index, unsorted."""
    table = pg_database.tables.deliveries.name
    pg_database.write(lambda c: c.exec_driver_sql(f"ANALYZE {table}"))
    fill(pg_database, 200)
    with plans(pg_database) as lines:
        first, *others = claim(pg_database, limit=5)
        settle(pg_database, [outcome(one) for one in others])
        settle(pg_database, [outcome(first, PENDING)])
    servers.empty(pg_database)
    assert [line for line in lines if "Seq Scan" in line or "Sort" in line] == []
    assert len([line for line in lines if f"Index Scan using {table}" in line]) == 6
