"""Short transactions of our own, each begun as its database needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .dialects import locks_rows, prefer_indexes

T = TypeVar("T")


class TryAgain(Exception):
    """Raised within a transaction, so that it is rolled back and run again at once."""


def transacted(
    engine: Engine,
    work: Callable[[Connection], T],
    by_index: bool = False,
    before_commit: Callable[[], None] = lambda: None,
) -> T:
    """Run ``work`` in a transaction.

    :param by_index: see :func:`.prefer_indexes`.
    :param before_commit: called when only the disk is to be waited for.
    """
    with engine.connect() as connection:
        if locks_rows(engine):
            # What a snapshot would show while rows are claimed is out of date.
            connection = connection.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                if by_index:
                    prefer_indexes(connection)
                result = work(connection)
                before_commit()
            return result
        # A read that turns into a write gets SQLITE_BUSY at once, whatever the busy timeout says:
        # take the write lock first. The driver must not begin anything by itself for that.
        if _driver(connection).isolation_level is not None:  # the app's
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        with connection.begin():
            _begin_immediate(connection)
            try:
                result = work(connection)
                before_commit()
            except BaseException:
                # SQLAlchemy may take it that nothing was begun, and leave what was written.
                if _driver(connection).in_transaction:
                    by_driver(connection, "ROLLBACK")
                raise
        return result


def _begin_immediate(connection: Connection) -> None:
    if _driver(connection).in_transaction:
        # Begun by a listener of the app, and still empty; or by the driver with
        # autocommit=False, whose own rollback() would begin another.
        connection.exec_driver_sql("ROLLBACK")
    by_driver(connection, "BEGIN IMMEDIATE")


def by_driver(connection: Connection, statement: str, values: Sequence[Any] = ()) -> None:
    """Run a statement past SQLAlchemy, which takes longer for a small one than SQLite does.

    No listener of the engine's statements sees it, and its error shows no values.
    """
    foreign = connection.dialect.loaded_dbapi.Error
    try:
        _driver(connection).cursor().execute(statement, values)
    except foreign as error:
        raise DBAPIError.instance(statement, None, error, foreign) from error


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
