"""The door as the rooms for people see it is the extension itself, and no wider than they need."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from flask import Flask

import flask_webhooks
from flask_webhooks import ConfigurationError, Webhooks
from flask_webhooks.door import Door, state

ROOMS = [Path(flask_webhooks.__file__).parent / room for room in ("cli", "manage")]
METHODS = [name for name in vars(Door) if callable(getattr(Webhooks, name, None))]
METHODS = [name for name in METHODS if name not in vars(object)]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_that_of_the_extension(name: str) -> None:
    """Each method of the door has the parameters, types and defaults that the extension's has."""
    seen, there = (inspect.signature(getattr(one, name)) for one in (Door, Webhooks))
    defaults = [
        one.replace(default=there.parameters[one.name].default) if one.default is ... else one
        for one in seen.parameters.values()
    ]
    assert seen.replace(parameters=defaults) == there


def test_the_door_is_no_wider_than_its_rooms_need() -> None:
    """Each named method of the door is called in ``cli/`` or ``manage/``."""
    used = {
        node.attr
        for room in ROOMS
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and _is_door(node.value)
    }
    assert [name for name in METHODS if not name.startswith("__")] == [
        name for name in METHODS if name in used
    ]


def _is_door(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in ("webhooks", "door", "_door")


def test_an_app_without_the_extension_is_named() -> None:
    """Where ``init_app`` was not called, the error names the app and says to call it."""
    app = Flask("shop")
    with app.app_context(), pytest.raises(ConfigurationError) as caught:
        state()
    assert str(caught.value) == "shop knows no webhooks yet: call webhooks.init_app(app) first."
