"""Living next to other OpenAPI tools for Flask: merging documents, and the tools themselves.

The tests of real tools need the extra ``neighbours``. Without it they are skipped, or fail where
``WEBHOOKS_TEST_REQUIRE`` lists ``neighbours``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask.views import MethodView
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import (
    OpenAPIV30SpecValidator,
    OpenAPIV31SpecValidator,
    OpenAPIV32SpecValidator,
)

from flask_webhooks import Webhooks
from flask_webhooks.describe.neighbours.downgrade import as_3_0, schema_3_0
from flask_webhooks.describe.neighbours.merge import merge_into
from flask_webhooks.describe.neighbours.operation_ids import operations
from flask_webhooks.describe.references import lookup, references
from flask_webhooks.exceptions import ConfigurationError, DeclarationError, WebhooksError
from tests import needs

VALIDATORS = {
    "3.0": OpenAPIV30SpecValidator,
    "3.1": OpenAPIV31SpecValidator,
    "3.2": OpenAPIV32SpecValidator,
}
RECEIVER = "https://receiver.example/hook"


class Order(Schema):
    callbackUrl = fields.String(required=True)


class Created(Schema):
    id = fields.Integer(required=True)


class Status(Schema):
    orderId = fields.String(required=True)
    status = fields.String(required=True, allow_none=True)


class Booking(Schema):
    id = fields.UUID(dump_only=True)
    train = fields.String(required=True)


def errors(document: dict[str, Any]) -> list[str]:
    """What is wrong with a document, one line for each error."""
    validator = VALIDATORS[document["openapi"][:3]]
    return [error.message.splitlines()[0] for error in validator(document).iter_errors()]


# Merging, without any tool


@pytest.fixture
def shop(app: Flask, webhooks: Webhooks) -> Flask:
    """An app whose views carry a callback, a webhook, and an operation of their own."""
    new_booking = webhooks.webhook("newBooking", Booking)

    @app.post("/orders")
    @webhooks.callback("onStatus", "{$request.body#/callbackUrl}", Status)
    def create_order() -> str:
        """Order something."""
        return ""

    @app.post("/bookings")
    @new_booking
    @webhooks.operation(
        summary="Book a seat",
        tags=["ours"],
        request=Booking,
        responses={201: "Booked.", 409: "Full."},
        parameters=[
            {"name": "coupon", "in": "query", "schema": {"type": "string"}},
            {"name": "trace", "in": "header", "schema": {"type": "string"}},
        ],
    )
    def book() -> str:
        return ""

    webhooks.init_app(app)
    return app


def host(version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document of another tool that documents POST /orders."""
    operation = {"operationId": "order", "responses": {"200": {"description": "Theirs."}}}
    paths = {"/orders": {"post": operation}}
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **more}


def merged(app: Flask, webhooks: Webhooks, document: dict[str, Any]) -> dict[str, Any]:
    with app.app_context():
        return webhooks.merge_into(document)


@pytest.mark.parametrize("version", ["3.1.0", "3.1.1", "3.2.0"])
def test_a_host_gets_webhooks_callbacks_and_their_components(
    shop: Flask, webhooks: Webhooks, version: str
) -> None:
    """A document of 3.1 or later has our webhooks and callbacks, resolves them, and is valid."""
    document = merged(shop, webhooks, host(version))

    assert errors(document) == []
    assert list(document["webhooks"]) == ["newBooking"]
    assert list(document["paths"]["/orders"]["post"]["callbacks"]) == ["onStatus"]
    assert document["paths"]["/bookings"]["post"]["x-webhooks-emits"] == ["newBooking"]
    assert {"BookingPayload", "Status"} <= set(document["components"]["schemas"])
    assert document["x-webhooks-delivery"]["guarantee"] == "at-least-once"
    assert document["openapi"] == version


def test_a_3_0_host_gets_x_webhooks(shop: Flask, webhooks: Webhooks) -> None:
    """A 3.0 document keeps callbacks, has ``x-webhooks`` for webhooks, and is valid."""
    document = merged(shop, webhooks, host("3.0.3"))

    assert errors(document) == []
    assert "webhooks" not in document
    assert list(document["x-webhooks"]) == ["newBooking"]
    assert list(document["paths"]["/orders"]["post"]["callbacks"]) == ["onStatus"]
    assert document["components"]["schemas"]["Status"]["properties"]["status"] == {
        "type": "string",
        "nullable": True,
    }


def test_x_webhooks_are_valid_path_items_of_3_0(shop: Flask, webhooks: Webhooks) -> None:
    """What stands in ``x-webhooks``, where no validator looks, would be valid under ``paths``."""
    document = merged(shop, webhooks, host("3.0.3"))

    document["paths"] = {f"/{name}": item for name, item in document.pop("x-webhooks").items()}

    assert errors(document) == []


@pytest.mark.parametrize(
    "document, said",
    [
        ({"swagger": "2.0", "paths": {}}, "Swagger 2.0"),
        ({"openapi": "4.0.0", "paths": {}}, "4.0.0"),
        ({"paths": {}}, "openapi: ''"),
    ],
)
def test_a_host_of_another_version_is_refused(
    shop: Flask, webhooks: Webhooks, document: dict[str, Any], said: str
) -> None:
    """A document without room for callbacks is an error that says its version and what to do."""
    with pytest.raises(ConfigurationError, match=f"{said}.*OpenAPI 3.0 or 3.1"):
        merged(shop, webhooks, document)


def test_the_host_is_not_changed(shop: Flask, webhooks: Webhooks) -> None:
    """Merging leaves the host's dict alone, and so does changing the result."""
    document, before = host(), copy.deepcopy(host())

    result = merged(shop, webhooks, document)
    result["paths"]["/orders"]["post"]["responses"].clear()
    result["components"]["schemas"].clear()
    result["webhooks"]["newBooking"].clear()

    assert document == before
    assert errors(merged(shop, webhooks, document)) == []


def test_a_host_wins_where_it_says_something(shop: Flask, webhooks: Webhooks) -> None:
    """Of ``@webhooks.operation`` a host's operation takes what it lacks, and nothing else."""
    trace = {"name": "trace", "in": "header", "schema": {"type": "integer"}}
    theirs = {
        "summary": "Theirs",
        "description": "",
        "requestBody": {"content": {"text/plain": {}}},
        "responses": {201: {"description": "Theirs."}},
    }
    document = host()
    document["paths"]["/bookings"] = {"parameters": [trace], "post": theirs}

    operation = merged(shop, webhooks, document)["paths"]["/bookings"]["post"]

    assert operation["summary"] == "Theirs"
    assert operation["requestBody"] == {"content": {"text/plain": {}}}
    assert operation["tags"] == ["ours"]
    assert operation["operationId"] == "book"
    assert [p["name"] for p in operation["parameters"]] == ["coupon"]
    assert operation["responses"] == {
        201: {"description": "Theirs."},
        "409": {"description": "Full."},
    }


def test_a_3_0_host_gets_no_answer_that_nobody_declared(app: Flask, webhooks: Webhooks) -> None:
    """That 3.0 requires responses adds none to an operation that has some."""

    @app.post("/orders")
    @webhooks.operation(summary="Order")
    @webhooks.callback("onStatus", "{$request.query.url}", Status)
    def create_order() -> str:
        return ""

    webhooks.init_app(app)
    operation = merged(app, webhooks, host("3.0.3"))["paths"]["/orders"]["post"]

    assert operation["responses"] == {"200": {"description": "Theirs."}}


def test_a_view_without_an_operation_adds_no_words(shop: Flask, webhooks: Webhooks) -> None:
    """Where a view only carries marks, the host's operation gets callbacks and nothing else."""
    operation = merged(shop, webhooks, host())["paths"]["/orders"]["post"]

    assert list(operation) == ["operationId", "responses", "callbacks"]
    assert operation["responses"] == {"200": {"description": "Theirs."}}


def test_what_the_host_does_not_document_is_added_whole(shop: Flask, webhooks: Webhooks) -> None:
    """A missing method stands beside the host's, with its request and responses."""
    document = host()
    document["paths"]["/bookings"] = {"get": {"responses": {"200": {"description": "List."}}}}

    item = merged(shop, webhooks, document)["paths"]["/bookings"]

    assert list(item) == ["get", "post"]
    assert item["post"]["summary"] == "Book a seat"
    assert list(item["post"]["responses"]) == ["201", "409"]


def test_the_hosts_own_callbacks_stay(shop: Flask, webhooks: Webhooks) -> None:
    """A callback and a webhook that the host has under other names stand beside ours."""
    document = host(webhooks={"theirs": {"post": {"responses": {}}}})
    document["paths"]["/orders"]["post"]["callbacks"] = {"onTheirs": {}}

    result = merged(shop, webhooks, document)

    assert list(result["webhooks"]) == ["theirs", "newBooking"]
    assert list(result["paths"]["/orders"]["post"]["callbacks"]) == ["onTheirs", "onStatus"]


def test_a_webhook_of_the_hosts_is_not_overwritten(shop: Flask, webhooks: Webhooks) -> None:
    """A webhook that the host names as we do is an error."""
    with pytest.raises(DeclarationError, match="'newBooking' stands in webhooks of the document"):
        merged(shop, webhooks, host(webhooks={"newBooking": {}}))


def test_a_callback_of_the_hosts_is_not_overwritten(shop: Flask, webhooks: Webhooks) -> None:
    """A callback that the host names as we do, on the same operation, is an error."""
    document = host()
    document["paths"]["/orders"]["post"]["callbacks"] = {"onStatus": {}}

    with pytest.raises(DeclarationError, match="'onStatus' .* the callbacks of POST /orders"):
        merged(shop, webhooks, document)


def test_null_is_nothing(shop: Flask, webhooks: Webhooks) -> None:
    """A host that writes ``null`` for what it has not gets objects there."""
    document = host(components={"schemas": None, "securitySchemes": None}, tags=None)
    document["paths"]["/orders"]["post"]["callbacks"] = None

    assert merged(shop, webhooks, document) == merged(
        shop, webhooks, host(components={}, tags=None)
    )


@pytest.mark.parametrize("theirs", ["/seats/{id}", "/seats/<int:id>"])
@pytest.mark.parametrize("method", ["post", "get"])
def test_paths_are_spelled_as_the_host_does(
    app: Flask, webhooks: Webhooks, theirs: str, method: str
) -> None:
    """A path whose variable has another name at the host is the same path, by the host's name."""
    new_booking = webhooks.webhook("newBooking", Booking)

    @app.post("/seats/<int:seat_id>")
    @new_booking
    @webhooks.callback("onStatus", "https://a.example/{$request.path.seat_id}/seat_id", {})
    def take(seat_id: int) -> str:
        return ""

    webhooks.init_app(app)
    document = host()
    document["paths"] = {theirs: {method: {"responses": {"200": {"description": "Theirs."}}}}}

    result = merged(app, webhooks, document)

    operation = result["paths"][theirs]["post"]
    assert list(result["paths"]) == [theirs]
    assert list(operation["callbacks"]["onStatus"]) == [
        "https://a.example/{$request.path.id}/seat_id"
    ]
    if method == "get":
        assert [p["name"] for p in operation["parameters"]] == ["id"]
    emitted_by = result["webhooks"]["newBooking"]["post"]["x-webhooks-emitted-by"]
    assert emitted_by == [f"POST {theirs}"]


def test_a_security_rule_of_the_root_does_not_reach_what_is_sent(
    shop: Flask, webhooks: Webhooks
) -> None:
    """Under a host that guards everything, webhooks and callbacks state their own security."""
    bearer = {"bearer": {"type": "http", "scheme": "bearer"}}
    document = host(security=[{"bearer": []}], components={"securitySchemes": bearer})

    result = merged(shop, webhooks, document)

    [callback] = result["paths"]["/orders"]["post"]["callbacks"]["onStatus"].values()
    assert callback["post"]["security"] == [{"webhookSignature": []}]
    assert result["webhooks"]["newBooking"]["post"]["security"] == [{"webhookSignature": []}]
    assert "security" not in result["paths"]["/bookings"]["post"]
    assert set(result["components"]["securitySchemes"]) == {"bearer", "webhookSignature"}


# Names that clash


def component(document: dict[str, Any], kind: str, name: str) -> Any:
    return document["components"][kind][name]


def payload_of(document: dict[str, Any], field: str = "webhooks") -> str:
    body = document[field]["newBooking"]["post"]["requestBody"]
    reference: str = body["content"]["application/json"]["schema"]["$ref"]
    return reference


def test_a_schema_of_another_content_is_renamed(shop: Flask, webhooks: Webhooks) -> None:
    """Where the host's schema says something else, ours has another name, and refers to it."""
    theirs = {"Status": {"type": "integer"}, "StatusPayload": {"type": "boolean"}}

    document = merged(shop, webhooks, host(components={"schemas": copy.deepcopy(theirs)}))

    [callback] = document["paths"]["/orders"]["post"]["callbacks"]["onStatus"].values()
    content = callback["post"]["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/StatusPayload2"}
    assert component(document, "schemas", "StatusPayload2")["required"] == ["orderId", "status"]
    assert {name: component(document, "schemas", name) for name in theirs} == theirs
    assert errors(document) == []


def test_a_schema_of_the_same_content_is_shared(shop: Flask, webhooks: Webhooks) -> None:
    """A schema that the host has as well stands there once."""
    with shop.app_context():
        status = webhooks.document()["components"]["schemas"]["Status"]

    document = merged(shop, webhooks, host(components={"schemas": {"Status": status}}))

    assert [n for n in component(document, "schemas", "Status")] == list(status)
    assert not [n for n in document["components"]["schemas"] if n.startswith("Status") and n[6:]]


NODE = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
LIST = {"type": "object", "properties": {"first": {"$ref": "#/components/schemas/Node"}}}


def _listed(app: Flask, webhooks: Webhooks, schemas: dict[str, Any]) -> dict[str, Any]:
    """A merge of a webhook whose schema refers to another, into a host with ``schemas``."""
    node = {"title": "Node", "type": "object", "properties": {"next": {"$ref": "#"}}}
    webhooks.webhook("node", node)
    webhooks.webhook("newBooking", {"title": "List", **LIST})
    webhooks.init_app(app)
    return merged(app, webhooks, host(components={"schemas": schemas}))


def test_a_schema_that_refers_to_itself_is_shared(app: Flask, webhooks: Webhooks) -> None:
    """Schemas that refer to themselves are compared, in the end."""
    theirs = {"Node": {"title": "Node", **NODE}, "List": {"title": "List", **LIST}}

    document = _listed(app, webhooks, copy.deepcopy(theirs))

    assert document["components"]["schemas"] == theirs


def test_a_schema_whose_parts_differ_is_renamed(app: Flask, webhooks: Webhooks) -> None:
    """The same words that refer to something else are something else."""
    theirs = {"Node": {"type": "string"}, "List": {"title": "List", **LIST}}

    document = _listed(app, webhooks, copy.deepcopy(theirs))

    assert payload_of(document) == "#/components/schemas/ListPayload"
    first = component(document, "schemas", "ListPayload")["properties"]["first"]
    assert first == {"$ref": "#/components/schemas/NodePayload"}
    node = component(document, "schemas", "NodePayload")
    assert node["properties"]["next"] == {"$ref": "#/components/schemas/NodePayload"}
    assert component(document, "schemas", "List") == theirs["List"]


def test_a_discriminator_follows_its_schemas(app: Flask, webhooks: Webhooks) -> None:
    """The mapping of a discriminator leads to the renamed schema."""
    reference = "#/components/schemas/Cat"
    webhooks.webhook("cat", {"title": "Cat", "type": "object"})
    mapping = {"propertyName": "kind", "mapping": {"cat": reference}}
    pet = {"title": "Pet", "oneOf": [{"$ref": reference}], "discriminator": mapping}
    webhooks.webhook("newBooking", pet)
    webhooks.init_app(app)

    document = merged(app, webhooks, host(components={"schemas": {"Cat": {"type": "string"}}}))

    shown = component(document, "schemas", "Pet")
    assert shown["discriminator"]["mapping"] == {"cat": "#/components/schemas/CatPayload"}
    assert shown["oneOf"] == [{"$ref": "#/components/schemas/CatPayload"}]


def test_a_discriminator_may_name_its_schemas(app: Flask, webhooks: Webhooks) -> None:
    """A mapping to a mere name becomes one to the renamed schema, which is brought along."""
    webhooks.webhook("cat", {"title": "Cat", "type": "object"})
    pet = {"title": "Pet", "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat"}}}
    webhooks.webhook("newBooking", pet)
    webhooks.init_app(app)

    document = merged(app, webhooks, host(components={"schemas": {"Cat": {"type": "string"}}}))

    shown = component(document, "schemas", "Pet")
    assert shown["discriminator"]["mapping"] == {"cat": "#/components/schemas/CatPayload"}
    assert component(document, "schemas", "CatPayload") == {"title": "Cat", "type": "object"}


def test_examples_by_reference_are_brought_along() -> None:
    """An example in our components comes along, under another name if that is taken."""
    content = {"application/json": {"examples": {"one": {"$ref": "#/components/examples/one"}}}}
    ours = {
        "openapi": "3.1.1",
        "webhooks": {"paid": {"post": {"requestBody": {"content": content}}}},
        "components": {"examples": {"one": {"value": {"$ref": "data"}}, "other": {"value": 2}}},
    }
    theirs = {"examples": {"one": {"value": "theirs"}}}

    document = merge_into(host(components=theirs), ours)

    shown = document["webhooks"]["paid"]["post"]["requestBody"]["content"]["application/json"]
    assert shown == {"examples": {"one": {"$ref": "#/components/examples/one2"}}}
    assert document["components"]["examples"] == {
        "one": {"value": "theirs"}, "one2": {"value": {"$ref": "data"}}
    }  # fmt: skip


def test_a_callback_in_components_is_an_operation_as_well() -> None:
    """Its operationId and security step aside too, and merging twice is merging once."""
    sent = {"operationId": "pay", "security": [{"sign": []}], "responses": {}}
    ours = {
        "openapi": "3.1.1",
        "paths": {"/a": {"post": {"callbacks": {"on": {"$ref": "#/components/callbacks/On"}}}}},
        "components": {
            "callbacks": {"On": {"{$request.body#/u}": {"post": sent}}},
            "securitySchemes": {"sign": {"type": "http", "scheme": "bearer"}},
        },
        "x-webhooks-delivery": {},
    }
    theirs = {"securitySchemes": {"sign": {"type": "http", "scheme": "basic"}}}
    document = host(components=theirs)
    document["paths"]["/pay"] = {"post": {"operationId": "pay"}}

    made = merge_into(document, ours)

    shown = made["components"]["callbacks"]["On"]["{$request.body#/u}"]["post"]
    assert shown == {"operationId": "pay2", "security": [{"sign2": []}], "responses": {}}
    assert made["components"]["securitySchemes"]["sign2"] == {"type": "http", "scheme": "bearer"}
    assert made["paths"]["/a"]["post"] == {
        "callbacks": {"on": {"$ref": "#/components/callbacks/On"}}
    }
    assert merge_into(made, ours) == made


def test_headers_and_security_schemes_are_renamed(shop: Flask, webhooks: Webhooks) -> None:
    """A parameter or a security scheme of ours steps aside, and our operations follow."""
    theirs = {
        "parameters": {"webhook-id": {"name": "w", "in": "query", "schema": {}}},
        "securitySchemes": {"webhookSignature": {"type": "http", "scheme": "basic"}},
    }

    document = merged(shop, webhooks, host(components=copy.deepcopy(theirs)))

    operation = document["webhooks"]["newBooking"]["post"]
    assert operation["parameters"][0] == {"$ref": "#/components/parameters/webhook-id2"}
    assert operation["security"] == [{"webhookSignature2": []}]
    assert component(document, "parameters", "webhook-id") == theirs["parameters"]["webhook-id"]
    assert errors(document) == []


def test_what_nobody_refers_to_is_not_brought_along(shop: Flask, webhooks: Webhooks) -> None:
    """A schema that only an operation of ours uses stays away where the host's operation stands."""
    body = {"requestBody": {"content": {}}, "responses": {"200": {"description": ""}}}
    document = host()
    document["paths"]["/bookings"] = {"post": body}

    result = merged(shop, webhooks, document)

    assert sorted(result["components"]["schemas"]) == ["BookingPayload", "Status"]


def test_operation_ids_are_unique(shop: Flask, webhooks: Webhooks) -> None:
    """The host's operationIds stay; ours step aside, and not onto each other."""
    document = host()
    names = ["book", "newBooking", "createOrderOnStatus"]
    for name in names:
        get = {"operationId": name, "responses": {"200": {"description": ""}}}
        document["paths"][f"/{name}"] = {"get": get}

    result = merged(shop, webhooks, document)

    assert [result["paths"][f"/{name}"]["get"]["operationId"] for name in names] == names
    assert result["paths"]["/bookings"]["post"]["operationId"] == "book2"
    assert result["webhooks"]["newBooking"]["post"]["operationId"] == "newBooking2"
    assert errors(result) == []


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("clashing", [False, True])
def test_merging_twice_is_merging_once(
    shop: Flask, webhooks: Webhooks, version: str, clashing: bool
) -> None:
    """A document that was merged into is not changed by another merge, key order included."""
    document = host(version)
    if clashing:
        theirs = {name: {"type": "integer"} for name in ("Status", "Booking", "BookingPayload")}
        document["components"] = {"schemas": theirs, "securitySchemes": {"webhookSignature": {}}}
        document["paths"]["/a"] = {"get": {"operationId": "book", "responses": {}}}
        document["paths"]["/b"] = {"get": {"operationId": "newBooking", "responses": {}}}
        document["paths"]["/bookings"] = {"post": {"summary": "Theirs", "responses": {}}}

    once = merged(shop, webhooks, document)

    assert json.dumps(merged(shop, webhooks, once)) == json.dumps(once)


def _refer(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(operation_id: str, schema: str, **more: Any) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": _refer(schema)}}}
    answers = {"200": {"description": ""}}
    return {"operationId": operation_id, "requestBody": body, "responses": answers, **more}


_CALLED = {"post": _operation("c", "B")}
OURS: dict[str, Any] = {
    "openapi": "3.1.1",
    "paths": {
        "/a": {"post": _operation("a", "A", callbacks={"c": {"{$url}": _CALLED}})},
        "/b": {"post": _operation("b", "BPayload", **{"x-webhooks-emits": ["w"]})},
    },
    "webhooks": {"w": {"post": _operation("w", "C")}, "a2": {"post": _operation("a2", "A")}},
    "components": {
        "schemas": {
            "A": {"type": "object", "properties": {"b": _refer("B"), "a": _refer("A")}},
            "B": {"type": "object", "properties": {"c": _refer("C")}},
            "BPayload": {"type": ["string", "null"]},
            "C": {"type": "object", "properties": {"b": _refer("B")}},
        }
    },
    "x-webhooks-delivery": {},
}
NAMES = ["A", "B", "BPayload", "C", "APayload", "BPayload2", "CPayload"]
HOSTS_SCHEMAS = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from([{"type": "integer"}, *OURS["components"]["schemas"].values()]),
)
HOSTS_IDS = st.sets(st.sampled_from(["a", "a2", "a3", "b", "c", "w", "w2", "a22"]))


@given(
    version=st.sampled_from(["3.0.3", "3.1.0"]),
    schemas=HOSTS_SCHEMAS,
    ids=HOSTS_IDS,
    documented=st.sets(st.sampled_from([("/a", "post"), ("/b", "post")])),
    known=st.sets(st.sampled_from(["/a", "/b"])),
)
def test_any_clash_is_settled(
    version: str,
    schemas: dict[str, Any],
    ids: set[str],
    documented: set[tuple[str, str]],
    known: set[str],
) -> None:
    """A host keeps all its names, ids are unique, references lead somewhere, twice is once."""
    document = host(version, components={"schemas": schemas})
    document["paths"] = {path: {"post": {"responses": {}}} for path in sorted(known)}
    for name in sorted(ids):
        document["paths"][f"/{name}/own"] = {"get": {"operationId": name, "responses": {}}}

    once = merge_into(document, OURS, documented=documented)

    found = [
        operation["operationId"] for operation in operations(once) if "operationId" in operation
    ]
    assert len(found) == len(set(found))
    assert {name: component(once, "schemas", name) for name in schemas} == schemas
    lost = {reference for reference in references(document) if not lookup(document, reference)}
    assert all(lookup(once, reference) for reference in {*references(once)} - lost)
    assert json.dumps(merge_into(once, OURS, documented=documented)) == json.dumps(once)


# From 3.1 to 3.0


@pytest.mark.parametrize(
    "schema, expected",
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": "null"}, {"enum": [None]}),
        (
            {"type": ["string", "integer"]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}, {"enum": [None]}], "nullable": True},
        ),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"examples": ["a", "b"]}, {"example": "a"}),
        ({"exclusiveMinimum": 1}, {"minimum": 1, "exclusiveMinimum": True}),
        ({"exclusiveMaximum": 9, "maximum": 5}, {"maximum": 5}),
        ({"exclusiveMaximum": 5, "maximum": 5}, {"maximum": 5, "exclusiveMaximum": True}),
        ({"$ref": "#/a", "title": "A"}, {"title": "A", "allOf": [{"$ref": "#/a"}]}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "string", "contentEncoding": "base64"}, {"type": "string", "format": "byte"}),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"enum": [1]}}),
        ({"properties": {"const": {"const": 1}}}, {"properties": {"const": {"enum": [1]}}}),
        ({"required": []}, {}),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, {}),
        (True, {}),
        (False, {"not": {}}),
    ],
)
def test_a_schema_in_the_words_of_3_0(schema: Any, expected: dict[str, Any]) -> None:
    """Each word that 3.0 lacks becomes the one that says the same there, or goes."""
    assert schema_3_0(schema) == expected


SCHEMAS = [
    {"type": ["string", "null"], "enum": ["a", None]},
    {"type": ["array", "string", "null"], "items": {"type": "integer"}},
    {"type": ["array", "string"], "anyOf": [{"minLength": 2}, {"maxItems": 1}]},
    {"oneOf": [{"type": "string"}, {"type": "null"}]},
    {"prefixItems": [{"type": "string"}], "items": False, "type": "array"},
    {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}, "type": "array"},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": True, "b": False}},
    {"minimum": 2, "exclusiveMinimum": 1, "maximum": 4, "exclusiveMaximum": 4},
    {"const": None},
    {"dependentRequired": {"a": ["b"]}, "type": ["object", "null"]},
]
VALUES: list[Any] = [
    None, "", "a", "ab", 0, 1, 2, 3, 4, 1.5, True, [], ["a"], [1], ["a", 1], {}, {"a": 1}, {"b": 1},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_3_0_refuses_nothing_that_3_1_allows(schema: dict[str, Any]) -> None:
    """A value that the original allows is allowed by its form in 3.0."""
    before, after = Draft202012Validator(schema), OAS30Validator(schema_3_0(schema))

    refused = [v for v in VALUES if before.is_valid(v) and not after.is_valid(v)]

    assert refused == []


def test_definitions_become_components() -> None:
    """``$defs``, which 3.0 has not, are components there, and all references lead to them."""
    inner = {"$ref": "#/components/schemas/Order/$defs/line/$defs/Price"}
    line = {"properties": {"price": inner}, "$defs": {"Price": {"type": "number"}}}
    order = {"items": {"$ref": "#/components/schemas/Order/$defs/line"}, "$defs": {"line": line}}

    schemas = as_3_0({"components": {"schemas": {"Order": order}}})["components"]["schemas"]

    assert schemas == {
        "Order": {"items": {"$ref": "#/components/schemas/OrderLine"}},
        "OrderLine": {"properties": {"price": {"$ref": "#/components/schemas/OrderLinePrice"}}},
        "OrderLinePrice": {"type": "number"},
    }


def test_names_are_no_words() -> None:
    """A header, a callback or a response called ``schema`` is none."""
    headers = {"schema": {"schema": {"const": 1}, "example": {"schema": {"const": 1}}}}

    result = as_3_0({"components": {"headers": headers}})

    shown = {"schema": {"schema": {"enum": [1]}, "example": {"schema": {"const": 1}}}}
    assert result == {"components": {"headers": shown}}


# Two views at one URL


@pytest.mark.parametrize(
    "url, named, remedy",
    [
        ("/openapi.json", "'other' and 'flask_webhooks.openapi'", {"WEBHOOKS_OPENAPI_URL": None}),
        ("/docs", "'other' and 'flask_webhooks.docs'", {"WEBHOOKS_DOCS_UI": None}),
        ("/docs", "'other' and 'flask_webhooks.docs'", {"WEBHOOKS_DOCS_URL": "/hooks"}),
    ],
)
def test_a_url_that_the_host_serves_already(
    make_app: Callable[..., Flask], url: str, named: str, remedy: dict[str, Any]
) -> None:
    """A rule at one of our URLs makes ``init_app`` fail; it names both and the remedy."""
    app = make_app()
    app.add_url_rule(url, "other", lambda: "theirs")
    with pytest.raises(ConfigurationError, match=f"^{url} is served by two views: {named}") as told:
        Webhooks(app)
    [setting] = remedy
    assert setting in str(told.value)

    cured = make_app(**remedy)
    cured.add_url_rule(url, "other", lambda: "theirs")
    Webhooks(cured)

    assert cured.test_client().get(url).text == "theirs"


def test_a_url_that_the_host_serves_later(app: Flask, webhooks: Webhooks) -> None:
    """A rule that comes after ``init_app`` is found where the document is first built."""
    webhooks.init_app(app)
    app.add_url_rule("/openapi.json", "other", lambda: "theirs")

    with app.app_context(), pytest.raises(ConfigurationError, match="served by two views"):
        webhooks.document()


def test_another_method_is_no_clash(app: Flask, webhooks: Webhooks) -> None:
    """A view that only takes POST may share a URL with the document."""
    app.add_url_rule("/openapi.json", "other", lambda: "theirs", methods=["POST"])

    webhooks.init_app(app)

    assert app.test_client().get("/openapi.json").json["openapi"] == "3.1.1"
    assert app.test_client().post("/openapi.json").text == "theirs"


# Next to the real tools


def need(module: str) -> Any:
    """The module of a neighbour."""
    return needs.need(module, "neighbours")


Decorator = Callable[[Any], Any]


@dataclass
class Marks:
    """The declarations of a test, and on which side of the host's decorators they stand."""

    webhooks: Webhooks
    above: bool

    def __post_init__(self) -> None:
        self.emitter = self.webhooks.webhook("newBooking", Booking)
        self.callback = self.webhooks.callback(
            "onStatus", "{$request.body#/callbackUrl}", Status, key="{$response.body#/id}"
        )

    def on(self, ours: Decorator, view: Any, *theirs: Decorator) -> Any:
        """``view`` under the host's decorators, the outermost first, and ours."""
        if not self.above:
            view = ours(view)
        for decorator in reversed(theirs):
            view = decorator(view)
        return ours(view) if self.above else view


def create(*args: Any, **kwargs: Any) -> Any:
    return {"id": 42}


def smorest(app: Flask, marks: Marks, version: str = "3.1.0") -> str:
    tool = need("flask_smorest")
    app.config.update(
        API_TITLE="Shop", API_VERSION="1", OPENAPI_VERSION=version, OPENAPI_URL_PREFIX="/"
    )
    plugin = marks.webhooks.apispec_plugin()
    api = tool.Api(app, spec_kwargs={"extra_plugins": [plugin]})
    blp = tool.Blueprint("shop", "shop")

    def order(data: Any) -> Any:
        return create()

    class Bookings(MethodView):
        post = marks.on(marks.emitter, order_of_self, blp.arguments(Booking), blp.response(201))

    stack = blp.route("/orders", methods=["POST"]), blp.arguments(Order), blp.response(201, Created)
    marks.on(marks.callback, order, *stack)
    blp.route("/bookings")(Bookings)
    api.register_blueprint(blp)
    return "/openapi.json"


def order_of_self(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Answer as a method of a view class."""
    return create()


def smorest_3_0(app: Flask, marks: Marks) -> str:
    return smorest(app, marks, "3.0.3")


def apiflask(app: Flask, marks: Marks) -> str:
    def order(data: Any) -> Any:
        return create()

    class Bookings(MethodView):
        post = marks.on(marks.emitter, order_of_self, app.input(Booking, arg_name="data"))

    stack = app.post("/orders"), app.input(Order, arg_name="data"), app.output(Created, 201)
    marks.on(marks.callback, order, *stack)
    app.add_url_rule("/bookings", view_func=Bookings.as_view("bookings"))
    return "/openapi.json"


def openapi3(app: Flask, marks: Marks) -> str:
    tool, pydantic = need("flask_openapi3"), need("pydantic")

    class OrderBody(pydantic.BaseModel):
        callbackUrl: str

    def order(body: Any) -> Any:
        return create(), 201

    order.__annotations__["body"] = OrderBody
    view = tool.APIView()

    class Bookings:
        post = marks.on(marks.emitter, order_of_self, view.doc(summary="Book"))

    view.route("/bookings")(Bookings)
    marks.on(marks.callback, order, app.post("/orders"))
    app.register_api_view(view)
    return "/openapi/openapi.json"


def spectree(app: Flask, marks: Marks) -> str:
    tool, pydantic = need("spectree"), need("pydantic")
    spec = tool.SpecTree("flask", mode="strict")

    class OrderBody(pydantic.BaseModel):
        callbackUrl: str

    def order() -> Any:
        return create(), 201

    class Bookings(MethodView):
        post = marks.on(marks.emitter, order_of_self, spec.validate(resp=tool.Response("HTTP_201")))

    checked = spec.validate(json=OrderBody, resp=tool.Response("HTTP_201"))
    marks.on(marks.callback, order, app.post("/orders"), checked)
    app.add_url_rule("/bookings", view_func=Bookings.as_view("bookings"))
    spec.register(app)
    app.extensions["spectree"] = spec
    return "/apidoc/openapi.json"


def flasgger(app: Flask, marks: Marks) -> str:
    tool = need("flasgger")
    documented = tool.swag_from({"responses": {201: {"description": "Created."}}})

    class Swagger(tool.Swagger):
        def get_apispecs(self, endpoint: str = "apispec_1") -> Any:
            return marks.webhooks.merge_into(super().get_apispecs(endpoint))

    def order() -> Any:
        return create(), 201

    class Bookings(MethodView):
        post = marks.on(marks.emitter, order_of_self, documented)

    marks.on(marks.callback, order, app.post("/orders"), documented)
    app.add_url_rule("/bookings", view_func=Bookings.as_view("bookings"))
    Swagger(app, config={"openapi": "3.0.3"}, merge=True)
    return "/apispec_1.json"


def plain_apispec(app: Flask, marks: Marks) -> str:
    need("apispec")
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    plugins = [MarshmallowPlugin(), marks.webhooks.apispec_plugin()]
    spec = APISpec("Shop", "1", "3.1.0", plugins=plugins)
    body = {"content": {"application/json": {"schema": Order}}}
    answer = {
        201: {"description": "Created.", "content": {"application/json": {"schema": Created}}}
    }
    spec.path("/orders", operations={"post": {"requestBody": body, "responses": answer}})
    spec.path("/bookings", operations={"post": {"responses": answer}})

    class Bookings(MethodView):
        post = marks.on(marks.emitter, order_of_self)

    marks.on(marks.callback, lambda: (create(), 201), app.post("/orders", endpoint="order"))
    app.add_url_rule("/bookings", view_func=Bookings.as_view("bookings"))
    app.add_url_rule("/spec.json", "spec", lambda: spec.to_dict())
    return "/spec.json"


HOSTS = [smorest, smorest_3_0, apiflask, openapi3, spectree, flasgger, plain_apispec]


def make_host(make: Any, marks: Marks, path: str) -> Flask:
    """The app that a host wants: some are an app of their own kind."""
    settings = {"instance_path": path}
    app: Flask
    if make is apiflask:
        plugins = [marks.webhooks.apispec_plugin()]
        app = need("apiflask").APIFlask("shop", spec_plugins=plugins, **settings)
    elif make is openapi3:
        tool = need("flask_openapi3")
        app = tool.OpenAPI("shop", info=tool.Info(title="Shop", version="1"), **settings)
    else:
        app = Flask("shop", **settings)
    app.config.update(TESTING=True, WEBHOOKS_OPENAPI_URL=None)
    return app


def merge_by_hand(make: Any, app: Flask, webhooks: Webhooks) -> None:
    """The one line of a host that is not built on apispec."""
    with app.app_context():
        if make is openapi3:
            app.spec_json = webhooks.merge_into(app.api_doc)
        elif make is spectree:
            spec = app.extensions["spectree"].spec
            spec.update(webhooks.merge_into(spec))


@dataclass
class Host:
    """A running host: its client, and where it serves its document."""

    client: FlaskClient
    url: str
    app: Flask


@pytest.fixture(params=[False, True], ids=["below", "above"])
def beside(request: pytest.FixtureRequest, tmp_path: Any) -> Callable[[Any, Webhooks], Host]:
    """Makes a host whose views carry our marks, below its decorators or above them."""

    def made(make: Any, webhooks: Webhooks) -> Host:
        marks = Marks(webhooks, above=request.param)
        app = make_host(make, marks, str(tmp_path))
        url = make(app, marks)
        webhooks.init_app(app)
        merge_by_hand(make, app, webhooks)
        return Host(app.test_client(), url, app)

    return made


@pytest.mark.parametrize("make", HOSTS)
def test_the_hosts_document_shows_ours(
    make: Any, webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """What the host serves is valid and has our webhook, callback, emitter and their schemas."""
    running = beside(make, webhooks)

    document = running.client.get(running.url).json

    assert document is not None and errors(document) == []
    field = "x-webhooks" if document["openapi"].startswith("3.0") else "webhooks"
    assert sorted(document["paths"]) == ["/bookings", "/orders"]
    assert list(document["paths"]["/orders"]["post"]["callbacks"]) == ["onStatus"]
    assert document["paths"]["/bookings"]["post"]["x-webhooks-emits"] == ["newBooking"]
    name = payload_of(document, field).rpartition("/")[2]
    assert "readOnly" not in json.dumps(component(document, "schemas", name))
    assert list(component(document, "schemas", name)["properties"]) == ["id", "train"]


@pytest.mark.parametrize("make", HOSTS)
def test_a_url_is_captured_through_the_hosts_decorators(
    make: Any, webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """A live call through the host's own validation and response captures its URL and key."""
    running = beside(make, webhooks)

    answer = running.client.post("/orders", json={"callbackUrl": RECEIVER})

    assert answer.status_code == 201
    with running.app.app_context():
        assert [(s.url, s.key) for s in webhooks.subscriptions()] == [(RECEIVER, "42")]


@pytest.mark.parametrize("make", [smorest, apiflask, openapi3, spectree])
def test_what_the_host_refuses_is_not_captured(
    make: Any, webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """A body that the host's validation refuses leaves no subscription."""
    running = beside(make, webhooks)

    answer = running.client.post("/orders", json={"callbackURL": RECEIVER})

    assert answer.status_code == 422
    with running.app.app_context():
        assert webhooks.subscriptions() == []


def test_a_document_that_is_invalid_by_itself_gets_no_worse(
    webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """flask-openapi3 writes ``securitySchemes: null``; the merge adds no error to that one."""
    tool = need("flask_openapi3")
    alone = tool.OpenAPI("alone")
    alone.post("/orders")(lambda: "")
    own = errors(alone.api_doc)

    running = beside(openapi3, webhooks)

    assert len(own) == 1 and "null is not" in own[0]
    assert errors(running.client.get(running.url).json or {}) == []


def test_a_later_declaration_is_in_the_hosts_document(
    webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """A plugin merges at each call: what was declared since is there, and nothing stands twice."""
    running = beside(plain_apispec, webhooks)
    first = running.client.get(running.url).json or {}

    webhooks.webhook("cancelled", Booking)
    second = running.client.get(running.url).json or {}

    assert list(first["webhooks"]) == ["newBooking"]
    assert sorted(second["webhooks"]) == ["cancelled", "newBooking"]
    assert errors(second) == []


def test_the_cli_of_a_host_prints_ours(
    webhooks: Webhooks, beside: Callable[[Any, Webhooks], Host]
) -> None:
    """``flask openapi print`` of flask-smorest shows the webhooks."""
    running = beside(smorest, webhooks)

    printed = running.app.test_cli_runner().invoke(args=["openapi", "print"])

    assert list(json.loads(printed.output)["webhooks"]) == ["newBooking"]


def test_a_plugin_needs_an_app(webhooks: Webhooks) -> None:
    """Outside of an app context the document is refused with what to do, not shown without ours."""
    need("apispec")
    from apispec import APISpec

    spec = APISpec("Shop", "1", "3.1.0", plugins=[webhooks.apispec_plugin()])

    with pytest.raises(WebhooksError, match="app_context"):
        spec.to_dict()


@pytest.mark.parametrize("make", [smorest, apiflask])
def test_a_host_at_our_url_is_found(make: Any, webhooks: Webhooks, tmp_path: Any) -> None:
    """A host that serves its document where ours would stand is an error that names its view."""
    marks = Marks(webhooks, above=False)
    app = make_host(make, marks, str(tmp_path))
    make(app, marks)
    del app.config["WEBHOOKS_OPENAPI_URL"]

    with pytest.raises(ConfigurationError, match=r"^/openapi.json .*WEBHOOKS_OPENAPI_URL=None"):
        webhooks.init_app(app)
