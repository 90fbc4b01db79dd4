"""Tells by this package's signals."""

from __future__ import annotations

import logging
from typing import Any

from .. import signals
from ..store import lists, subscriptions
from ..store.claims import Settlement
from ..store.database import Database
from ..store.records import DeliveryStatus, Message

logger = logging.getLogger("flask_webhooks.signals")


def tell(app: Any, database: Database, settlement: Settlement, disabled: str | None) -> None:
    """Send the signals of one settlement; a receiver's exception is logged and changes nothing.

    :param app: the Flask app, which is the sender.
    :param disabled: why the settlement disabled its subscription, if it did.
    """
    heard = [s for s in _signals_of(settlement) if s.has_receivers_for(app)]
    if not heard and disabled is None:
        return
    try:
        with app.app_context():
            _tell_of_delivery(app, database, settlement, heard)
            if disabled is not None:
                _tell_of_subscription(app, database, settlement, disabled)
    except Exception:
        logger.exception("A receiver of a delivery signal failed.")


def tell_of_message(app: Any, message: Message) -> None:
    """Send the signal of a stored message; a receiver's exception is logged."""
    if not signals.message_stored.has_receivers_for(app):
        return
    try:
        send(signals.message_stored, app, message=message)
    except Exception:
        logger.exception("A receiver of message_stored failed.")


def _signals_of(settlement: Settlement) -> list[Any]:
    found = []
    if settlement.status is DeliveryStatus.DELIVERED:
        found.append(signals.delivery_succeeded)
    elif settlement.attempt is not None:
        found.append(signals.delivery_failed)
    if settlement.status is DeliveryStatus.EXHAUSTED:
        found.append(signals.delivery_exhausted)
    return found


def _tell_of_delivery(
    app: Any, database: Database, settlement: Settlement, heard: list[Any]
) -> None:
    if not heard:
        return
    chosen = settlement.claimed.delivery_id
    [delivery] = database.read(lambda c: lists.list_deliveries(c, database.tables, delivery=chosen))
    for signal in heard:
        send(signal, app, delivery=delivery, attempt=settlement.attempt)


def _tell_of_subscription(
    app: Any, database: Database, settlement: Settlement, reason: str
) -> None:
    chosen = settlement.claimed.subscription_id
    subscription = database.read(
        lambda c: subscriptions.get_subscription(c, database.tables, chosen)
    )
    send(signals.subscription_disabled, app, subscription=subscription, reason=reason)


def send(signal: Any, app: Any, **told: Any) -> None:
    """Send one signal of this package; receivers may be async."""
    signal.send(app, _async_wrapper=app.ensure_sync, **told)
