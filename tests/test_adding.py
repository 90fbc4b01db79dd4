"""Messages are stored, one or many at once, each once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_webhooks.store import adding
from flask_webhooks.store.adding import NewMessage, new_message
from flask_webhooks.store.database import Database
from tests import servers
from tests.storing import send

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url

Add = Callable[[list[NewMessage]], list[tuple[str, bytes]]]


def a_message(message_id: str, key: str | None = None) -> NewMessage:
    body = message_id.encode()
    return new_message(
        message_id, name="n", key="42", tenant="acme", body=body, idempotency_key=key, now=1
    )


@pytest.fixture(params=["add_messages", "add_by_driver"])
def add(request: pytest.FixtureRequest, database: Database) -> Add:
    """Adds messages in one of two ways; gives the ids and bodies that come back."""
    if request.param == "add_by_driver" and database.locks_rows:
        pytest.skip("for SQLite")
    way = getattr(adding, request.param)

    def add(messages: list[NewMessage]) -> list[tuple[str, bytes]]:
        found = database.write(lambda c: way(c, database.tables, messages))
        return [(message.id, message.body) for message in found]

    return add


def stored(database: Database) -> list[tuple[str, bytes]]:
    m = database.tables.messages
    query = m.select().where(m.c.key == "42", m.c.tenant == "acme").order_by(m.c.id)
    rows = database.read(lambda c: c.execute(query).all())
    return [(row.id, bytes(row.body)) for row in rows]


def test_many_messages_are_stored_at_once(database: Database, add: Add) -> None:
    """All sixty-four come back in their order, and are there, each with its own body."""
    names = [f"msg_{n:02}" for n in range(64)]
    both = [(name, name.encode()) for name in names]
    assert add([a_message(name) for name in names]) == both
    assert stored(database) == both


def test_one_idempotency_key_twice_at_once(database: Database, add: Add) -> None:
    """The first message is stored, and comes back for both; so does one from before."""
    send(database, "msg_0", name="n", tenant="acme", idempotency_key="x")
    asked = [("msg_1", "x"), ("msg_2", "y"), ("msg_3", None), ("msg_4", "y")]
    found = add([a_message(*each) for each in asked])
    assert [name for name, _ in found] == ["msg_0", "msg_2", "msg_3", "msg_2"]
    assert [name for name, _ in stored(database)] == ["msg_2", "msg_3"]


def test_a_message_that_is_stored_twice_is_one(database: Database, add: Add) -> None:
    """Whoever doesn't know whether it was committed may store it again."""
    for _ in range(2):
        assert add([a_message("msg_1")]) == [("msg_1", b"msg_1")]
    assert stored(database) == [("msg_1", b"msg_1")]
