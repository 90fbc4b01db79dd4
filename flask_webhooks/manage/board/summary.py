"""Sums recent attempts up: in each stretch of time how many of each kind, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...store.charts import Point
from .svg import Series

#: What a window is called, with its length and the length of its stretches, in seconds.
WINDOWS = {"hour": (3600, 150), "day": (86400, 3600), "week": (7 * 86400, 6 * 3600)}
_KINDS = {
    "accepted": "accepted",
    "answered": "refused by the answer",
    "unanswered": "no answer",
}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The attempts of one window."""

    #: When each stretch begins, the oldest first.
    starts: Sequence[datetime]
    labels: Sequence[str]
    outcomes: Sequence[Series]
    #: Milliseconds: the median, and what 95 of 100 answers took at most.
    latency: Sequence[Series]
    attempts: int
    accepted: int

    @property
    def rate(self) -> str | None:
        """The share of attempts that were accepted; ``None`` when there were none."""
        if not self.attempts:
            return None
        share = self.accepted / self.attempts * 100
        # Never "100 %" while something failed.
        return "100 %" if self.accepted == self.attempts else f"{min(share, 99.9):.1f} %"


def kind_of(point: Point) -> str:
    """``accepted``, ``answered`` (with what was not asked for) or ``unanswered``."""
    if point.outcome == "accepted":
        return "accepted"
    return "unanswered" if point.status_code is None else "answered"


def summary(points: Sequence[Point], window: str, now: datetime) -> Summary:
    """Sum up what falls into a window that ends now."""
    starts = _starts(window, now)
    step = WINDOWS[window][1]
    columns: list[list[Point]] = [[] for _ in starts]
    for point in points:
        column = int((point.started_at - starts[0]).total_seconds() // step)
        if 0 <= column < len(columns):
            columns[column].append(point)
    inside = [point for column in columns for point in column]
    return Summary(
        starts=starts,
        labels=_labels(starts, window),
        outcomes=[_counts(kind, label, columns) for kind, label in _KINDS.items()],
        latency=[_times("median", 0.5, columns), _times("p95", 0.95, columns)],
        attempts=len(inside),
        accepted=sum(kind_of(point) == "accepted" for point in inside),
    )


def since(window: str, now: datetime) -> datetime:
    """When a window begins."""
    return _starts(window, now)[0]


def _starts(window: str, now: datetime) -> list[datetime]:
    """Whole stretches of the clock: a column keeps its attempts from one look to the next."""
    length, step = WINDOWS[window]
    last = now.timestamp() // step * step
    count = length // step
    first = datetime.fromtimestamp(last, UTC) - timedelta(seconds=step * (count - 1))
    return [first + timedelta(seconds=step * n) for n in range(count)]


def _labels(starts: Sequence[datetime], window: str) -> list[str]:
    """What stands below the columns, few enough for a phone."""
    if window == "week":
        return [start.strftime("%d %b") if start.hour < 6 else "" for start in starts]
    every = 15 * 60 if window == "hour" else 6 * 3600
    step = WINDOWS[window][1]
    first = [start.timestamp() % every < step for start in starts]
    return [s.strftime("%H:%M") if shown else "" for s, shown in zip(starts, first, strict=True)]


def _counts(kind: str, label: str, columns: Sequence[Sequence[Point]]) -> Series:
    values = [sum(kind_of(point) == kind for point in column) for column in columns]
    return Series(kind=kind, label=label, values=values)


def _times(kind: str, share: float, columns: Sequence[Sequence[Point]]) -> Series:
    label = "median" if kind == "median" else "95 of 100 within"
    return Series(kind=kind, label=label, values=[_quantile(column, share) for column in columns])


def _quantile(column: Sequence[Point], share: float) -> float | None:
    """Of what was answered; the nearest rank. How long silence took says nothing of a receiver."""
    times = sorted(p.duration * 1000 for p in column if p.status_code is not None)
    if not times:
        return None
    return round(times[min(int(share * len(times)), len(times) - 1)], 1)
