"""One database: made once, written in turn, retried while busy, left alone after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError

from flask_webhooks.exceptions import StoreError
from flask_webhooks.store.database import Database
from flask_webhooks.store.tables import make_tables
from tests import servers
from tests.storing import send, subscribe

database = servers.database
memory_database, file_database = servers.memory_database, servers.file_database
pg_database, mysql_database = servers.pg_database, servers.mysql_database
pg_url, mysql_url = servers.pg_url, servers.mysql_url

NAMES = ["attempts", "deliveries", "messages", "names", "subscriptions"]


def run(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Run Python in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_the_tables_are_made_on_first_need(database: Database) -> None:
    """The first read finds them; each is named after the prefix, and so is every index."""
    database.read(lambda c: c.execute(database.tables.messages.select()).all())
    seen = inspect(database.engine)
    for name in NAMES:
        table = database.tables.messages.name.replace("messages", name)
        assert seen.has_table(table)
        prefix = table.removesuffix(name)
        assert all(str(i["name"]).startswith(prefix) for i in seen.get_indexes(table))


_RACE = """
import os, sys, traceback
from flask_webhooks.store.adding import new_message
from flask_webhooks.store.database import Database
from flask_webhooks.store.tables import make_tables

def send(message_id):
    database = Database(make_tables(prefix="race_"), uri=sys.argv[1])
    database.send(new_message(message_id, name="n", key=None, tenant=None, body=b"{}",
        idempotency_key=None, now=1), then=lambda: None)
    database.dispose()

gate, opener = os.pipe()
children = []
for n in range(4):
    children.append(os.fork())
    if not children[-1]:
        os.read(gate, 1)
        try:
            send(f"msg_{n}")
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
os.write(opener, b"4444")
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes)
"""


@pytest.mark.parametrize("kind", ["file", "pg", "mysql"])
def test_many_processes_make_the_tables_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Four workers that start together on an empty database all get their message stored."""
    uri = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    if kind != "file":
        uri = request.getfixturevalue(f"{kind}_url")
    output, _ = run(_RACE, uri).communicate(timeout=30)
    assert output == "[0, 0, 0, 0]\n"
    engine = create_engine(uri)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM race_messages")).scalar() == 4
    engine.dispose()


def test_a_user_who_may_not_make_tables_is_told_what_to_do(tmp_path: Path) -> None:
    """The error names the command that makes them."""
    path = tmp_path / "read-only.sqlite3"
    create_engine(f"sqlite:///{path}").dispose()
    path.touch()
    path.chmod(0o400)
    database = Database(make_tables(), uri=f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(StoreError, match="flask webhooks create-tables"):
        send(database)
    database.dispose()


@pytest.mark.parametrize(
    "uri, told",
    [
        ("nonsense", "WEBHOOKS_DATABASE_URI is no URL"),
        ("nosuch://user:tell-nobody@host/x", "WEBHOOKS_DATABASE_URI is no URL"),
        ("oracle+cx_nosuch://user:tell-nobody@host/x", "WEBHOOKS_DATABASE_URI is no URL"),
        ("mssql+pymssql://user:tell-nobody@host/x", "is not installed: pymssql"),
        ("sqlite:////proc/nowhere/x.sqlite3", "The folder of the database can't be made"),
        (
            "mysql+pymysql://user:tell-nobody@127.0.0.1:1/x",
            r"user:\*\*\*@127.0.0.1:1/x can't be used",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_named(uri: str, told: str) -> None:
    """The error says what to set, and shows no password."""
    with pytest.raises(StoreError, match=told) as refused:
        send(Database(make_tables(), uri=uri))
    assert "tell-nobody" not in str(refused.value)


def test_sqlite_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    """Our own file: a write-ahead log, every commit on the disk, a wait instead of an error."""
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'own.sqlite3'}")

    def settings(name: str) -> object:
        return database.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar())

    names = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
    assert tuple(map(settings, names)) == ("wal", 2, 5000, 1)
    database.dispose()


def test_writers_wait_for_each_other(database: Database) -> None:
    """Eight threads that read and then write in one transaction all succeed, and none is lost."""
    subscribe(database, "sub_1")
    s = database.tables.subscriptions

    def add_one() -> None:
        def work(connection: object) -> None:
            current = connection.execute(s.select().with_for_update()).one()  # type: ignore[attr-defined]
            more = s.update().values(paused_until=current.paused_until + 1)
            connection.execute(more)  # type: ignore[attr-defined]

        for _ in range(5):
            database.write(work)

    threads = [threading.Thread(target=add_one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.read(lambda c: c.execute(s.select()).one()).paused_until == 40


def test_a_deadlock_is_tried_again(database: Database) -> None:
    """Two transactions that lock the same two rows in opposite order both succeed in the end."""
    subscribe(database, "sub_1")
    subscribe(database, "sub_2")
    s = database.tables.subscriptions
    both = threading.Barrier(2)
    tries: list[str] = []

    def lock(first: str, second: str) -> None:
        def work(connection: object) -> None:
            tries.append(first)
            for n, chosen in enumerate((first, second)):
                change = s.update().where(s.c.id == chosen).values(reason=first)
                connection.execute(change)  # type: ignore[attr-defined]
                if not n and database.locks_rows and len(tries) <= 2:
                    both.wait(5)

        database.write(work)

    threads = [
        threading.Thread(target=lock, args=pair)
        for pair in (("sub_1", "sub_2"), ("sub_2", "sub_1"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reasons = {row.reason for row in database.read(lambda c: c.execute(s.select()).all())}
    assert reasons in ({"sub_1"}, {"sub_2"})
    assert len(tries) == (3 if database.locks_rows else 2)


def test_other_errors_are_not_tried_again(database: Database) -> None:
    """A statement that can never work is run once, and leaves nothing behind."""
    runs: list[int] = []

    def work(connection: object) -> None:
        runs.append(1)
        add = database.tables.names.insert()
        connection.execute(add, {"subscription_id": "sub_none", "name": "x"})  # type: ignore[attr-defined]

    with pytest.raises(Exception, match="(?i)foreign key"):
        database.write(work)
    assert runs == [1]
    assert database.read(lambda c: c.execute(database.tables.names.select()).all()) == []


def test_a_database_that_stays_locked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets the error after a bounded time, not never."""
    monkeypatch.setattr("flask_webhooks.store.database._BUSY_TIMEOUT", 10)
    monkeypatch.setattr("flask_webhooks.store.database._PATIENCE", 0.1)
    uri = f"sqlite:///{tmp_path / 'locked.sqlite3'}"
    database, other = Database(make_tables(), uri=uri), create_engine(uri)
    database.ensure_tables()
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            send(database)
        connection.exec_driver_sql("ROLLBACK")
    send(database)
    database.dispose()
    other.dispose()


_FORK = """
import os, sys
from sqlalchemy import create_engine, event
from flask_webhooks.store.adding import new_message
from flask_webhooks.store.database import Database
from flask_webhooks.store.tables import make_tables

def send(message_id):
    database.send(new_message(message_id, name="n", key=None, tenant=None, body=b"{}",
        idempotency_key=None, now=1), then=lambda: None)

database = Database(make_tables(prefix="fork_"), uri=sys.argv[1])
send("msg_parent")
inherited = {id(database.engine.pool)}
held = database.engine.raw_connection()
inherited_driver = held.dbapi_connection
database._lock.acquire()  # as if another thread was just asking when the process forked
child = os.fork()
if child == 0:
    opened = []
    event.listen(database.engine, "connect", lambda driver, _: opened.append(driver))
    send("msg_child")
    assert len(opened) == 1 and id(database.engine.pool) not in inherited
    assert opened[0] is not inherited_driver
    os._exit(0)
database._lock.release()
held.close()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
send("msg_parent_again")
rows = database.read(lambda c: c.execute(database.tables.messages.select()).all())
print(sorted(row.id for row in rows))
database.dispose()
"""


@pytest.mark.parametrize("kind", ["file", "pg", "mysql"])
def test_a_forked_process_opens_connections_of_its_own(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """No inherited connection or lock is used in the child, and the parent's keep working."""
    uri = f"sqlite:///{tmp_path / 'forked.sqlite3'}"
    if kind != "file":
        uri = request.getfixturevalue(f"{kind}_url")
    process = run(_FORK, uri)
    output, _ = process.communicate(timeout=30)
    assert output.splitlines()[-1] == "['msg_child', 'msg_parent', 'msg_parent_again']", output


def test_the_first_threads_of_a_child_use_nothing_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks while another thread of the child lets go waits for no lock of the parent's."""
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'forked.sqlite3'}")
    send(database)
    inherited, seen = (database._group, database.engine.pool), []
    dispose = Engine.dispose

    def another(engine: Engine, close: bool = True) -> None:
        monkeypatch.undo()
        seen.append((database.engine and database._group, database.engine.pool))
        dispose(engine, close)

    monkeypatch.setattr(Engine, "dispose", another)
    database._pid = -1  # as in a child
    assert database.engine
    [(group, pool)] = seen
    assert group is not inherited[0]
    assert pool is not inherited[1]
    database.dispose()


def test_a_statement_for_reading_begins_no_write(database: Database) -> None:
    """A look at the tables sends no statement but SELECT."""
    database.ensure_tables()
    seen: list[str] = []

    def note(conn: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement.split()[0])

    event.listen(database.engine, "before_cursor_execute", note)
    database.read(lambda c: c.execute(database.tables.messages.select()).all())
    event.remove(database.engine, "before_cursor_execute", note)
    assert seen == ["SELECT"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_for_what_is_under_way(tmp_path: Path) -> None:
    """A transaction of another thread ends first, and the child finds nothing that is locked."""
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'forked.sqlite3'}")
    database.ensure_tables()
    inside, ended = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        inside.set()
        while not database._gate._forking:
            ended.wait(0.001)
        ended.set()

    thread = threading.Thread(target=database.write, args=(work,))
    thread.start()
    assert inside.wait(10)
    child = os.fork()
    if not child:
        status = 1
        try:
            database.write(lambda c: c.execute(text("DELETE FROM webhooks_messages")))
            status = 0
        finally:
            os._exit(status)
    assert ended.is_set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database.dispose()
