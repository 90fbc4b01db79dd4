"""What the board draws and says: summaries, charts and words, without a store or a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from flask_webhooks.manage.board import svg, words
from flask_webhooks.manage.board.summary import since, summary
from flask_webhooks.manage.board.svg import Series
from flask_webhooks.store.charts import Point

NOW = datetime(2026, 11, 25, 21, 40, 3, tzinfo=UTC)


def point(
    ago: float, outcome: str = "accepted", code: int | None = 200, took: float = 0.1
) -> Point:
    """An attempt that began so many seconds before now."""
    return Point(1, outcome, code, NOW - timedelta(seconds=ago), took)


def test_attempts_fall_into_stretches_of_the_clock() -> None:
    """A day is twenty-four whole hours, of which the last is under way; what is older is left."""
    found = summary([point(0), point(2403), point(2404), point(90_000)], "day", NOW)

    assert since("day", NOW) == datetime(2026, 11, 24, 22, tzinfo=UTC)
    accepted = found.outcomes[0].values
    assert (len(accepted), accepted[-2:], found.attempts) == (24, [1, 2], 3)
    assert [label for label in found.labels if label] == ["00:00", "06:00", "12:00", "18:00"]


@pytest.mark.parametrize(
    "window, columns, labels",
    [
        ("hour", 24, ["20:45", "21:00", "21:15", "21:30"]),
        ("week", 28, ["19 Nov", "20 Nov", "21 Nov", "22 Nov", "23 Nov", "24 Nov", "25 Nov"]),
    ],
)
def test_other_windows(window: str, columns: int, labels: list[str]) -> None:
    """An hour has a label for each quarter; a week, one for each day."""
    found = summary([], window, NOW)

    assert (len(found.starts), [label for label in found.labels if label]) == (columns, labels)
    assert found.rate is None


def test_outcomes_are_of_three_kinds() -> None:
    """Accepted, answered with something else, and not answered."""
    points = [point(1), point(1, "refused", 500), point(1, "timeout", None)]

    found = summary(points, "hour", NOW)

    kinds = {series.kind: series.values[-1] for series in found.outcomes}
    assert kinds == {"accepted": 1, "answered": 1, "unanswered": 1}
    assert found.rate == "33.3 %"


def test_the_share_is_whole_only_where_all_was_accepted() -> None:
    """One failure among ten thousand is seen."""
    points = [point(1)] * 9_999 + [point(1, "refused", 500)]

    assert summary(points, "hour", NOW).rate == "99.9 %"
    assert summary(points[:-1], "hour", NOW).rate == "100 %"


def test_latency_is_of_what_was_answered() -> None:
    """The median and the 95th of 100, in milliseconds; silence does not count."""
    points = [point(1, took=n / 1000) for n in range(1, 101)] + [point(1, "timeout", None, 30)]

    median, p95 = summary(points, "hour", NOW).latency

    assert (median.values[-1], p95.values[-1], median.values[0]) == (51.0, 96.0, None)


def test_bars_are_as_high_as_their_values() -> None:
    """On a scale that is a round number; they stand on each other."""
    drawn = svg.bars(
        [Series(kind="accepted", label="", values=[10, 0]),
         Series(kind="answered", label="", values=[10, 5])], ["a", ""], "Two bars",
    )  # fmt: skip

    shapes = re.findall(r'<rect [^>]*y="([\d.]+)"[^>]*height="([\d.]+)"', drawn)
    assert shapes == [("83.0", "75.0"), ("8.0", "75.0"), ("120.5", "37.5")]
    assert ">20</text>" in drawn and 'aria-label="Two bars"' in drawn


def test_little_is_seen_beside_much() -> None:
    """One failure among ten thousand has a height."""
    drawn = svg.bars([Series(kind="answered", label="", values=[10_000, 1])], ["", ""], "")

    assert 'height="1.5"' in drawn


def test_a_line_breaks_where_nothing_is_known() -> None:
    """Between two values with a gap there is no line."""
    drawn = svg.lines([Series(kind="median", label="", values=[1, 2, None, 3])], [""] * 4, "", "ms")

    assert (drawn.count('class="line'), drawn.count("<circle")) == (1, 3)


def test_drawings_are_text_to_everybody() -> None:
    """A title is escaped, and an empty chart is one."""
    drawn = svg.bars([Series(kind="accepted", label="", values=[])], [], '"><script>')

    assert "<script>" not in drawn
    assert svg.strip([], "none").startswith('<svg class="strip" role="img" width="0"')


@pytest.mark.parametrize(
    "seconds, told",
    [
        (0, "just now"), (4.9, "just now"), (5, "5 seconds ago"), (60, "1 minute ago"),
        (119, "1 minute ago"), (7200, "2 hours ago"), (86400 * 40, "40 days ago"),
        (-0.5, "just now"), (-30, "in 30 seconds"), (-90, "in 1 minute"),
    ],
)  # fmt: skip
def test_times_in_words(seconds: float, told: str) -> None:
    """How long ago, or in how long."""
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == told


def test_numbers_in_words() -> None:
    """Counting stops; plurals are right; times have a fitting unit."""
    assert words.counted(10_000) == "10,000"
    assert words.counted(10_001) == "more than 10,000"
    assert (words.plural(1, "delivery"), words.plural(0, "delivery")) == (
        "1 delivery",
        "0 deliveries",
    )
    assert words.plural(2, "attempt") == "2 attempts"
    assert [words.took(t) for t in (0.0004, 0.1834, 1.25, 12.5)] == [
        "0 ms",
        "183 ms",
        "1.2 s",
        "12 s",
    ]
    assert words.machine_time(NOW) == "2026-11-25T21:40:03Z"


def test_a_strangers_text_can_not_turn_the_page_around() -> None:
    """Control characters and marks of direction are shown as such; letters and lines stay."""
    assert (
        words.printable("Zoë 🚂\n\ta\x1b[2J\u202e\u2066\x00")
        == "Zoë 🚂\n\ta\ufffd[2J" + "\ufffd" * 3
    )
