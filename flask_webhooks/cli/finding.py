"""Finds what a command is asked about; where there is none, the error says what to type."""

from __future__ import annotations

import click

from ..door import state
from ..store import lists, subscriptions
from ..store.records import Delivery, Message, Subscription
from .printing import clean


def found_subscription(subscription_id: str) -> Subscription:
    """One subscription.

    :raises click.ClickException: there is none; says what to type.
    """
    database = state().database
    found = database.read(
        lambda c: subscriptions.get_subscription(c, database.tables, subscription_id)
    )
    if found is None:
        raise click.ClickException(
            f"There is no subscription {clean(subscription_id)}. "
            "List them: flask webhooks subscriptions"
        )
    return found


def found_delivery(delivery: int) -> Delivery:
    """One delivery.

    :raises click.ClickException: there is none; says what to type.
    """
    database = state().database
    found = database.read(lambda c: lists.get_delivery(c, database.tables, delivery))
    if found is None:
        raise click.ClickException(
            f"There is no delivery {delivery}. List them: flask webhooks deliveries"
        )
    return found


def message_of(message_id: str) -> Message | None:
    """One message; ``None`` where there is none."""
    database = state().database
    return database.read(lambda c: lists.get_message(c, database.tables, message_id))


def found_message(message_id: str) -> Message:
    """One message.

    :raises click.ClickException: there is none; says what to type.
    """
    found = message_of(message_id)
    if found is None:
        raise click.ClickException(
            f"There is no message {clean(message_id)}: it was never made, or has been purged. "
            "List what was sent: flask webhooks deliveries"
        )
    return found
