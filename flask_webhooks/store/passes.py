"""Passes into the portal: one row each, known by the digest of a link, and then by a cookie's.

Nothing but digests is kept, so that whoever reads the rows gets in nowhere. A pass whose row is
gone lets nobody in.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from .lists import owner_is
from .records import Owned
from .tables import Tables

#: Rows that are forgotten in one go, on the way.
_FORGOTTEN = 100


class Pass(NamedTuple):
    """What its bearer may see."""

    tenant: str | None
    may_write: bool
    #: Microseconds since 1970.
    until: int


def add(connection: Connection, tables: Tables, digest: str, given: Pass, *, now: int) -> None:
    """Keep a new pass; those that have expired are forgotten on the way."""
    p = tables.passes.c
    old = select(p.id).where(p.until <= now).order_by(p.until).limit(_FORGOTTEN)
    digests = list(connection.execute(old).scalars())
    if digests:
        connection.execute(delete(tables.passes).where(p.id.in_(digests)))
    connection.execute(insert(tables.passes).values(id=digest, **given._asdict()))


def exchange(
    connection: Connection, tables: Tables, digest: str, other: str, *, now: int
) -> Pass | None:
    """Let a pass be known by another digest, and no longer by this one.

    Of two who try it at the same time one gets it.
    """
    p = tables.passes.c
    connection.execute(update(tables.passes).where(p.id == digest).values(id=other))
    return find(connection, tables, other, now=now)


def find(connection: Connection, tables: Tables, digest: str, *, now: int) -> Pass | None:
    """The pass that is known by a digest, unless it has expired."""
    p = tables.passes.c
    query = select(p.tenant, p.may_write, p.until).where(p.id == digest, p.until > now)
    found = connection.execute(query).first()
    return None if found is None else Pass(*found)


def revoke(connection: Connection, tables: Tables, owned: Owned, *, now: int) -> int:
    """Let no pass of a tenant let anybody in any more; how many there were."""
    p = tables.passes.c
    valid = owner_is(p.tenant, owned), p.until > now
    return connection.execute(delete(tables.passes).where(*valid)).rowcount
