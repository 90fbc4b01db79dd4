"""What comes of claims: deliveries settled under their tokens, attempts, and failing streaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, select, update

from ..rules.picking import Candidate
from . import lines, statements
from .claims import Settlement
from .database import Database
from .dialects import as_list, fetch, insert_all
from .records import Attempt, DeliveryStatus, SubscriptionStatus, microseconds
from .subscriptions import cancel_waiting
from .tables import Tables
from .transactions import TryAgain


class Written(NamedTuple):
    """An outcome that stands in the database, and why it disabled its subscription, if it did."""

    settlement: Settlement
    disabled: str | None


class Batch:
    """What came of some claims, to be written in one transaction, whoever begins that.

    :ivar settlements: all of them.
    :param now: microseconds since 1970.
    :param disable_after: microseconds; a subscription that only failed for so long is disabled.
    """

    def __init__(self, settlements: Sequence[Settlement], *, now: int, disable_after: int) -> None:
        self.settlements = settlements
        self._now = now
        self._disable_after = disable_after
        self._live: Sequence[Settlement] = []
        self._disabled: dict[str, str] = {}
        self._is_written = not settlements
        # Nearly always each has ended and is still held: then nothing has to be read before.
        self._reads_first = not all(map(_has_ended, settlements))

    def write(self, connection: Connection, tables: Tables) -> None:
        """Write them, only where their tokens still hold; again, where that was rolled back.

        :raises TryAgain: not all are still held, which was not looked up before.
        """
        if self._is_written:
            return
        live = self.settlements
        if self._reads_first:
            live = _still_held(connection, tables, live)
        written = _write_deliveries(connection, tables, live, self._now)
        if written != len(live) and not self._reads_first:
            self._reads_first = True
            raise TryAgain
        _write_attempts(connection, tables, live)
        _let_follow(connection, tables, live, self._now)
        failing_before = self._now - self._disable_after
        self._disabled = _write_subscriptions(connection, tables, live, self._now, failing_before)
        self._live = live

    def without_overtaken(self, seen: Sequence[Candidate]) -> list[Candidate]:
        """Those of what was seen before these were written that may be leased all the same.

        Not those that are settled here, nor those whose subscriptions were paused or disabled.
        """
        settled = {s.claimed.delivery_id for s in self.settlements}
        held_back = {
            s.claimed.subscription_id
            for s in self._live
            if s.paused_until is not None or s.disable is not None
        } | self._disabled.keys()
        return [
            one for one in seen
            if one.delivery_id not in settled and one.subscription_id not in held_back
        ]  # fmt: skip

    def write_alone(self, database: Database) -> None:
        """Write them in a transaction of their own, unless they were in another that committed."""
        if not self._is_written:
            database.write(lambda c: self.write(c, database.tables), by_worker=True)
        self.note_committed()

    def note_committed(self) -> None:
        """Say that a transaction that they were written in has committed."""
        self._is_written = True

    def written(self) -> list[Written]:
        """Those that were still under their leases, when the transaction has committed."""
        disabled = dict(self._disabled)
        return [Written(s, disabled.pop(s.claimed.subscription_id, None)) for s in self._live]


def _has_ended(settlement: Settlement) -> bool:
    return settlement.status is not DeliveryStatus.PENDING


def _still_held(
    connection: Connection, tables: Tables, settlements: Sequence[Settlement]
) -> list[Settlement]:
    dialect = connection.dialect.name
    ids = as_list(dialect, (s.claimed.delivery_id for s in settlements))
    held = fetch(connection, statements.held(tables, dialect), {"ids": ids})
    tokens = {delivery_id: token for delivery_id, token in held}
    return [s for s in settlements if tokens.get(s.claimed.delivery_id) == s.claimed.token]


def _write_deliveries(
    connection: Connection, tables: Tables, live: Sequence[Settlement], now: int
) -> int:
    """Write those that have ended, and those that wait; how many that were."""
    waiting = [s for s in live if not _has_ended(s)]
    _write_waiting(connection, tables, waiting)
    ended = [s for s in live if _has_ended(s)] if waiting else live
    return len(waiting) + _write_ended(connection, tables, ended, now)


def _write_ended(
    connection: Connection, tables: Tables, ended: Sequence[Settlement], now: int
) -> int:
    """Write those of them whose tokens hold; how many that were."""
    alike: dict[tuple[str, str, str, int], list[int]] = defaultdict(list)
    for s in ended:
        not_made = 0 if s.attempt else 1
        alike[s.claimed.token, s.status, s.reason, not_made].append(s.claimed.delivery_id)
    dialect, written = connection.dialect.name, 0
    for (token, status, reason, not_made), ids in alike.items():
        values = {
            "ids": as_list(dialect, ids), "held_by": token, "to_status": str(status),
            "to_reason": reason, "not_made": not_made, "now": now,
        }  # fmt: skip
        written += connection.execute(statements.settled(tables, dialect), values).rowcount
    return written


def _write_waiting(connection: Connection, tables: Tables, waiting: Sequence[Settlement]) -> None:
    if not waiting:
        return
    rows = [
        {
            "of_id": s.claimed.delivery_id,
            "to_reason": s.reason,
            "to_due_at": s.due_at,
            "not_made": 0 if s.attempt else 1,
        }
        for s in waiting
    ]
    connection.execute(statements.retried(tables), rows)


def _let_follow(
    connection: Connection, tables: Tables, live: Sequence[Settlement], now: int
) -> None:
    """Let what stands behind an ordered delivery come due, now that it has ended."""
    ended = {
        (s.claimed.subscription_id, s.claimed.line)
        for s in live
        if s.claimed.line is not None and _has_ended(s)
    }
    if ended:
        lines.lock(connection, tables, {subscription_id for subscription_id, _ in ended})
        lines.straighten(connection, tables, ended, now)


def _write_attempts(connection: Connection, tables: Tables, live: Sequence[Settlement]) -> None:
    rows = [_row(s.attempt) for s in live if s.attempt is not None]
    if rows:
        insert_all(connection, tables.attempts, _ATTEMPT, rows)


_ATTEMPT = (
    "delivery_id", "number", "outcome", "status_code", "detail", "excerpt", "started_at",
    "duration", "mark",
)  # fmt: skip


def _row(attempt: Attempt) -> tuple[Any, ...]:
    return (
        attempt.delivery_id,
        attempt.number,
        attempt.outcome,
        attempt.status_code,
        _storable(attempt.detail),
        attempt.excerpt,
        microseconds(attempt.started_at.timestamp()),
        microseconds(attempt.duration),
        attempt.mark,
    )


def _storable(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses NUL, and no driver encodes surrogates."""
    plain = text.isascii() and "\0" not in text
    return text if plain else text.replace("\0", "").encode("utf-8", "replace").decode()


def _write_subscriptions(
    connection: Connection,
    tables: Tables,
    live: Sequence[Settlement],
    now: int,
    failing_before: int,
) -> dict[str, str]:
    """Failing streaks, pauses and disabling, once for each subscription of the batch."""
    c = tables.subscriptions.c
    good = {s.claimed.subscription_id for s in live if s.status is DeliveryStatus.DELIVERED}
    others = [s for s in live if s.status is not DeliveryStatus.DELIVERED]
    # What failed on this side says nothing about the receiver.
    failed = [s for s in others if s.attempt is not None and s.attempt.outcome != "internal"]
    bad = {s.claimed.subscription_id for s in failed} - good
    if good:
        _end_streaks(connection, tables, good)
    if bad:
        newly = c.id.in_(bad) & c.failing_since.is_(None)
        connection.execute(update(tables.subscriptions).where(newly).values(failing_since=now))
    confirmed = sorted({(s.claimed.subscription_id, s.claimed.url) for s in live if s.confirmed})
    if confirmed:
        rows = [{"subscription": one, "asked": url, "now": now} for one, url in confirmed]
        connection.execute(statements.confirmed(tables), rows)
    _pause(connection, tables, others)
    reasons = _given_up(connection, tables, bad, failing_before) if bad else {}
    reasons |= {s.claimed.subscription_id: s.disable for s in others if s.disable}
    return _disable(connection, tables, reasons, bad, now)


def _end_streaks(connection: Connection, tables: Tables, good: set[str]) -> None:
    # Looked up first: an UPDATE locks what it doesn't change as well, in MySQL and MariaDB.
    dialect = connection.dialect.name
    found = fetch(connection, statements.failing(tables, dialect), {"ids": as_list(dialect, good)})
    if found:
        ended = tables.subscriptions.c.id.in_(sorted(one for (one,) in found))
        connection.execute(update(tables.subscriptions).where(ended).values(failing_since=None))


def _pause(connection: Connection, tables: Tables, live: Sequence[Settlement]) -> None:
    c = tables.subscriptions.c
    latest: dict[str, int] = {}
    for s in live:
        if s.paused_until is not None:
            known = latest.get(s.claimed.subscription_id, 0)
            latest[s.claimed.subscription_id] = max(known, s.paused_until)
    for subscription_id, until in sorted(latest.items()):
        later = case((c.paused_until > until, c.paused_until), else_=until)
        connection.execute(
            update(tables.subscriptions).where(c.id == subscription_id).values(paused_until=later)
        )


def _given_up(
    connection: Connection, tables: Tables, failing: set[str], before: int
) -> dict[str, str]:
    c = tables.subscriptions.c
    worn_out = select(c.id).where(c.id.in_(failing), c.failing_since <= before)
    return {found: "failing" for found in connection.execute(worn_out).scalars()}


def _disable(
    connection: Connection, tables: Tables, reasons: Mapping[str, str], bad: set[str], now: int
) -> dict[str, str]:
    c = tables.subscriptions.c
    done = {}
    for subscription_id, reason in reasons.items():
        changed = connection.execute(
            update(tables.subscriptions)
            .where(c.id == subscription_id, c.status == str(SubscriptionStatus.ENABLED))
            .values(status=str(SubscriptionStatus.DISABLED), reason=reason)
        )
        if changed.rowcount == 1:
            done[subscription_id] = reason
    # Also those that somebody else disabled while an attempt was under way.
    if bad:
        cancel_waiting(connection, tables, sorted(bad), now=now)
    return done
