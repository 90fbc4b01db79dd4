"""In the app's transaction: what is committed is sent, what is rolled back was never there."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    inspect,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import StaticPool

from flask_webhooks.exceptions import StoreError
from flask_webhooks.store import committing
from flask_webhooks.store.adding import new_message
from flask_webhooks.store.database import Database
from flask_webhooks.store.tables import make_tables
from tests import servers

pg_url, mysql_url = servers.pg_url, servers.mysql_url

orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True))


@pytest.fixture(params=["file", "pg", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The app's engine, with its table and none of ours."""
    url = f"sqlite:///{tmp_path / 'app.sqlite3'}"
    if request.param != "file":
        url = request.getfixturevalue(f"{request.param}_url")
    engine = create_engine(url)
    orders.create(engine)
    yield engine
    make_tables().metadata.drop_all(engine)
    orders.drop(engine)
    engine.dispose()


def send(
    database: Database, message_id: str = "msg_1", then: Callable[[], None] = lambda: None,
    key: str | None = None,
) -> str:  # fmt: skip
    """Send as the app does, in whatever transaction it has."""
    new = new_message(
        message_id, name="newOrder", key=None, tenant=None, body=b"{}", idempotency_key=key, now=10
    )
    message = database.send(new, then=then)
    return message.id


def stored(engine: Engine) -> tuple[int, int]:
    """How many orders and how many messages were committed."""
    messages = make_tables().messages
    with engine.connect() as connection:
        both = []
        for table in (orders, messages):
            there = inspect(connection).has_table(table.name)
            both.append(len(connection.execute(table.select()).all()) if there else 0)
    return both[0], both[1]


@pytest.mark.parametrize("made_before", [False, True])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_session(engine: Engine, end: str, made_before: bool) -> None:
    """Order and message are there together or not at all, even when it made the tables."""
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        if made_before:
            database.ensure_tables()
        session.execute(insert(orders), {"id": 1})
        send(database)
        getattr(session, end)()
    assert stored(engine) == ((1, 1) if end == "commit" else (0, 0))


def test_after_a_rollback_the_next_message_is_stored(engine: Engine) -> None:
    """Tables that went with the first transaction are made again by the second."""
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        session.execute(insert(orders), {"id": 1})
        send(database)
        session.rollback()
        session.execute(insert(orders), {"id": 2})
        send(database)
        session.commit()
        assert stored(engine) == (1, 1)
        send(database, "msg_2")
        session.rollback()
    assert stored(engine) == (1, 1)


def test_a_scoped_session(engine: Engine) -> None:
    """Each thread writes in its own session's transaction."""
    registry = scoped_session(sessionmaker(engine))
    database = Database(make_tables(), session=registry)
    database.ensure_tables()

    def work(message_id: str, end: str) -> None:
        send(database, message_id)
        getattr(registry(), end)()
        registry.remove()

    for message_id, end in (("msg_1", "commit"), ("msg_2", "rollback"), ("msg_3", "commit")):
        thread = threading.Thread(target=work, args=(message_id, end))
        thread.start()
        thread.join()
    with engine.connect() as connection:
        ids = connection.execute(database.tables.messages.select()).scalars().all()
    assert sorted(ids) == ["msg_1", "msg_3"]


def test_a_bare_connection(engine: Engine) -> None:
    """A Core connection's transaction decides, without any hook."""
    with engine.connect() as connection:
        database = Database(make_tables(), session=connection)
        connection.execute(insert(orders), {"id": 1})
        send(database)
        connection.rollback()
        assert stored(engine) == (0, 0)
        connection.execute(insert(orders), {"id": 2})
        send(database)
        connection.commit()
    assert stored(engine) == (1, 1)


def test_flask_sqlalchemy(engine: Engine, tmp_path: Path) -> None:
    """``db.session`` works as it is, and the worker finds the database without an app context."""
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = engine.url.render_as_string(hide_password=False)
    db = SQLAlchemy(app)
    database = Database(make_tables(), session=db.session)
    with app.app_context():
        db.session.execute(insert(orders), {"id": 1})
        send(database)
        db.session.rollback()
        db.session.execute(insert(orders), {"id": 2})
        send(database)
        db.session.commit()
    seen = database.read(lambda c: c.execute(database.tables.messages.select()).all())
    assert [row.id for row in seen] == ["msg_1"]
    assert stored(engine) == (1, 1)
    with app.app_context():
        db.engine.dispose()


def test_a_savepoint_that_is_rolled_back_takes_its_message_with_it(engine: Engine) -> None:
    """What was sent before and after it stays. (SQLite's driver must be told to begin itself.)"""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _begin_nothing)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        engine.dispose()
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        database.ensure_tables()
        send(database, "msg_1")
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            send(database, "msg_2")
            raise ZeroDivisionError
        send(database, "msg_3")
        session.commit()
        found = session.execute(database.tables.messages.select()).scalars().all()
    assert sorted(found) == ["msg_1", "msg_3"]


def _begin_nothing(driver: Any, _: Any) -> None:
    driver.isolation_level = None


def test_the_worker_writes_beside_an_app_that_begins_by_itself(engine: Engine) -> None:
    """Where the app makes the driver begin, our own short transactions still work."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _begin_nothing)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        engine.dispose()
    check_that_the_worker_writes(engine)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_the_worker_writes_beside_an_app_whose_driver_is_never_without_a_transaction(
    tmp_path: Path,
) -> None:
    """So it is with ``autocommit=False``: our own short transactions work there, too."""
    engine = create_engine(
        f"sqlite:///{tmp_path / 'app.sqlite3'}", connect_args={"autocommit": False}
    )
    check_that_the_worker_writes(engine)
    engine.dispose()


def check_that_the_worker_writes(engine: Engine) -> None:
    """A transaction of the worker's is committed, another is rolled back."""
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        send(database)
        session.commit()
        rename = database.tables.messages.update().values(name="renamed")
        database.write(lambda c: c.execute(rename))
        with pytest.raises(ZeroDivisionError):
            database.write(lambda c: (c.execute(rename.values(name="lost")), 1 / 0))
        [row] = session.execute(database.tables.messages.select()).all()
    assert row.name == "renamed"


def test_a_repeated_idempotency_key_does_not_end_the_apps_transaction(engine: Engine) -> None:
    """The order that is written beside the repeated message can still be rolled back."""
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        send(database, "msg_1", key="42")
        session.commit()
        session.execute(insert(orders), {"id": 1})
        assert send(database, "msg_2", key="42") == "msg_1"
        session.rollback()
        session.execute(insert(orders), {"id": 2})
        assert send(database, "msg_3", key="42") == "msg_1"
        session.commit()
    assert stored(engine) == (1, 1)


def test_a_key_that_was_used_while_the_transaction_ran(engine: Engine) -> None:
    """A snapshot that is older than the first message doesn't hide it."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: the other transaction would have to end first")
    with Session(engine) as one, Session(engine) as other:
        first, second = (Database(make_tables(), session=session) for session in (one, other))
        first.ensure_tables()
        other.execute(orders.select()).all()
        send(first, "msg_1", key="42")
        one.commit()
        assert send(second, "msg_2", key="42") == "msg_1"
        other.commit()


def test_the_hint_comes_once_and_after_the_commit(engine: Engine) -> None:
    """Not when sending, not at a savepoint, not after a rollback; once for many messages."""
    hints: list[int] = []
    with Session(engine) as session:
        database = Database(make_tables(), session=session)

        def hint() -> None:
            hints.append(stored(engine)[1])

        send(database, "msg_1", hint)
        send(database, "msg_2", hint)
        if engine.dialect.name != "sqlite":
            with session.begin_nested():
                send(database, "msg_3", hint)
        assert hints == []
        session.commit()
        assert hints == [2 if engine.dialect.name == "sqlite" else 3]
        session.commit()
        assert len(hints) == 1


def test_a_hint_that_fails_is_no_failed_commit(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit succeeds, the session stays usable, and the fault is logged."""
    with Session(engine) as session, caplog.at_level(logging.ERROR):
        database = Database(make_tables(), session=session)
        session.execute(insert(orders), {"id": 1})
        send(database, "msg_1", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        session.commit()
        session.execute(insert(orders), {"id": 2})
        session.commit()
    assert stored(engine) == (2, 1)
    assert "could not be woken" in caplog.text


def test_all_sessions_share_one_hook(tmp_path: Path) -> None:
    """However much it sends: neither gathers hooks, a long-lived one nor one for each request."""
    hints: list[str] = []
    engine = create_engine(f"sqlite:///{tmp_path / 'app.sqlite3'}")
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        for n in range(5):
            send(database, f"msg_{n}", lambda: hints.append("told"))
        session.commit()
        session.commit()
    with Session(engine) as another:
        send(Database(make_tables(), session=another), "msg_5", lambda: hints.append("again"))
        another.commit()
    with Session(engine) as silent:
        ours = [f for f in silent.dispatch.after_commit if f.__module__ == committing.__name__]
    assert (hints, len(ours)) == (["told", "again"], 1)
    engine.dispose()


def test_half_a_write_of_ours_is_never_committed(tmp_path: Path) -> None:
    """Not by an engine either that spares itself the rollbacks of what it takes for nothing."""
    pytest.importorskip("sqlalchemy", minversion="2.0.43", reason="that option is new there")
    engine = create_engine(f"sqlite:///{tmp_path / 'app.sqlite3'}", skip_autocommit_rollback=True)
    orders.create(engine)

    def half(connection: Connection) -> None:
        connection.execute(insert(orders), {"id": 1})
        raise KeyError("the other half")

    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        with pytest.raises(KeyError):
            database.write(half)
        database.write(lambda c: c.execute(insert(orders), {"id": 2}))
    assert stored(engine) == (1, 0)
    engine.dispose()


def test_tables_are_made_beside_a_write_transaction_of_the_app(engine: Engine) -> None:
    """The first sending neither waits for the app's own lock nor commits the app's work."""
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        session.execute(insert(orders), {"id": 1})
        session.flush()
        send(database)
        assert stored(engine) == (0, 0)
        session.rollback()
    assert stored(engine) == (0, 0)


def test_a_shared_connection_is_not_disturbed() -> None:
    """In memory, a look while the app's transaction is open is refused: it would end that."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    orders.create(engine)
    with Session(engine) as session:
        database = Database(make_tables(), session=session)
        session.execute(insert(orders), {"id": 1})
        send(database)
        with pytest.raises(StoreError, match="Commit or roll back first"):
            database.read(lambda c: c.execute(orders.select()).all())
        session.commit()
    assert stored(engine) == (1, 1)
    assert len(database.read(lambda c: c.execute(orders.select()).all())) == 1
    engine.dispose()
