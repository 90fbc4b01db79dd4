"""The API's views of webhooks and subscriptions."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, abort, request
from marshmallow import Schema

from ...door import state
from ...store import subscriptions
from ...store.records import Subscription
from ..formats import etag_of
from .desk import Desk
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
    SubscriptionWithHeaders,
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
        payloads = state().description.payloads
        return desk.answer(Catalogue, {"data": [_catalogued(desk, n) for n in sorted(payloads)]})

    @blueprint.get("/subscriptions")
    @documented(
        "listWebhookSubscriptions", "List the subscriptions", SubscriptionPage, paged=True,
        filters=["name"],
    )  # fmt: skip
    def list_subscriptions() -> Response:
        database, owned = state().database, desk.owned()
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
    @documented("readWebhookSubscription", "Read a subscription", SubscriptionWithHeaders)
    def read_subscription(subscription_id: str) -> Response:
        return _shown(desk, desk.subscription(subscription_id))


def _add_writing(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    @blueprint.post("/subscriptions")
    @documented(
        "createWebhookSubscription", "Subscribe a URL", SubscriptionWithSecret, NewSubscription,
        201, writes=True,
    )  # fmt: skip
    def create_subscription() -> Response:
        tenant, given = desk.owned().tenant, desk.body(NewSubscription)
        made = desk.door.subscribe(
            given.pop("url"),
            given.pop("names"),
            tenant=tenant,
            idempotency_key=request.headers.get("Idempotency-Key"),
            **given,
        )
        return _shown(desk, made, SubscriptionWithSecret, 201)

    @blueprint.patch("/subscriptions/<subscription_id>")
    @documented(
        "changeWebhookSubscription", "Change a subscription", SubscriptionWithHeaders,
        ChangedSubscription, writes=True, matches=True,
    )  # fmt: skip
    def change_subscription(subscription_id: str) -> Response:
        found = desk.subscription(subscription_id)
        expected = _matched(desk, found)
        changed = desk.door.change(found, expected=expected, **desk.body(ChangedSubscription))
        return _shown(desk, changed)

    @blueprint.delete("/subscriptions/<subscription_id>")
    @documented(
        "deleteWebhookSubscription", "Delete a subscription", None, status=204, writes=True,
        matches=True,
    )  # fmt: skip
    def delete_subscription(subscription_id: str) -> Response:
        found = desk.subscription(subscription_id)
        _matched(desk, found)
        desk.door.unsubscribe(found)
        return Response(status=204)


def _add_acting(blueprint: Blueprint, desk: Desk, documented: Documented) -> None:
    @blueprint.post("/subscriptions/<subscription_id>/enable")
    @documented(
        "enableWebhookSubscription", "Let a disabled subscription go on", SubscriptionWithHeaders,
        writes=True,
    )  # fmt: skip
    def enable_subscription(subscription_id: str) -> Response:
        desk.door.enable(desk.subscription(subscription_id))
        return _shown(desk, desk.subscription(subscription_id))

    @blueprint.post("/subscriptions/<subscription_id>/disable")
    @documented(
        "disableWebhookSubscription", "Disable a subscription", SubscriptionWithHeaders,
        writes=True,
    )  # fmt: skip
    def disable_subscription(subscription_id: str) -> Response:
        desk.door.disable(desk.subscription(subscription_id))
        return _shown(desk, desk.subscription(subscription_id))

    @blueprint.post("/subscriptions/<subscription_id>/rotate")
    @documented(
        "rotateWebhookSecret", "Give another secret", SubscriptionWithSecret, Rotation, writes=True
    )
    def rotate_secret(subscription_id: str) -> Response:
        found, overlap = desk.subscription(subscription_id), desk.body(Rotation)["overlap"]
        made = desk.door.rotate(found, overlap=overlap)
        return _shown(desk, made, SubscriptionWithSecret)

    @blueprint.post("/subscriptions/<subscription_id>/test")
    @documented(
        "testWebhookSubscription", "Send an example payload", MessageShape, Trial, 202, writes=True
    )
    def test_subscription(subscription_id: str) -> Response:
        found, given = desk.subscription(subscription_id), desk.body(Trial)
        return desk.answer(MessageShape, desk.door.test(found, given.get("name")), 202)

    @blueprint.post("/subscriptions/<subscription_id>/recover")
    @documented(
        "recoverWebhookSubscription", "Deliver again what was missed", Counted, Recovery,
        writes=True,
    )  # fmt: skip
    def recover_subscription(subscription_id: str) -> Response:
        found, given = desk.subscription(subscription_id), desk.body(Recovery)
        dry_run = given["dry_run"]
        count = desk.door.replay(subscription=found, since=given["since"], dry_run=dry_run)
        return desk.answer(Counted, {"count": count, "dry_run": dry_run})


def _catalogued(desk: Desk, name: str) -> dict[str, Any]:
    """One webhook; its schema stands for itself, with all that it refers to."""
    described, webhook = state().description, desk.door[name]
    return {
        "name": name,
        "summary": webhook.documentation.summary,
        "description": webhook.documentation.description,
        "payload_schema": described.standalone(name),
        "example": state().example(webhook),
    }


def _shown(
    desk: Desk,
    found: Subscription,
    schema: type[Schema] = SubscriptionWithHeaders,
    status: int = 200,
) -> Response:
    return desk.answer(schema, _with_headers(desk, found), status)


def _with_headers(desk: Desk, found: Subscription) -> dict[str, Any]:
    return {**vars(found), "headers": desk.names_of_headers(found)}


def _matched(desk: Desk, found: Subscription) -> Subscription | None:
    """What the asker read, if it says so; 412 if that is not what is there.

    Source: RFC 9110, section 13.1.1.
    """
    if not request.if_match:
        return None
    shown = SubscriptionWithHeaders().dump(_with_headers(desk, found))
    if not request.if_match.contains(etag_of(json.dumps(shown, default=str))):
        abort(412, "The subscription has been changed since you read it. Read it again.")
    return found
