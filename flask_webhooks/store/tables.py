"""The tables: subscriptions, the names they want, messages, deliveries, attempts, API answers,
passes into the portal, and the workers that run.

Times are whole microseconds since 1970 in UTC. Bodies are the exact bytes that go on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

_Number = BigInteger().with_variant(Integer, "sqlite")
# These two choose the kind of BLOB by the length that it has to hold.
_Bytes = LargeBinary().with_variant(LargeBinary(2**32 - 1), "mysql", "mariadb")
# By default these two take "ACME" and "acme" for the same text: one tenant would get the other's.
_EXACT = "utf8mb4_bin"
_Text = Text().with_variant(Text(collation=_EXACT), "mysql", "mariadb")


#: Of a subscription whose deliveries are not made by the one INSERT for all.
SPECIAL = "once OR ordered IS NOT NULL OR filter IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of one store, under one prefix in one ``MetaData``."""

    metadata: MetaData
    subscriptions: Table
    names: Table
    messages: Table
    deliveries: Table
    attempts: Table
    answers: Table
    workers: Table
    passes: Table
    #: Whether they are the app's to make, by its own migrations.
    attached: bool = False

    def in_order(self) -> tuple[Table, ...]:
        """The tables, each after those that it refers to."""
        return (
            self.subscriptions, self.names, self.messages, self.deliveries, self.attempts,
            self.answers, self.workers, self.passes,
        )  # fmt: skip


def make_tables(metadata: MetaData | None = None, prefix: str = "webhooks_") -> Tables:
    """Add the tables to ``metadata``, every index and constraint named after ``prefix``.

    In a ``metadata`` that is given they count as attached: nothing here makes them then.
    """
    attached = metadata is not None
    metadata = MetaData() if metadata is None else metadata
    return Tables(
        metadata=metadata,
        attached=attached,
        subscriptions=_subscriptions(metadata, prefix),
        names=_names(metadata, prefix),
        messages=_messages(metadata, prefix),
        deliveries=_deliveries(metadata, prefix),
        attempts=_attempts(metadata, prefix),
        answers=_answers(metadata, prefix),
        workers=_workers(metadata, prefix),
        passes=_passes(metadata, prefix),
    )


def _short(length: int) -> TypeEngine[str]:
    return String(length).with_variant(String(length, _EXACT), "mysql", "mariadb")


def _subscriptions(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}subscriptions",
        metadata,
        Column("id", _short(40), primary_key=True),
        Column("url", _Text, nullable=False),
        Column("tenant", _short(200)),
        Column("key", _short(200)),
        Column("status", _short(20), nullable=False),
        Column("reason", _short(40)),  # why it is disabled
        Column("sealed_secret", _Bytes),  # no secret: verified by the published public key alone
        Column("sealed_options", _Bytes),  # headers and signatures besides the standard
        Column("host", _short(255)),  # of the URL
        Column("confirmed_at", BigInteger),  # when its owner answered the ownership check
        Column("filter", _Text),  # JSON: what a payload must be to reach it
        Column("terms", _Text),  # JSON: its own schedule, rate and order
        Column("first_delay", BigInteger),  # microseconds, of its own schedule
        Column("ordered", _short(10)),  # "skip" or "park": what follows one that was given up
        Column("callback", _short(200)),  # the callback that captured it
        Column("once", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger),  # messages from then on don't reach it
        Column("paused_until", BigInteger, nullable=False, default=0),
        Column("failing_since", BigInteger),
        Index(f"{prefix}subscriptions_key", "key"),
        Index(f"{prefix}subscriptions_host", "host"),
        _only_where(Index(f"{prefix}subscriptions_special", "once"), SPECIAL),
    )


def _names(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}names",
        metadata,
        Column("subscription_id", _short(40), primary_key=True),
        Column("name", _short(200), primary_key=True),
        ForeignKeyConstraint(
            ["subscription_id"],
            [f"{prefix}subscriptions.id"],
            name=f"{prefix}names_subscription",
            ondelete="CASCADE",
        ),
        Index(f"{prefix}names_name", "name"),
    )


def _messages(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}messages",
        metadata,
        Column("id", _short(40), primary_key=True),
        Column("name", _short(200), nullable=False),
        Column("tenant", _short(200)),
        Column("key", _short(200)),
        Column("body", _Bytes, nullable=False),
        Column("idempotency", _short(64)),  # digest of name, tenant and the caller's key
        Column("created_at", BigInteger, nullable=False),
        Column("fanned_out", Boolean, nullable=False),
        Column("trace", _short(60)),  # W3C traceparent of the span that sent it
        Column("erased_at", BigInteger),  # when what was private in it was erased
        UniqueConstraint("idempotency", name=f"{prefix}messages_idempotency"),
        Index(f"{prefix}messages_waiting", "fanned_out", "created_at"),
    )


def _deliveries(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}deliveries",
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=True),
        _reference("message_id", prefix, "messages", "deliveries_message"),
        _reference("subscription_id", prefix, "subscriptions", "deliveries_subscription"),
        Column("status", _short(20), nullable=False),
        Column("reason", _short(40)),  # the last decision's reason code
        Column("attempts", Integer, nullable=False),  # counted when claimed
        Column("attempts_before_replay", Integer, nullable=False),
        Column("claims", Integer, nullable=False),  # claims since the last outcome
        Column("token", _short(40)),  # who holds the lease; nobody when null
        Column("due_at", BigInteger, nullable=False),  # while leased: when the lease ends
        Column("created_at", BigInteger, nullable=False),
        Column("settled_at", BigInteger),
        Column("line", _short(200)),  # of an ordered subscription: the key, or empty
        UniqueConstraint("message_id", "subscription_id", name=f"{prefix}deliveries_once"),
        Index(f"{prefix}deliveries_due", "status", "due_at", "id"),
        Index(f"{prefix}deliveries_of_subscription", "subscription_id", "status", "due_at"),
        _only_where(
            Index(f"{prefix}deliveries_in_line", "subscription_id", "line", "status", "id"),
            "line IS NOT NULL",
        ),
    )


def _attempts(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}attempts",
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=True),
        Column(
            "delivery_id",
            _Number,
            ForeignKey(
                f"{prefix}deliveries.id", name=f"{prefix}attempts_delivery", ondelete="CASCADE"
            ),
            nullable=False,
        ),
        Column("number", Integer, nullable=False),
        Column("outcome", _short(40), nullable=False),
        Column("status_code", Integer),
        Column("detail", _Text, nullable=False),
        Column("excerpt", _Bytes),
        Column("started_at", BigInteger, nullable=False),
        Column("duration", BigInteger, nullable=False),  # microseconds
        Column("mark", BigInteger),  # a keyed digest of the headers that were made for it
        Index(f"{prefix}attempts_delivery_id", "delivery_id"),
    )


def _answers(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}answers",
        metadata,
        Column("id", _short(64), primary_key=True),  # digest of tenant and idempotency key
        Column("token", _short(40), nullable=False),  # who writes the answer
        Column("request", _short(64), nullable=False),  # digest of method, path and body
        Column("sealed", _Bytes),  # what was answered; null while it is under way
        Column("created_at", BigInteger, nullable=False),
        Index(f"{prefix}answers_created_at", "created_at"),
    )


def _workers(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}workers",
        metadata,
        Column("id", _short(40), primary_key=True),
        Column("host", _short(255), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("kind", _short(20), nullable=False),
        Column("started_at", BigInteger, nullable=False),
        Column("seen_at", BigInteger, nullable=False),
    )


def _passes(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}passes",
        metadata,
        Column("id", _short(64), primary_key=True),  # digest of a link; once entered, of a cookie
        Column("tenant", _short(200)),
        Column("may_write", Boolean, nullable=False),
        Column("until", BigInteger, nullable=False),
        Index(f"{prefix}passes_until", "until"),
    )


def _only_where(index: Index, condition: str) -> Index:
    """An index of some rows only, where the database knows such."""
    for dialect in ("sqlite", "postgresql"):
        index.dialect_options[dialect]["where"] = text(condition)
    return index


def _reference(column: str, prefix: str, target: str, name: str) -> Column[str]:
    reference = ForeignKey(f"{prefix}{target}.id", name=f"{prefix}{name}", ondelete="CASCADE")
    return Column(column, _short(40), reference, nullable=False)
