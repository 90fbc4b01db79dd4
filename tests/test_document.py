"""The document as a whole: what it says, and what it refuses to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView
from marshmallow import Schema, fields
from openapi_spec_validator import validate

from flask_webhooks import DeclarationError, ExpressionError, Webhooks
from flask_webhooks.describe.openapi import describe
from flask_webhooks.describe.promises import Promises, readable
from flask_webhooks.describe.routes import routes
from flask_webhooks.rules.retry import DEFAULT_SCHEDULE, Decision, accepts, decide


class Order(Schema):
    """What a client orders."""

    id = fields.String(required=True)
    item = fields.String(required=True)
    quantity = fields.Integer(required=True)
    callbackUrl = fields.Url(required=True)


class OrderCreated(Schema):
    """What it is told at once."""

    id = fields.String(required=True)
    status = fields.String(required=True)


class OrderStatus(Schema):
    """What it is told later."""

    orderId = fields.String(required=True)
    status = fields.String(required=True)


class Booking(Schema):
    """A seat in a train."""

    id = fields.UUID(required=True)
    train = fields.String(required=True)


PROMISES = Promises(
    timeout=15.0, schedule=DEFAULT_SCHEDULE, disable_after=432000.0, keys_url="/keys"
)


def written(
    webhooks: Webhooks, app: Flask | None = None, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The document of an app, after another tool has found it valid."""
    document = describe(
        list(webhooks),
        routes(app) if app else [],
        info={"title": "Shop", "version": "1.0.0"},
        promises=PROMISES,
        public_keys=["whpk_one"],
        extra=extra,
    ).document
    validate(document)
    json.dumps(document, sort_keys=True)
    return document


@pytest.fixture
def view() -> Any:
    """A view of its own for each test, since declarations leave marks on it."""
    return lambda: ""


def test_an_operation_shows_its_callback_under_the_expression(
    webhooks: Webhooks, app: Flask
) -> None:
    """A callback is documented on its operation, with its body and the answer that it wants."""

    @app.post("/orders")
    @webhooks.operation(
        summary="Order",
        operation_id="createOrder",
        request=Order,
        responses={201: OrderCreated},
    )
    @webhooks.callback(
        "onOrderStatusChange",
        "{$request.body#/callbackUrl}",
        OrderStatus,
        responses={200: "Your server got it."},
    )
    def create_order() -> str:
        return ""

    document = written(webhooks, app)
    assert document["paths"] == {
        "/orders": {
            "post": {
                "summary": "Order",
                "operationId": "createOrder",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}}
                    },
                },
                "responses": {
                    "201": {
                        "description": "Created",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/OrderCreated"}
                            }
                        },
                    }
                },
                "callbacks": {
                    "onOrderStatusChange": {
                        "{$request.body#/callbackUrl}": {
                            "post": {
                                "operationId": "createOrderOnOrderStatusChange",
                                "parameters": [
                                    {"$ref": "#/components/parameters/webhook-id"},
                                    {"$ref": "#/components/parameters/webhook-timestamp"},
                                    {"$ref": "#/components/parameters/webhook-signature"},
                                ],
                                "requestBody": {
                                    "required": True,
                                    "content": {
                                        "application/json": {
                                            "schema": {"$ref": "#/components/schemas/OrderStatus"}
                                        }
                                    },
                                },
                                "responses": {
                                    "200": {"description": "Your server got it."},
                                },
                                "security": [{"webhookSignature": []}],
                            }
                        }
                    }
                },
            }
        }
    }
    assert document["components"]["schemas"] == {
        "Order": {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "item": {"type": "string"},
                "quantity": {"type": "integer"},
                "callbackUrl": {"type": "string", "format": "uri"},
            },
            "required": ["id", "item", "quantity", "callbackUrl"],
        },
        "OrderCreated": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "status": {"type": "string"}},
            "required": ["id", "status"],
        },
        "OrderStatus": {
            "type": "object",
            "properties": {"orderId": {"type": "string"}, "status": {"type": "string"}},
            "required": ["orderId", "status"],
        },
    }
    assert "webhooks" not in document


def test_webhooks_alone_make_a_document(webhooks: Webhooks) -> None:
    """Without a documented view there is no ``paths`` at all, and the document is valid."""
    webhooks.webhook(
        "newBooking",
        Booking,
        summary="New booking",
        description="Sent for every booking that is made.",
        responses={200: "Return this when you have it."},
    )
    document = written(webhooks)
    assert list(document) == ["openapi", "info", "webhooks", "components", "x-webhooks-delivery"]
    assert document["openapi"] == "3.1.1"
    assert document["webhooks"] == {
        "newBooking": {
            "post": {
                "summary": "New booking",
                "description": "Sent for every booking that is made.",
                "operationId": "newBooking",
                "parameters": [
                    {"$ref": "#/components/parameters/webhook-id"},
                    {"$ref": "#/components/parameters/webhook-timestamp"},
                    {"$ref": "#/components/parameters/webhook-signature"},
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Booking"}}
                    },
                },
                "responses": {
                    "200": {"description": "Return this when you have it."},
                },
                "security": [{"webhookSignature": []}],
            }
        }
    }
    assert document["components"]["schemas"] == {
        "Booking": {
            "type": "object",
            "properties": {"id": {"type": "string", "format": "uuid"}, "train": {"type": "string"}},
            "required": ["id", "train"],
        }
    }


def test_a_document_with_nothing_in_it_is_valid(webhooks: Webhooks) -> None:
    """Nothing declared is an empty ``paths``, and no components."""
    assert written(webhooks) == {
        "openapi": "3.1.1",
        "info": {"title": "Shop", "version": "1.0.0"},
        "paths": {},
    }


def test_the_extension_serves_what_describe_builds(webhooks: Webhooks, app: Flask) -> None:
    """``document()`` gives a dict of its own each time."""
    webhooks.webhook("newBooking", Booking)
    webhooks.init_app(app)
    with app.app_context():
        webhooks.document()["webhooks"].clear()
        assert list(webhooks.document()["webhooks"]) == ["newBooking"]


def test_operations_and_webhooks_name_each_other(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """The view says what it emits, and the webhook which operations cause it."""
    new = webhooks.webhook("newBooking", Booking)
    app.post("/bookings")(new(view))
    document = written(webhooks, app)
    assert document["paths"]["/bookings"]["post"]["x-webhooks-emits"] == ["newBooking"]
    assert document["webhooks"]["newBooking"]["post"]["x-webhooks-emitted-by"] == ["POST /bookings"]


def test_without_declared_success_any_2xx_is_it(webhooks: Webhooks) -> None:
    """What the worker counts as success is stated, also where only failures were declared."""
    webhooks.webhook("plain")
    webhooks.webhook("gone", responses={410: "We closed.", "default": "Whatever."})
    found = written(webhooks)["webhooks"]
    assert found["plain"]["post"]["responses"] == {
        "2XX": {"description": "The webhook was received."},
    }
    assert found["gone"]["post"]["responses"] == {
        "2XX": {"description": "The webhook was received."},
        "410": {"description": "We closed."},
        "default": {"description": "Whatever."},
    }


def test_several_callbacks_methods_and_answers_stand_side_by_side(
    webhooks: Webhooks, app: Flask
) -> None:
    """Callbacks keep the order in which they stand on the view, each with its own method."""

    @app.put("/a/<name>")
    @webhooks.operation(request=Order, responses={200: "Done.", "4xx": None, "default": "Odd."})
    @webhooks.callback("first", "{$request.body#/callbackUrl}", OrderStatus, method="put")
    @webhooks.callback("second", "https://x.example/{$request.path.name}", OrderStatus)
    def change(name: str) -> str:
        return ""

    operation = written(webhooks, app)["paths"]["/a/{name}"]["put"]
    assert [
        (name, expression, method, operation["operationId"])
        for name, callback in operation["callbacks"].items()
        for expression, item in callback.items()
        for method, operation in item.items()
    ] == [
        ("first", "{$request.body#/callbackUrl}", "put", "changeFirst"),
        ("second", "https://x.example/{$request.path.name}", "post", "changeSecond"),
    ]
    assert operation["responses"] == {
        "200": {"description": "Done."},
        "4XX": {"description": "Status 4XX."},
        "default": {"description": "Odd."},
    }


def test_one_callback_on_two_views_has_two_operation_ids(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """A callback that was given an operationId keeps it for its first view."""
    told = webhooks.callback("told", "{$request.body#/u}", OrderStatus, operation_id="tell")
    app.post("/a", endpoint="a")(told(view))
    app.post("/b", endpoint="b")(view)
    paths = written(webhooks, app)["paths"]
    found = [
        paths[path]["post"]["callbacks"]["told"]["{$request.body#/u}"]["post"]["operationId"]
        for path in paths
    ]
    assert found == ["tell", "bTold"]


def test_derived_operation_ids_are_readable_and_unique(webhooks: Webhooks, app: Flask) -> None:
    """They come from endpoints, methods and names; what was given by hand has the first right."""
    app.add_url_rule("/a", "make_order", webhooks.operation()(lambda: ""), methods=["POST"])
    app.add_url_rule("/b", "make_order", methods=["POST"])
    shown = webhooks.operation()(lambda: "")
    app.add_url_rule("/c", "order", shown, methods=["GET", "POST"])
    webhooks.webhook("make.order", Booking)
    webhooks.webhook("other", Booking, operation_id="getOrder")
    document = written(webhooks, app)
    assert {
        f"{method} {path}": operation["operationId"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    } == {
        "post /a": "makeOrder",
        "post /b": "makeOrder2",
        "get /c": "getOrder2",
        "post /c": "postOrder",
    }
    assert document["webhooks"]["make.order"]["post"]["operationId"] == "makeOrder3"
    assert document["webhooks"]["other"]["post"]["operationId"] == "getOrder"


def test_a_given_operation_id_over_several_methods_gets_the_method_in_front(
    webhooks: Webhooks, app: Flask
) -> None:
    """Where one declaration covers several methods, each operation still has its own id."""

    @webhooks.operation(operation_id="orders")
    class Orders(MethodView):
        def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

    app.add_url_rule("/orders", view_func=Orders.as_view("all"))
    item = written(webhooks, app)["paths"]["/orders"]
    assert {method: operation["operationId"] for method, operation in item.items()} == {
        "get": "getOrders",
        "post": "postOrders",
    }


def test_an_operation_id_given_twice_is_refused_with_both_places(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """The message names the id and two lines of this file, whatever the operations are."""
    webhooks.webhook("one", operation_id="same")
    app.post("/a")(webhooks.operation(operation_id="same")(view))
    with pytest.raises(DeclarationError) as told:
        written(webhooks, app)
    assert str(told.value).startswith("operationId 'same' is given twice: at ")
    assert str(told.value).count("test_document.py:") == 2


def test_an_operation_id_in_extra_counts_too(webhooks: Webhooks) -> None:
    """``extra`` can't smuggle a second one in, and neither can what is added by hand."""
    webhooks.webhook("one", extra={"operationId": "same"})
    by_hand = {"paths": {"/x": {"get": {"operationId": "same"}}}}
    assert written(webhooks)["webhooks"]["one"]["post"]["operationId"] == "same"
    with pytest.raises(DeclarationError, match=r"to paths → /x → get \(added by hand\) and to"):
        written(webhooks, extra=by_hand)
    webhooks.webhook("two", operation_id="same")
    with pytest.raises(DeclarationError, match="given twice"):
        written(webhooks)


def test_header_and_query_parameters_join_ours(webhooks: Webhooks) -> None:
    """A parameter that is called like one of our headers, in any case, replaces it."""
    own = {"name": "Webhook-Id", "in": "header", "schema": {"type": "string", "maxLength": 40}}
    page = {"name": "page", "in": "query", "schema": {"type": "integer"}}
    webhooks.webhook("one", parameters=[own, page])
    assert written(webhooks)["webhooks"]["one"]["post"]["parameters"] == [
        own,
        {"$ref": "#/components/parameters/webhook-timestamp"},
        {"$ref": "#/components/parameters/webhook-signature"},
        page,
    ]


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ({"name": "id", "in": "path", "schema": {}}, "'id' is in the path"),
        ({"name": "id"}, "is no Parameter Object"),
        ({"name": "id", "in": "query"}, "query parameter 'id' has no schema"),
    ],
)
def test_impossible_parameters_are_refused(
    webhooks: Webhooks, parameter: dict[str, Any], reason: str
) -> None:
    """The message names the webhook, the place and the parameter."""
    webhooks.webhook("one", parameters=[parameter])
    with pytest.raises(DeclarationError, match=f"^one, declared at .*test_document.py.*{reason}"):
        written(webhooks)


def test_the_same_parameter_twice_is_refused(webhooks: Webhooks) -> None:
    """Two query parameters of one name in one operation are an error."""
    page = {"name": "page", "in": "query", "schema": {}}
    webhooks.webhook("one", parameters=[page, page])
    with pytest.raises(DeclarationError, match="the query parameter 'page' is given twice"):
        written(webhooks)


def test_a_path_parameter_can_be_described(webhooks: Webhooks, app: Flask) -> None:
    """What is said of a path parameter joins what its converter says."""
    number = {"name": "number", "in": "path", "description": "As printed."}
    app.get("/o/<int:number>")(webhooks.operation(parameters=[number])(lambda number: ""))
    assert written(webhooks, app)["paths"]["/o/{number}"]["get"]["parameters"] == [
        {
            "name": "number",
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 0},
            "description": "As printed.",
        }
    ]


def test_a_path_parameter_of_no_rule_is_refused(webhooks: Webhooks, app: Flask) -> None:
    """The message names it, and the variables that there are."""
    wrong = {"name": "nummer", "in": "path", "schema": {}}
    app.get("/o/<int:number>")(webhooks.operation(parameters=[wrong])(lambda number: ""))
    with pytest.raises(DeclarationError, match="'nummer', but its rule .* It has: number."):
        written(webhooks, app)


def test_schema_classes_resolve_wherever_a_schema_may_stand(webhooks: Webhooks, app: Flask) -> None:
    """Media types, items, allOf, headers and parameters all take a marshmallow class."""
    response = {
        "headers": {"X-Order": {"schema": OrderCreated(only=("id",))}},
        "content": {
            "application/json": {"schema": {"type": "array", "items": OrderCreated}},
            "application/vnd.shop+json": {"schema": {"allOf": [Booking, {"title": "Both"}]}},
        },
    }
    body = {"content": {"application/x-www-form-urlencoded": {"schema": Order}}, "required": False}
    filter_ = {"name": "f", "in": "query", "content": {"application/json": {"schema": Booking()}}}

    @app.post("/orders")
    @webhooks.operation(request=body, parameters=[filter_], responses={200: response})
    def create_order() -> str:
        return ""

    operation = written(webhooks, app)["paths"]["/orders"]["post"]
    booking = {"$ref": "#/components/schemas/Booking"}
    assert operation["requestBody"] == {
        "required": False,
        "content": {
            "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Order"}}
        },
    }
    assert operation["parameters"][0]["content"] == {"application/json": {"schema": booking}}
    assert operation["responses"] == {
        "200": {
            "headers": {"X-Order": {"schema": {"$ref": "#/components/schemas/OrderCreatedId"}}},
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/OrderCreated"},
                    }
                },
                "application/vnd.shop+json": {"schema": {"allOf": [booking, {"title": "Both"}]}},
            },
            "description": "OK",
        }
    }


def test_a_schema_in_place_of_a_response_object_is_explained(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """A JSON Schema where OpenAPI wants a Response Object is an error that shows the right form."""
    app.get("/x")(webhooks.operation(responses={200: {"type": "object"}})(view))
    with pytest.raises(DeclarationError, match=r"response 200 has 'type', which is no field of"):
        written(webhooks, app)


def test_extra_is_merged_last_and_deeply(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """``extra`` adds servers, externalDocs, x- fields and answers without losing what is there."""
    extra = {
        "x-team": "rail",
        "externalDocs": {"url": "https://docs.example"},
        "responses": {404: {"description": "Unknown.", "content": {"text/plain": {}}}},
        "deprecated": True,
    }
    app.get("/x")(webhooks.operation(responses={200: Booking}, tags=["a"], extra=extra)(view))
    operation = written(webhooks, app)["paths"]["/x"]["get"]
    assert operation["x-team"] == "rail"
    assert operation["externalDocs"] == {"url": "https://docs.example"}
    assert list(operation["responses"]) == ["200", "404"]
    assert operation["deprecated"] is True
    assert operation["tags"] == ["a"]


def test_another_media_type_of_a_payload_is_what_is_sent(webhooks: Webhooks) -> None:
    """A schema in the body that ``extra`` adds to a webhook goes outwards, as its own does."""

    class Account(Schema):
        id = fields.Integer(dump_only=True)
        password = fields.String(load_only=True)

    xml = {
        "requestBody": {"description": "It.", "content": {"application/xml": {"schema": Account}}}
    }
    webhooks.webhook("accountMade", Account, extra=xml)
    body = written(webhooks)["webhooks"]["accountMade"]["post"]["requestBody"]
    schema = {"schema": {"$ref": "#/components/schemas/AccountPayload"}}
    assert body["content"] == {"application/json": schema, "application/xml": schema}
    assert body["description"] == "It."


@pytest.mark.parametrize(
    "body",
    [
        {"content": {"application/json": {"schema": {"type": "object"}}}},
        {"content": {"application/json": {"schema": None}}},
        {"content": None},
        {"$ref": "#/components/requestBodies/Other"},
        "nothing",
    ],
)
def test_extra_cannot_publish_another_body_than_is_sent(webhooks: Webhooks, body: Any) -> None:
    """The document can't say otherwise than what is validated before it is sent."""
    webhooks.webhook("newBooking", Booking, extra={"requestBody": body})
    with pytest.raises(DeclarationError, match=r"newBooking, .*: extra= changes the schema"):
        written(webhooks)


def test_the_users_dicts_stay_theirs(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """Building changes none of the dicts that were declared."""
    response = {"content": {"application/json": {"schema": {"type": "array", "items": Booking}}}}
    extra: dict[str, Any] = {"x-list": [1]}
    app.get("/x")(webhooks.operation(responses={200: response}, extra=extra)(view))
    first = written(webhooks, app)
    first["paths"]["/x"]["get"]["x-list"].append(2)
    assert response == {
        "content": {"application/json": {"schema": {"type": "array", "items": Booking}}}
    }
    assert extra == {"x-list": [1]}
    assert written(webhooks, app)["paths"]["/x"]["get"]["x-list"] == [1]


def test_root_level_pieces_are_merged_in(webhooks: Webhooks) -> None:
    """Contact, servers, tags and security schemes join what is generated, in OpenAPI's order."""
    webhooks.webhook("one", Booking)
    document = written(
        webhooks,
        extra={
            "tags": [{"name": "trains"}],
            "security": [{"bearer": []}],
            "servers": [{"url": "https://api.example"}],
            "info": {"contact": {"email": "api@example.com"}},
            "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        },
    )
    assert list(document) == [
        "openapi", "info", "servers", "webhooks", "components", "security", "tags",
        "x-webhooks-delivery",
    ]  # fmt: skip
    assert document["info"] == {
        "title": "Shop",
        "version": "1.0.0",
        "contact": {"email": "api@example.com"},
    }
    assert set(document["components"]["securitySchemes"]) == {"bearer", "webhookSignature"}


def test_root_security_does_not_reach_what_is_sent(webhooks: Webhooks) -> None:
    """Each outgoing operation states its own security, or none if it is told so."""
    webhooks.webhook("signed", Booking)
    webhooks.webhook("open", Booking, security=[])
    found = written(webhooks)["webhooks"]
    assert found["signed"]["post"]["security"] == [{"webhookSignature": []}]
    assert found["open"]["post"]["security"] == []


def test_an_unknown_security_scheme_is_refused(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """The message names the operation, its place, the scheme and what there is."""
    webhooks.webhook("one")
    app.get("/x")(webhooks.operation(security=[{"bearer": []}])(view))
    with pytest.raises(DeclarationError) as told:
        written(webhooks, app)
    assert str(told.value).startswith("paths → /x → get (declared at ")
    assert str(told.value).endswith(
        "asks for the security scheme 'bearer', but the document has webhookSignature. Add it to "
        "components.securitySchemes of the document."
    )


def test_a_reference_that_leads_nowhere_is_refused(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """Whether it stands in a payload or in a response, the message says where."""
    webhooks.webhook("one", {"properties": {"a": {"$ref": "#/components/schemas/Nope"}}})
    with pytest.raises(DeclarationError, match=r"Nope' in components.schemas.One leads nowhere"):
        written(webhooks)
    other = Webhooks()
    response = {"content": {"application/json": {"schema": {"$ref": "#/$defs/x"}}}}
    app.get("/x")(other.operation(responses={200: response})(view))
    with pytest.raises(DeclarationError, match=r"x' in paths → /x → get \(declared at .* leads"):
        written(other, app)


def test_references_to_added_components_lead_somewhere(webhooks: Webhooks) -> None:
    """A JSON Schema may refer to a component that is added by hand."""
    webhooks.webhook("one", {"properties": {"price": {"$ref": "#/components/schemas/Money"}}})
    money = {"type": "object", "properties": {"amount": {"type": "string"}}}
    document = written(webhooks, extra={"components": {"schemas": {"Money": money}}})
    assert document["components"]["schemas"]["Money"] == money


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "https://x.example/schema.json"}}},
        {"$ref": "https://x.example/schema.json"},
        {"$ref": "x"},
    ],
)
def test_a_payload_in_another_document_is_refused(
    webhooks: Webhooks, schema: dict[str, object]
) -> None:
    """What is sent is validated against the document itself, so nothing of it may be elsewhere."""
    webhooks.webhook("one", schema)
    with pytest.raises(DeclarationError, match="^one, declared at .* refers to another document"):
        written(webhooks)


def test_examples_are_shown_and_must_fit(webhooks: Webhooks) -> None:
    """An example that its schema refuses is an error that names declaration, place and reason."""
    good = {"id": "6f9619ff-8b86-4011-b42d-00cf4fc964ff", "train": "ICE 1"}
    webhooks.webhook("one", Booking, examples={"night": good})
    body = written(webhooks)["webhooks"]["one"]["post"]["requestBody"]["content"]
    assert body["application/json"]["examples"] == {"night": {"value": good}}
    webhooks.webhook("two", Booking, examples={"short": {"id": "x"}})
    with pytest.raises(DeclarationError) as told:
        written(webhooks)
    assert str(told.value).startswith("two, declared at ")
    assert "the example 'short' does not fit its schema: payload is not what" in str(told.value)
    assert '"train" is a required property' in str(told.value)


def test_what_is_no_json_is_refused_with_its_place(webhooks: Webhooks) -> None:
    """Something in a declaration that JSON can't say is found before anybody is served."""
    webhooks.webhook("one", extra={"x-set": {"a": [{1, 2}]}})
    with pytest.raises(
        DeclarationError, match=r"no JSON at webhooks.one.post.x-set.a.0: a set has no JSON form"
    ):
        written(webhooks)


def test_a_callback_on_no_route_is_refused(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """A callback that could never be captured is an error that names it and its place."""
    webhooks.callback("lost", "{$request.body#/u}", Booking)
    with pytest.raises(DeclarationError, match="^Callback 'lost', declared at .* on no view"):
        written(webhooks, app)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{$request.body#/callback_url}", 'declared without "callback_url"'),
        ("{$request.path.shop}", 'the rule has no variable "shop"'),
        ("{$response.body#/status/url}", "declared as string"),
    ],
)
def test_an_impossible_expression_is_refused(
    webhooks: Webhooks, app: Flask, expression: str, reason: str
) -> None:
    """What the view's schemas and rule can never supply is an error at build."""

    @app.post("/orders")
    @webhooks.operation(request=Order, responses={201: OrderCreated})
    @webhooks.callback("told", expression, OrderStatus)
    def create_order() -> str:
        return ""

    with pytest.raises(ExpressionError, match=f"^told on POST /orders, expression=: .*{reason}"):
        written(webhooks, app)


def test_two_views_on_one_path_and_method_are_refused(webhooks: Webhooks, app: Flask) -> None:
    """OpenAPI has room for one operation: the other is never dropped in silence."""
    app.get("/x/<int:key>", endpoint="a")(webhooks.operation()(lambda key: ""))
    app.get("/x/<key>", endpoint="b")(webhooks.operation()(lambda key: ""))
    with pytest.raises(DeclarationError, match=r"^GET /x/\{key\} is answered by two views .* a "):
        written(webhooks, app)


def test_paths_that_differ_in_variable_names_only_are_refused(
    webhooks: Webhooks, app: Flask
) -> None:
    """To OpenAPI they are the same path."""
    app.get("/x/<int:key>", endpoint="a")(webhooks.operation()(lambda key: ""))
    app.delete("/x/<name>", endpoint="b")(webhooks.operation()(lambda name: ""))
    with pytest.raises(DeclarationError, match=r"^/x/\{key\} and /x/\{name\} are the same path"):
        written(webhooks, app)


def test_the_docstring_is_the_summary_and_the_description(webhooks: Webhooks, app: Flask) -> None:
    """Its first line is the summary; what a declaration says goes before it."""

    @app.get("/x")
    @webhooks.operation()
    def show() -> str:
        """Show it.

        All of it.
        """
        return ""

    @app.get("/y")
    @webhooks.operation(summary="Said.")
    def other() -> str:
        """Not this."""
        return ""

    paths = written(webhooks, app)["paths"]
    assert paths["/x"]["get"]["summary"] == "Show it."
    assert paths["/x"]["get"]["description"] == "All of it."
    assert paths["/y"]["get"]["summary"] == "Said."


def test_a_text_that_is_translated_late_is_written_as_text(webhooks: Webhooks) -> None:
    """Summaries may be lazy: they become text when the document is built."""

    class Lazy:
        def __str__(self) -> str:
            return "Neue Buchung"

    webhooks.webhook("one", summary=Lazy())  # type: ignore[arg-type]
    assert written(webhooks)["webhooks"]["one"]["post"]["summary"] == "Neue Buchung"


def test_the_document_is_the_same_each_time(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """The same declarations give the same text, byte for byte."""
    app.post("/b")(webhooks.webhook("one", Booking)(webhooks.operation(request=Order)(view)))
    assert json.dumps(written(webhooks, app)) == json.dumps(written(webhooks, app))


def test_the_delivery_is_told_from_the_settings(webhooks: Webhooks, app: Flask) -> None:
    """Timeout, schedule and lifetimes in words and numbers are those of the app's config."""
    app.config.update(WEBHOOKS_TIMEOUT=2.5, WEBHOOKS_SCHEDULE=[0, 90], WEBHOOKS_DISABLE_AFTER=3600)
    webhooks.webhook("one", Booking)
    webhooks.init_app(app)
    with app.app_context():
        document = webhooks.document()
    told = document["x-webhooks-delivery"]
    assert (told["timeout"], told["retrySchedule"], told["disableAfter"]) == (2.5, [0, 90], 3600)
    assert told["description"].startswith(
        "Deliveries are made at least once: one may arrive again, always with the same "
        "`webhook-id`. Answer within 2.5 seconds with a 2xx status that the webhook declares, and "
        "do the work later. Any other answer is a failure, and so are a redirect, which is never "
    )
    assert (
        "The delivery is tried again, once at most, each time after a random part of a longer "
        "time: 1.5 minutes." in told["description"]
    )
    assert told["description"].endswith("failed for 1 hour is disabled.")


def test_a_schedule_of_one_attempt_promises_no_other() -> None:
    """One attempt is told as no retry."""
    once = Promises(timeout=5, schedule=[0.0], disable_after=60, keys_url="/k")
    assert "The delivery is not tried again." in once.in_words()


def test_the_promises_are_what_the_worker_decides() -> None:
    """Each number and code that the document states is the one that the retry policy goes by."""
    told = PROMISES.as_object([])

    def after(status: int | None, **options: Any) -> Decision:
        return decide(
            accepted=False, reason="", status=status, attempts=options.pop("attempts", 1),
            schedule=told["retrySchedule"], uniform=lambda low, high: high, **options,
        )  # fmt: skip

    codes = [*range(200, 600)]
    assert [code for code in codes if after(code).disable] == told["disableOn"]
    assert [code for code in codes if after(code).pause is not None] == told["slowDownOn"]
    assert after(503, retry_after=1e9).pause == told["retryAfterLimit"]
    assert after(400, retry_after=1e9).delay == told["retryAfterLimit"]
    tries = len(told["retrySchedule"])
    delays = [after(400, attempts=made).delay for made in range(1, tries + 1)]
    assert delays == [*told["retrySchedule"][1:], None]
    assert not accepts(("2XX",), 302) and accepts(("2XX",), 204)


def test_an_app_without_the_view_of_a_callback_can_be_described(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """A callback that another app of the same extension carries is not missed here."""
    told = webhooks.callback("told", "{$request.body#/u}", Booking)
    app.post("/orders")(told(view))
    described = describe(
        list(webhooks), [], info={"title": "Admin", "version": "1"}, promises=PROMISES,
        public_keys=[], elsewhere=[told],
    )  # fmt: skip
    assert described.document["paths"] == {}
    assert described.payloads == {"told": {"$ref": "#/components/schemas/Booking"}}
    assert list(described.components) == ["Booking"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 seconds"), (1, "1 second"), (5, "5 seconds"), (60, "1 minute"),
     (5400, "1.5 hours"), (86400, "1 day"), (432000, "5 days")],
)  # fmt: skip
def test_times_are_readable(seconds: float, words: str) -> None:
    """A number of seconds is told in the largest unit that fits."""
    assert readable(seconds) == words


def test_public_keys_are_told_where_callbacks_are_captured(
    webhooks: Webhooks, app: Flask, view: Any
) -> None:
    """Only an API with callbacks shows the keys that verify them."""
    webhooks.webhook("one", Booking)
    plain = written(webhooks)
    assert "whpk_one" not in json.dumps(plain)
    app.post("/x")(webhooks.callback("told", "{$request.body#/u}", Booking)(view))
    scheme = written(webhooks, app)["components"]["securitySchemes"]["webhookSignature"]
    assert "`whpk_one`, also served at `/keys`" in scheme["description"]


def test_two_apps_share_one_extension(webhooks: Webhooks, make_app: Any, view: Any) -> None:
    """Each app documents its own routes, and all webhooks of the extension."""
    told = webhooks.webhook("one", Booking)
    blueprint = Blueprint("shop", __name__)
    blueprint.post("/bookings")(told(view))
    first, second = make_app(), make_app()
    first.register_blueprint(blueprint)
    second.register_blueprint(blueprint, url_prefix="/v2")
    for app in (first, second):
        webhooks.init_app(app)
    found = []
    for app in (first, second):
        with app.app_context():
            found.append(list(webhooks.document()["paths"]))
    assert found == [["/bookings"], ["/v2/bookings"]]


def test_two_extensions_on_one_view_document_their_own(make_app: Any) -> None:
    """A view marked by two instances shows each app what its own instance declared."""
    one, two = Webhooks(), Webhooks()
    marked = two.webhook("second", Booking)(one.webhook("first", Booking)(lambda: ""))
    foreign = two.webhook("third", Booking)(lambda: "")
    found = []
    for webhooks in (one, two):
        app = make_app()
        app.add_url_rule("/x", "x", marked, methods=["POST"])
        app.add_url_rule("/y", "y", foreign, methods=["POST"])
        webhooks.init_app(app)
        with app.app_context():
            document = webhooks.document()
        found.append(
            {path: item["post"]["x-webhooks-emits"] for path, item in document["paths"].items()}
        )
    assert found == [{"/x": ["first"]}, {"/x": ["second"], "/y": ["third"]}]


def test_an_app_factory_can_run_twice(webhooks: Webhooks, make_app: Any) -> None:
    """Declaring and decorating anew gives the second app the same document."""

    def create_app() -> Flask:
        app: Flask = make_app()

        @app.post("/orders")
        @webhooks.operation(request=Order, operation_id="createOrder")
        @webhooks.callback("told", "{$request.body#/callbackUrl}", OrderStatus)
        def create_order() -> str:
            return ""

        webhooks.init_app(app)
        return app

    found = []
    for app in (create_app(), create_app()):
        with app.app_context():
            found.append(webhooks.document())
    assert found[0] == found[1]
    assert list(found[0]["paths"]["/orders"]["post"]["callbacks"]) == ["told"]


def test_each_expression_of_a_callback_is_documented(webhooks: Webhooks, app: Flask) -> None:
    """A callback with two expressions has a Path Item under each, each with its operationId."""
    both = ["{$request.body#/orderId}", "{$request.query.url}"]

    @app.post("/orders")
    @webhooks.callback("told", both, OrderStatus)
    def order() -> str:
        return ""

    told = written(webhooks, app)["paths"]["/orders"]["post"]["callbacks"]["told"]
    assert [(key, item["post"]["operationId"]) for key, item in told.items()] == [
        ("{$request.body#/orderId}", "orderTold"),
        ("{$request.query.url}", "orderTold2"),
    ]


@pytest.mark.parametrize(
    "expressions, told",
    [
        ([], "callback 'told' has no expression: say where its URL stands."),
        (["$url", "$url"], "callback 'told' has an expression twice; give each once."),
        ([7], "callback 'told': 7 is no expression; give a text."),
    ],
)
def test_expressions_that_cannot_work_are_refused(
    webhooks: Webhooks, expressions: Any, told: str
) -> None:
    """A list of expressions that is empty, repeats one or holds no text is refused by name."""
    with pytest.raises(DeclarationError) as refused:
        webhooks.callback("told", expressions, OrderStatus)
    assert str(refused.value) == told


def test_a_webhook_may_have_several_methods(webhooks: Webhooks) -> None:
    """Webhooks shown under one name are the operations of one Path Item, each with its own name."""
    webhooks.webhook("orderChanged", Order, method="PUT", shown_as="order")
    webhooks.webhook("orderCancelled", OrderStatus, method="DELETE", shown_as="order")
    document = written(webhooks)
    assert list(document["webhooks"]) == ["order"]
    assert {
        method: (operation["operationId"], operation["x-webhooks-name"])
        for method, operation in document["webhooks"]["order"].items()
    } == {"put": ("orderChanged", "orderChanged"), "delete": ("orderCancelled", "orderCancelled")}


def test_expressions_of_one_callback_may_have_bodies_of_their_own(
    webhooks: Webhooks, app: Flask
) -> None:
    """Callbacks shown under one name are one Callback Object."""

    @app.post("/orders")
    @webhooks.callback("done", "{$request.query.done}", OrderStatus, shown_as="onOrder")
    @webhooks.callback("gone", "{$request.query.gone}", Booking, shown_as="onOrder")
    @webhooks.callback("seen", "{$request.query.gone}", {}, method="PUT", shown_as="onOrder")
    def create_order() -> str:
        return ""

    callbacks = written(webhooks, app)["paths"]["/orders"]["post"]["callbacks"]
    assert list(callbacks) == ["onOrder"]
    assert {key: list(item) for key, item in callbacks["onOrder"].items()} == {
        "{$request.query.done}": ["post"],
        "{$request.query.gone}": ["post", "put"],
    }


@pytest.mark.parametrize("shared", [False, True])
def test_two_at_one_place_of_the_document_are_refused(
    webhooks: Webhooks, app: Flask, view: Any, shared: bool
) -> None:
    """Nothing in the document overwrites anything else: the error names both declarations."""
    for name in ("one", "two"):
        webhooks.callback(name, "{$url}", {}, shown_as="onOrder", shared=shared)(view)
    app.add_url_rule("/orders", view_func=view, methods=["POST"])
    refusal = "can't be shared" if shared else "would both be POST /orders → onOrder"
    with pytest.raises(DeclarationError, match=refusal):
        written(webhooks, app)


def test_two_webhooks_of_one_method_cannot_be_shown_as_one(webhooks: Webhooks) -> None:
    """The second would replace the first."""
    webhooks.webhook("order")
    webhooks.webhook("orderChanged", shown_as="order")
    with pytest.raises(
        DeclarationError, match=r"order, declared at .*, and orderChanged, declared"
    ):
        written(webhooks)


def test_a_shared_callback_is_written_once(webhooks: Webhooks, app: Flask, view: Any) -> None:
    """It stands in the components, with one operationId, and each operation refers to it."""
    shared = webhooks.callback(
        "orders.done", "{$request.query.url}", OrderStatus, shared=True, shown_as="onDone"
    )
    app.add_url_rule("/orders", view_func=shared(view), methods=["POST", "PUT"])
    document = written(webhooks, app)
    reference = {"onDone": {"$ref": "#/components/callbacks/orders.done"}}
    assert [document["paths"]["/orders"][m]["callbacks"] for m in ("post", "put")] == [
        reference
    ] * 2
    [operation] = document["components"]["callbacks"]["orders.done"].values()
    assert operation["post"]["operationId"] == "ordersDone"
    assert operation["post"]["x-webhooks-name"] == "orders.done"


def test_a_shared_callback_needs_the_name_of_a_component(webhooks: Webhooks) -> None:
    """What can't be a key of the components is refused at once."""
    with pytest.raises(DeclarationError, match="only A-Z a-z 0-9"):
        webhooks.callback("on order", "{$url}", {}, shared=True)


def test_a_referred_parameter_replaces_the_one_of_the_rule(webhooks: Webhooks, app: Flask) -> None:
    """A path variable that is described by a reference stands once among the parameters."""
    row = {"name": "row", "in": "path", "required": True, "schema": {"type": "integer"}}

    @app.get("/board/<row>")
    @webhooks.operation(parameters=[{"$ref": "#/components/parameters/rowParam"}])
    def board(row: str) -> str:
        return row

    document = written(webhooks, app, extra={"components": {"parameters": {"rowParam": row}}})
    assert document["paths"]["/board/{row}"]["get"]["parameters"] == [
        {"$ref": "#/components/parameters/rowParam"}
    ]


def test_definitions_of_a_json_schema_become_components(webhooks: Webhooks) -> None:
    """What a JSON Schema keeps in $defs is a component: code generators lose it elsewhere."""
    webhooks.webhook(
        "moved", {"$defs": {"Mark": {"enum": ["X", "O"]}}, "oneOf": [{"$ref": "#/$defs/Mark"}]}
    )

    assert written(webhooks)["components"]["schemas"] == {
        "Moved": {"oneOf": [{"$ref": "#/components/schemas/MovedMark"}]},
        "MovedMark": {"enum": ["X", "O"]},
    }


def test_an_anchor_becomes_a_pointer(webhooks: Webhooks) -> None:
    """A JSON Schema may refer to its own $anchor; the document has a pointer in its place."""
    schema = {
        "$defs": {"Mark": {"$anchor": "mark", "enum": ["X", "O"]}},
        "properties": {"mark": {"$ref": "#mark"}},
    }
    webhooks.webhook("moved", schema)

    schemas = written(webhooks)["components"]["schemas"]
    assert schemas["Moved"]["properties"]["mark"] == {"$ref": "#/components/schemas/MovedMark"}
