"""What the API answered to requests with an idempotency key, so that a repeated one is not done."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update

from .dialects import insert_or_skip
from .tables import Tables

#: Rows that are forgotten in one go, on the way.
_FORGOTTEN = 100


class Known(NamedTuple):
    """A request that was made before with the same key."""

    #: Digest of its method, path and body.
    request: str
    #: ``None`` while it is under way.
    sealed: bytes | None


def begin(
    connection: Connection,
    tables: Tables,
    digest: str,
    *,
    token: str,
    request: str,
    now: int,
    keep: int,
    patience: int,
) -> Known | None:
    """Note that a request begins; or find the one that was made before with the same key.

    :param digest: of the tenant and the key.
    :param token: new for every request; who holds it writes the answer.
    :param keep: microseconds for which an answer is remembered.
    :param patience: microseconds after which one that never ended counts as dead.
    """
    a = tables.answers.c
    _forget(connection, tables, now - keep)
    dead = [a.id == digest, a.sealed.is_(None), a.created_at < now - patience]
    connection.execute(delete(tables.answers).where(*dead))
    row = {"id": digest, "token": token, "request": request, "created_at": now}
    connection.execute(insert_or_skip(connection.dialect.name, tables.answers), row)
    # Told by the token, and not by the row count: MySQL counts a row that it found as well.
    mine = select(a.token, a.request, a.sealed).where(a.id == digest)
    found = connection.execute(mine).one()
    if found.token == token:
        return None
    return Known(found.request, None if found.sealed is None else bytes(found.sealed))


def end(
    connection: Connection, tables: Tables, digest: str, token: str, sealed: bytes | None
) -> None:
    """Keep the answer of a request; without one it is as if it had not been made."""
    a = tables.answers.c
    mine = a.id == digest, a.token == token
    if sealed is None:
        connection.execute(delete(tables.answers).where(*mine))
    else:
        connection.execute(update(tables.answers).where(*mine).values(sealed=sealed))


def _forget(connection: Connection, tables: Tables, before: int) -> None:
    a = tables.answers.c
    old = select(a.id).where(a.created_at < before).order_by(a.created_at).limit(_FORGOTTEN)
    digests = list(connection.execute(old).scalars())
    if digests:
        connection.execute(delete(tables.answers).where(a.id.in_(digests)))
