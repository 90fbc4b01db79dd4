"""What pages are made of: found, counted and drawn alike on every database, within bounds."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from flask_webhooks.rules.ids import first_id, new_id
from flask_webhooks.store import browsing, charts, lists, subscriptions
from flask_webhooks.store.browsing import Sought
from flask_webhooks.store.charts import Last
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus, Owned, moment
from tests import servers
from tests.storing import claim, fan_out, outcome, send, settle, subscribe

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url


@pytest.fixture
def filled(database: Database) -> Database:
    """Three messages to two tenants: one delivered, one given up, one that waits."""
    subscribe(database, "sub_a", tenant="ann")
    subscribe(database, "sub_b", tenant="bob")
    send(database, "msg_1", tenant="ann", now=10)
    send(database, "msg_2", tenant="bob", now=20)
    fan_out(database, now=25)
    for claimed in claim(database):
        good = claimed.subscription_id == "sub_a"
        status = DeliveryStatus.DELIVERED if good else DeliveryStatus.EXHAUSTED
        settle(database, [outcome(claimed, status)])
    send(database, "msg_3", tenant="ann", now=30)
    fan_out(database, now=35)
    return database


def found(database: Database, before: str | None = None, **sought: object) -> list[str]:
    """The ids of the messages that are found."""
    rows = database.read(
        lambda c: browsing.find_messages(
            c, database.tables, Sought(**sought), before=before, limit=10
        )
    )
    return [row.id for row in rows]


def test_messages_are_found_newest_first(filled: Database) -> None:
    """By tenant, name, subscription and status, and from a place in the list on."""
    assert found(filled) == ["msg_3", "msg_2", "msg_1"]
    assert found(filled, before="msg_3") == ["msg_2", "msg_1"]
    assert found(filled, owned=Owned("ann")) == ["msg_3", "msg_1"]
    assert found(filled, owned=Owned("ANN")) == []
    assert found(filled, owned=Owned(None)) == []
    assert found(filled, name="newBooking", subscription="sub_b") == ["msg_2"]
    assert found(filled, statuses=["delivered", "exhausted"]) == ["msg_2", "msg_1"]
    assert found(filled, statuses=["pending"], owned=Owned("bob")) == []


def test_messages_are_found_by_time(database: Database) -> None:
    """Those from a time on, and before another."""
    ids = [new_id("msg", at) for at in (100, 200, 300)]
    for message_id in ids:
        send(database, message_id)

    assert found(database, since=moment(200_000_000)) == [ids[2], ids[1]]
    assert found(database, until=moment(200_000_000)) == [ids[0]]


def test_the_first_id_of_a_time_sorts_before_the_others() -> None:
    """It is no greater than any that is made then, and greater than all from before."""
    lowest, highest = lambda n: b"\0" * n, lambda n: b"\xff" * n

    assert new_id("msg", 99.999, highest) < first_id("msg", 100) <= new_id("msg", 100, lowest)


def test_a_message_tells_how_its_deliveries_stand(filled: Database) -> None:
    """How many there are of each status, among those that may be seen."""
    rows = filled.read(
        lambda c: browsing.find_messages(c, filled.tables, Sought(), before=None, limit=10)
    )
    assert [dict(row.counts) for row in rows] == [
        {"pending": 1},
        {"exhausted": 1},
        {"delivered": 1},
    ]


def test_deliveries_are_found_with_their_attempts(filled: Database) -> None:
    """The same filters; another tenant's are not there; attempts come by delivery."""

    def ids(**sought: object) -> list[str]:
        rows = filled.read(
            lambda c: browsing.find_deliveries(
                c, filled.tables, Sought(**sought), before=None, limit=10
            )
        )
        return [row.message_id for row in rows]

    assert ids() == ["msg_3", "msg_2", "msg_1"]
    assert ids(owned=Owned("ann"), statuses=["delivered"]) == ["msg_1"]
    assert ids(message="msg_2", owned=Owned("ann")) == []
    assert ids(since=moment(30)) == ["msg_3"]
    [failed] = filled.read(
        lambda c: browsing.find_deliveries(
            c, filled.tables, Sought(statuses=["exhausted"]), before=None, limit=10
        )
    )
    attempts = filled.read(lambda c: browsing.attempts_of(c, filled.tables, [failed.id]))
    assert [(a.outcome, a.status_code) for a in attempts[failed.id]] == [("refused", 500)]


@pytest.mark.parametrize(
    "owned, codes", [(None, [500, 204]), (Owned("ann"), [204]), (Owned("bob"), [500])]
)
def test_recent_attempts_are_ones_own(
    filled: Database, owned: Owned | None, codes: list[int]
) -> None:
    """An operator's are everybody's; they begin with a time, and end with a number."""

    def read(since: int, most: int) -> list[int | None]:
        points = filled.read(
            lambda c: charts.recent_attempts(c, filled.tables, since=since, owned=owned, most=most)
        )
        return [point.status_code for point in points]

    assert sorted(read(30, 10), key=str) == sorted(codes, key=str)
    assert len(read(30, 1)) == 1
    assert read(31, 10) == []


def test_the_health_of_a_subscription(filled: Database) -> None:
    """Its last deliveries, the oldest first; since when it fails; until when it is held back."""
    s = filled.tables.subscriptions
    filled.write(
        lambda c: c.execute(
            update(s).where(s.c.id == "sub_b").values(failing_since=40, paused_until=900)
        )
    )
    healths = filled.read(
        lambda c: charts.healths(c, filled.tables, ["sub_a", "sub_b"], most=2, now=100)
    )

    assert healths["sub_a"].last == [
        Last("msg_3", "pending", moment(30)), Last("msg_1", "delivered", moment(40)),
    ]  # fmt: skip
    assert healths["sub_a"].failing_since is healths["sub_a"].paused_until is None
    assert healths["sub_b"].failing_since == moment(40)
    assert healths["sub_b"].paused_until == moment(900)


def test_names_are_counted_among_the_newest(filled: Database) -> None:
    """How many messages of each name, when the last was sent, and how many subscriptions."""

    def sent(owned: Owned | None, most: int) -> dict[str, tuple[int, object]]:
        return dict(
            filled.read(lambda c: charts.recent_names(c, filled.tables, owned=owned, most=most))
        )

    assert sent(None, 10) == {"newBooking": (3, moment(30))}
    assert sent(None, 2) == {"newBooking": (2, moment(30))}
    assert sent(Owned("bob"), 10) == {"newBooking": (1, moment(20))}
    wanted = filled.read(lambda c: charts.wanted_names(c, filled.tables, owned=Owned("ann")))
    assert wanted == {"newBooking": 1}


def test_counting_stops_where_it_is_told_to(filled: Database) -> None:
    """A tenant's part alone, and no more than so many."""

    def standing(**bounds: object) -> lists.Standing:
        return filled.read(lambda c: lists.standing(c, filled.tables, 130, **bounds))

    assert standing().deliveries == {"delivered": 1, "exhausted": 1, "pending": 1}
    assert standing(owned=Owned("bob")).deliveries == {"exhausted": 1}
    assert standing(owned=Owned("bob")).oldest_due == 0
    assert standing(owned=Owned("ann")).oldest_due == 100 / 1e6
    assert standing().subscriptions == {"enabled": 2}
    assert standing(most=1).subscriptions == {"enabled": 1}
    assert standing(most=0).due == 0


def test_subscriptions_are_found_by_status(filled: Database) -> None:
    """Only those that are disabled, of those that may be seen."""
    filled.write(
        lambda c: subscriptions.disable(c, filled.tables, "sub_b", reason="by hand", now=50)
    )

    def ids(status: str, owned: Owned | None) -> list[str]:
        rows = filled.read(
            lambda c: subscriptions.list_subscriptions(
                c, filled.tables, name=None, key=None, tenant=None, status=status, owned=owned
            )
        )
        return [row.id for row in rows]

    assert (ids("disabled", None), ids("disabled", Owned("ann"))) == (["sub_b"], [])
    assert ids("enabled", None) == ["sub_a"]
