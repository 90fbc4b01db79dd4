"""One database that holds webhooks: its engine, its transactions and that its tables exist."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import StaticPool

from ..exceptions import StoreError
from . import adding, making
from .adding import NewMessage
from .committing import hint_after_commit, listen_to_sessions
from .dialects import locks_rows, makes_tables_apart, one_at_a_time, prefer_indexes, wait_briefly
from .forking import Gate
from .group_commit import GroupCommit
from .records import Message
from .tables import Tables
from .transactions import TryAgain, transacted
from .turns import Turns

T = TypeVar("T")

_BUSY_TIMEOUT = 5000  # milliseconds
_CACHE = 16_384  # KiB for each connection, when they are needed
#: Seconds for which a write is tried again while the database is busy.
_PATIENCE = 10.0
# Lock-wait timeout, deadlock, and the same over the next id (MySQL, MariaDB); serialization
# failure and deadlock (PostgreSQL).
_TRANSIENT_CODES = {1205, 1213, 1467, "40001", "40P01"}


class Pauses(Protocol):
    """Lets another thread compute while one waits: told of each thread that writes."""

    def pause(self) -> None:
        """It waits for other writers, or for the disk."""

    def hurry(self) -> None:
        """It goes on, and others wait for it."""

    def resume(self) -> None:
        """It is through."""


class NoPauses:
    """Nobody is waiting to compute."""

    def pause(self) -> None:
        """Do nothing."""

    hurry = resume = pause


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
        # Held while the only connection of a database in memory is in use.
        self._only_one = threading.RLock()
        self._tables_seen = False
        self._gate = Gate(self._close_idle)
        #: These two where the file of SQLite is our own.
        self._turns: Turns | None = None
        self._group: GroupCommit[NewMessage, Message] | None = None
        self.pauses: Pauses = NoPauses()
        if session is not None and not isinstance(session, Connection):
            listen_to_sessions()

    @property
    def locks_rows(self) -> bool:
        """Whether writers lock rows, and not the whole database as in SQLite."""
        return locks_rows(self.engine)

    @property
    def shown_url(self) -> str:
        """Where the database is, without a password."""
        return _shown(self.engine.url)

    @property
    def engine(self) -> Engine:
        """The engine of this process; connections inherited over a fork are let go unused."""
        if self._pid != os.getpid():
            self._begin_anew()
        return self._engine or self._opened()

    def _opened(self) -> Engine:
        with self._lock:
            if self._engine is None:
                own = self._session is None
                engine = _own_engine(self._uri) if own else self._session_engine()
                self._turns = _turns_of(engine) if own else None
                self._group = self._new_group()
                self._engine = engine
            return self._engine

    def _begin_anew(self) -> None:
        # Whoever held the locks when the process forked has stayed behind.
        self._lock, self._only_one = threading.Lock(), threading.RLock()
        self._turns = self._turns and self._turns.anew()
        self._group = self._new_group()
        if self._engine is not None and not _is_shared(self._engine):
            self._engine.dispose(close=False)
        # Last: until then another thread of the child must not use what was inherited.
        self._pid = os.getpid()

    def _new_group(self) -> GroupCommit[NewMessage, Message] | None:
        def add(connection: Connection, messages: Sequence[NewMessage]) -> list[Message]:
            return adding.add_by_driver(connection, self.tables, messages)

        return None if self._turns is None else GroupCommit(self.write, add)

    def _close_idle(self) -> None:
        """Close what is idle before a fork, where a file of our own is open."""
        engine = self._engine
        own = engine is not None and self._session is None and self._pid == os.getpid()
        if engine is not None and own and not (_is_shared(engine) or locks_rows(engine)):
            engine.dispose()

    def _session_engine(self) -> Engine:
        current = self._current()
        bind = current if isinstance(current, Connection) else current.get_bind()
        engine: Engine = bind.engine
        return engine

    def _current(self) -> Any:
        """The app's ``Session`` or ``Connection`` of this moment."""
        return self._session() if callable(self._session) else self._session

    def write(self, work: Callable[[Connection], T], *, by_worker: bool = False) -> T:
        """Run ``work`` in a short transaction of its own; again when the database was busy.

        :class:`.TryAgain`, raised by ``work``, lets it run again as well.

        :param by_worker: no request waits for it, so it lets others go first. And it looks for a
            few rows among very many, see :func:`prefer_indexes`.
        :raises sqlalchemy.exc.DBAPIError: the database refuses, or stays busy.
        """
        self.ensure_tables()
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._alone(), self._in_turn(by_worker):
                    self.pauses.hurry()
                    return transacted(self.engine, work, by_worker, self.pauses.pause)
            except TryAgain:
                continue
            except DBAPIError as error:
                if time.monotonic() > give_up or not _is_transient(error):
                    raise
                time.sleep(random.uniform(0.005, 0.05))
            finally:  # when others may write again: they are not to wait for this as well
                self.pauses.resume()

    def read(self, work: Callable[[Connection], T], *, by_index: bool = False) -> T:
        """Run ``work``, which only reads.

        :param by_index: see :func:`prefer_indexes`.
        """
        self.ensure_tables()
        with self._alone(), self.engine.connect() as connection:
            if by_index:
                prefer_indexes(connection)
            return work(connection)

    def _alone(self) -> AbstractContextManager[None]:
        """One at a time where there is one connection for all."""
        return self._with_the_only_one() if _is_shared(self.engine) else self._gate

    @contextmanager
    def _with_the_only_one(self) -> Iterator[None]:
        with self._only_one:
            if self._session is not None and _is_in_transaction(self.engine):
                raise StoreError(
                    "The app's database has one connection for everybody, as SQLite in memory has, "
                    "and a transaction of the app is open on it. Commit or roll back first, or use "
                    "a database in a file."
                )
            yield

    def _in_turn(self, lets_pass: bool) -> AbstractContextManager[None]:
        if self._turns is None:
            return nullcontext()
        return self._turns.taken(self.pauses.pause, lets_pass=lets_pass)

    def send(self, message: NewMessage, then: Callable[[], None]) -> Message:
        """Store a message where it is to be: in the app's transaction, or in one of our own.

        ``then`` is called when what was written may be visible. In the app's transaction that is
        a hint at most: it may come early, or never.

        :returns: the message; the earlier one where its idempotency key was used before.
        """
        if self._session is None:
            stored = self._send_at_once(message)
            then()
            return stored
        current = self._current()
        bare = isinstance(current, Connection)
        connection: Connection = current if bare else current.connection()
        self._remember(connection.engine)
        self.ensure_tables(connection)
        [stored] = adding.add_messages(connection, self.tables, [message])
        if not bare:  # the only hook of a bare connection comes before its commit
            hint_after_commit(current, self, then)
        return stored

    def _send_at_once(self, message: NewMessage) -> Message:
        self.engine  # noqa: B018  # there are other groups after a fork
        if self._group is not None:
            return self._group.store(message)
        return self.write(lambda c: adding.add_messages(c, self.tables, [message])[0])

    def _remember(self, engine: Engine) -> None:
        """Keep the engine for the worker, whose threads may have no session to ask."""
        if self._engine is None:
            with self._lock:
                self._engine = engine

    def ensure_tables(self, connection: Connection | None = None) -> None:
        """Make the tables where they are missing; looked up once in a process.

        :param connection: the app's connection, whose transaction is not to be disturbed.
        """
        if self._tables_seen:
            return
        if self.tables.attached:
            self._check_attached(self.engine if connection is None else connection)
        elif connection is None or makes_tables_apart(self.engine):
            with self._alone():
                _make_missing(self.engine, self.tables)
            self._tables_seen = True
        elif making.has_tables(connection, self.tables):
            self._tables_seen = not making.lacks(connection, self.tables)
            if not self._tables_seen:
                making.make(connection, self.tables)
        else:
            # They may still be rolled back with the rest: look again next time.
            making.make(connection, self.tables)

    def _check_attached(self, bind: Connection | Engine) -> None:
        """Refuse to work without tables that the app's own migrations are to make."""
        if not making.has_tables(bind, self.tables):
            wrong = f"{self.tables.messages.name} and the others are missing"
        elif missing := making.lacks(bind, self.tables):
            wrong = f"they lack {', '.join(missing)}"
        else:
            self._tables_seen = True
            return
        raise StoreError(
            f"The tables of Flask-Webhooks are attached to the app's metadata, but {wrong}. Write "
            "a migration and run it, with Flask-Migrate: flask db migrate, then flask db upgrade."
        )

    def dispose(self) -> None:
        """Close the connections of the extension's own engine."""
        if self._engine is not None and self._session is None:
            self._engine.dispose()
        if self._turns is not None:
            self._turns.close()


def _make_missing(engine: Engine, tables: Tables) -> None:
    def make(connection: Connection) -> None:
        with one_at_a_time(connection, f"make {tables.attempts.name}", _PATIENCE):
            making.make(connection, tables)

    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            if not making.has_tables(engine, tables) or making.lacks(engine, tables):
                transacted(engine, make)
            return
        except DBAPIError as error:
            if time.monotonic() > give_up or not _is_transient(error):
                raise StoreError(
                    f"The database {_shown(engine.url)} can't be used: "
                    f"{type(error.orig).__name__}. Is it reachable? If its user may not make or "
                    "change tables, let one who may run 'flask webhooks create-tables'."
                ) from error
            time.sleep(random.uniform(0.005, 0.05))


def _is_shared(engine: Engine) -> bool:
    return isinstance(engine.pool, StaticPool)


def _is_in_transaction(engine: Engine) -> bool:
    driver = getattr(engine.pool, "connection").dbapi_connection  # noqa: B009  # untyped
    return bool(getattr(driver, "in_transaction", False))


def _code(error: DBAPIError) -> Any:
    original: Any = error.orig
    return getattr(original, "sqlstate", None) or next(iter(getattr(original, "args", ())), None)


def _is_transient(error: DBAPIError) -> bool:
    return _code(error) in _TRANSIENT_CODES or "database is locked" in str(error.orig)


def _own_engine(uri: str | None) -> Engine:
    try:
        return _engine_of(make_url(uri or "sqlite://"))
    except ArgumentError as error:  # without the text of the URL, which may hold a password
        raise StoreError(
            f"WEBHOOKS_DATABASE_URI is no URL that SQLAlchemy can use: {type(error).__name__}. "
            "Give one such as postgresql+psycopg://user@host/database."
        ) from None
    except ImportError as error:
        raise StoreError(
            f"The driver that WEBHOOKS_DATABASE_URI names is not installed: {error.name}. Install "
            "it, as by pip install 'Flask-Webhooks[postgresql]'."
        ) from None
    except OSError as error:
        raise StoreError(
            f"The folder of the database can't be made: {error}. Set WEBHOOKS_DATABASE_URI to "
            "another place."
        ) from None


def _engine_of(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        server = create_engine(url, pool_pre_ping=True)
        wait_briefly(server, _BUSY_TIMEOUT // 1000)
        return server
    if url.database in (None, "", ":memory:"):
        memory = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        event.listen(memory, "connect", _foreign_keys_on)
        return memory
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    # The driver begins nothing by itself: said once, and not for every transaction.
    engine = create_engine(url, connect_args={"isolation_level": None})
    event.listen(engine, "connect", _prepare_file)
    return engine


def _turns_of(engine: Engine) -> Turns | None:
    in_file = not (locks_rows(engine) or _is_shared(engine))
    return Turns(f"{engine.url.database}-turns") if in_file else None


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _foreign_keys_on(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def _prepare_file(connection: Any, record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = {-_CACHE}")
    _foreign_keys_on(connection, record)


def _write_ahead(connection: Any) -> None:
    """Switch a new file over; the busy timeout doesn't help when two processes do so at once."""
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except Exception as error:
            if time.monotonic() > give_up or "locked" not in str(error):
                raise
            time.sleep(random.uniform(0.005, 0.05))
