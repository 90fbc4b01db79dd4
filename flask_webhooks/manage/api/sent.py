"""The API's views of messages and deliveries."""

from __future__ import annotations

import json

from flask import Blueprint, Response, abort, request

from ...door import state
from ...store import lists
from ...store.records import STATUSES
from ..attempts import for_owner
from .desk import Desk
from .documenting import Documented
from .shapes import (
    Counted,
    DeliveryPage,
    DeliveryWithAttempts,
    Explained,
    MessagePage,
    MessageWithPayload,
    Replay,
)


def add_views(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    """Add the views to a blueprint."""

    @blueprint.get("/messages")
    @documented(
        "listWebhookMessages", "List the messages", MessagePage, paged=True, filters=["name"]
    )
    def list_messages() -> Response:
        database, owned = state().database, desk.owned()
        name = request.args.get("name")
        return desk.page(
            "messages",
            MessagePage,
            lambda before, limit: database.read(
                lambda c: lists.list_messages(
                    c, database.tables, name=name, owned=owned, before=before, limit=limit
                )
            ),
        )

    @blueprint.get("/messages/<message_id>")
    @documented("readWebhookMessage", "Read a message", MessageWithPayload)
    def read_message(message_id: str) -> Response:
        found = desk.message(message_id)
        shown = {name: getattr(found, name) for name in ("id", "name", "key", "created_at")}
        return desk.answer(MessageWithPayload, {**shown, "payload": json.loads(found.body)})

    @blueprint.get("/messages/<message_id>/explanations/<subscription_id>")
    @documented(
        "explainWebhookMessage", "Say why a message did, or did not, reach a subscription",
        Explained,
    )  # fmt: skip
    def explain(message_id: str, subscription_id: str) -> Response:
        message, to = desk.message(message_id), desk.subscription(subscription_id)
        found = desk.door.explain(message, to)
        delivery_id = None if found.delivery is None else found.delivery.id
        told = {"code": found.code, "words": found.words, "delivery_id": delivery_id}
        return desk.answer(Explained, told)

    @blueprint.get("/deliveries")
    @documented(
        "listWebhookDeliveries", "List the deliveries", DeliveryPage, paged=True,
        filters=["status", "messageId", "subscriptionId", "name"],
    )  # fmt: skip
    def list_deliveries() -> Response:
        database, owned, given = state().database, desk.owned(), request.args
        status = given.get("status")
        if status not in (None, *STATUSES):
            abort(400, f"status is one of {', '.join(STATUSES)}.")
        return desk.page(
            "deliveries",
            DeliveryPage,
            lambda before, limit: database.read(
                lambda c: lists.list_deliveries(
                    c, database.tables, status=status, message=given.get("messageId"),
                    subscription=given.get("subscriptionId"), name=given.get("name"), owned=owned,
                    before=before, limit=limit,
                )
            ),
        )  # fmt: skip

    @blueprint.get("/deliveries/<int:delivery_id>")
    @documented("readWebhookDelivery", "Read a delivery with its attempts", DeliveryWithAttempts)
    def read_delivery(delivery_id: int) -> Response:
        found = desk.delivery(delivery_id)
        shown = {name: getattr(found, name) for name in found.__dataclass_fields__}
        words = desk.door.explain(found.message_id, found.subscription_id).words
        sent = state().delivering.sent(desk.message(found.message_id), [found.id])
        attempts = [for_owner(one, sent(one)) for one in desk.door.attempts(found)]
        return desk.answer(
            DeliveryWithAttempts, {**shown, "explanation": words, "attempts_made": attempts}
        )

    @blueprint.post("/deliveries/<int:delivery_id>/replay")
    @documented("replayWebhookDelivery", "Make a delivery again", Counted, writes=True)
    def replay_delivery(delivery_id: int) -> Response:
        count = desk.door.replay(desk.delivery(delivery_id))
        return desk.answer(Counted, {"count": count, "dry_run": False})

    @blueprint.post("/replay")
    @documented(
        "replayWebhookDeliveries", "Make deliveries again, or count them", Counted, Replay,
        writes=True,
    )  # fmt: skip
    def replay() -> Response:
        owned, given = desk.owned(), desk.body(Replay)
        count = desk.door.replay(**given, tenant=owned)
        return desk.answer(Counted, {"count": count, "dry_run": given["dry_run"]})
