"""Erasure: what is about a person goes for good, and is never sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from flask_webhooks import Webhooks, WebhooksError
from flask_webhooks.erasing import Eraser
from flask_webhooks.reports import ErasedOf, Erasure
from flask_webhooks.rules.privacy import UNKNOWN, Privacy
from flask_webhooks.rules.terms import Terms
from flask_webhooks.store import lists, queue, statements
from flask_webhooks.store.database import Database
from flask_webhooks.store.records import DeliveryStatus
from tests import servers
from tests.conftest import Receiver
from tests.storing import (
    claim,
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
few_parameters = servers.few_parameters

ZOE = "zoë@x.example"
MAIL = Privacy({"properties": {"mail": {"x-private": True}, "age": {"x-private": True}}}, {})


def body(mail: Any = ZOE, **others: Any) -> bytes:
    return json.dumps({"mail": mail, **others}, ensure_ascii=False).encode()


def erase(
    database: Database, subject: str = ZOE, *, privacy: Any = MAIL, **options: Any
) -> Erasure:
    values = {"name": None, "dry_run": False, "now": 50, **options}
    return Eraser(subject, database=database, privacy=lambda name: privacy, **values).run()


def bodies(database: Database) -> dict[str, Any]:
    found = database.read(lambda c: lists.list_messages(c, database.tables))
    return {one.id: json.loads(one.body) for one in found}


def excerpts(database: Database) -> list[bytes | None]:
    return [
        attempt.excerpt
        for delivery in deliveries(database)
        for attempt in database.read(
            lambda c, d=delivery.id: lists.list_attempts(c, database.tables, d)
        )
    ]


def answered(database: Database, excerpt: bytes, status: Any = DeliveryStatus.DELIVERED) -> None:
    """All that is due was attempted, and answered so."""
    database.write(lambda c: None)
    settle(database, [outcome(one, status) for one in claim(database)])
    attempts = database.tables.attempts
    database.write(lambda c: c.execute(update(attempts).values(excerpt=excerpt)))


def test_all_that_is_private_in_a_message_about_a_person_goes(database: Database) -> None:
    """Not only the field that names the person; what is not private stays, as do other messages."""
    send(database, "msg_1", body=body(age=7, id=1))
    send(database, "msg_2", body=body("bob@x.example", id=2))
    send(database, "msg_3", body=body("bob@x.example", note=f"see {ZOE}"))

    assert erase(database) == Erasure(
        dry_run=False,
        webhooks=(
            ErasedOf(
                name="newBooking", messages=("msg_1",), deliveries=0, under_way=0, answers=0,
                mentions=("msg_3",),
            ),
        ),
        subscriptions=(),
    )  # fmt: skip

    assert bodies(database) == {
        "msg_1": {"mail": "•••", "age": "••• number", "id": 1},
        "msg_2": {"mail": "bob@x.example", "id": 2},
        "msg_3": {"mail": "bob@x.example", "note": "see zoë@x.example"},
    }


def test_a_dry_run_counts_and_changes_nothing(database: Database) -> None:
    """It finds what an erasure then does, under the same names."""
    subscribe(database, "sub_1")
    send(database, body=body())
    fan_out(database)
    before = standing(database)

    found = erase(database, dry_run=True)

    assert (found.webhooks[0].messages, found.webhooks[0].deliveries) == (("msg_1",), 1)
    assert standing(database) == before
    assert bodies(database) == {"msg_1": {"mail": ZOE}}
    assert erase(database).webhooks == found.webhooks


@pytest.mark.parametrize("given", [ZOE, [ZOE], {"at": {ZOE: 1}}, {"at": [1, ZOE]}])
def test_a_person_is_found_wherever_a_private_value_holds_the_text(
    database: Database, given: Any
) -> None:
    """In a list, deep in an object, or as the name of a member."""
    send(database, body=body(given))
    assert erase(database).webhooks[0].messages == ("msg_1",)


def test_a_number_names_a_person_too(database: Database) -> None:
    """The text is compared with numbers as JSON writes them, and with nothing that is longer."""
    send(database, "msg_1", body=body("x", age=42))
    send(database, "msg_2", body=body("x", age=420))
    [found] = erase(database, "42").webhooks
    assert (found.messages, found.mentions) == (("msg_1",), ("msg_2",))


def test_a_key_names_a_person_and_goes(database: Database) -> None:
    """A message whose key is the text is about the person, whatever its payload says."""
    subscribe(database, "sub_1")
    send(database, key=ZOE, body=b'{"id":1}')
    fan_out(database)
    erase(database)
    [message] = database.read(lambda c: lists.list_messages(c, database.tables))
    assert (message.key, message.erased_at is not None) == (None, True)
    assert standing(database) == [("cancelled", "erased", 0)]


def test_in_the_payloads_of_an_undeclared_webhook_everything_is_private(database: Database) -> None:
    """Where no schema says what is private, any value that is the text counts, and all goes."""
    send(database, body=body(id=1))
    assert erase(database, privacy=UNKNOWN).webhooks[0].messages == ("msg_1",)
    assert bodies(database) == {"msg_1": "••• object"}


def test_only_the_named_webhook_is_looked_at(database: Database) -> None:
    """With a name, messages of other webhooks stay as they are."""
    send(database, "msg_1", body=body())
    send(database, "msg_2", body=body(), name="other")
    assert [one.name for one in erase(database, name="other").webhooks] == ["other"]
    assert bodies(database)["msg_1"] == {"mail": ZOE}


def test_more_messages_than_a_batch_are_all_found(database: Database) -> None:
    """The last of 450 messages is found as the first is."""
    for number in range(450):
        send(database, f"msg_{number:03}", body=body("x" if number % 3 else ZOE))
    assert len(erase(database).webhooks[0].messages) == 150
    assert erase(database).webhooks == ()


def test_what_was_not_delivered_is_cancelled_and_what_was_is_history(database: Database) -> None:
    """Pending, exhausted and cancelled deliveries become cancelled as erased, never due again."""
    for one in ("delivered", "exhausted", "pending"):
        send(database, f"msg_{one}", body=body())
    subscribe(database, "sub_1")
    fan_out(database)
    settle(
        database,
        [
            outcome(one, DeliveryStatus(one.message_id.removeprefix("msg_")))
            for one in claim(database)
        ],
    )
    [found] = erase(database).webhooks
    assert (found.deliveries, found.under_way, found.answers) == (1, 0, 3)
    assert [(s, r) for s, r, _ in standing(database)] == [
        ("delivered", "accepted"), ("cancelled", "erased"), ("cancelled", "erased"),
    ]  # fmt: skip
    assert excerpts(database) == [None, None, None]

    assert replay(database, status="cancelled") == 0
    assert replay(database, message="msg_delivered", status="delivered") == 0
    assert claim(database, now=10**9) == []


def test_what_was_never_fanned_out_never_is(database: Database) -> None:
    """A message that is erased before any worker saw it reaches nobody."""
    subscribe(database, "sub_1")
    send(database, body=body())
    erase(database)
    assert fan_out(database) == 0
    assert deliveries(database) == []


def test_a_worker_that_holds_a_delivery_writes_nothing_of_it(database: Database) -> None:
    """The report counts it; its outcome finds no token, and no retry follows."""
    subscribe(database, "sub_1")
    send(database, body=body())
    fan_out(database)
    [held] = claim(database)

    [found] = erase(database).webhooks
    assert (found.deliveries, found.under_way) == (1, 1)

    assert settle(database, [outcome(held, DeliveryStatus.PENDING)]) == ([], {})
    assert standing(database) == [("cancelled", "erased", 1)]
    assert excerpts(database) == []


def test_what_is_left_of_an_erased_message_is_never_sent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when it is erased between the two looks of a claim, or was replayed meanwhile."""
    subscribe(database, "sub_1")
    send(database, body=body())
    fan_out(database)
    look = queue._lease

    def erased_meanwhile(connection: Any, tables: Any, *values: Any) -> Any:
        leased = look(connection, tables, *values)
        m, d = tables.messages, tables.deliveries
        connection.execute(update(m).values(erased_at=50))
        connection.execute(update(d).values(status="pending"))
        return leased

    with monkeypatch.context() as patched:
        patched.setattr(queue, "_lease", erased_meanwhile)
        assert claim(database) == []

    erase(database, "somebody else")
    assert standing(database) == [("cancelled", "erased", 1)]
    assert claim(database, now=10**9) == []


def test_the_line_goes_on_behind_an_erased_delivery(database: Database) -> None:
    """An ordered subscription gets what stands behind; a line that was the text is dropped."""
    subscribe(database, "sub_1", terms=Terms(order="park"))
    for number, mail in enumerate([ZOE, "bob@x.example"]):
        send(database, f"msg_{number}", body=body(mail), key="k", now=10 + number)
    send(database, "msg_z", key=ZOE, now=15)
    fan_out(database)
    erase(database)
    assert [one.message_id for one in claim(database, now=60)] == ["msg_1"]
    d = database.tables.deliveries.c
    lines = database.read(lambda c: c.execute(statements.select(d.line).order_by(d.id)).all())
    assert [line for (line,) in lines] == ["k", "k", None]


def test_answers_to_other_messages_are_blanked_where_they_hold_the_text(database: Database) -> None:
    """In the spellings of the web; an answer that does not hold it stays."""
    subscribe(database, "sub_1")
    send(database, "msg_1", body=b'{"id":1}')
    fan_out(database)
    answered(database, b'{"error": "no zo\\u00eb@x.example"}')
    assert erase(database).webhooks[0].answers == 1
    assert excerpts(database) == [None]

    send(database, "msg_2", body=b'{"id":2}')
    fan_out(database)
    answered(database, b"order 1420")
    assert erase(database, "42").webhooks == ()
    assert excerpts(database) == [b"order 1420", b"order 1420"]


def test_subscriptions_that_hold_the_text_are_told_of(database: Database) -> None:
    """In their URL, also percent-encoded, in their key or in their filter; none is changed."""
    subscribe(database, "sub_1", url="https://a.example/?who=zo%C3%AB%40x.example")
    subscribe(database, "sub_2", key=ZOE)
    subscribe(database, "sub_3", filter_text=json.dumps({"mail": ZOE}))
    subscribe(database, "sub_4", key="100%")
    assert erase(database).subscriptions == ("sub_1", "sub_2", "sub_3")
    assert erase(database, "_x.example").subscriptions == ()


@pytest.mark.parametrize("subject", ["", "  ", "\udc80"])
def test_a_subject_that_names_nobody_is_refused(database: Database, subject: str) -> None:
    """Nothing is looked at for an empty text or none that is Unicode."""
    with pytest.raises(WebhooksError, match="subject of an erasure"):
        erase(database, subject)


def test_a_quote_in_the_subject_is_found_as_json_writes_it(database: Database) -> None:
    """What JSON escapes is found, and what means something to LIKE means nothing here."""
    for subject in ('Zoë "Z" \\ %', "a'b_c", "tab\tbed"):
        send(database, f"msg_{len(subject)}", body=body(subject))
        assert len(erase(database, subject).webhooks[0].messages) == 1


def test_nothing_is_left_in_the_files_of_sqlite(file_database: Database, tmp_path: Path) -> None:
    """Neither the database's file nor its log holds a byte of it, as long as nobody else reads."""
    secret = "zoe-of-the-canaries@x.example"
    for number in range(50):
        send(file_database, f"msg_{number}", body=body(secret, pad="x" * 300 * (number % 5)))
    path = Path(str(file_database.engine.url.database))

    def stored() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))

    assert secret.encode() in stored()
    erase(file_database, secret)
    assert secret.encode() not in stored()
    servers.empty(file_database)


def test_messages_with_many_receivers_are_erased_too(few_parameters: Database) -> None:
    """More deliveries than a statement takes parameters are cancelled by one."""
    for n in range(12):
        subscribe(few_parameters, f"sub_{n}", terms=Terms(order="skip"))
    for n in range(100):
        send(few_parameters, f"msg_{n}", body=body())
    fan_out(few_parameters)

    erase(few_parameters)

    assert {(d.status, d.reason) for d in deliveries(few_parameters)} == {("cancelled", "erased")}


def test_settling_goes_on_while_a_person_is_erased(database: Database) -> None:
    """What others hold is settled as if nothing had happened."""
    subscribe(database, "sub_1")
    send(database, "msg_1", body=body())
    send(database, "msg_2", body=body("bob@x.example"))
    fan_out(database)
    held = claim(database)
    erase(database)
    written, _ = settle(database, [outcome(one) for one in held], now=60)
    assert [one.claimed.message_id for one in written] == ["msg_2"]


@pytest.fixture
def guests(make_app: Callable[..., Flask], webhooks: Webhooks) -> Flask:
    app = make_app(WEBHOOKS_SCHEDULE=[0, 60])
    schema = {"type": "object", "properties": {"mail": {"x-private": True}}}
    webhooks.webhook("guest.came", schema)
    webhooks.init_app(app)
    return app


def test_an_erased_message_is_not_sent_again_by_anybody(
    guests: Flask, webhooks: Webhooks, receiver: Receiver
) -> None:
    """After one failed attempt it is erased: no retry, no replay, and the reason is told."""
    receiver.answers = [503]
    with guests.app_context():
        subscription = webhooks.subscribe(receiver.url, ["guest.came"])
        message = webhooks["guest.came"].send({"mail": ZOE})
        webhooks.run_until_idle()
        webhooks.erase(ZOE)

        assert webhooks.replay(message=message) == 0
        guests.extensions["webhooks"].clock = lambda: 10.0**10
        webhooks.run_until_idle()
        told = webhooks.explain(message, subscription)

    assert len(receiver.received) == 1
    assert (told.code, "never sent again" in told.words) == ("cancelled", True)


def test_the_command_counts_first_and_shows_no_name(guests: Flask, webhooks: Webhooks) -> None:
    """Without ``--yes`` nothing changes; the text is not repeated, and can come by input."""
    run = guests.test_cli_runner().invoke
    with guests.app_context():
        message = webhooks["guest.came"].send({"mail": ZOE})
    counted = run(args=["webhooks", "erase", "--subject", ZOE])
    done = run(args=["webhooks", "erase", "--subject", "-", "--yes"], input=f"{ZOE}\n")
    again = run(args=["webhooks", "erase", "--subject", ZOE, "--json"])
    shown = run(args=["webhooks", "show", message.id])

    assert counted.output == (
        "guest.came: messages to be erased 1, pending deliveries to be cancelled 0, "
        "answers to be blanked 0.\nNothing was changed yet. Add --yes to erase it for good.\n"
    )
    assert done.output == (
        "guest.came: messages erased 1, pending deliveries cancelled 0, answers blanked 0.\n"
        "Erased. Receivers that got it, and backups, still have it.\n"
    )
    assert json.loads(again.output) == {"dry_run": True, "webhooks": [], "subscriptions": []}
    assert "Erased    " in shown.output and '"mail": "•••"' in shown.output
    assert "zoë" not in counted.output + done.output + again.output + shown.output
