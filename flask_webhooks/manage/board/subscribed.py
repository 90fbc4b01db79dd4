"""The pages of who is subscribed to what: subscriptions, one of them, and the webhooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from flask import Response, request

from ...door import Door, state
from ...store.browsing import Sought
from ...store.records import Subscription
from . import asked
from .guard import Guard, RefusedError, asker
from .reading import position, wanting
from .rendering import moved, page
from .sent import missing, reading

#: How long the secret before goes on signing, in seconds, as the page offers it.
OVERLAPS = {"a day": 86400, "an hour": 3600, "a week": 7 * 86400, "not at all": 0}

_LONGEST_TENANT = 200


def add_views(guard: Guard, door: Door) -> None:
    """Add the views to a blueprint."""
    _add_reading(guard, door)
    _add_changing(guard, door)
    _add_making(guard, door)


def _names(door: Door) -> list[str]:
    return [webhook.name for webhook in door]


def _add_reading(guard: Guard, door: Door) -> None:
    @guard.reads("/subscriptions")
    def subscriptions() -> Response:
        status = asked.one_of(request.args, "status", ("enabled", "disabled"))
        name, place = request.args.get("webhook") or None, position(asked.before() or "")
        return page(
            "subscriptions.html", "subscriptions", "Subscriptions", names=_names(door),
            webhook=name, status=status, found=reading().subscriptions(name, status, place),
        )  # fmt: skip

    @guard.reads("/subscriptions/<subscription_id>")
    def subscription(subscription_id: str) -> Response:
        found = reading()
        shown = found.subscription(subscription_id)
        if shown is None:
            raise missing("subscription")
        recent = found.deliveries(Sought(subscription=subscription_id), asked.before_number())
        condition = shown.subscription.filter
        return page(
            "subscription.html", "subscriptions", "Subscription", shown=shown, found=recent,
            condition=condition and json.dumps(condition, ensure_ascii=False, indent=2),
            names=wanting(shown.subscription, _names(door)), overlaps=OVERLAPS,
        )  # fmt: skip

    @guard.reads("/webhooks")
    def webhooks() -> Response:
        described, names = state().description, _names(door)
        examples = {
            name: json.dumps(state().example(door[name]), ensure_ascii=False, indent=2)
            for name in described.payloads
        }
        return page(
            "webhooks.html", "webhooks", "Webhooks", declared=[door[name] for name in names],
            counts=reading().counts(names), examples=examples,
        )  # fmt: skip


def _found(subscription_id: str) -> Subscription:
    found = reading().subscription(subscription_id)
    if found is None:
        raise missing("subscription")
    return found.subscription


def _add_changing(guard: Guard, door: Door) -> None:
    def back(found: Subscription, done: str, changed: bool = True) -> Response:
        return moved(
            "subscription", subscription_id=found.id, done=done if changed else "unchanged"
        )

    @guard.writes("/subscriptions/<subscription_id>/disable")
    def disable(subscription_id: str) -> Response:
        found = _found(subscription_id)
        return back(found, "disabled", door.disable(found))

    @guard.writes("/subscriptions/<subscription_id>/enable")
    def enable(subscription_id: str) -> Response:
        found = _found(subscription_id)
        return back(found, "enabled", door.enable(found))

    @guard.writes("/subscriptions/<subscription_id>/rotate")
    def rotate(subscription_id: str) -> Response:
        found = _found(subscription_id)
        overlap = OVERLAPS.get(request.form.get("overlap", "a day"))
        if overlap is None:
            raise RefusedError(400, "Not to be done", f"overlap is one of: {', '.join(OVERLAPS)}.")
        return _with_secret(door.rotate(found, overlap=overlap), "The new secret")

    @guard.writes("/subscriptions/<subscription_id>/test")
    def test(subscription_id: str) -> Response:
        sent = door.test(_found(subscription_id), request.form.get("webhook") or None)
        return moved("message", message_id=sent.id, done="sent", refresh=1)

    @guard.writes("/subscriptions/<subscription_id>/delete")
    def delete(subscription_id: str) -> Response:
        door.unsubscribe(_found(subscription_id))
        return moved("subscriptions", done="deleted")


def _add_making(guard: Guard, door: Door) -> None:
    @guard.reads("/subscribe")
    def subscribe() -> Response:
        return page("subscribe.html", "subscriptions", "Subscribe a URL", declared=list(door))

    @guard.writes("/subscribed")
    def subscribed() -> Response:
        names: Sequence[str] = request.form.getlist("webhook")
        if not names:
            raise RefusedError(422, "Nothing is chosen", "Go back, and choose a webhook.")
        owned = asker().owned
        tenant = _tenant() if owned is None else owned.tenant
        made = door.subscribe(request.form.get("url", "").strip(), names, tenant=tenant)
        return _with_secret(made, "Subscribed")


def _tenant() -> str | None:
    """The tenant that an operator names."""
    tenant = request.form.get("tenant") or None
    if tenant is not None and len(tenant) > _LONGEST_TENANT:
        raise RefusedError(
            422, "That can’t be", f"A tenant’s name has {_LONGEST_TENANT} characters at most."
        )
    return tenant


def _with_secret(made: Subscription, title: str) -> Response:
    """The one page that shows a secret, and shows it once."""
    return page("secret.html", "subscriptions", title, made=made, secret=made.secret)
