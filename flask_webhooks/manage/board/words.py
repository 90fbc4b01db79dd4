"""Times, counts, payloads and answers in the words of a page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

#: Where counting stops.
MOST = 10_000
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def lasting(seconds: float) -> str:
    """Input: ``5400``. Output: ``"1 hour"``: the largest unit alone, cut off."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return "less than a second"


def ago(then: datetime, now: datetime) -> str:
    """Input: a time and now. Output: ``"3 minutes ago"``, ``"in 2 hours"`` or ``"just now"``."""
    seconds = (now - then).total_seconds()
    if -1 < seconds < 5:
        return "just now"
    return f"{lasting(seconds)} ago" if seconds > 0 else f"in {lasting(-seconds)}"


def day_and_time(when: datetime) -> str:
    """Input: a time. Output: ``"2026-11-25 21:40:03 UTC"``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine_time(when: datetime) -> str:
    """The time as the ``datetime`` attribute wants it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def took(seconds: float) -> str:
    """Input: ``0.1834``. Output: ``"183 ms"``; from ten seconds on whole seconds."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def counted(count: int, most: int = MOST) -> str:
    """Input: ``1234``. Output: ``"1,234"``; ``"more than 10,000"`` where counting stopped."""
    return f"more than {most:,}" if count > most else f"{count:,}"


def plural(count: int, noun: str) -> str:
    """Input: ``2, "delivery"``. Output: ``"2 deliveries"``."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{counted(count)} {noun if count == 1 else many}"


def pretty(payload: Any) -> str:
    """A payload as JSON that people can read."""
    return printable(json.dumps(payload, ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """A stranger's text with what could rearrange or hide a page's own replaced by ``\\ufffd``."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def filters() -> dict[str, Any]:
    """What templates call these by."""
    return {
        "lasting": lasting, "day_and_time": day_and_time, "machine_time": machine_time,
        "took": took, "counted": counted, "plural": plural, "pretty": pretty,
        "printable": printable,
    }  # fmt: skip
