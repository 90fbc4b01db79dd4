"""Tells of every attempt by one line of the log, with its facts as fields."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from ..store.claims import Claimed, Settlement
from ..store.records import Attempt, DeliveryStatus

logger = logging.getLogger("flask_webhooks.delivery")


def tell(settlement: Settlement, disabled: str | None) -> None:
    """Log one attempt: at INFO when it was accepted, at WARNING when it will be tried again, at
    ERROR when that was the last.

    No body, no secret and no query is in there. The fields are flat and begin with ``webhook_``.
    """
    attempt, level = settlement.attempt, _level(settlement, disabled)
    if attempt is None or not logger.isEnabledFor(level):
        return
    fields = _fields(settlement.claimed, attempt)
    logger.log(
        level,
        "%s to %s: attempt %s %s, %s",
        fields["webhook_name"], fields["webhook_host"], attempt.number,
        attempt.status_code or attempt.outcome, settlement.status,
        extra=fields,
    )  # fmt: skip


def _level(settlement: Settlement, disabled: str | None) -> int:
    if settlement.status is DeliveryStatus.DELIVERED:
        return logging.INFO
    pending = settlement.status is DeliveryStatus.PENDING and disabled is None
    return logging.WARNING if pending else logging.ERROR


def _fields(claimed: Claimed, attempt: Attempt) -> dict[str, object]:
    return {
        "webhook_id": claimed.message_id,
        "webhook_name": claimed.name,
        "webhook_subscription": claimed.subscription_id,
        "webhook_delivery": claimed.delivery_id,
        "webhook_attempt": attempt.number,
        "webhook_outcome": attempt.outcome,
        "webhook_status": attempt.status_code,
        "webhook_seconds": round(attempt.duration, 6),
        "webhook_host": urlsplit(claimed.url).hostname,
    }
