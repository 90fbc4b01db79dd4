"""Filters and patterns: who gets a message, and what is refused when it could never hold."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_webhooks import FilterError, UnknownWebhookError, Webhooks
from flask_webhooks.exceptions import DeclarationError
from flask_webhooks.rules.filter_checks import check_filter
from flask_webhooks.rules.filters import passes
from flask_webhooks.rules.patterns import distinct, matches, patterns_of

PAYLOAD = {
    "total": 120.5, "paid": True, "note": None, "country": "DE",
    "customer": {"name": "Ann", "tags": ["new", "vip"]},
    "lines": [{"sku": "A", "count": 1}, {"sku": "B", "count": 7}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"country": "DE"}, True),
        ({"country": "FR"}, False),
        ({"country": ["FR", "DE"]}, True),
        ({"country": {"ne": "FR"}, "total": {"gte": 100, "lt": 121}}, True),
        ({"total": {"gt": 120.5}}, False),
        ({"total": {"gt": "100"}}, False),
        ({"paid": 1}, False),
        ({"paid": True}, True),
        ({"note": None}, True),
        ({"note": {"exists": True}}, True),
        ({"missing": {"exists": False}}, True),
        ({"missing": None}, False),
        ({"customer.name": "Ann"}, True),
        ({"customer.tags": "vip"}, True),
        ({"customer.tags": "old"}, False),
        ({"lines.sku": "B"}, True),
        ({"lines.count": {"gt": 7}}, False),
        ({"country.name": "DE"}, False),
        ({"country": {"gte": "AA", "lte": "EE"}}, True),
    ],
)
def test_a_payload_passes_or_not(given: dict[str, Any], expected: bool) -> None:
    """Every key must hold; in a list, of one item."""
    assert passes(given, PAYLOAD) is expected


def test_patterns_are_prefixes_up_to_a_dot() -> None:
    """``a.*`` stands for all that begins with ``a.``, and for nothing else."""
    assert patterns_of("a.b.c") == ["a.b.c", "*", "a.*", "a.b.*"]
    assert [matches("a.*", name) for name in ("a.b", "a.b.c", "a", "ab", "b.a")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert distinct(["a.b", "c", "a.*", "a.b.*", "c"]) == ["c", "a.*"]
    assert distinct(["a", "*"]) == ["*"]


class Line(Schema):
    """A line of an order."""

    sku = fields.String(required=True)


class Order(Schema):
    """An order."""

    country = fields.String(required=True)
    total = fields.Float(required=True)
    lines = fields.List(fields.Nested(Line))
    extra = fields.Dict()


class Shop:
    """Three webhooks, and who got what."""

    def __init__(self, folder: Path) -> None:
        self.webhooks = Webhooks()
        for name in ("order.paid", "order.sent.late"):
            self.webhooks.webhook(name, Order)
        self.webhooks.webhook("ping", {"type": "object"})
        app = Flask("shop", instance_path=str(folder))
        app.config["TESTING"] = True
        self.webhooks.init_app(app)
        self.app = app

    def reached(self, name: str, payload: Any) -> list[str]:
        """The paths that a message goes to."""
        message = self.webhooks[name].send(payload)
        self.app.extensions["webhooks"].worker.intake.fan_out()
        found = self.webhooks.deliveries(message=message)
        return sorted(one.url.rpartition("/")[2] for one in found)


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    """A shop, in its app's context."""
    made = Shop(tmp_path)
    with made.app.app_context():
        yield made


def test_a_subscription_gets_what_its_pattern_stands_for(shop: Shop) -> None:
    """Also by two names that say the same it gets a message once."""
    url = "https://a.example/"
    shop.webhooks.subscribe(url + "orders", ["order.*", "order.paid"])
    shop.webhooks.subscribe(url + "late", ["order.sent.*"])
    shop.webhooks.subscribe(url + "all", ["*", "ping"])
    order = {"country": "DE", "total": 5}
    assert shop.reached("order.paid", order) == ["all", "orders"]
    assert shop.reached("order.sent.late", order) == ["all", "late", "orders"]
    assert shop.reached("ping", {}) == ["all"]


def test_a_subscription_gets_what_passes_its_filter(shop: Shop) -> None:
    """Those without a filter get all."""
    url = "https://a.example/"
    shop.webhooks.subscribe(url + "all", ["order.paid"])
    shop.webhooks.subscribe(url + "german", ["order.*"], filter={"country": "DE"})
    shop.webhooks.subscribe(url + "large", ["order.paid"], filter={"total": {"gte": 100}})
    shop.webhooks.subscribe(url + "sku", ["order.paid"], filter={"lines.sku": "A"})
    large = {"country": "DE", "total": 100, "lines": [{"sku": "A"}]}
    assert shop.reached("order.paid", large) == ["all", "german", "large", "sku"]
    assert shop.reached("order.paid", {"country": "FR", "total": 1}) == ["all"]
    assert shop.webhooks.subscriptions(name="order.*")[0].filter == {"country": "DE"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"contry": "DE"},
            "has no field 'contry'. Did you mean 'country'? It has: country, extra, lines, total.",
        ),
        ({"lines.skew": "A"}, "has no field 'lines.skew'. It has: sku."),
        ({"country.code": "DE"}, "has no field 'country.code'. There is nothing in it."),
        ({"total": "100"}, 'is of type number: "100" never stands there'),
        ({"total": {"gt": True}}, "is of type number: true never stands there"),
        ({"total": {"in": ["a", None]}}, "is of type number: "),
        ({"lines": "A"}, "is of type object: "),
        ({"total": {"in": []}}, "with one at least"),
        ({"total": float("nan")}, "a plain value"),
        ({"total": {"exists": False, "gt": 5}}, "can't be compared"),
        ({"total": {"over": 5}}, "'over' is no comparison"),
        ({"total": {}}, "say what must stand there"),
        ({"total": {"in": 5}}, "a list of plain values"),
        ({"total": {"gt": []}}, "a plain value"),
        ({"total": {"exists": 1}}, "true or false"),
        ({}, "not empty"),
        ([], "not empty"),
        ({"country": "x" * 5000}, "more than 4000 characters"),
    ],
)
def test_a_filter_that_cannot_hold_is_refused(shop: Shop, given: Any, said: str) -> None:
    """The error names the field and what there is."""
    with pytest.raises(FilterError) as refused:
        shop.webhooks.subscribe("https://a.example/", ["order.paid"], filter=given)
    assert said in str(refused.value)


def test_a_filter_may_look_where_the_schema_says_nothing(shop: Shop) -> None:
    """Into an open object, and into a payload that may be anything."""
    shop.webhooks.subscribe("https://a.example/", ["order.paid"], filter={"extra.any": 1})
    shop.webhooks.subscribe("https://b.example/", ["ping"], filter={"any.thing": 1})
    assert shop.reached("ping", {"any": {"thing": 1}}) == [""]


def test_a_pattern_that_nothing_matches_is_refused(shop: Shop) -> None:
    """And no webhook may be called as a pattern is."""
    with pytest.raises(UnknownWebhookError, match=r"No webhook matches 'booking\.\*'"):
        shop.webhooks.subscribe("https://a.example/", ["booking.*"])
    with pytest.raises(DeclarationError, match="means all that match it"):
        shop.webhooks.webhook("order.*")


TREE = {
    "Node": {
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"]},
            "next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]},
            "kids": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Card": {"type": "object", "properties": {"card": {"type": "string"}}},
    "Cash": {"type": "object", "properties": {"cash": {"type": "number"}}},
    "Paid": {
        "oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Cash"}]
    },
    "Open": {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("component", "given", "holds"),
    [
        ("Node", {"next.next.name": "x"}, True),
        ("Node", {".".join(["next"] * 40) + ".name": "x"}, True),
        ("Node", {"kids.kids.nam": "x"}, False),
        ("Node", {"kids.tags": "x"}, True),
        ("Node", {"kids.tags": 5}, False),
        ("Node", {"name": None}, True),
        ("Node", {"name.first": "x"}, False),
        ("Paid", {"card": "x"}, True),
        ("Paid", {"cash": 5}, True),
        ("Paid", {"cheque": 5}, False),
        ("Open", {"b": "x"}, True),
        ("Gone", {"b": "x"}, True),
    ],
)
def test_a_filter_follows_the_schema(component: str, given: Any, holds: bool) -> None:
    """Through references to itself, lists and alternatives; and no further than it says."""
    schema = {"paid": {"$ref": f"#/components/schemas/{component}"}}
    with nullcontext() if holds else pytest.raises(FilterError):
        check_filter(given, schema, TREE)
