"""Declaring marks views and changes nothing else about them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from blinker import Signal
from flask import Blueprint, Flask
from flask.views import MethodView
from marshmallow import Schema, fields

from flask_webhooks import (
    DeclarationError,
    ExpressionError,
    UnknownWebhookError,
    Webhooks,
    WebhooksError,
)


class Thing(Schema):
    name = fields.String(required=True)


MakeApp = Callable[..., Flask]


def test_a_decorator_returns_the_very_same_function(webhooks: Webhooks) -> None:
    """Marking wraps nothing."""

    def view() -> str:
        return ""

    declared = webhooks.webhook("thing", Thing)
    callback = webhooks.callback("onThing", "{$request.query.url}", Thing)

    assert webhooks.operation(summary="A view")(callback(declared(view))) is view


def test_a_declaration_is_found_by_name(webhooks: Webhooks) -> None:
    """``webhooks[name]`` gives the object that the declaration returned."""
    declared = webhooks.webhook("thing", Thing)

    assert webhooks["thing"] is declared
    assert "thing" in webhooks
    assert list(webhooks) == [declared]


def test_an_unknown_name_comes_with_a_guess(webhooks: Webhooks) -> None:
    """A misspelt name raises and names the one that was meant."""
    webhooks.webhook("newBooking", Thing)

    with pytest.raises(UnknownWebhookError, match="Did you mean 'newBooking'"):
        webhooks["newBoking"]


def test_a_name_given_twice_names_both_places(webhooks: Webhooks) -> None:
    """The second declaration of a name raises with file and line of both."""
    webhooks.webhook("thing", Thing)

    with pytest.raises(DeclarationError, match=r"test_declarations\.py:\d+ and at .*:\d+"):
        webhooks.callback("thing", "{$request.query.url}", Thing)


def test_declaring_in_an_app_factory_may_happen_again(make_app: MakeApp) -> None:
    """A factory that declares on a shared instance can make several apps."""
    webhooks = Webhooks()

    def factory() -> Flask:
        app = make_app()
        thing = webhooks.webhook("thing", Thing)

        @app.post("/things")
        @thing
        def view() -> str:
            thing.send({"name": "a"})
            return ""

        webhooks.init_app(app)
        return app

    first, second = factory(), factory()

    for app in (first, second):
        assert app.test_client().post("/things").status_code == 200
        operation = app.test_client().get("/openapi.json").json["paths"]["/things"]["post"]
        assert operation["x-webhooks-emits"] == ["thing"]


def test_a_schema_of_the_factory_itself_is_the_same_again(webhooks: Webhooks) -> None:
    """A factory that defines its schemas anew declares the very same webhook."""

    def factory() -> Any:
        class Own(Schema):
            name = fields.String()

        return webhooks.webhook("own", Own, responses={200: Own})

    assert factory() is factory()


@pytest.mark.parametrize(
    "second",
    [
        {"schema_or_webhook": {"type": "integer"}},
        {"expression": "{$request.query.other}"},
        {"key": "{$request.query.id}"},
        {"summary": "Another"},
    ],
)
def test_a_loop_that_declares_something_else_is_no_factory(
    webhooks: Webhooks, second: dict[str, Any]
) -> None:
    """Two declarations of one name on one line are an error where they say different things."""
    first = {"expression": "{$request.query.url}", "schema_or_webhook": {"type": "string"}}

    with pytest.raises(DeclarationError, match="declared twice"):
        for said in (first, {**first, **second}):
            webhooks.callback("thing", **said)


@pytest.mark.parametrize("name", ["", None, "a\nb", "x" * 201])
def test_a_name_must_be_printable_and_short(webhooks: Webhooks, name: Any) -> None:
    """A name that can't be a key in the document is refused."""
    with pytest.raises(DeclarationError, match="can't name a webhook"):
        webhooks.webhook(name, Thing)


def test_a_bad_expression_is_refused_when_declared(webhooks: Webhooks) -> None:
    """The error shows what to write instead."""
    with pytest.raises(ExpressionError, match=r"Did you mean \{\$request\.body#/url\}"):
        webhooks.callback("onThing", "{$request.body.url}", Thing)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "FETCH"},
        {"when": "20X"},
        {"when": 99},
        {"expires": 0},
        {"responses": {"20x": "fine"}},
    ],
)
def test_an_argument_that_cannot_work_is_refused(
    webhooks: Webhooks, arguments: dict[str, Any]
) -> None:
    """Bad combinations raise when declared."""
    with pytest.raises(DeclarationError):
        webhooks.callback("onThing", "{$request.query.url}", Thing, **arguments)


def _emits(app: Flask, path: str, method: str) -> list[str]:
    document = app.test_client().get("/openapi.json").json
    found: list[str] = document["paths"][path][method]["x-webhooks-emits"]
    return found


def test_marks_are_found_above_and_below_the_route(app: Flask, webhooks: Webhooks) -> None:
    """The order of the decorators is free."""
    above, below = webhooks.webhook("above", Thing), webhooks.webhook("below", Thing)

    @above
    @app.get("/a")
    @below
    def view() -> str:
        return ""

    webhooks.init_app(app)

    assert sorted(_emits(app, "/a", "get")) == ["above", "below"]


def test_marks_survive_other_decorators(app: Flask, webhooks: Webhooks) -> None:
    """A mark inside a wrapper that uses functools.wraps is found, once."""
    thing = webhooks.webhook("thing", Thing)

    def login_required(view: Callable[[], str]) -> Callable[[], str]:
        @functools.wraps(view)
        def wrapper() -> str:
            return view()

        return wrapper

    @app.get("/a")
    @login_required
    @thing
    def view() -> str:
        return ""

    webhooks.init_app(app)

    assert _emits(app, "/a", "get") == ["thing"]


def test_marks_on_a_method_view(app: Flask, webhooks: Webhooks) -> None:
    """A method carries its own marks, the class those of all methods."""
    mine, ours = webhooks.webhook("mine", Thing), webhooks.webhook("ours", Thing)

    @ours
    class Things(MethodView):
        def get(self) -> str:
            return ""

        @mine
        def post(self) -> str:
            return ""

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    webhooks.init_app(app)

    assert _emits(app, "/things", "get") == ["ours"]
    assert sorted(_emits(app, "/things", "post")) == ["mine", "ours"]


def test_an_async_view_captures(app: Flask, webhooks: Webhooks) -> None:
    """A callback on an async view is captured like any other."""

    @app.post("/a")
    @webhooks.callback("onThing", "{$request.query.url}", Thing)
    async def view() -> str:
        return ""

    webhooks.init_app(app)
    answer = app.test_client().post("/a?url=https://example.com/hook")

    assert answer.status_code == 200
    with app.app_context():
        assert [s.url for s in webhooks.subscriptions()] == ["https://example.com/hook"]


def test_a_blueprint_registered_twice(app: Flask, webhooks: Webhooks) -> None:
    """Each registration is documented and captures under its own path."""
    blueprint = Blueprint("things", __name__)

    @blueprint.post("/things")
    @webhooks.callback("onThing", "{$request.query.url}", Thing)
    def view() -> str:
        return ""

    app.register_blueprint(blueprint, url_prefix="/v1")
    app.register_blueprint(blueprint, url_prefix="/v2", name="things2")
    webhooks.init_app(app)
    client = app.test_client()

    assert list(client.get("/openapi.json").json["paths"]) == ["/v1/things", "/v2/things"]
    client.post("/v1/things?url=https://example.com/1")
    client.post("/v2/things?url=https://example.com/2")
    with app.app_context():
        urls = [subscription.url for subscription in webhooks.subscriptions()]
    assert urls == ["https://example.com/2", "https://example.com/1"]


def test_a_callback_on_no_view_is_an_error(app: Flask, webhooks: Webhooks) -> None:
    """What could never be captured is told, with the place where it is declared."""
    webhooks.callback("onThing", "{$request.query.url}", Thing)
    webhooks.init_app(app)

    with app.app_context(), pytest.raises(DeclarationError, match=r"declared at .*:\d+, stands on"):
        webhooks.document()


def test_two_apps_keep_apart(make_app: MakeApp, tmp_path: Any) -> None:
    """One instance serves two apps, each with its own store."""
    webhooks = Webhooks()
    webhooks.webhook("thing", Thing)
    apps = []
    for name in ("one", "two"):
        app = make_app(WEBHOOKS_DATABASE_URI=f"sqlite:///{tmp_path}/{name}.sqlite3")
        webhooks.init_app(app)
        apps.append(app)

    with apps[0].app_context():
        webhooks.subscribe("https://example.com/", ["thing"])
        assert len(webhooks.subscriptions()) == 1
    with apps[1].app_context():
        assert webhooks.subscriptions() == []


def test_init_app_twice_is_an_error(app: Flask, webhooks: Webhooks) -> None:
    """An app has the extension once."""
    webhooks.init_app(app)

    with pytest.raises(WebhooksError, match="already has Flask-Webhooks"):
        Webhooks().init_app(app)


def test_sending_without_an_app_says_what_to_do(webhooks: Webhooks) -> None:
    """Outside of an app context the error names the remedy."""
    thing = webhooks.webhook("thing", Thing)

    with pytest.raises(WebhooksError, match=r"with app\.app_context\(\)"):
        thing.send({"name": "a"})


def test_sending_on_an_app_without_the_extension_says_what_to_do(
    app: Flask, webhooks: Webhooks
) -> None:
    """Without init_app the error names it."""
    thing = webhooks.webhook("thing", Thing)

    with app.app_context(), pytest.raises(WebhooksError, match=r"webhooks\.init_app\(app\)"):
        thing.send({"name": "a"})


def test_payload_without_on_is_an_error(webhooks: Webhooks) -> None:
    """``payload=`` without a signal to adopt maps nothing."""
    with pytest.raises(DeclarationError, match="name it by on="):
        webhooks.webhook("thing", Thing, payload=lambda sender, **extra: {})


def test_an_operation_of_two_signals(app: Flask, webhooks: Webhooks) -> None:
    """The same signal may be adopted by two webhooks."""
    moved = Signal()
    webhooks.webhook("first", Thing, on=moved)
    webhooks.webhook("second", Thing, on=moved)
    webhooks.init_app(app)

    moved.send(app, payload={"name": "a"})

    with app.app_context():
        names = webhooks.document()["webhooks"]
    assert list(names) == ["first", "second"]


def test_a_callback_may_stand_on_a_view_of_another_app(make_app: MakeApp) -> None:
    """Of two apps with the same declarations one may lack the callback's view."""
    webhooks = Webhooks()
    blueprint = Blueprint("orders", __name__)

    @blueprint.post("/orders")
    @webhooks.callback("onThing", "{$request.query.url}", Thing)
    def view() -> str:
        return ""

    public, internal = make_app(), make_app()
    public.register_blueprint(blueprint)
    webhooks.init_app(public)
    webhooks.init_app(internal)

    with internal.app_context():
        webhooks["onThing"].send({"name": "a"})
        assert "paths" not in webhooks.document() or webhooks.document()["paths"] == {}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"extra": ["x-a"]}, r"extra=\['x-a'\]: give an object"),
        ({"extra": {"operationId": 7}}, "the operationId in extra= is no text"),
        ({"parameters": {"name": "a"}}, "give a list of objects"),
        ({"security": ["basic"]}, r"security=\['basic'\]: give a list of objects"),
        ({"operation_id": 7}, "operation_id=7: give a text"),
        ({"examples": [1]}, r"examples=\[1\]: give an object"),
    ],
)
def test_arguments_of_another_kind_are_refused_at_once(
    webhooks: Webhooks, said: dict[str, Any], told: str
) -> None:
    """The error names the argument and says what to give."""
    with pytest.raises(DeclarationError, match=told):
        webhooks.webhook("thing", Thing, **said)
