"""What the query or the form of a page asks for, judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import request

from ...store.browsing import Sought
from .guard import RefusedError

#: The choices of the page of failures, and the statuses that each stands for.
FAILED = {"": ("exhausted", "cancelled"), "exhausted": ("exhausted",), "cancelled": ("cancelled",)}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The filters of a list; an empty one is ``None``."""

    webhook: str | None
    status: str | None
    subscription: str | None
    since: datetime | None
    until: datetime | None

    @property
    def any(self) -> bool:
        """Whether there is any filter."""
        return any(value is not None for value in vars(self).values())

    def sought(self, statuses: Sequence[str] | None) -> Sought:
        """What to look for.

        :param statuses: those that the status asked for stands for.
        """
        return Sought(
            name=self.webhook, subscription=self.subscription, since=self.since, until=self.until,
            statuses=statuses,
        )  # fmt: skip

    def as_query(self) -> dict[str, str]:
        """The filters as the query of a URL, or as the fields of a form."""
        texts = {
            name: value.strftime("%Y-%m-%dT%H:%M:%S") if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }
        return {name: text for name, text in texts.items() if text is not None}


def filters(values: Mapping[str, str], statuses: Collection[str]) -> Asked:
    """The filters that a query or a form holds.

    :param statuses: those that may be asked for.
    """
    return Asked(
        webhook=values.get("webhook") or None,
        status=one_of(values, "status", statuses),
        subscription=values.get("subscription") or None,
        since=_time(values, "since"),
        until=_time(values, "until"),
    )


def one_of(values: Mapping[str, str], name: str, known: Collection[str]) -> str | None:
    """A value that must be one of a few; ``None`` where there is none."""
    value = values.get(name) or None
    if value is not None and value not in known:
        wanted = ", ".join(one for one in known if one)
        raise RefusedError(400, "Not to be found", f"{name} is one of: {wanted}.")
    return value


def before() -> str | None:
    """Where the page of a list begins."""
    return request.args.get("before") or None


def before_number() -> int | None:
    """Where the page of a list begins that is numbered."""
    text = request.args.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _time(values: Mapping[str, Any], name: str) -> datetime | None:
    """A time of a form, in UTC."""
    text = values.get(name)
    if not text:
        return None
    try:
        found = datetime.fromisoformat(str(text))
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(
            400, "Not a time", f"{name} is a time in UTC such as 2026-11-25T21:40."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
