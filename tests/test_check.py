"""``describe/check.py`` and ``flask webhooks check``: what is wrong with a document, and where."""

from __future__ import annotations

import copy
import importlib.util
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from marshmallow import Schema, fields

from flask_webhooks import Webhooks
from flask_webhooks.describe.check import findings
from flask_webhooks.describe.reading import fragment, operations, parameters, pointer, resolved
from flask_webhooks.describe.structure import structure

KEY = "{$request.body#/url}"
GOOD: dict[str, Any] = {
    "openapi": "3.1.1",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/shops/{shop}/orders": {
            "parameters": [
                {"in": "path", "name": "shop", "required": True, "schema": {"type": "string"}}
            ],
            "post": {
                "operationId": "order",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"url": {"type": "string"}},
                                "additionalProperties": False,
                            }
                        }
                    }
                },
                "responses": {"201": {"description": "Made"}},
                "callbacks": {"onOrder": {KEY: {"post": {"operationId": "onOrder"}}}},
            },
        }
    },
    "webhooks": {
        "paid": {
            "post": {
                "operationId": "paid",
                "security": [{"signature": []}],
                "parameters": [
                    {"in": "header", "name": "X-Id", "schema": {"type": "string"}, "example": "1"}
                ],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Order"},
                            "examples": {"one": {"value": {"id": "1"}}},
                        }
                    }
                },
                "responses": {"2XX": {"description": "Noted"}},
            }
        }
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "next": {"$ref": "#/components/schemas/Order"},
                },
                "required": ["id"],
                "examples": [{"id": "1"}],
            }
        },
        "securitySchemes": {"signature": {"type": "apiKey", "in": "header", "name": "X-Sign"}},
    },
}
POST = "/webhooks/paid/post"
ANSWER = "/paths/~1shops~1{shop}~1orders/post/responses/201"
CALLBACK = "/paths/~1shops~1{shop}~1orders/post/callbacks/onOrder"


@pytest.fixture
def document() -> dict[str, Any]:
    """A document with nothing wrong in it."""
    return copy.deepcopy(GOOD)


def _paid(document: Any) -> Any:
    return document["webhooks"]["paid"]["post"]


def _callback(document: Any) -> Any:
    return document["paths"]["/shops/{shop}/orders"]["post"]["callbacks"]["onOrder"]


def _answer(document: Any) -> Any:
    return document["paths"]["/shops/{shop}/orders"]["post"]["responses"]["201"]


def _order(document: Any) -> Any:
    return document["components"]["schemas"]["Order"]


def _media(document: Any) -> Any:
    return _paid(document)["requestBody"]["content"]["application/json"]


def test_a_good_document_has_no_findings(document: dict[str, Any]) -> None:
    """Neither these checks nor the validator find anything."""
    assert findings(document) == []
    assert structure(document) == []


def _set(place: Any, key: Any, value: Any) -> Any:
    return lambda document: place(document).__setitem__(key, value)


@pytest.mark.parametrize(
    "change, at, told",
    [
        # references
        (_set(_media, "schema", {"$ref": "#/components/schemas/Odrer"}),
         f"{POST}/requestBody/content/application~1json/schema/$ref", "leads nowhere."),
        (_set(lambda d: d["webhooks"], "paid", {"$ref": "#/components/pathItems/Paid"}),
         "/webhooks/paid/$ref", "leads nowhere."),
        (_set(_callback, KEY, {"$ref": "#/components/pathItems/X"}),
         f"{CALLBACK}/{{$request.body#~1url}}/$ref", "leads nowhere."),
        (_set(_order, "not", {"$ref": "other.json#/A"}),
         "/components/schemas/Order/not/$ref", "leads out of the document."),
        (_set(_order, "not", {"$ref": "#nowhere"}),
         "/components/schemas/Order/not/$ref", "leads nowhere."),
        (_set(lambda d: d["components"]["schemas"], "A", {"$ref": "#/components/schemas/A"}),
         "/components/schemas/A/$ref", "leads in a circle of references"),
        (_set(_media, "examples", {"a": {"$ref": "#/components/examples/A"}}),
         f"{POST}/requestBody/content/application~1json/examples/a/$ref", "leads nowhere."),
        (_set(lambda d: _order(d)["properties"], "$ref", {"$ref": "#/x"}),
         "/components/schemas/Order/properties/$ref/$ref", "'#/x' leads nowhere."),
        (_set(_order, "discriminator", {"propertyName": "id", "mapping": {"a": "Odrer"}}),
         "/components/schemas/Order/discriminator/mapping/a",
         "'#/components/schemas/Odrer' leads nowhere."),
        (_set(_order, "discriminator", {"propertyName": "id", "mapping": {"a/b": "#/$defs/A"}}),
         "/components/schemas/Order/discriminator/mapping/a~1b", "'#/$defs/A' leads nowhere."),
        (_set(_answer, "links", {"it": {"operationRef": "#/paths/~1gone/get"}}),
         f"{ANSWER}/links/it/operationRef", "'#/paths/~1gone/get' leads nowhere."),
        # operationIds
        (_set(_answer, "links", {"it": {"operationId": "oder"}}),
         f"{ANSWER}/links/it/operationId", "No operation has the operationId 'oder'."),
        (_set(_paid, "operationId", "order"), f"{POST}/operationId",
         "'order' is taken: /paths/~1shops~1{shop}~1orders/post has it, too."),
        (_set(lambda d: _callback(d)[KEY]["post"], "operationId", "order"),
         f"{CALLBACK}/{{$request.body#~1url}}/post/operationId", "'order' is taken"),
        # parameters and paths
        (lambda d: _paid(d)["parameters"].append({"in": "header", "name": "x-ID", "schema": {}}),
         f"{POST}/parameters/1", "The header parameter 'x-ID' is there twice."),
        (lambda d: _paid(d)["parameters"].append({"$ref": f"#{POST}/parameters/0"}),
         f"{POST}/parameters/1", "The header parameter 'X-Id' is there twice."),
        (_set(lambda d: d["paths"], "/shops/{id}/orders",
              {"parameters": [{"in": "path", "name": "id", "required": True, "schema": {}}]}),
         "/paths/~1shops~1{id}~1orders", "It is the same path as /shops/{shop}/orders: only"),
        (lambda d: _paid(d)["parameters"].append({"in": "path", "name": "q", "schema": {}}),
         f"{POST}/parameters/1", "'q' is in: path, but the webhook has no path template."),
        (_set(lambda d: _callback(d)[KEY], "parameters", [{"in": "path", "name": "q"}]),
         f"{CALLBACK}/{{$request.body#~1url}}/parameters/0", "the callback has no path template"),
        (_set(lambda d: d["paths"]["/shops/{shop}/orders"], "parameters", []),
         "/paths/~1shops~1{shop}~1orders/post", "has the variable 'shop', but no parameter"),
        (lambda d: d["paths"]["/shops/{shop}/orders"]["parameters"].append(
            {"in": "path", "name": "x"}),
         "/paths/~1shops~1{shop}~1orders/parameters/1", "the path has no such variable."),
        # security
        (_set(_paid, "security", [{}, {"signatur": []}]), f"{POST}/security/1",
         "'signatur' is not in components.securitySchemes."),
        (_set(lambda d: d, "security", [{"key": []}]), "/security/0", "'key' is not in"),
        # callback keys
        (_set(_callback, "{$request.body.url}", {"post": {}}),
         f"{CALLBACK}/{{$request.body.url}}", "Did you mean {$request.body#/url}?"),
        (_set(_callback, "/callback", {"post": {}}), f"{CALLBACK}/~1callback",
         "'/callback' can't work as a callback URL: "),
        (_set(_callback, "{$request.body#/uri}", {"post": {}}),
         f"{CALLBACK}/{{$request.body#~1uri}}", 'is declared without "uri"; it has url.'),
        (_set(_callback, "{$request.path.shops}", {"post": {}}),
         f"{CALLBACK}/{{$request.path.shops}}", 'no variable "shops"; did you mean "shop"?'),
        # examples
        (_set(_media, "examples", {"one": {"value": {"id": 1}}}),
         f"{POST}/requestBody/content/application~1json/examples/one/value/id",
         'It does not fit its schema: 1 is not of type "string".'),
        (_set(_media, "example", {}),
         f"{POST}/requestBody/content/application~1json/example", '"id" is a required property.'),
        (_set(_order, "examples", [{"id": "1", "next": {}}]),
         "/components/schemas/Order/examples/0/next", '"id" is a required property.'),
        (_set(_order, "default", []), "/components/schemas/Order/default", "does not fit"),
        (_set(lambda d: _paid(d)["parameters"][0], "example", 1),
         f"{POST}/parameters/0/example", "does not fit its schema"),
        # names and statuses
        (_set(_paid, "responses", {202: {"description": "Later"}}), f"{POST}/responses",
         "The status 202 is no text. Write '202'."),
        (_set(_paid, "responses", {"2xx": {"description": "Later"}}), f"{POST}/responses",
         "'2xx' is no status of a response."),
        (_set(lambda d: d["components"]["schemas"], "an order", {}), "/components/schemas",
         "'an order' can't name a component"),
        (_set(lambda d: d["components"], "examples", {"a/b": {"value": 1}}),
         "/components/examples", "'a/b' can't name a component"),
        (_set(_order, "type", "objekt"), "/components/schemas/Order/type", "objekt"),
    ],
)  # fmt: skip
def test_each_defect_is_one_finding(
    document: dict[str, Any], change: Any, at: str, told: str
) -> None:
    """One thing broken in a good document gives one finding, with its place and what is wrong."""
    change(document)
    [found] = findings(document)
    assert found.pointer == at
    assert told in found.text
    assert structure(document, [found]) == []


@pytest.mark.parametrize(
    "change",
    [
        _set(_paid, "tags", ["undeclared"]),
        _set(_order, "not", {"const": {"$ref": "data"}}),
        _set(lambda d: _order(d)["properties"], "example", {"type": "integer"}),
        _set(lambda d: _media(d)["examples"]["one"], "value", {"id": "1", "$ref": "#/data"}),
        _set(lambda d: _paid(d)["requestBody"]["content"], "text/csv",
             {"schema": {"type": "array"}, "example": "1;2"}),
        _set(_callback, "https://example.com/fixed", {"post": {}}),
        _set(_callback, "x-note", "kept"),
        _set(_callback, "https://x.example/{$response.body#/id}?s={$statusCode}", {"post": {}}),
        _set(_order, "$defs", {"A": {"$anchor": "a"}, "B": {"$ref": "#a"}}),
        _set(_order, "$defs", {"A": {"$id": "urn:a", "$ref": "#/$defs/B", "$defs": {"B": {}}}}),
        _set(lambda d: d["webhooks"], "again", {"$ref": "#/webhooks/paid"}),
        _set(_order, "discriminator", {"propertyName": "id", "mapping": {"a": "Order"}}),
        _set(_order, "properties", {"discriminator": {"type": "object"}, "id": {}}),
        _set(_answer, "links", {"it": {"operationId": "paid"}}),
        _set(_answer, "links", {"it": {"operationRef": "#/webhooks/paid/post"}}),
        lambda d: _paid(d)["parameters"].append({"in": "query", "name": "X-Id", "schema": {}}),
        lambda d: d["webhooks"]["paid"].__setitem__(
            "parameters", [{"in": "header", "name": "X-Id", "schema": {}}]),
        lambda d: d["webhooks"].clear(),
    ],
)  # fmt: skip
def test_what_is_allowed_is_no_finding(document: dict[str, Any], change: Any) -> None:
    """Undeclared tags, data that looks like references, and legal callback keys are left alone."""
    change(document)
    assert findings(document) == []


@pytest.mark.parametrize(
    "change, at",
    [
        (_set(_paid, "operationID", "x"), POST),
        (lambda d: d["info"].pop("title"), "/info"),
        (_set(_paid, "responses", {"200": {}}), f"{POST}/responses/200"),
        (_set(lambda d: d["webhooks"], "paid", []), "/webhooks/paid"),
        (_set(lambda d: d, "openapi", "3.9.0"), "/openapi"),
        (_set(lambda d: d, "openapi", "2.0"), "/openapi"),
    ],
)
def test_the_validator_judges_the_structure(document: dict[str, Any], change: Any, at: str) -> None:
    """What is no OpenAPI at all comes from openapi-spec-validator, in a line of limited length."""
    change(document)
    found = structure(document, findings(document))
    assert found and found[0].pointer == at
    assert all("\n" not in f.text and len(f.text) < 250 for f in found)


def test_nothing_is_fetched(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference to another host or a file is told, and never followed."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    _order(document)["properties"] |= {
        "a": {"$ref": "http://127.0.0.1:1/a.json"}, "b": {"$ref": "file:///etc/hostname"},
        "c": {"default": {"$ref": "file:///etc/hostname"}},
    }  # fmt: skip
    found = findings(document)
    assert [f.text.split(" leads ")[0] for f in found] == [
        "'http://127.0.0.1:1/a.json'", "'file:///etc/hostname'"
    ]  # fmt: skip
    assert structure(document) == []


def test_examples_of_openapi_3_0_are_not_judged(document: dict[str, Any]) -> None:
    """Its schemas are no JSON Schema: ``nullable`` would be a false alarm."""
    document["openapi"] = "3.0.4"
    del document["webhooks"]
    _order(document)["properties"]["id"]["nullable"] = True
    _order(document)["example"] = {"id": None}
    del _order(document)["examples"]
    _callback(document)[KEY]["post"]["responses"] = {"200": {"description": "Fine"}}
    assert findings(document) == []
    assert structure(document) == []


def test_strange_documents_are_survived() -> None:
    """What stands where an object should is passed over: it is the validator's business."""
    strange: dict[str, Any] = {
        "openapi": "3.1.1", "paths": {"/a": 1, "/b": {"get": [], "parameters": {}}},
        "webhooks": {"c": {"post": {"callbacks": [1], "parameters": [1], "security": 3}}},
        "components": {"schemas": [1]}, "security": ["x"],
    }  # fmt: skip
    assert findings(strange) == []
    assert structure(strange) != []


def test_operations_are_found_behind_references(document: dict[str, Any]) -> None:
    """Each is named as it is called, and stands where it is written."""
    item = document["webhooks"]["paid"]
    document["components"]["pathItems"] = {"Paid": item}
    document["webhooks"]["paid"] = {"$ref": "#/components/pathItems/Paid"}
    assert [(o.kind, o.name, o.method, pointer(o.at)) for o in operations(document)] == [
        ("path", "/shops/{shop}/orders", "POST", "/paths/~1shops~1{shop}~1orders/post"),
        ("callback", "onOrder", "POST", f"{CALLBACK}/{{$request.body#~1url}}/post"),
        ("webhook", "paid", "POST", "/components/pathItems/Paid/post"),
    ]


def test_an_operations_parameter_hides_that_of_its_path_item() -> None:
    """Same name and place: the nearer one counts."""
    item = {
        "parameters": [
            {"in": "query", "name": "a", "deprecated": True}, {"in": "query", "name": "b"}
        ],
        "get": {"parameters": [{"in": "query", "name": "a"}]},
    }  # fmt: skip
    document = {"paths": {"/x": item}}
    [found] = operations(document)
    assert [p for _, p in parameters(document, found)] == [
        {"in": "query", "name": "a"}, {"in": "query", "name": "b"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "at, plain, escaped",
    [
        ((), "", "#"),
        (("paths", "/a~b"), "/paths/~1a~0b", "#/paths/~1a~0b"),
        (("a b", KEY), "/a b/{$request.body#~1url}", "#/a%20b/%7B$request.body%23~1url%7D"),
        (("100%",), "/100%", "#/100%25"),
    ],
)
def test_pointers_are_escaped(at: tuple[str, ...], plain: str, escaped: str) -> None:
    """RFC 6901 as text, and as a URI fragment."""
    assert (pointer(at), fragment(at)) == (plain, escaped)


@pytest.mark.parametrize("value", [{"$ref": "#/a"}, {"$ref": "#/x"}, {"$ref": "http://x"}, 3])
def test_what_leads_nowhere_is_an_empty_object(value: Any) -> None:
    """A circle, a dangling reference, another document and no object at all."""
    assert resolved({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}, value, ("z",)) in (
        ({}, ("z",)), ({}, ("b",)), ({}, ("a",))
    )  # fmt: skip


# flask webhooks check


class Order(Schema):
    id = fields.String(required=True)


@pytest.fixture
def check(app: Flask, webhooks: Webhooks) -> Any:
    """Runs the command for a small app."""
    webhooks.webhook("paid", Order, examples={"one": {"id": "1"}})

    @app.post("/orders")
    @webhooks.callback("onOrder", "{$request.body#/url}", Order)
    def order() -> None: ...

    webhooks.init_app(app)

    def run(*arguments: str, **more: Any) -> Result:
        return app.test_cli_runner().invoke(args=["webhooks", "check", *arguments], **more)

    return run


def test_a_valid_app_is_told_so(check: Any) -> None:
    """The counts are of paths, webhooks and callbacks, and the exit status is 0."""
    result = check()
    assert result.output == "The document is valid: 1 path, 1 webhook, 1 callback.\n"
    assert result.exit_code == 0


def test_findings_name_the_line_that_declared_them(check: Any, webhooks: Webhooks) -> None:
    """One line for each, with the place in the source; the exit status is 1."""
    links = {"a": {"operationId": "free"}, "b": {"operationRef": "#/paths/~1free"}}
    webhooks.webhook("held", Order, responses={200: {"links": links}})
    result = check()
    at = webhooks["held"].place
    assert result.output == (
        "/webhooks/held/post/responses/200/links/a/operationId: No operation has the operationId "
        f"'free'. (declared at {at})\n"
        "/webhooks/held/post/responses/200/links/b/operationRef: '#/paths/~1free' leads nowhere. "
        f"(declared at {at})\n"
    )
    assert result.exit_code == 1


def test_a_declaration_that_cannot_be_described_is_one_message(
    check: Any, webhooks: Webhooks
) -> None:
    """What the document can't be built from is told as it is everywhere; the exit status is 1."""
    webhooks.callback("nobody", "{$request.body#/url}", Order)
    result = check()
    assert result.output.startswith("Error: Callback 'nobody', declared at ")
    assert result.exit_code == 1


def test_a_file_is_checked_instead(check: Any, tmp_path: Path) -> None:
    """FILE is judged, a byte order mark or not, and ``-`` is stdin."""
    file = tmp_path / "merged.json"
    file.write_text("\ufeff" + json.dumps(GOOD), "utf-8")
    assert check(str(file)).output.startswith("The document is valid: 1 path, ")
    broken = {**GOOD, "security": [{"x": []}]}
    result = check("-", input=json.dumps(broken))
    assert result.output == (
        "/security/0: The security scheme 'x' is not in components.securitySchemes.\n"
    )
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "text, told",
    [
        ("openapi: 3.1.1", "stdin is no JSON: Expecting value: line 1 column 1 (char 0). Give "),
        ("[]", "stdin is no OpenAPI 3 document: it has no field 'openapi'."),
        ('{"swagger": "2.0"}', "stdin is no OpenAPI 3 document: it has no field 'openapi'."),
        ("[" * 100_000, "stdin is no JSON: "),
    ],
)
def test_what_is_no_document_is_refused(check: Any, text: str, told: str) -> None:
    """A wrong file is a mistake in the command: exit status 2."""
    result = check("-", input=text)
    assert told in result.output
    assert result.exit_code == 2


def test_without_the_validator_the_rest_is_checked(
    check: Any, webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the exit status is 2, and the command to type is named."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec",
        lambda name, *a: None if name == "openapi_spec_validator" else found(name, *a),
    )  # fmt: skip
    webhooks.webhook("held", Order, responses={200: {"links": {"a": {"operationId": "free"}}}})
    result = check()
    assert "No operation has the operationId 'free'." in result.stdout
    assert result.stderr == (
        "The structure was not checked: openapi-spec-validator is not installed. Install it: "
        "pip install 'Flask-Webhooks[check]'\n"
    )
    assert result.exit_code == 2
