"""One database that holds webhooks: its engine, its transactions and the existence of its tables."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.pool import StaticPool

from ..exceptions import StoreError
from .tables import Tables

T = TypeVar("T")

_BUSY_TIMEOUT = 5000  # milliseconds
_TRIES = 6
# Deadlock and lock-wait timeout (MySQL, MariaDB), serialization failure and deadlock (PostgreSQL).
_TRANSIENT_CODES = {1205, 1213, "40001", "40P01"}


class Database:
    """Where the tables live: the extension's own database, or that of the app's session.

    :param tables: the tables, bound to no engine.
    :param uri: an SQLAlchemy URL, for a database of the extension's own.
    :param session: a ``Session``, ``scoped_session`` or ``Connection`` of the app, in whose
        transactions messages are written.
    """

    def __init__(self, tables: Tables, *, uri: str | None = None, session: Any = None) -> None:
        self.tables = tables
        self._uri = uri
        self._session = session
        self._engine: Engine | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._tables_seen = False

    @property
    def in_app_transaction(self) -> bool:
        """Whether messages are written in the app's own transactions."""
        return self._session is not None

    @property
    def engine(self) -> Engine:
        """The engine of this process. Connections that were inherited over a fork are let go unused."""
        with self._lock:
            if self._engine is None:
                self._engine = self._session_engine() if self._session else _own_engine(self._uri)
            if self._pid != os.getpid():
                self._engine.dispose(close=False)
                self._pid = os.getpid()
            return self._engine

    def _session_engine(self) -> Engine:
        if isinstance(self._session, Connection):
            return self._session.engine
        bind = self._session.get_bind()
        engine: Engine = bind.engine if isinstance(bind, Connection) else bind
        return engine

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a short transaction of its own; again when the database was busy.

        :raises sqlalchemy.exc.DBAPIError: the database refuses, or stays busy.
        """
        self.ensure_tables()
        for left in range(_TRIES - 1, -1, -1):
            try:
                with _transaction(self.engine) as connection:
                    return work(connection)
            except DBAPIError as error:
                if not left or not _is_transient(error):
                    raise
                time.sleep(random.uniform(0.005, 0.05))
        raise AssertionError("unreachable")

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads."""
        self.ensure_tables()
        with self.engine.connect() as connection:
            return work(connection)

    def send(self, work: Callable[[Connection], T], then: Callable[[], None]) -> T:
        """Run ``work`` where messages are written: the app's transaction, or one of our own.

        ``then`` is called when what was written may be visible. In the app's transaction that is
        a hint at most: it may come early, or never.
        """
        if self._session is None:
            result = self.write(work)
            then()
            return result
        connection = self._session_connection()
        self.ensure_tables(connection)
        result = work(connection)
        self._hint_after_commit(then)
        return result

    def _session_connection(self) -> Connection:
        if isinstance(self._session, Connection):
            return self._session
        return self._session.connection()  # type: ignore[no-any-return]

    def _hint_after_commit(self, then: Callable[[], None]) -> None:
        if isinstance(self._session, Connection):
            return  # the only hook of a bare connection comes before its commit
        current = self._session() if callable(self._session) else self._session
        event.listen(current, "after_commit", lambda _: then(), once=True)

    def ensure_tables(self, connection: Connection | None = None) -> None:
        """Make the tables where they are missing; looked up once in a process.

        :param connection: look and make in this connection's transaction instead of an own one.
        """
        if self._tables_seen:
            return
        bind: Connection | Engine = connection or self.engine
        if not _has_tables(bind, self.tables):
            _make(bind, self.tables)
            # What was made in the app's transaction may still be rolled back: look again.
            self._tables_seen = connection is None
        else:
            self._tables_seen = True

    def dispose(self) -> None:
        """Close the connections of the extension's own engine."""
        if self._engine is not None and self._session is None:
            self._engine.dispose()


def _has_tables(bind: Connection | Engine, tables: Tables) -> bool:
    return inspect(bind).has_table(tables.attempts.name)


def _make(bind: Connection | Engine, tables: Tables) -> None:
    try:
        tables.metadata.create_all(bind, tables=list(tables.in_order()))
    except (OperationalError, ProgrammingError) as error:
        # Another process may have made them between the look and the making.
        if isinstance(bind, Connection) or not _has_tables(bind, tables):
            raise StoreError(
                "The tables of Flask-Webhooks are missing and could not be made: "
                f"{type(error.orig).__name__}. Make them by 'flask webhooks create-tables' as a "
                "user who may."
            ) from error


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        # A read that turns into a write gets SQLITE_BUSY at once, whatever the busy timeout says:
        # take the write lock first. The driver must not begin anything by itself for that.
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _is_transient(error: DBAPIError) -> bool:
    original: Any = error.orig
    code = getattr(original, "sqlstate", None) or next(iter(getattr(original, "args", ())), None)
    return code in _TRANSIENT_CODES or "database is locked" in str(original)


def _own_engine(uri: str | None) -> Engine:
    url = make_url(uri or "sqlite://")
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    if url.database in (None, "", ":memory:"):
        memory = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        event.listen(memory, "connect", _foreign_keys_on)
        return memory
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_file)
    return engine


def _foreign_keys_on(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_file(connection: Any, record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    _foreign_keys_on(connection, record)
