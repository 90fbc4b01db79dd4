"""The subscription API: what is there, whose it is, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from flask_webhooks import ConfigurationError, Webhooks, verify
from tests import asking
from tests.asking import URL, Client
from tests.conftest import Receiver

shop, ann, bob = asking.shop, asking.ann, asking.bob


def test_there_is_no_api_before_the_app_says_who_asks(webhooks: Webhooks) -> None:
    """The error says what to write first."""
    with pytest.raises(ConfigurationError, match="@webhooks.tenant_loader"):
        webhooks.api()


def test_who_is_refused_gets_a_problem(app: Flask, shop: Webhooks) -> None:
    """The loader's own words, as RFC 9457 has them."""
    nobody = Client(app, None)
    assert nobody("GET", "/subscriptions") == (
        401,
        {"title": "Unauthorized", "status": 401, "detail": "Say who you are.",
         "code": "unauthorized"},
    )  # fmt: skip
    assert nobody.headers["Content-Type"] == "application/problem+json"


def test_the_api_stands_in_the_document(app: Flask, shop: Webhooks) -> None:
    """The document with it is valid, and has its operations under the prefix."""
    with app.app_context():
        document = shop.document()
    validate(document)
    operations = {
        operation["operationId"]
        for path, item in document["paths"].items()
        for operation in item.values()
        if path.startswith("/hooks")
    }
    assert operations == {
        "listWebhooks", "listWebhookSubscriptions", "createWebhookSubscription",
        "readWebhookSubscription", "changeWebhookSubscription", "deleteWebhookSubscription",
        "enableWebhookSubscription", "disableWebhookSubscription", "rotateWebhookSecret",
        "testWebhookSubscription", "recoverWebhookSubscription", "listWebhookMessages",
        "readWebhookMessage", "explainWebhookMessage", "listWebhookDeliveries",
        "readWebhookDelivery", "replayWebhookDelivery", "replayWebhookDeliveries",
    }  # fmt: skip


def test_the_catalogue_has_schemas_and_examples(ann: Client) -> None:
    """Every webhook, with what its payloads are."""
    status, listed = ann("GET", "/catalogue")
    assert status == 200
    assert [one["name"] for one in listed["data"]] == ["booking.gone", "booking.new"]
    booking = listed["data"][1]
    assert (booking["summary"], set(booking["example"])) == ("New booking", {"id", "country"})
    assert set(booking["schema"]["components"]["schemas"]) == {"Booking"}
    Draft202012Validator(booking["schema"]).validate(booking["example"])


def test_a_subscription_is_made_read_changed_and_deleted(ann: Client) -> None:
    """Its secret is in the first answer alone."""
    made = ann.subscribe(filter={"country": "DE"}, rate=5)
    assert made["secret"].startswith("whsec_")
    path = f"/subscriptions/{made['id']}"
    status, read = ann("GET", path)
    assert (status, read) == (200, {k: v for k, v in made.items() if k != "secret"})
    assert (read["names"], read["filter"], read["rate"]) == (["booking.new"], {"country": "DE"}, 5)
    status, changed = ann("PATCH", path, {"url": "https://b.example/", "filter": None})
    assert (status, changed["url"], changed["filter"], changed["rate"]) == (
        200, "https://b.example/", None, 5,
    )  # fmt: skip
    assert ann("DELETE", path) == (204, None)
    assert ann("GET", path)[0] == 404


def test_an_answer_is_not_sent_to_who_has_it(ann: Client) -> None:
    """304 with the ETag that it had; 412 for a change of what has been changed meanwhile."""
    path = f"/subscriptions/{ann.subscribe()['id']}"
    ann("GET", path)
    etag = ann.headers["ETag"]
    assert ann("GET", path, If_None_Match=etag)[0] == 304
    assert ann("PATCH", path, {"rate": 3}, If_Match=etag)[0] == 200
    status, problem = ann("PATCH", path, {"rate": 4}, If_Match=etag)
    assert (status, problem["code"]) == (412, "precondition-failed")


def test_the_same_request_with_the_same_key_is_done_once(ann: Client, bob: Client) -> None:
    """It is answered alike, secret included; another request with that key is refused."""
    body = {"url": URL, "names": ["booking.new"]}
    first = ann("POST", "/subscriptions", body, Idempotency_Key="k1")
    assert ann("POST", "/subscriptions", body, Idempotency_Key="k1") == first
    other = {**body, "url": "https://b.example/"}
    assert ann("POST", "/subscriptions", other, Idempotency_Key="k1")[0] == 422
    assert bob("POST", "/subscriptions", body, Idempotency_Key="k1")[1]["id"] != first[1]["id"]
    assert len(ann("GET", "/subscriptions")[1]["data"]) == 1


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"url": "https://10.0.0.1/", "names": ["booking.new"]}, "refused-url", "10.0.0.1"),
        ({"url": URL, "names": ["booking.knew"]}, "unknown-webhook", "Did you mean 'booking.new'?"),
        ({"url": URL, "names": ["booking.new"], "filter": {"city": "x"}}, "filter", "'city'"),
        (
            {"url": URL, "names": ["booking.new"], "headers": {"Host": "x"}},
            "refused-header",
            "Host",
        ),
        ({"url": URL, "names": ["booking.new"], "rate": -1}, "invalid", "not what it must be"),
    ],
)
def test_what_cannot_work_is_refused_and_says_why(
    ann: Client, body: Any, code: str, said: str
) -> None:
    """422, a code for programs, a sentence for people."""
    status, problem = ann("POST", "/subscriptions", body)
    assert (status, problem["code"]) == (422, code)
    assert said in problem["detail"]


def test_a_refused_url_tells_nothing_of_the_settings(ann: Client) -> None:
    """It names the rule that the URL breaks, and no setting that would open it."""
    _, problem = ann(
        "POST", "/subscriptions", {"url": "http://a.example:22/?s", "names": ["booking.new"]}
    )
    assert problem["rule"] == "scheme"
    assert (
        problem["detail"] == "The URL 'http://a.example:22/' is refused: its scheme is not https."
    )


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"url": ["Missing data for required field."],
              "names": ["Missing data for required field."]}),
        ({"url": URL, "names": ["booking.new"], "secrets": 1}, {"secrets": ["Unknown field."]}),
        ({"url": 5, "names": ["booking.new"]}, {"url": ["Not a valid string."]}),
    ],
)  # fmt: skip
def test_a_malformed_body_names_its_fields(ann: Client, body: Any, errors: Any) -> None:
    """422, with what is wrong by field."""
    status, problem = ann("POST", "/subscriptions", body)
    assert (status, problem["code"], problem["errors"]) == (422, "invalid", errors)


def test_pages_show_each_once(ann: Client, bob: Client) -> None:
    """Five in pages of two; a cursor of another tenant or list is refused."""
    made = [ann.subscribe(f"https://a.example/{n}")["id"] for n in range(5)]
    seen, query = [], "?limit=2"
    while query:
        _, page = ann("GET", f"/subscriptions{query}")
        seen += [one["id"] for one in page["data"]]
        query = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert seen == made[::-1]
    cursor = ann("GET", "/subscriptions?limit=2")[1]["next"]
    assert bob("GET", f"/subscriptions?cursor={cursor}")[0] == 422
    assert ann("GET", f"/messages?cursor={cursor}")[0] == 422
    assert ann("GET", "/subscriptions?limit=0")[0] == 400
    assert ann("GET", "/subscriptions?cursor=made-up")[0] == 422


def test_a_delivery_is_followed_to_its_answer(
    app: Flask, shop: Webhooks, ann: Client, receiver: Receiver
) -> None:
    """A test message reaches one subscription alone; its attempt and its reason can be read."""
    made = ann.subscribe(receiver.url)
    ann.subscribe(receiver.url + "/other")
    status, message = ann("POST", f"/subscriptions/{made['id']}/test")
    assert (status, message["name"]) == (202, "booking.new")
    with app.app_context():
        shop.run_until_idle()
    [received] = receiver.received
    assert set(verify(received.body, received.headers, made["secret"])) == {"id", "country"}
    _, listed = ann("GET", f"/deliveries?messageId={message['id']}")
    [delivery] = listed["data"]
    assert delivery["status"] == "delivered"
    _, read = ann("GET", f"/deliveries/{delivery['id']}")
    assert read["explanation"] == "The receiver accepted it with 200 at the first attempt."
    [attempt] = read["attemptsMade"]
    assert (attempt["succeeded"], attempt["statusCode"], attempt["failure"]) == (True, 200, None)
    sent = {header["name"].lower(): header["value"] for header in attempt["sent"]["headers"]}
    assert (sent, attempt["sent"]["words"]) == (received.headers, None)
    assert set(ann("GET", f"/messages/{message['id']}")[1]["payload"]) == {"id", "country"}
    assert ann("POST", f"/deliveries/{delivery['id']}/replay") == (
        200, {"count": 1, "dryRun": False},
    )  # fmt: skip


def test_a_rotated_secret_is_shown_once(ann: Client) -> None:
    """It is another one; a malformed overlap is refused."""
    made = ann.subscribe()
    path = f"/subscriptions/{made['id']}/rotate"
    status, rotated = ann("POST", path, {"overlap": 60})
    assert status == 200
    assert rotated["secret"] not in (made["secret"], None)
    assert ann("POST", path, {"overlap": -1})[0] == 422


def test_why_a_message_did_not_come(app: Flask, shop: Webhooks, ann: Client) -> None:
    """The filter's own words, for one that it held back."""
    made = ann.subscribe(filter={"country": "DE"})
    with app.app_context():
        message = shop["booking.new"].send({"id": 1, "country": "FR"}, tenant="ann")
        shop.run_until_idle()
    status, told = ann("GET", f"/messages/{message.id}/explanations/{made['id']}")
    assert (status, told["code"], told["deliveryId"]) == (200, "filter", None)
    assert told["words"] == 'The payload does not pass its filter {"country": "DE"}.'


def test_a_replay_is_counted_first(app: Flask, shop: Webhooks, ann: Client, bob: Client) -> None:
    """Only what is the asker's; without a filter it is refused."""
    for client in (ann, bob):
        made = client.subscribe()
        with app.app_context():
            tenant = "ann" if client is ann else "bob"
            shop["booking.new"].send({"id": 1, "country": "DE"}, tenant=tenant)
            app.extensions["webhooks"].worker.intake.fan_out()
            shop.disable(made["id"])
            shop.enable(made["id"])
    body = {"status": "cancelled", "dryRun": True}
    assert ann("POST", "/replay", body) == (200, {"count": 1, "dryRun": True})
    assert ann("POST", "/replay", {"status": "cancelled"})[1]["count"] == 1
    assert ann("POST", "/replay", body)[1]["count"] == 0
    assert ann("POST", "/replay", {"dryRun": True})[0] == 422
