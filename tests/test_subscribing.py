"""What subscriptions add to deliveries, rotation, and how many there may be; on the real wire."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask import Flask
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from requests import Request
from standardwebhooks import Webhook as OfficialReceiver

from flask_webhooks import (
    LegacySignature,
    RefusedHeaderError,
    RefusedURLError,
    Webhooks,
    WebhooksError,
    callback_unresolved,
)
from tests.conftest import Receiver


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Any:
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    with app.app_context():
        yield webhooks


def _sent(webhooks: Webhooks, receiver: Receiver) -> Any:
    webhooks["noted"].send({"n": 1})
    webhooks.run_until_idle()
    return receiver.received[-1]


def _official(secret: str, received: Any) -> bool:
    try:
        OfficialReceiver(secret).verify(received.body, received.headers)
    except Exception:
        return False
    return True


def test_headers_and_legacy_signatures_are_sent(shop: Webhooks, receiver: Receiver) -> None:
    """A subscription's own header, and a signature as GitHub makes it, are on the wire."""
    shop.subscribe(
        receiver.url, ["noted"], headers={"X-Team": "night shift"},
        legacy_signatures=[LegacySignature(scheme="github", secret="It's a Secret to Everybody")],
    )  # fmt: skip
    sent = _sent(shop, receiver)
    assert sent.body == b'{"n":1}'
    assert sent.headers["x-team"] == "night shift"
    assert sent.headers["x-hub-signature-256"] == (
        "sha256=96b5fd44b01335a1dfe7e455bd16bf487aaa231bf4ba50af12bf40ee0cce652c"
    )  # fmt: skip


def test_no_second_of_a_rotation_fails_a_receiver(
    app: Flask, shop: Webhooks, receiver: Receiver
) -> None:
    """Receivers with the old or the new secret verify until the overlap ends; then the new."""
    now = 1_800_000_000.0
    state = app.extensions["webhooks"]
    state.clock = lambda: now
    made = shop.subscribe(receiver.url, ["noted"])
    renewed = shop.rotate(made, overlap=100)
    assert renewed.id == made.id
    seen = []
    for passed in (0, 50, 99, 100, 1000):
        now = 1_800_000_000.0 + passed
        sent = _sent(shop, receiver)
        seen.append((_signs(made.secret, sent), _signs(renewed.secret, sent)))
    assert seen == [(True, True), (True, True), (True, True), (False, True), (False, True)]


def _signs(secret: str | None, received: Any) -> bool:
    from flask_webhooks import VerificationError, verify

    at = float(received.headers["webhook-timestamp"])
    try:
        verify(received.body, received.headers, str(secret), now=lambda: at)
    except VerificationError:
        return False
    return True


def test_the_official_receiver_verifies_either(shop: Webhooks, receiver: Receiver) -> None:
    """The package of Standard Webhooks takes either secret."""
    made = shop.subscribe(receiver.url, ["noted"])
    renewed = shop.rotate(made.id)
    sent = _sent(shop, receiver)
    assert _official(str(made.secret), sent) and _official(str(renewed.secret), sent)


def test_a_rotation_keeps_headers(shop: Webhooks, receiver: Receiver) -> None:
    """What a subscription adds besides survives a new secret."""
    made = shop.subscribe(receiver.url, ["noted"], headers={"X-Team": "a"})
    shop.rotate(made, overlap=0)
    assert _sent(shop, receiver).headers["x-team"] == "a"


def test_rotating_nothing_is_an_error(shop: Webhooks) -> None:
    """An unknown subscription can't be rotated, and the error says so."""
    with pytest.raises(WebhooksError, match="There is no subscription 'sub_x'"):
        shop.rotate("sub_x")


def test_resealing_takes_options_along(make_app: Callable[..., Flask], receiver: Receiver) -> None:
    """After ``reseal`` the old key can go, and the header is sent as before."""
    old, new = "o" * 32, "n" * 32
    webhooks = Webhooks()
    webhooks.webhook("noted", {})
    for keys, work in (([old], "make"), ([new, old], "reseal"), ([new], "send")):
        app = make_app(WEBHOOKS_SECRET_KEYS=keys)
        webhooks.init_app(app)
        with app.app_context():
            if work == "make":
                webhooks.subscribe(receiver.url, ["noted"], headers={"X-Team": "a"})
            elif work == "reseal":
                assert webhooks.reseal() == 1
                assert webhooks.reseal() == 0
            else:
                assert _sent(webhooks, receiver).headers["x-team"] == "a"


def test_a_reserved_header_is_refused_before_anything_is_stored(shop: Webhooks) -> None:
    """``Host`` is not a subscription's to set, and nothing is stored."""
    with pytest.raises(RefusedHeaderError, match="The header 'Host' is refused"):
        shop.subscribe("https://example.com/", ["noted"], headers={"Host": "evil.example"})
    assert shop.subscriptions() == []


def test_a_host_takes_so_many_subscriptions(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """The third subscription to one host is refused, one to another host is not."""
    app = make_app(WEBHOOKS_SUBSCRIPTIONS_PER_HOST=2)
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    with app.app_context():
        for path in "ab":
            webhooks.subscribe(f"https://one.example/{path}", ["noted"])
        with pytest.raises(RefusedURLError) as refused:
            webhooks.subscribe("https://ONE.example/c", ["noted"])
        assert refused.value.rule == "limit"
        webhooks.subscribe("https://two.example/", ["noted"])


def test_a_tenant_has_so_many_captured_urls(
    make_app: Callable[..., Flask], webhooks: Webhooks
) -> None:
    """The third live URL of a tenant's calls is unresolved; the same URL again is no new one."""
    app = make_app(WEBHOOKS_CALLBACKS_PER_TENANT=2)
    callback = webhooks.callback("told", "{$request.query.url}", {})
    app.post("/a")(callback(lambda: ""))
    webhooks.init_app(app)
    told = []
    callback_unresolved.connect(lambda sender, **said: told.append(said["reason"]), app, weak=False)
    client = app.test_client()
    for url in ("a", "b", "c", "a"):
        client.post("/a", query_string={"url": f"https://{url}.example/"})
    with app.app_context():
        assert {s.url for s in webhooks.subscriptions()} == {
            "https://a.example/", "https://b.example/"
        }  # fmt: skip
    assert told == ["the URL is refused (limit)"]


def test_requests_are_signed_by_rfc_9421_on_request(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver
) -> None:
    """An independent verifier takes the signature with the key of the published key set."""
    app = make_app(WEBHOOKS_MESSAGE_SIGNATURES=True)
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    with app.app_context():
        webhooks.subscribe(f"{receiver.url}?a=b%20c", ["noted"])
        sent = _sent(webhooks, receiver)
    [jwk] = app.test_client().get("/.well-known/webhooks-keys.json").json["keys"]

    assert _verified(f"{receiver.url}?a=b%20c", sent.headers, sent.body, jwk) == jwk["kid"]
    for url, body in ((receiver.url, sent.body), (f"{receiver.url}?a=b%20c", b"{}")):
        with pytest.raises(InvalidSignature):
            _verified(url, sent.headers, body, jwk)


def test_a_message_signature_is_for_the_url_as_it_arrives(
    make_app: Callable[..., Flask], webhooks: Webhooks, receiver: Receiver
) -> None:
    """A receiver puts the URL together out of Host and the first line, however it was stored."""
    app = make_app(WEBHOOKS_MESSAGE_SIGNATURES=True)
    webhooks.webhook("noted", {})
    webhooks.init_app(app)
    address = receiver.url.removeprefix("http://").removesuffix("/hook")
    with app.app_context():
        webhooks.subscribe(f"HTTP://{address}?a=b", ["noted"])
        sent = _sent(webhooks, receiver)
    [jwk] = app.test_client().get("/.well-known/webhooks-keys.json").json["keys"]

    as_it_arrives = f"http://{sent.headers['host']}/?a=b"
    assert _verified(as_it_arrives, sent.headers, sent.body, jwk) == jwk["kid"]


def _verified(url: str, headers: Any, body: bytes, jwk: Any) -> str:
    """Verify as a receiver does; the id of the key."""
    key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(jwk["x"] + "="))

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Any:
            assert key_id == jwk["kid"]
            return key

    digest = b64encode(hashlib.sha256(body).digest()).decode()
    if headers["content-digest"] != f"sha-256=:{digest}:":
        raise InvalidSignature("the digest is another body's")
    request = Request("POST", url, headers=headers, data=body).prepare()
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    [result] = verifier.verify(request)
    return str(result.parameters["keyid"])
