"""The API's views of webhooks and subscriptions."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, abort, request

from ...store import subscriptions
from .desk import Desk, etag_of
from .documenting import Documented
from .shapes import (
    Catalogue,
    ChangedSubscription,
    Counted,
    MessageShape,
    NewSubscription,
    Recovery,
    Rotation,
    SubscriptionPage,
    SubscriptionShape,
    SubscriptionWithSecret,
    Trial,
)


def add_views(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    """Add the views to a blueprint."""
    _add_reading(blueprint, desk, documented)
    _add_writing(blueprint, desk, documented)
    _add_acting(blueprint, desk, documented)


def _add_reading(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    @blueprint.get("/catalogue")
    @documented("listWebhooks", "List the webhooks", Catalogue)
    def catalogue() -> Response:
        desk.owned()
        described = desk.state.description
        components = {"components": {"schemas": described.components}}
        data = [
            {
                "name": name,
                "summary": desk.door[name].documentation.summary,
                "description": desk.door[name].documentation.description,
                "payload_schema": {**schema, **components},
                "example": desk.state.example(desk.door[name]),
            }
            for name, schema in described.payloads.items()
        ]
        return desk.answer(Catalogue, {"data": data})

    @blueprint.get("/subscriptions")
    @documented("listSubscriptions", "List the subscriptions", SubscriptionPage, paged=True)
    def list_subscriptions() -> Response:
        database, owned = desk.state.database, desk.owned()
        name = request.args.get("name")
        return desk.page(
            "subscriptions",
            SubscriptionPage,
            lambda before, limit: database.read(
                lambda c: subscriptions.list_subscriptions(
                    c, database.tables, name=name, key=None, tenant=None, owned=owned,
                    before=before, limit=limit,
                )
            ),
        )  # fmt: skip

    @blueprint.get("/subscriptions/<subscription_id>")
    @documented("readSubscription", "Read a subscription", SubscriptionShape)
    def read_subscription(subscription_id: str) -> Response:
        return desk.answer(SubscriptionShape, desk.subscription(subscription_id))


def _add_writing(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    @blueprint.post("/subscriptions")
    @documented(
        "createSubscription", "Subscribe a URL", SubscriptionWithSecret, NewSubscription, 201,
        idempotent=True,
    )  # fmt: skip
    def create_subscription() -> Response:
        given = desk.body(NewSubscription)
        made = desk.door.subscribe(
            given.pop("url"),
            given.pop("names"),
            tenant=desk.owned().tenant,
            idempotency_key=_idempotency_key(),
            **given,
        )
        return desk.answer(SubscriptionWithSecret, made, 201)

    @blueprint.patch("/subscriptions/<subscription_id>")
    @documented(
        "changeSubscription", "Change a subscription", SubscriptionShape, ChangedSubscription
    )
    def change_subscription(subscription_id: str) -> Response:
        found = desk.subscription(subscription_id)
        _check_match(SubscriptionShape().dump(found))
        changed = desk.door.change(found, **desk.body(ChangedSubscription))
        return desk.answer(SubscriptionShape, changed)

    @blueprint.delete("/subscriptions/<subscription_id>")
    @documented("deleteSubscription", "Delete a subscription", None, status=204)
    def delete_subscription(subscription_id: str) -> Response:
        desk.door.unsubscribe(desk.subscription(subscription_id))
        return Response(status=204)


def _add_acting(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    @blueprint.post("/subscriptions/<subscription_id>/enable")
    @documented("enableSubscription", "Let a disabled subscription go on", SubscriptionShape)
    def enable_subscription(subscription_id: str) -> Response:
        desk.door.enable(desk.subscription(subscription_id))
        return desk.answer(SubscriptionShape, desk.subscription(subscription_id))

    @blueprint.post("/subscriptions/<subscription_id>/disable")
    @documented("disableSubscription", "Disable a subscription", SubscriptionShape)
    def disable_subscription(subscription_id: str) -> Response:
        desk.door.disable(desk.subscription(subscription_id))
        return desk.answer(SubscriptionShape, desk.subscription(subscription_id))

    @blueprint.post("/subscriptions/<subscription_id>/rotate")
    @documented("rotateSecret", "Give another secret", SubscriptionWithSecret, Rotation)
    def rotate_secret(subscription_id: str) -> Response:
        overlap = desk.body(Rotation)["overlap"]
        made = desk.door.rotate(desk.subscription(subscription_id), overlap=overlap)
        return desk.answer(SubscriptionWithSecret, made)

    @blueprint.post("/subscriptions/<subscription_id>/test")
    @documented("testSubscription", "Send an example payload", MessageShape, Trial, 202)
    def test_subscription(subscription_id: str) -> Response:
        found = desk.subscription(subscription_id)
        return desk.answer(MessageShape, desk.door.test(found, desk.body(Trial).get("name")), 202)

    @blueprint.post("/subscriptions/<subscription_id>/recover")
    @documented("recoverSubscription", "Deliver again what was missed", Counted, Recovery)
    def recover_subscription(subscription_id: str) -> Response:
        found, given = desk.subscription(subscription_id), desk.body(Recovery)
        dry_run = given["dry_run"]
        count = desk.door.replay(subscription=found, since=given["since"], dry_run=dry_run)
        return desk.answer(Counted, {"count": count, "dry_run": dry_run})


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= 200:
        abort(400, "Idempotency-Key is a text of 1 to 200 characters.")
    return key


def _check_match(stored: Any) -> None:
    """Refuse to change what is not what the asker read (RFC 9110, section 13.1.1)."""
    if request.if_match and not request.if_match.contains(etag_of(json.dumps(stored, default=str))):
        abort(412, "The subscription has been changed since you read it. Read it again.")
