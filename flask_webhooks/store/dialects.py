"""What the databases say differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite


def insert_or_skip(connection: Connection, table: Table) -> Any:
    """An ``INSERT`` that does nothing where a unique column has the value already.

    No savepoint is used: SQLite's driver would let a savepoint commit the app's transaction.
    """
    name = connection.dialect.name
    if name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    if name in ("mysql", "mariadb"):
        return mysql.insert(table).on_duplicate_key_update(id=table.c.id)
    return sqlite.insert(table).on_conflict_do_nothing()
