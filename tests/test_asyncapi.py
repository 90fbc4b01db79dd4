"""``describe/asyncapi.py``: what is sent, in AsyncAPI 3.0's words."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields

from flask_webhooks import Webhooks
from flask_webhooks.describe.asyncapi import asyncapi
from flask_webhooks.describe.references import lookup, references
from flask_webhooks.door import EXTENSION

SCHEMA = Path(__file__).parent / "data" / "asyncapi-3.0.0.json"
OFFICIAL = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
#: The same schema in another implementation, a hundred times as fast.
FAST = jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
DIALECT = "application/schema+json;version=draft-2020-12"


class Line(Schema):
    sku = fields.String(required=True)


class Order(Schema):
    id = fields.String(required=True)
    lines = fields.List(fields.Nested(Line))
    previous = fields.Nested(lambda: Order(), allow_none=True)


class NewOrder(Schema):
    callbackUrl = fields.Url(required=True)


@pytest.fixture
def made(app: Flask, webhooks: Webhooks) -> Any:
    """The AsyncAPI document of an app with a webhook and three callbacks."""
    webhooks.webhook(
        "order.paid", Order, summary="Paid", description="Sent once.", tags=["orders"],
        responses={200: "Noted", 202: "Later", "4XX": "Refused"}, examples={"small": {"id": "1"}},
        extra={"externalDocs": {"url": "https://example.com/paid"}},
    )  # fmt: skip

    @app.post("/shops/<any(north,south):shop>/orders")
    @webhooks.operation(request=NewOrder, operation_id="createOrder")
    @webhooks.callback("onShipped", "{$request.body#/callbackUrl}", Order)
    @webhooks.callback("onHeld", "{$request.header.X-Hook}", Order, method="PUT")
    @webhooks.callback("onLost", "https://{$request.header.X-Host}/lost", Order)
    def create_order(shop: str) -> None: ...

    webhooks.init_app(app)
    with app.app_context():
        return app.extensions[EXTENSION].asyncapi()


def _valid(document: Any) -> Any:
    assert [(e.instance_path, e.message) for e in FAST.iter_errors(document)] == []
    dangling = [r for r in references(document) if r.startswith("#") and not lookup(document, r)]
    assert dangling == []
    return document


def _follow(document: Any, reference: dict[str, str]) -> Any:
    found = lookup(document, reference["$ref"])
    assert found is not None
    return found[0]


def test_it_is_valid_and_every_reference_resolves(made: Any) -> None:
    """The official JSON Schema accepts it, and no reference dangles."""
    _valid(made)
    assert [error.message for error in OFFICIAL.iter_errors(made)] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["operations"]["orderPaid"]["bindings"]["http"].update(method="QUERY"),
        lambda d: d["operations"]["createOrder.onShipped"]["reply"]["address"].update(
            location="$request.body#/x"
        ),
        lambda d: d["channels"]["order.paid"].update(address=1),
    ],
)
def test_the_official_schema_refuses_mistakes(made: Any, change: Any) -> None:
    """The oracle of these tests is awake."""
    change(made)
    assert list(OFFICIAL.iter_errors(made)) and list(FAST.iter_errors(made))


def test_a_webhook_is_a_send_operation(made: Any) -> None:
    """Method, words, tags, documentation and security stand in AsyncAPI's fields."""
    operation = made["operations"]["orderPaid"]
    assert operation == {
        "action": "send",
        "channel": {"$ref": "#/channels/order.paid"},
        "messages": [{"$ref": "#/channels/order.paid/messages/orderPaid"}],
        "bindings": {"http": {"bindingVersion": "0.3.0", "method": "POST"}},
        "summary": "Paid",
        "description": "Sent once.",
        "externalDocs": {"url": "https://example.com/paid"},
        "x-openapi": {"document": "/openapi.json", "pointer": "#/webhooks/order.paid/post"},
        "tags": [{"name": "orders"}],
        "security": [{"$ref": "#/components/securitySchemes/webhookSignature"}],
        "reply": {
            "channel": {"$ref": "#/channels/orderPaid.reply"},
            "messages": [
                {"$ref": "#/channels/orderPaid.reply/messages/orderPaid.200"},
                {"$ref": "#/channels/orderPaid.reply/messages/orderPaid.202"},
            ],
        },
    }
    assert made["channels"]["order.paid"]["address"] is None
    assert made["components"]["securitySchemes"]["webhookSignature"]["type"] == "httpApiKey"


def test_a_message_has_payload_headers_and_examples(made: Any) -> None:
    """The payload is the published component, in a format that says it is JSON Schema 2020-12."""
    message = made["channels"]["order.paid"]["messages"]["orderPaid"]
    assert (message["name"], message["contentType"]) == ("order.paid", "application/json")
    assert message["examples"] == [{"name": "small", "payload": {"id": "1"}}]
    assert message["headers"]["schemaFormat"] == DIALECT
    assert message["headers"]["schema"]["required"] == [
        "webhook-id", "webhook-timestamp", "webhook-signature"
    ]  # fmt: skip
    assert message["payload"] == {"$ref": "#/components/schemas/Order"}
    order = made["components"]["schemas"]["Order"]
    assert order["schemaFormat"] == DIALECT
    assert order["schema"]["properties"]["lines"]["items"] == {
        "$ref": "#/components/schemas/Line/schema"
    }


@pytest.mark.parametrize(
    "name, location",
    [
        ("onShipped", "$message.payload#/callbackUrl"),
        ("onHeld", "$message.header#/X-Hook"),
        ("onLost", None),
    ],
)
def test_a_callback_is_the_reply_to_its_call(made: Any, name: str, location: str | None) -> None:
    """The call is received, and answered at an address from its message where that can be said."""
    call = made["operations"][f"createOrder.{name}"]
    assert call["action"] == "receive"
    assert _follow(made, call["channel"])["address"] == "/shops/{shop}/orders"
    assert _follow(made, call["channel"])["parameters"] == {"shop": {"enum": ["north", "south"]}}
    assert call["reply"].get("address") == (location and {"location": location})
    [reply] = call["reply"]["messages"]
    assert _follow(made, reply)["name"] == name
    sent = made["operations"]["createOrder" + name[0].upper() + name[1:]]
    assert (sent["action"], sent["channel"]) == ("send", call["reply"]["channel"])
    assert call["x-openapi"]["expression"] == sent["x-openapi"]["expression"]


def test_every_pointer_leads_to_the_operation(app: Flask, made: Any) -> None:
    """``x-openapi`` resolves in the OpenAPI document, percent signs and braces included."""
    with app.app_context():
        document = app.extensions[EXTENSION].document()
    for name, operation in made["operations"].items():
        origin = operation["x-openapi"]
        assert origin["document"] == "/openapi.json"
        found = lookup(document, origin["pointer"])
        assert found is not None and name.startswith(found[0]["operationId"])


def test_the_openapi_document_is_left_alone(app: Flask, made: Any) -> None:
    """Changing what was made changes neither the OpenAPI document nor the next one."""
    state = app.extensions[EXTENSION]
    with app.app_context():
        before = state.document()
        first = state.asyncapi()
        first["components"]["schemas"]["Order"]["schema"]["properties"].clear()
        first["channels"]["order.paid"]["messages"]["orderPaid"]["examples"][0]["payload"].clear()
        assert (state.document(), state.asyncapi()) == (before, made)


def test_an_app_without_webhooks_makes_a_valid_document() -> None:
    """Nothing to send is no error."""
    document = {"openapi": "3.1.1", "info": {"title": "t", "version": "1"}, "paths": {}}
    assert _valid(asyncapi(document, url=None))["operations"] == {}


BASE: dict[str, Any] = {
    "openapi": "3.1.1",
    "info": {"title": "t", "version": "1", "summary": "s", "license": {"name": "MIT"}},
    "tags": [{"name": "a", "description": "About a.", "x-more": 1}],
    "webhooks": {},
}


def _with(item: Any, **more: Any) -> Any:
    return asyncapi({**copy.deepcopy(BASE), "webhooks": {"hook": item}, **more}, url=None)


def test_each_media_type_is_a_message() -> None:
    """Two media types are two messages of one operation, and so are two of an answer."""
    content = {"application/json": {"schema": {"type": "object"}}, "text/plain": {}}
    answer = {"description": "Fine", "content": content, "headers": {"X-A": {"schema": True}}}
    item = {"post": {"requestBody": {"content": content}, "responses": {"201": answer}}}
    made = _valid(_with(item))
    sent = [_follow(made, m) for m in made["operations"]["hook.post"]["messages"]]
    assert [m["contentType"] for m in sent] == ["application/json", "text/plain"]
    assert "payload" not in sent[1]
    replies = [_follow(made, m) for m in made["operations"]["hook.post"]["reply"]["messages"]]
    assert [m["bindings"]["http"]["statusCode"] for m in replies] == [201, 201]
    assert replies[0]["headers"]["schema"]["properties"] == {"X-A": True}


def test_references_are_followed_wherever_they_lead() -> None:
    """Path items, bodies, answers, headers and examples by reference appear as if written there."""
    made = _valid(
        _with(
            {"$ref": "#/components/pathItems/Hook"},
            components={
                "pathItems": {
                    "Hook": {
                        "parameters": [{"$ref": "#/components/parameters/Sender"}],
                        "put": {
                            "operationId": "hook",
                            "requestBody": {"$ref": "#/components/requestBodies/Thing"},
                            "responses": {"204": {"$ref": "#/components/responses/Empty"}},
                        },
                    }
                },
                "parameters": {"Sender": {"in": "header", "name": "X-Sender", "schema": {}}},
                "requestBodies": {
                    "Thing": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/parameters/Sender/schema"},
                                "examples": {"a": {"$ref": "#/components/examples/A"}},
                            }
                        }
                    }
                },
                "responses": {"Empty": {"description": "Nothing"}},
                "examples": {"A": {"value": {"$ref": "is data"}}},
            },
        )
    )
    operation = made["operations"]["hook"]
    assert operation["x-openapi"] == {"pointer": "#/components/pathItems/Hook/put"}
    [message] = [_follow(made, m) for m in operation["messages"]]
    assert message["examples"] == [{"name": "a", "payload": {"$ref": "is data"}}]
    assert list(message["headers"]["schema"]["properties"]) == ["X-Sender"]
    assert message["payload"] == {
        "$ref": "#/components/schemas/components_parameters_Sender_schema"
    }
    [reply] = [_follow(made, m) for m in operation["reply"]["messages"]]
    assert reply["bindings"]["http"]["statusCode"] == 204


def test_what_is_said_twice_is_said_once() -> None:
    """Lists in which AsyncAPI wants each member once have it once: tags and security."""
    item = {"post": {"tags": ["a", "b", "a"], "security": [{"s": []}, {"s": []}]}}
    scheme = {"s": {"type": "http", "scheme": "basic"}}
    tags = [{"name": "a"}, {"name": "a"}]
    made = _valid(_with(item, tags=tags, components={"securitySchemes": scheme}))
    operation = made["operations"]["hook.post"]
    assert operation["tags"] == [{"name": "a"}, {"name": "b"}]
    assert operation["security"] == [{"$ref": "#/components/securitySchemes/s"}]
    assert made["info"]["tags"] == [{"name": "a"}]


def test_components_get_names_that_are_allowed_and_their_own() -> None:
    """Two schemas whose names become the same are still two, wherever in the document they are."""
    properties = {
        "a": {"$ref": "#/components/schemas/A%20B"},
        "b": {"$ref": "#/components/schemas/A%C3%BCB"},
        "c": {"$ref": "#/components/schemas/A_B"},
    }
    content = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    schemas = {"A B": {"const": 1}, "AüB": {"const": 2}, "A_B": {"const": 3}}
    made = _valid(_with({"post": {"requestBody": {"content": content}}}, components={
        "schemas": schemas}))  # fmt: skip
    payload = _follow(made, made["operations"]["hook.post"]["messages"][0])["payload"]["schema"]
    found = [_follow(made, payload["properties"][name]) for name in "abc"]
    assert found == [{"const": 1}, {"const": 2}, {"const": 3}]


def test_anchors_and_discriminators_lead_to_the_moved_schemas() -> None:
    """Neither is left pointing to where its schema stood in the OpenAPI document."""
    pet = {
        "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#dog"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat"}},
    }
    schemas = {"Cat": {"type": "object"}, "Dog": {"$anchor": "dog", "type": "object"}}
    content = {"application/json": {"schema": pet}}
    made = _valid(_with({"post": {"requestBody": {"content": content}}}, components={
        "schemas": schemas}))  # fmt: skip
    payload = _follow(made, made["operations"]["hook.post"]["messages"][0])["payload"]["schema"]
    assert payload == {
        "oneOf": [
            {"$ref": "#/components/schemas/Cat/schema"}, {"$ref": "#/components/schemas/Dog/schema"}
        ],
        "discriminator": {
            "propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat/schema"}
        },
    }  # fmt: skip


def test_query_parameters_stand_in_the_binding() -> None:
    """A query parameter is a property of the operation's HTTP binding."""
    query = {"in": "query", "name": "page", "required": True, "schema": {"type": "integer"}}
    made = _valid(_with({"get": {"parameters": [query]}}))
    assert made["operations"]["hook.get"]["bindings"]["http"]["query"] == {
        "type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]
    }  # fmt: skip


def test_a_method_without_a_word_in_asyncapi_is_left_out() -> None:
    """OpenAPI 3.2's QUERY appears as an operation, without the method that would be refused."""
    made = _valid(_with({"query": {}, "additionalOperations": {"LINK": {}}}))
    bindings = [o["bindings"]["http"] for o in made["operations"].values()]
    assert bindings == [{"bindingVersion": "0.3.0"}, {"bindingVersion": "0.3.0"}]


@pytest.mark.parametrize(
    "scheme, converted",
    [
        ({"type": "apiKey", "in": "header", "name": "X-K"},
         {"type": "httpApiKey", "in": "header", "name": "X-K"}),
        ({"type": "http", "scheme": "Bearer", "bearerFormat": "JWT"},
         {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
        ({"type": "http", "scheme": "basic"}, {"type": "http", "scheme": "basic"}),
        ({"type": "mutualTLS"}, {"type": "X509"}),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://example.com"},
         {"type": "openIdConnect", "openIdConnectUrl": "https://example.com"}),
        ({"type": "oauth2", "flows": {"clientCredentials": {
            "tokenUrl": "https://example.com/t", "scopes": {"a": "All"}}}},
         {"type": "oauth2", "flows": {"clientCredentials": {
             "tokenUrl": "https://example.com/t", "availableScopes": {"a": "All"}}}}),
    ],
)  # fmt: skip
def test_security_schemes_are_converted(scheme: Any, converted: Any) -> None:
    """Each of OpenAPI's types becomes AsyncAPI's."""
    components = {"securitySchemes": {"s": scheme}}
    made = _valid(_with({"post": {"security": [{"s": []}]}}, components=components))
    assert made["components"]["securitySchemes"]["s"] == converted
    assert made["operations"]["hook.post"]["security"] == [
        {"$ref": "#/components/securitySchemes/s"}
    ]


@pytest.mark.parametrize(
    "security", [[], [{}], [{"s": [], "t": []}], [{"s": []}, {}], [{"nowhere": []}]]
)
def test_security_that_asyncapi_cannot_say_is_left_out(security: Any) -> None:
    """Schemes that are needed together, or not at all, never become a list of alternatives."""
    scheme = {"type": "http", "scheme": "basic"}
    components = {"securitySchemes": {"s": scheme, "t": scheme}}
    made = _valid(_with({"post": {"security": security}}, components=components))
    assert "security" not in made["operations"]["hook.post"]


def test_the_security_of_the_root_holds_where_an_operation_has_none() -> None:
    """As in OpenAPI, and scopes are kept beside the scheme."""
    flows = {"clientCredentials": {"tokenUrl": "https://example.com", "scopes": {"a": "All"}}}
    components = {"securitySchemes": {"s": {"type": "oauth2", "flows": flows}}}
    made = _valid(_with({"post": {}}, security=[{"s": ["a"]}], components=components))
    [security] = made["operations"]["hook.post"]["security"]
    assert (security["type"], security["scopes"]) == ("oauth2", ["a"])


def test_a_callback_of_a_webhook_goes_the_other_way() -> None:
    """What a receiver sends back to the app is received by the app."""
    inner = {"onDone": {"{$request.body#/url}": {"post": {"operationId": "done"}}}}
    made = _valid(_with({"post": {"operationId": "hook", "callbacks": inner}}))
    actions = {name: operation["action"] for name, operation in made["operations"].items()}
    assert actions == {"hook": "send", "done": "receive", "hook.onDone": "send"}


def test_a_callback_that_contains_itself_ends() -> None:
    """References in a circle are walked once."""
    item = {"post": {"callbacks": {"again": {"$ref": "#/components/callbacks/Again"}}}}
    components = {"callbacks": {"Again": {"{$url}": item}}}
    made = _valid(_with({"post": item["post"]}, components=components))
    assert sorted(made["channels"]) == ["again", "hook"]


_NAMES = st.text("abz/.~{}$#% é", min_size=1, max_size=6)
_OPERATIONS = st.fixed_dictionaries(
    {
        "responses": st.dictionaries(
            st.sampled_from(["200", "202", "2XX", "410", "default"]),
            st.just({"description": "d"}), max_size=3,
        ),
        "parameters": st.lists(
            st.sampled_from(["X-One", "X-Two"]).map(
                lambda name: {"in": "header", "name": name, "schema": {"type": "string"}}
            ),
            max_size=2, unique_by=lambda p: p["name"],
        ),
        "requestBody": st.just({"content": {"application/json": {"schema": {"type": "object"}}}}),
    }
)  # fmt: skip
_ITEMS = st.dictionaries(st.sampled_from(["post", "put", "get"]), _OPERATIONS, min_size=1)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(_NAMES, _ITEMS, max_size=3),
    st.dictionaries(st.sampled_from(["/a", "/b"]), st.dictionaries(_NAMES, _ITEMS), max_size=2),
)
def test_everything_that_is_sent_appears(webhooks: Any, callbacks: Any) -> None:
    """Each webhook and callback is there with its method, headers and exact answers."""
    key = "{$request.body#/url}"
    paths = {
        path: {"post": {"callbacks": {name: {key: item} for name, item in found.items()}}}
        for path, found in callbacks.items()
    }
    document = {**BASE, "webhooks": webhooks, "paths": paths}
    made = _valid(asyncapi(copy.deepcopy(document), url=None))
    sent = [o for o in made["operations"].values() if o["action"] == "send"]
    declared = [item for found in (webhooks, *callbacks.values()) for item in found.values()]
    assert len(sent) == sum(len(item) for item in declared)
    for operation in sent:
        found = lookup(document, operation["x-openapi"]["pointer"])
        assert found is not None
        described, [message] = found[0], [_follow(made, m) for m in operation["messages"]]
        method = operation["bindings"]["http"]["method"].lower()
        assert operation["x-openapi"]["pointer"].endswith("/" + method)
        headers = message.get("headers", {}).get("schema", {}).get("properties", {})
        assert list(headers) == [p["name"] for p in described["parameters"]]
        answers = [_follow(made, m) for m in operation.get("reply", {}).get("messages", [])]
        codes = [str(answer["bindings"]["http"]["statusCode"]) for answer in answers]
        assert codes == [code for code in described["responses"] if code.isdecimal()]
