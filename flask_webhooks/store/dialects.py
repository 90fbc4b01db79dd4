"""What the databases say differently."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    any_,
    bindparam,
    case,
    cast,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.types import NullType

_MYSQL = ("mysql", "mariadb")

_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('{name}', 'off', true)" for name in ("enable_seqscan", "enable_bitmapscan", "jit")
)

_UNTYPED = NullType()

#: Rows that SQLite inserts by one statement at most.
_LARGEST_BLOCK = 64


@functools.lru_cache(64)
def insert_or_skip(dialect: str, table: Table) -> Any:
    """An ``INSERT`` that does nothing where a unique column has the value already.

    No savepoint is used: SQLite's driver would let a savepoint commit the app's transaction.
    """
    # Imported where the engine has loaded them already: together they take longer than SQLAlchemy.
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    if dialect in _MYSQL:
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
        return column == any_(_array(parameter, column))
    return column.in_(bindparam(parameter, expanding=True))


def contains(dialect: str, column: ColumnElement[bytes], part: bytes) -> ColumnElement[bool]:
    """Whether the bytes of a column hold other bytes."""
    if dialect == "postgresql":
        return func.pg_catalog.position(column, part) > 0
    if dialect == "sqlite":
        return func.instr(column, part) > 0
    return func.locate(part, column) > 0


def overwrite_what_is_replaced(connection: Connection) -> None:
    """Have SQLite leave nothing of a replaced value in its file; the others clean up later."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def move_the_log_home(engine: Engine) -> None:
    """Empty SQLite's write-ahead log, as far as no reader still needs it."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()


def fetch(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[Any]:
    """The rows of a query of the worker's, as sequences.

    SQLite hands rows out one by one, and every time another thread may take the interpreter's lock
    for as long as it likes. So there they come as one text of JSON.
    """
    if connection.dialect.name != "sqlite":
        return list(connection.execute(query, values).all())
    packed, binary = _packed(query)
    rows: list[list[Any]] = json.loads(connection.execute(packed, values).scalar_one())
    for position in binary:
        for row in rows:
            row[position] = None if row[position] is None else bytes.fromhex(row[position])
    return rows


def insert_all(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows; where it pays, many by one statement.

    In SQLite that is for the same reason, and it takes half the time; so it does in PostgreSQL.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        _insert_in_blocks(connection, table, columns, rows)
    elif dialect == "postgresql":
        lists = map(_array_text, zip(*rows, strict=True))
        given = dict(zip(columns, lists, strict=True))
        connection.execute(_unnesting_insert(table, columns), given)
    else:
        each = [dict(zip(columns, row, strict=True)) for row in rows]
        connection.execute(insert(table), each)


def _insert_in_blocks(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    # Few sizes, so that the driver knows each statement already.
    start, size = 0, _LARGEST_BLOCK
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        values = tuple(chain.from_iterable(rows[start : start + size]))
        connection.exec_driver_sql(insert_of_rows(connection.dialect, table, columns, size), values)
        start += size


@functools.lru_cache(256)
def insert_of_rows(dialect: Dialect, table: Table, columns: tuple[str, ...], size: int) -> str:
    """One ``INSERT`` of so many rows, in the words of SQLite's driver."""
    quoted = dialect.identifier_preparer
    names = ", ".join(map(quoted.quote, columns))
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {quoted.format_table(table)} ({names}) VALUES {', '.join([row] * size)}"


@functools.lru_cache(64)
def _unnesting_insert(table: Table, columns: tuple[str, ...]) -> Any:
    """An ``INSERT`` of PostgreSQL's, with a list for each column as its parameters."""
    lists = [_array(name, table.c[name]) for name in columns]
    rows = func.unnest(*lists).table_valued(*columns).render_derived()
    return insert(table).from_select(columns, select(*rows.c), include_defaults=False)


@functools.lru_cache(64)
def _packed(query: Select[Any]) -> tuple[Select[Any], list[int]]:
    """A query for all rows as one array of arrays, and which columns are bytes, in hexadecimal."""
    inner = query.subquery()
    binary = [n for n, c in enumerate(inner.c) if isinstance(c.type, LargeBinary)]
    each = [_hexadecimal(c) if n in binary else c for n, c in enumerate(inner.c)]
    return select(func.json_group_array(func.json_array(*each))).select_from(inner), binary


def _hexadecimal(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((column.is_not(None), func.hex(column)))


def as_list(dialect: str, values: Iterable[Any]) -> Any:
    """A list as a parameter of :func:`among`."""
    if dialect == "sqlite":
        return json.dumps(list(values))
    return _array_text(values) if dialect == "postgresql" else list(values)


def _array(parameter: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A parameter that :func:`_array_text` makes, as an array of PostgreSQL's.

    It has no type but that of the cast: as a text it would be parsed for each row that it is held
    against. And texts are of any length, since those of ``VARCHAR(40)[]`` would be cut.
    """
    whole = Text() if isinstance(column.type, String) else column.type
    return cast(bindparam(parameter, type_=_UNTYPED), ARRAY(whole))


def _array_text(values: Iterable[Any]) -> str:
    """A list in PostgreSQL's own notation ("Array Input and Output Syntax" in its manual).

    A driver would adapt element after element, which takes longer than the statement.
    """
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: int | str | bytes | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def prefer_indexes(connection: Connection) -> None:
    """Have PostgreSQL go by its indexes until the transaction ends, whatever it believes.

    A queue may be empty when statistics are taken, and long a moment later: then it would read the
    whole table, and sort it, to find a few rows.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_BY_INDEX)


def locks_rows(engine: Engine) -> bool:
    """Whether writers lock rows, and not the whole database as in SQLite."""
    return engine.dialect.name != "sqlite"


def makes_tables_apart(engine: Engine) -> bool:
    """Whether missing tables are made on a connection of their own.

    MySQL and MariaDB would commit the app's transaction at every ``CREATE TABLE``. SQLite would
    wait for the app's write lock for ever, but keeps tables in the app's transaction.
    """
    return locks_rows(engine)


def fans_out_in_turns(connection: Connection) -> bool:
    """Whether two workers that fan out at the same time stand in each other's way.

    In MySQL and MariaDB each would hold the lock of the new numbers, or of a subscription, and wait
    for the other.
    """
    return connection.dialect.name in _MYSQL


def wait_briefly(engine: Engine, seconds: int) -> None:
    """Have MySQL and MariaDB wait so long for a row's lock, and not for most of a minute."""
    if engine.dialect.name not in _MYSQL:
        return

    def told(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {seconds:d}")

    event.listen(engine, "connect", told)


@contextmanager
def one_at_a_time(connection: Connection, name: str, seconds: float) -> Iterator[None]:
    """Let the processes that share a database do something in turns, within a transaction.

    In SQLite a transaction that writes is alone already.

    :param name: the same in all of them.
    :param seconds: how long MySQL and MariaDB wait for their turn; then they go on all the same.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))
    if dialect not in _MYSQL:
        yield
        return
    connection.execute(select(func.get_lock(name, seconds)))
    try:
        yield
    finally:
        connection.execute(select(func.release_lock(name)))
