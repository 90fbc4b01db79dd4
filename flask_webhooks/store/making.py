"""Makes the tables where they are missing, and adds what an older version's tables lack.

The schema only grows, by tables, by columns that may be null and by indexes, so that processes of
two versions can share it while an app is rolled out.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Engine, Index, Table, inspect
from sqlalchemy.schema import CreateColumn

from .tables import Tables


def has_tables(bind: Connection | Engine, tables: Tables) -> bool:
    """Whether the tables are there; nothing is said of their columns."""
    return inspect(bind).has_table(tables.attempts.name)


def lacks(bind: Connection | Engine, tables: Tables) -> list[str]:
    """What an older version lacks: ``table.column``, or the name of a table or an index."""
    return [
        f"{table.name}.{part.name}" if isinstance(part, Column) else str(part.name)
        for table, part in _missing(bind, tables)
    ]


def make(connection: Connection, tables: Tables) -> None:
    """Make the tables, or add to them what they lack."""
    tables.metadata.create_all(connection, tables=list(tables.in_order()))
    for table, part in list(_missing(connection, tables)):
        if not isinstance(part, Column):
            part.create(connection)
        else:
            column = CreateColumn(part).compile(dialect=connection.dialect)
            name = connection.dialect.identifier_preparer.format_table(table)
            connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {column}")


def _missing(
    bind: Connection | Engine, tables: Tables
) -> Iterator[tuple[Table, Column[object] | Index | Table]]:
    seen = inspect(bind)
    for table in tables.in_order():
        if not seen.has_table(table.name):
            yield table, table
            continue
        columns = {column["name"] for column in seen.get_columns(table.name)}
        yield from ((table, column) for column in table.columns if column.name not in columns)
        indexes = {index["name"] for index in seen.get_indexes(table.name)}
        yield from ((table, index) for index in table.indexes if index.name not in indexes)
