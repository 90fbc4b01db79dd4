"""What one subscription asks of its deliveries: a schedule, a rate and an order of its own."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..exceptions import WebhooksError
from .retry import schedule_of

#: What follows an ordered delivery that was given up: the next one, or nothing until it is replayed
#: or its subscription says otherwise.
ORDERS = ("skip", "park")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What one subscription asks of its deliveries; ``None`` asks for nothing special.

    :param schedule: delays in seconds, one before each attempt.
    :param rate: requests a second at most, from each worker process.
    :param order: deliver in the order of sending, key by key: ``"skip"`` or ``"park"``.
    """

    schedule: tuple[float, ...] | None = None
    rate: float | None = None
    order: str | None = None

    @property
    def first_delay(self) -> float | None:
        """Seconds before the first attempt."""
        return None if self.schedule is None else self.schedule[0]

    def as_text(self) -> str | None:
        """The terms as the store keeps them; ``None`` when nothing is asked for."""
        said = {"schedule": self.schedule, "rate": self.rate, "order": self.order}
        asked = {name: value for name, value in said.items() if value is not None}
        return json.dumps(asked) if asked else None

    @classmethod
    def of(
        cls,
        *,
        schedule: Sequence[float] | None = None,
        rate: float | None = None,
        order: str | None = None,
    ) -> Terms:
        """Judged terms.

        :raises WebhooksError: one of them can't work; says which.
        """
        try:
            schedule = None if schedule is None else schedule_of(schedule)
        except ValueError as error:
            raise WebhooksError(f"schedule={schedule!r}: {error}") from None
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if rate is not None and not (number and 0 < rate <= 1e6):
            raise WebhooksError(f"rate={rate!r}: give requests a second, above 0.")
        if order is not None and order not in ORDERS:
            raise WebhooksError(f"order={order!r}: give 'skip' or 'park', or None.")
        return cls(schedule=schedule, rate=rate, order=order)


@functools.lru_cache(1024)
def terms_of(text: str | None) -> Terms:
    """The terms out of the store."""
    stored: dict[str, Any] = {} if text is None else json.loads(text)
    schedule = stored.pop("schedule", None)
    return Terms(schedule=None if schedule is None else tuple(schedule), **stored)
