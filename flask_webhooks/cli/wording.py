"""What a terminal shows of records: their times, their numbers, and themselves as plain JSON."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

from ..rules.urls import shown

#: What is said instead of an empty list of them.
NO_DELIVERIES = "No deliveries. Make one: flask webhooks trigger NAME"


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many}"


def when(moment: datetime) -> str:
    """A time as people read it in a terminal: to the second, and in UTC, as options take it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def soon(moment: datetime) -> str:
    """The same, without the day where that is today."""
    text, today = when(moment), when(datetime.now(UTC))
    return text.removeprefix(today[:11])


def jsonable(record: Any) -> Any:
    """One record as plain JSON; bytes, secrets and what a URL has in its query stay out."""
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return {
        name: shown(value) if name == "url" else _plain(value)
        for name, value in fields.items()
        if name not in ("body", "excerpt", "secret", "mark")
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
