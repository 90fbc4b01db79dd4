"""One tenant's things are nothing to another, whatever operation of the API is asked for."""

from __future__ import annotations

from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_webhooks import Webhooks
from tests import asking
from tests.asking import Client

shop, ann, bob = asking.shop, asking.ann, asking.bob

#: Bodies with which the operations of one subscription could be done.
BODIES: dict[str, Any] = {
    "changeWebhookSubscription": {"rate": 1},
    "recoverWebhookSubscription": {"since": "2000-01-01T00:00:00+00:00"},
}
#: Operations that name nothing of another's; the property asks them with its ids besides.
OF_ONES_OWN = {
    "listWebhooks": "", "createWebhookSubscription": "",
    "listWebhookSubscriptions": "", "listWebhookMessages": "",
    "listWebhookDeliveries": "?messageId={m}&subscriptionId={s}",
    "replayWebhookDeliveries": "",
}  # fmt: skip


def operations(app: Flask, shop: Webhooks) -> dict[str, tuple[str, str]]:
    """Method and path of every operation of the API, by its id."""
    with app.app_context():
        paths = shop.document()["paths"]
    return {
        operation["operationId"]: (method.upper(), path.removeprefix("/hooks"))
        for path, item in paths.items()
        if path.startswith("/hooks")
        for method, operation in item.items()
    }


class Theirs:
    """A subscription of ann's, a message and its delivery."""

    def __init__(self, app: Flask, shop: Webhooks, ann: Client) -> None:
        self.subscription = ann.subscribe()["id"]
        with app.app_context():
            self.message = shop["booking.new"].send({"id": 1, "country": "DE"}, tenant="ann").id
            app.extensions["webhooks"].worker.intake.fan_out()
            self.delivery = shop.deliveries(message=self.message)[0].id

    def filled(self, path: str) -> str:
        """A path with their ids."""
        named = {
            "{subscription_id}": self.subscription, "{message_id}": self.message,
            "{delivery_id}": str(self.delivery), "{s}": self.subscription, "{m}": self.message,
        }  # fmt: skip
        for name, value in named.items():
            path = path.replace(name, value)
        return path


def seen(ann: Client, theirs: Theirs) -> list[Any]:
    """All that ann sees of it."""
    paths = ["/subscriptions/{s}", "/messages/{m}", "/deliveries/{delivery_id}", "/deliveries"]
    return [ann("GET", theirs.filled(path)) for path in paths]


def ask(client: Client, method: str, path: str, body: Any, key: str | None) -> tuple[int, Any]:
    headers = {} if key is None else {"Idempotency_Key": key}
    return client(method, path, None if method in ("GET", "DELETE") else body, **headers)


def test_every_operation_is_told_apart(app: Flask, shop: Webhooks) -> None:
    """Each one names a thing by its id, or is known as one that doesn't: none is forgotten."""
    unnamed = {name for name, (_, path) in operations(app, shop).items() if "{" not in path}
    assert unnamed == set(OF_ONES_OWN)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_nobody_sees_or_changes_what_is_anothers(
    app: Flask, shop: Webhooks, ann: Client, bob: Client, data: st.DataObject
) -> None:
    """Whatever bob asks with ann's ids is 404 or empty, and what is ann's stays as it was."""
    known = operations(app, shop)
    theirs = Theirs(app, shop, ann)
    before = seen(ann, theirs)
    for name in data.draw(st.lists(st.sampled_from(sorted(known)), max_size=8)):
        method, path = known[name]
        path = theirs.filled(path + OF_ONES_OWN.get(name, ""))
        key = data.draw(st.sampled_from([None, f"{method} {path} {theirs.message}"]))
        if name == "createWebhookSubscription":
            body = {"url": "https://bob.example/", "names": ["*"]}
            assert ask(bob, method, path, body, key)[0] == 201
        elif name == "replayWebhookDeliveries":
            status, counted = ask(bob, method, path, {"messageId": theirs.message}, key)
            assert (status, counted["count"]) == (200, 0)
        else:
            status, answer = ask(bob, method, path, BODIES.get(name, {}), key)
            told = str(answer)
            assert status == (200 if name in OF_ONES_OWN else 404), (name, status, answer)
            if status == 200:
                assert not any(i in told for i in (theirs.subscription, theirs.message)), name
    assert seen(ann, theirs) == before
