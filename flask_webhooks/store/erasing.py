"""Finds what is stored of a person, and erases it: messages, their deliveries, and answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, or_, select, update

from . import lines
from .database import Database
from .dialects import among, as_list, contains, move_the_log_home, overwrite_what_is_replaced
from .records import IN_LINE, DeliveryStatus
from .tables import Tables

#: Messages, or answers, looked at in one go, and erased in one transaction.
BATCH = 200

_PENDING, _DELIVERED = str(DeliveryStatus.PENDING), str(DeliveryStatus.DELIVERED)


class Stored(NamedTuple):
    """A message that holds a text somewhere."""

    id: str
    name: str
    key: str | None
    body: bytes


class Answer(NamedTuple):
    """The first bytes of an answer that hold a text somewhere."""

    attempt_id: int
    name: str
    message_id: str
    excerpt: bytes


class Left(NamedTuple):
    """A message as it is to be kept."""

    id: str
    body: bytes
    #: Whether its key names the person, and goes as well.
    keyed: bool


class Touched(NamedTuple):
    """What belongs to some messages."""

    #: Deliveries that wait for an attempt, or are under way.
    deliveries: int
    #: Those of them that a worker holds at this moment.
    under_way: int
    #: Attempts with an answer that was kept.
    answers: int


def messages_holding(
    database: Database, part: bytes, key: str, name: str | None
) -> Iterator[list[Stored]]:
    """Batch after batch of messages whose body holds ``part``, or that have the key.

    :param name: of the only webhook to look at.
    """
    m = database.tables.messages.c

    def after(last: str) -> list[Stored]:
        def work(connection: Connection) -> list[Stored]:
            held = or_(contains(connection.dialect.name, m.body, part), m.key == key)
            query = select(m.id, m.name, m.key, m.body).where(m.id > last, held)
            query = query if name is None else query.where(m.name == name)
            rows = connection.execute(query.order_by(m.id).limit(BATCH)).all()
            return [Stored(row.id, row.name, row.key, bytes(row.body)) for row in rows]

        return database.read(work)

    batch = after("")
    while batch:
        yield batch
        batch = after(batch[-1].id)


def answers_holding(
    database: Database, parts: Collection[bytes], name: str | None
) -> Iterator[list[Answer]]:
    """Batch after batch of kept answers that hold one of ``parts``."""
    tables = database.tables
    a, d, m = tables.attempts.c, tables.deliveries.c, tables.messages.c

    def after(last: int) -> list[Answer]:
        def work(connection: Connection) -> list[Answer]:
            held = (contains(connection.dialect.name, a.excerpt, part) for part in parts)
            query = (
                select(a.id, m.name, m.id.label("message_id"), a.excerpt)
                .join(tables.deliveries, d.id == a.delivery_id)
                .join(tables.messages, m.id == d.message_id)
                .where(a.id > last, or_(*held))
            )
            query = query if name is None else query.where(m.name == name)
            rows = connection.execute(query.order_by(a.id).limit(BATCH)).all()
            return [Answer(row.id, row.name, row.message_id, bytes(row.excerpt)) for row in rows]

        return database.read(work)

    batch = after(0)
    while batch:
        yield batch
        batch = after(batch[-1].attempt_id)


def subscriptions_holding(database: Database, texts: Collection[str], key: str) -> list[str]:
    """The subscriptions that have the key, or whose URL or filter holds one of ``texts``."""
    s = database.tables.subscriptions.c
    held = [c.contains(text, autoescape=True) for c in (s.url, s.filter) for text in texts]
    query = select(s.id).where(or_(s.key == key, *held)).order_by(s.id)
    return database.read(lambda c: list(c.execute(query).scalars()))


def touched(
    connection: Connection, tables: Tables, message_ids: Collection[str], now: int
) -> Touched:
    """Count what belongs to messages."""
    a, d = tables.attempts.c, tables.deliveries.c
    pending = (d.message_id.in_(message_ids), d.status == _PENDING)
    held = (d.token.is_not(None), d.due_at > now, d.due_at < IN_LINE)
    answers = (
        select(func.count())
        .join(tables.deliveries, d.id == a.delivery_id)
        .where(d.message_id.in_(message_ids), a.excerpt.is_not(None))
    )
    return Touched(
        connection.execute(select(func.count()).where(*pending)).scalar_one(),
        connection.execute(select(func.count()).where(*pending, *held)).scalar_one(),
        connection.execute(answers).scalar_one(),
    )


def erase(connection: Connection, tables: Tables, left: Sequence[Left], now: int) -> Touched:
    """Keep of messages what is left, cancel what was not delivered, and blank their answers.

    A worker that holds a delivery of them finds its token gone, and writes nothing.
    """
    overwrite_what_is_replaced(connection)
    _rewrite(connection, tables, left, now)  # first, so that none is fanned out any more
    ids = [one.id for one in left]
    found = touched(connection, tables, ids, now)
    _cancel(connection, tables, ids, now)
    _forget_lines(connection, tables, [one.id for one in left if one.keyed])
    d = tables.deliveries.c
    theirs = select(d.id).where(d.message_id.in_(ids))
    blanked = tables.attempts.c.delivery_id.in_(theirs)
    connection.execute(update(tables.attempts).where(blanked).values(excerpt=None))
    return found


def _rewrite(connection: Connection, tables: Tables, left: Sequence[Left], now: int) -> None:
    m = tables.messages.c
    rows = [{"of_id": one.id, "to_body": one.body} for one in left]
    rewritten = update(tables.messages).where(m.id == bindparam("of_id"))
    kept = {"body": bindparam("to_body", type_=m.body.type), "erased_at": now, "fanned_out": True}
    connection.execute(rewritten.values(kept), rows)
    keyed = [one.id for one in left if one.keyed]
    if keyed:
        connection.execute(update(tables.messages).where(m.id.in_(keyed)).values(key=None))


def _cancel(connection: Connection, tables: Tables, message_ids: Sequence[str], now: int) -> None:
    d = tables.deliveries.c
    theirs = select(d.id).where(d.message_id.in_(message_ids), d.status != _DELIVERED)
    ids = list(connection.execute(theirs.with_for_update()).scalars())
    dialect = connection.dialect.name
    connection.execute(
        update(tables.deliveries)
        .where(among(dialect, d.id, "ids"))
        .values(
            status=str(DeliveryStatus.CANCELLED), reason="erased", token=None, due_at=now,
            settled_at=func.coalesce(d.settled_at, now),
        ),
        {"ids": as_list(dialect, ids)},
    )  # fmt: skip
    found = lines.lines_of(connection, tables, ids)
    if found:
        lines.lock(connection, tables, {subscription_id for subscription_id, _ in found})
        lines.straighten(connection, tables, found, now)


def _forget_lines(connection: Connection, tables: Tables, message_ids: Sequence[str]) -> None:
    """The line of a delivery is the key of its message."""
    d = tables.deliveries.c
    theirs = (d.message_id.in_(message_ids), d.line.is_not(None))
    connection.execute(update(tables.deliveries).where(*theirs).values(line=None))


def blank(database: Database, attempt_ids: Sequence[int]) -> None:
    """Keep nothing of what was answered to attempts."""
    a = database.tables.attempts
    blanked = update(a).where(a.c.id.in_(attempt_ids)).values(excerpt=None)

    def work(connection: Connection) -> None:
        overwrite_what_is_replaced(connection)
        connection.execute(blanked)

    database.write(work)


def finish(database: Database, now: int) -> None:
    """Cancel what a replay that ran meanwhile has made due, and let SQLite's log go."""
    tables = database.tables
    m, d = tables.messages.c, tables.deliveries.c
    erased = select(m.id).where(m.erased_at.is_not(None))
    revived = select(d.message_id).where(d.status == _PENDING, d.message_id.in_(erased))

    def work(connection: Connection) -> None:
        ids = list(connection.execute(revived.distinct()).scalars())
        if ids:
            _cancel(connection, tables, ids, now)

    database.write(work)
    move_the_log_home(database.engine)
