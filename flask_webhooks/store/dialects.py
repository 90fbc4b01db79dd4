"""What the databases say differently."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    any_,
    bindparam,
    func,
    select,
)

_MYSQL = ("mysql", "mariadb")


def insert_or_skip(connection: Connection, table: Table) -> Any:
    """An ``INSERT`` that does nothing where a unique column has the value already.

    No savepoint is used: SQLite's driver would let a savepoint commit the app's transaction.
    """
    name = connection.dialect.name
    # Imported where the engine has loaded them already: together they take longer than SQLAlchemy.
    if name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    if name in _MYSQL:
        from sqlalchemy.dialects import mysql

        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table).on_conflict_do_nothing()


def as_committed(connection: Connection, query: Select[Any]) -> Select[Any]:
    """The query, able to see a row that another transaction committed since this one began.

    MySQL and MariaDB read a snapshot by default, while their ``INSERT`` meets the row itself.
    """
    return query.with_for_update(read=True) if connection.dialect.name in _MYSQL else query


def among(dialect: str, column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """``column IN (…)`` with the whole list as one parameter, given by :func:`as_list`.

    The text of the statement then stays the same, however long the list.
    """
    if dialect == "sqlite":
        each = func.json_each(bindparam(parameter)).table_valued("value")
        return column.in_(select(each.c.value))
    if dialect == "postgresql":
        return column == any_(bindparam(parameter, type_=ARRAY(column.type)))
    return column.in_(bindparam(parameter, expanding=True))


def as_list(dialect: str, values: Iterable[Any]) -> Any:
    """A list as a parameter of :func:`among`."""
    return json.dumps(list(values)) if dialect == "sqlite" else list(values)


def locks_rows(engine: Engine) -> bool:
    """Whether writers lock rows, and not the whole database as in SQLite."""
    return engine.dialect.name != "sqlite"


def makes_tables_apart(engine: Engine) -> bool:
    """Whether missing tables are made on a connection of their own.

    MySQL and MariaDB would commit the app's transaction at every ``CREATE TABLE``. SQLite would
    wait for the app's write lock for ever, but keeps tables in the app's transaction.
    """
    return locks_rows(engine)
