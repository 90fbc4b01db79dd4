"""``describe/references.py`` and ``describe/definitions.py``: what ``$ref`` and its kin lead to."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_webhooks import Webhooks
from flask_webhooks.describe.definitions import hoisted
from flask_webhooks.describe.references import lookup, references, rewritten, unanchored
from flask_webhooks.exceptions import DeclarationError


@pytest.mark.parametrize(
    "value, found",
    [
        ({"$ref": "#/a"}, ["#/a"]),
        ({"properties": {"$ref": {"$ref": "#/b"}}}, ["#/b"]),
        ({"default": {"$ref": "#/c"}, "examples": [{"$ref": "#/d"}]}, []),
        ({"examples": {"one": {"$ref": "#/e"}, "two": {"value": {"$ref": "#/f"}}}}, ["#/e"]),
        ({"discriminator": {"propertyName": "k", "mapping": {"a": "#/g", "b": "Cat"}}},
         ["#/components/schemas/Cat", "#/g"]),
        ({"discriminator": {"mapping": {"a": "other.json#/Cat", "b": 1}}}, ["other.json#/Cat"]),
        ({"properties": {"discriminator": {"mapping": {"a": "b"}}}}, []),
        ({"discriminator": "kind"}, []),
    ],
)  # fmt: skip
def test_what_refers_is_found(value: Any, found: list[str]) -> None:
    """Discriminators and examples refer, data and names of properties don't."""
    assert sorted(references(value)) == found


@pytest.mark.parametrize(
    "value, changed",
    [
        ({"$ref": "#/a"}, {"$ref": "#/a!"}),
        ({"examples": {"one": {"$ref": "#/e", "summary": "s"}}},
         {"examples": {"one": {"$ref": "#/e!", "summary": "s"}}}),
        ({"discriminator": {"propertyName": "k", "mapping": {"a": "Cat", "b": "#/g"}}},
         {"discriminator": {"propertyName": "k",
                            "mapping": {"a": "#/components/schemas/Cat!", "b": "#/g!"}}}),
        ({"const": {"$ref": "#/a"}}, {"const": {"$ref": "#/a"}}),
    ],
)  # fmt: skip
def test_what_refers_is_changed(value: Any, changed: Any) -> None:
    """Everything that is found can be changed, and nothing else is."""
    assert rewritten(value, lambda reference: reference + "!") == changed


def test_a_mapping_to_a_name_stays_where_nothing_changes() -> None:
    """A name is not written out for its own sake."""
    value = {"discriminator": {"mapping": {"a": "Cat"}}}
    assert rewritten(value, lambda reference: reference) == value


@pytest.mark.parametrize("reference", ["#anchor", "other.json", "", "/a"])
def test_only_local_pointers_are_looked_up(reference: str) -> None:
    """An anchor is not taken for the whole document."""
    assert lookup({"a": 1}, reference) is None


def test_anchors_become_pointers() -> None:
    """Wherever the anchor stands, its name escaped; data that looks like one is none."""
    root = {
        "$defs": {"a/b c": {"$anchor": "x"}},
        "const": {"$anchor": "y"},
        "allOf": [{"$ref": "#x"}, {"$ref": "#y"}],
    }
    assert unanchored(root)["allOf"] == [{"$ref": "#/$defs/a~1b%20c"}, {"$ref": "#y"}]


def test_definitions_become_components() -> None:
    """Definitions inside of definitions, too; what refers to them follows."""
    place = "#/components/schemas/Order/$defs"
    order = {
        "oneOf": [{"$ref": f"{place}/line"}],
        "discriminator": {"propertyName": "k", "mapping": {"l": f"{place}/line"}},
        "not": {"$ref": f"{place}/line/$defs/a~1b/items"},
        "$defs": {"line": {"$defs": {"a/b": {"items": {"const": 1}}}, "type": "object"}},
    }
    document = {"components": {"schemas": {"Order": order, "OrderLine": {"const": "taken"}}}}
    assert hoisted(document) == {
        "components": {
            "schemas": {
                "Order": {
                    "oneOf": [{"$ref": "#/components/schemas/OrderLine2"}],
                    "discriminator": {
                        "propertyName": "k", "mapping": {"l": "#/components/schemas/OrderLine2"}
                    },
                    "not": {"$ref": "#/components/schemas/OrderLine2A_b/items"},
                },
                "OrderLine": {"const": "taken"},
                "OrderLine2": {"type": "object"},
                "OrderLine2A_b": {"items": {"const": 1}},
            }
        }
    }  # fmt: skip


def test_definitions_with_a_name_of_their_own_stay() -> None:
    """One with an ``$id`` is looked up by it, relative to nothing else."""
    schema = {"$defs": {"a": {"$id": "urn:a"}}}
    assert hoisted({"components": {"schemas": {"A": schema}}}) == {
        "components": {"schemas": {"A": schema}}
    }


def test_a_discriminator_in_a_schema_of_ones_own_leads_into_its_component(
    app: Flask, webhooks: Webhooks
) -> None:
    """A mapping to ``#/$defs/…`` is led to the document, as a ``$ref`` is."""
    schema = {
        "oneOf": [{"$ref": "#/$defs/cat"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/cat"}},
        "$defs": {"cat": {"type": "object"}},
    }
    webhooks.webhook("pet", schema)
    webhooks.init_app(app)
    with app.app_context():
        document = webhooks.document()
    shown = document["components"]["schemas"]["Pet"]
    target = shown["discriminator"]["mapping"]["cat"]
    assert target == shown["oneOf"][0]["$ref"]
    assert lookup(document, target) == ({"type": "object"},)


def test_a_discriminator_that_leads_nowhere_is_refused(app: Flask, webhooks: Webhooks) -> None:
    """It is told as any other reference is."""
    webhooks.webhook("pet", {"discriminator": {"propertyName": "k", "mapping": {"cat": "Cat"}}})
    webhooks.init_app(app)
    with app.app_context(), pytest.raises(DeclarationError) as refused:
        webhooks.document()
    assert "The reference '#/components/schemas/Cat' in components.schemas.Pet leads nowhere" in (
        str(refused.value)
    )
