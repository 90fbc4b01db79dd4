"""What the pages need to know: read from the store for one asker, and made ready to be shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from ...explaining import told
from ...rules.patterns import patterns_of, wanted
from ...rules.urls import shown
from ...state import State
from ...store import browsing, charts, lists, subscriptions, workers
from ...store.browsing import Listed, Sought
from ...store.charts import Health
from ...store.lists import Hold, Position, Standing, position_of
from ...store.records import Attempt, Delivery, Message, RunningWorker, Subscription, microseconds
from ..attempts import ShownAttempt, for_operator, for_owner
from . import words
from .guard import Asker
from .summary import Summary, kind_of, since, summary

#: Rows of a page.
PAGE = 50
#: How many attempts a chart is made of at most, and how many messages the counts of names.
SAMPLE = 10_000
_FAILURES, _STRIP, _CHOICES = 8, 24, 200

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """A page of a list."""

    rows: Sequence[Row]
    #: Where the next page begins; ``None`` at the end.
    following: Any


@dataclass(frozen=True, kw_only=True)
class ShownDelivery:
    """A delivery with its attempts, and where it stands in words."""

    delivery: Delivery
    url: str
    words: str
    attempts: Sequence[ShownAttempt]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How everything stands."""

    standing: Standing
    summary: Summary
    #: The workers that run; ``None`` is for a tenant, whom they are no concern of.
    workers: Sequence[RunningWorker] | None
    #: Since when there are more attempts than a chart is made of.
    cut_at: datetime | None
    failures: Sequence[ShownDelivery]


@dataclass(frozen=True, kw_only=True)
class ShownSubscription:
    """A subscription with how it fares."""

    subscription: Subscription
    url: str
    health: Health


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What there is of one webhook."""

    subscriptions: int
    #: Among the newest messages.
    messages: int
    last: datetime | None


class Reading:
    """Reads for one asker; what is another's is not there.

    :param asker: who is looking.
    """

    def __init__(self, state: State, asker: Asker) -> None:
        self._state = state
        self._asker = asker
        self.now = datetime.fromtimestamp(state.clock(), UTC)

    def _read(self, work: Callable[[Any], Row]) -> Row:
        return self._state.database.read(work)

    # Overview

    def overview(self, window: str) -> Overview:
        """How everything stands, and what was tried in a window."""
        tables, owned = self._state.database.tables, self._asker.owned
        now, begin = microseconds(self.now.timestamp()), since(window, self.now)
        standing = self._read(
            lambda c: lists.standing(c, tables, now, owned=owned, most=words.MOST + 1)
        )
        points = self._read(
            lambda c: charts.recent_attempts(
                c, tables, since=microseconds(begin.timestamp()), owned=owned, most=SAMPLE
            )
        )
        failed = [p.delivery_id for p in points if kind_of(p) != "accepted"]
        return Overview(
            standing=standing,
            workers=self._workers(now) if owned is None else None,
            summary=summary(points, window, self.now),
            cut_at=points[-1].started_at if len(points) == SAMPLE else None,
            failures=self._failures(list(dict.fromkeys(failed))[:_FAILURES]),
        )

    def _workers(self, now: int) -> list[RunningWorker]:
        return self._read(lambda c: workers.running(c, self._state.database.tables, now))

    def _failures(self, delivery_ids: Sequence[int]) -> list[ShownDelivery]:
        found = self.deliveries(Sought(deliveries=delivery_ids), None).rows
        order = {delivery_id: n for n, delivery_id in enumerate(delivery_ids)}
        return sorted(found, key=lambda one: order[one.delivery.id])

    # Messages and deliveries

    def messages(self, sought: Sought, before: str | None) -> Page[Listed]:
        """A page of messages."""
        tables, theirs = self._state.database.tables, replace(sought, owned=self._asker.owned)
        rows = self._read(
            lambda c: browsing.find_messages(c, tables, theirs, before=before, limit=PAGE + 1)
        )
        return _page(rows, lambda row: row.id)

    def message(self, message_id: str) -> Message | None:
        """One message."""
        tables, owned = self._state.database.tables, self._asker.owned
        return self._read(lambda c: lists.get_message(c, tables, message_id, owned=owned))

    def payload(self, message: Message) -> str:
        """The payload of a message, its private fields masked."""
        return words.pretty(self._state.shown_payload(message.name, message.body))

    def deliveries(
        self, sought: Sought, before: int | None, message: Message | None = None
    ) -> Page[ShownDelivery]:
        """A page of deliveries, each with its attempts.

        :param message: whose deliveries they are; without it neither headers nor answers are shown.
        """
        tables, theirs = self._state.database.tables, replace(sought, owned=self._asker.owned)
        rows = self._read(
            lambda c: browsing.find_deliveries(c, tables, theirs, before=before, limit=PAGE + 1)
        )
        page = _page(rows, lambda row: row.id)
        ids = [row.id for row in page.rows]
        attempts = self._read(lambda c: browsing.attempts_of(c, tables, ids))
        cut = self._answerless if message is None else self._whole(message, ids)
        holds = self._read(lambda c: lists.holds_of(c, tables, ids))
        shown = [
            self._shown(row, attempts.get(row.id, []), holds.get(row.id, Hold()), cut)
            for row in page.rows
        ]
        return Page(shown, page.following)

    def delivery(self, delivery_id: int) -> Delivery | None:
        """One delivery."""
        tables, owned = self._state.database.tables, self._asker.owned
        return self._read(lambda c: lists.get_delivery(c, tables, delivery_id, owned=owned))

    def _shown(
        self,
        delivery: Delivery,
        attempts: Sequence[Attempt],
        hold: Hold,
        cut: Callable[[Attempt], ShownAttempt],
    ) -> ShownDelivery:
        last = attempts[0] if attempts else None
        _, said = told(delivery, last, self.now.timestamp(), hold)
        return ShownDelivery(
            delivery=delivery,
            url=shown(delivery.url),
            words=said,
            attempts=[cut(attempt) for attempt in attempts],
        )

    @property
    def _cut(self) -> Callable[..., ShownAttempt]:
        """Cuts an attempt to what the asker may see."""
        return for_operator if self._asker.owned is None else for_owner

    def _answerless(self, attempt: Attempt) -> ShownAttempt:
        return replace(self._cut(attempt), answer=None)

    def _whole(
        self, message: Message, deliveries: Sequence[int]
    ) -> Callable[[Attempt], ShownAttempt]:
        """Shows attempts with headers and answers, without what is private in their message."""
        sent = self._state.delivering.sent(message, deliveries)

        def shown(attempt: Attempt) -> ShownAttempt:
            answer = self._state.shown_answer(message.name, message.body, attempt.excerpt)
            return replace(self._cut(attempt, sent(attempt)), answer=answer)

        return shown

    # Subscriptions and webhooks

    def subscriptions(
        self, name: str | None, status: str | None, before: Position | None
    ) -> Page[ShownSubscription]:
        """A page of subscriptions."""
        tables, owned = self._state.database.tables, self._asker.owned
        rows = self._read(
            lambda c: subscriptions.list_subscriptions(
                c, tables, name=name, status=status, key=None, tenant=None, owned=owned,
                before=before, limit=PAGE + 1,
            )
        )  # fmt: skip
        page = _page(rows, lambda row: written(position_of(row)))
        return Page(self._with_health(page.rows), page.following)

    def subscription(self, subscription_id: str) -> ShownSubscription | None:
        """One subscription."""
        tables, owned = self._state.database.tables, self._asker.owned
        found = self._read(
            lambda c: subscriptions.get_subscription(c, tables, subscription_id, owned=owned)
        )
        return None if found is None else self._with_health([found])[0]

    def choices(self) -> dict[str, str]:
        """The newest subscriptions, to choose one of: the words for each id."""
        tables, owned = self._state.database.tables, self._asker.owned
        found = self._read(
            lambda c: subscriptions.list_subscriptions(
                c, tables, name=None, key=None, tenant=None, owned=owned, limit=_CHOICES
            )
        )
        return {one.id: f"{shown(one.url)} ({', '.join(one.names)})" for one in found}

    def _with_health(self, found: Sequence[Subscription]) -> list[ShownSubscription]:
        tables, now = self._state.database.tables, microseconds(self.now.timestamp())
        ids = [one.id for one in found]
        healths = self._read(lambda c: charts.healths(c, tables, ids, most=_STRIP, now=now))
        return [
            ShownSubscription(subscription=one, url=shown(one.url), health=healths[one.id])
            for one in found
            if one.id in healths
        ]

    def counts(self, names: Collection[str]) -> Mapping[str, Counts]:
        """What there is of each webhook."""
        tables, owned = self._state.database.tables, self._asker.owned
        sent = self._read(lambda c: charts.recent_names(c, tables, owned=owned, most=SAMPLE))
        asked = self._read(lambda c: charts.wanted_names(c, tables, owned=owned))
        counts = {}
        for name in names:
            messages, last = sent.get(name, (0, None))
            wanting = sum(asked.get(pattern, 0) for pattern in patterns_of(name))
            counts[name] = Counts(subscriptions=wanting, messages=messages, last=last)
        return counts


def wanting(subscription: Subscription, names: Collection[str]) -> list[str]:
    """The declared webhooks that a subscription gets."""
    return [name for name in names if wanted(subscription.names, name)]


def written(position: Position) -> str:
    """A position as a query of a URL holds it."""
    return f"{position[0]}-{position[1]}"


def position(text: str) -> Position | None:
    """A position again; ``None`` when the text is none."""
    at, _, row_id = text.partition("-")
    return (int(at), row_id) if at.isascii() and at.isdigit() and len(at) < 19 else None


def _page(rows: Sequence[Row], place: Callable[[Row], Any]) -> Page[Row]:
    more = len(rows) > PAGE
    return Page(rows[:PAGE], place(rows[PAGE - 1]) if more else None)
