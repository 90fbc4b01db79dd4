"""Schemathesis asks the subscription API for all that its document allows, and for more."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from flask_webhooks import Webhooks
from tests import asking
from tests.needs import need

shop = asking.shop

#: Of each operation and kind of data.
EXAMPLES = 25
#: What can't be said in a schema: which URLs are refused, which names are declared, whose cursor.
REFUSED_WITH_REASON = ["2xx", 401, 403, 404, 409, 412, 422]


@pytest.fixture
def described(app: Flask, shop: Webhooks) -> Any:
    """The API's part of the app's document, as Schemathesis reads it; there is something in it."""
    schemathesis = need("schemathesis", "fuzz")
    with app.app_context():
        for tenant in ("ann", "bob"):
            shop.subscribe(f"https://{tenant}.example/", ["*"], tenant=tenant)
            shop["booking.new"].send({"id": 1, "country": "DE"}, tenant=tenant)
        app.extensions["webhooks"].worker.intake.fan_out()
    accepted = {"positive_data_acceptance": {"expected-statuses": REFUSED_WITH_REASON}}
    config = schemathesis.Config.from_dict({"checks": accepted})
    loaded = schemathesis.openapi.from_wsgi("/openapi.json", app, config=config)
    return loaded.include(path_regex="^/hooks")


def _own(app: Flask, shop: Webhooks) -> dict[str, Any]:
    with app.app_context():
        [delivery] = [d for d in shop.deliveries() if "ann" in d.url]
    return {
        "subscription_id": delivery.subscription_id, "message_id": delivery.message_id,
        "delivery_id": delivery.id,
    }  # fmt: skip


@pytest.mark.parametrize("tenant", ["ann", None])
@pytest.mark.parametrize(
    ("mode", "own"),
    # A made-up id is part of what is wrong.
    [("positive", True), ("positive", False), ("negative", False)],
)
@pytest.mark.filterwarnings("ignore")
def test_the_api_answers_as_its_document_says(
    app: Flask, shop: Webhooks, described: Any, mode: str, tenant: str | None, own: bool
) -> None:
    """No check of Schemathesis finds anything, for one who is known and one who is refused."""
    import schemathesis

    headers = {"X-Tenant": tenant} if tenant else {}
    ids = _own(app, shop) if own else {}
    kind, asked = schemathesis.GenerationMode(mode), set()
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=kind))
        def ask(case: Any) -> None:
            for name in ids.keys() & set(case.path_parameters or ()):
                case.path_parameters[name] = ids[name]
            case.call_and_validate(headers=headers)
            asked.add((case.method, case.path))

        # Some take nothing that could be wrong.
        with suppress(Unsatisfiable) if mode == "negative" else nullcontext():
            ask()
    assert len(asked) >= (10 if mode == "negative" else 18)
