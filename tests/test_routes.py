"""Views of every kind in the URL map: paths, parameters, methods, and the marks that they carry."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.views import MethodView, View
from marshmallow import Schema, fields
from werkzeug.routing import BaseConverter, IntegerConverter, Map, UnicodeConverter

from flask_webhooks import DeclarationError, Webhooks
from flask_webhooks.describe.parameters import schema_of
from flask_webhooks.describe.routes import Route, distinct, routes


class Booking(Schema):
    """A seat in a train."""

    id = fields.String(required=True)


def shown(app: Flask) -> list[tuple[str, str, list[str]]]:
    """Method, path and the webhooks that are emitted, of each route."""
    return [
        (route.method, route.path, [webhook.name for webhook in route.emits])
        for route in routes(app)
    ]


def only(app: Flask) -> Route:
    """The one route of an app."""
    (route,) = routes(app)
    return route


class Plain(BaseConverter):
    """A converter that takes what the base takes."""


class Code(BaseConverter):
    """A converter with a regular expression."""

    regex = "[A-Z]{2,3}|[0-9]{4}"


class Odd(BaseConverter):
    """A converter whose regular expression has no form elsewhere."""

    regex = "(?P<a>x)(?P=a)"


class Said(BaseConverter):
    """A converter that says what it takes."""

    json_schema = {"type": "string", "format": "iban"}


class Asked(BaseConverter):
    """A converter that says it when asked."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "maximum": 9}


class Regex(BaseConverter):
    """A converter whose rule gives the regular expression."""

    def __init__(self, map: Any, regex: str) -> None:
        super().__init__(map)
        self.regex = regex


class Year(IntegerConverter):
    """A converter that builds on another."""

    regex = r"\d{4}"


class Word(UnicodeConverter):
    """Another one."""


@pytest.mark.parametrize(
    ("variable", "schema"),
    [
        ("<it>", {"type": "string", "minLength": 1}),
        ("<string:it>", {"type": "string", "minLength": 1}),
        ("<string(length=2):it>", {"type": "string", "minLength": 2, "maxLength": 2}),
        ("<string(minlength=2,maxlength=5):it>",
         {"type": "string", "minLength": 2, "maxLength": 5}),
        ("<string(maxlength=5):it>", {"type": "string", "minLength": 1, "maxLength": 5}),
        ("<path:it>", {"type": "string", "minLength": 1}),
        ("<int:it>", {"type": "integer", "minimum": 0}),
        ("<int(min=3,max=9):it>", {"type": "integer", "minimum": 3, "maximum": 9}),
        ("<int(signed=True):it>", {"type": "integer"}),
        ("<int(fixed_digits=4):it>",
         {"type": "string", "pattern": r"^(?:\d+)$", "minLength": 4, "maxLength": 4}),
        ("<float:it>", {"type": "number", "minimum": 0}),
        ("<float(max=1.5,signed=True):it>", {"type": "number", "maximum": 1.5}),
        ("<uuid:it>", {"type": "string", "format": "uuid"}),
        ("<any(help, about):it>", {"type": "string", "enum": ["about", "help"]}),
        ('<any("a:b","c,d>e",f):it>', {"type": "string", "enum": ["a:b", "c,d>e", "f"]}),
        ("<plain:it>", {"type": "string", "minLength": 1}),
        ("<code:it>", {"type": "string", "pattern": "^(?:[A-Z]{2,3}|[0-9]{4})$"}),
        ('<regex("[a-z]{2,}/x"):it>', {"type": "string", "pattern": "^(?:[a-z]{2,}/x)$"}),
        ("<odd:it>", {"type": "string"}),
        ("<said:it>", {"type": "string", "format": "iban"}),
        ("<asked:it>", {"type": "integer", "maximum": 9}),
        ("<year:it>", {"type": "integer", "minimum": 0}),
        ("<word:it>", {"type": "string", "pattern": "^(?:[^/]{1,})$"}),
    ],
)  # fmt: skip
def test_a_converter_becomes_a_path_parameter(
    webhooks: Webhooks, app: Flask, variable: str, schema: dict[str, Any]
) -> None:
    """Type and bounds are those that the rule enforces."""
    for kind in (Plain, Code, Odd, Said, Asked, Regex, Year, Word):
        app.url_map.converters[kind.__name__.lower()] = kind
    app.get(f"/a/{variable}/b")(webhooks.operation()(lambda it: ""))
    route = only(app)
    assert route.path == "/a/{it}/b"
    assert route.parameters == ({"name": "it", "in": "path", "required": True, "schema": schema},)


def test_a_bound_below_zero_counts_where_a_sign_is_allowed() -> None:
    """A rule can't say it, but a converter made in Python can."""
    assert schema_of(IntegerConverter(Map(), min=-3)) == {"type": "integer", "minimum": 0}
    signed = IntegerConverter(Map(), min=-3, signed=True)
    assert schema_of(signed) == {"type": "integer", "minimum": -3}


def test_variables_of_the_host_are_none_of_the_path(webhooks: Webhooks, app: Flask) -> None:
    """A subdomain's variable is no path parameter; a brace or a bar in the path is only text."""
    app.get("/a{b}|c/<key>", subdomain="<tenant>")(webhooks.operation()(lambda **values: ""))
    assert only(app).path == "/a%7Bb%7D|c/{key}"
    assert [parameter["name"] for parameter in only(app).parameters] == ["key"]


def test_rules_of_one_view_on_one_path_become_one(webhooks: Webhooks, app: Flask) -> None:
    """Where they differ in their converters, the parameter may be either."""
    marked = webhooks.operation()(lambda it: "")
    for rule in ("/a/<int:it>", "/a/<uuid:it>", "/a/<uuid:it>"):
        app.add_url_rule(rule, "it", marked)
    (route,) = distinct(routes(app))
    assert route.parameters[0]["schema"] == {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "uuid"}]
    }


def test_methods_are_those_that_the_view_answers(webhooks: Webhooks, app: Flask) -> None:
    """HEAD and OPTIONS that Flask adds are not shown; those that a view answers itself are."""
    told = webhooks.webhook("told", Booking)
    app.add_url_rule("/a", "a", told(lambda: ""), methods=["GET", "POST"])
    app.add_url_rule("/b", "b", told(lambda: ""), methods=["OPTIONS", "HEAD"])
    assert [found[:2] for found in shown(app)] == [
        ("GET", "/a"),
        ("POST", "/a"),
        ("OPTIONS", "/b"),
        ("HEAD", "/b"),
    ]


def test_decorators_stand_in_any_order(webhooks: Webhooks, app: Flask) -> None:
    """Above or below the route, above or below a wrapper, with or without ``functools.wraps``."""
    told = webhooks.webhook("told", Booking)

    def wraps(view: Any) -> Any:
        @functools.wraps(view)
        def inner(*args: Any, **values: Any) -> Any:
            return view(*args, **values)

        return inner

    def bare(view: Any) -> Any:
        def inner(*args: Any, **values: Any) -> Any:
            return view(*args, **values)

        inner.__wrapped__ = view  # type: ignore[attr-defined]
        inner.__name__ = view.__name__
        return inner

    @app.get("/a")
    @told
    def a() -> str:
        return ""

    @told
    @app.get("/b")
    def b() -> str:
        return ""

    @app.get("/c")
    @wraps
    @told
    def c() -> str:
        return ""

    @app.get("/d")
    @bare
    @told
    def d() -> str:
        return ""

    @app.get("/e")
    @told
    @wraps
    @bare
    def e() -> str:
        return ""

    assert shown(app) == [("GET", f"/{name}", ["told"]) for name in "abcde"]


def test_the_outermost_operation_counts(webhooks: Webhooks, app: Flask) -> None:
    """Through wrappers of any kind, and from the base class down to the method."""

    def bare(view: Any) -> Any:
        def inner() -> str:
            return ""

        inner.__wrapped__ = view  # type: ignore[attr-defined]
        return inner

    outer = webhooks.operation(summary="outer")
    inner = webhooks.operation(summary="inner")
    app.add_url_rule("/a", "a", outer(bare(inner(lambda: ""))))

    @inner
    class Base(MethodView):
        def get(self) -> str:
            return ""

    @outer
    class Child(Base):
        @webhooks.operation(summary="method")
        def post(self) -> str:
            return ""

    app.add_url_rule("/b", view_func=Child.as_view("b"))
    found = {f"{r.method} {r.path}": r.operation for r in routes(app)}
    assert {k: o.documentation.summary for k, o in found.items() if o} == {
        "GET /a": "outer",
        "GET /b": "outer",
        "POST /b": "method",
    }


def test_a_method_view_carries_marks_on_class_method_and_decorators(
    webhooks: Webhooks, app: Flask
) -> None:
    """A mark on a method is that method's alone; any other is all methods'."""
    on_class = webhooks.webhook("class", Booking)
    on_method = webhooks.webhook("method", Booking)
    in_list = webhooks.webhook("list", Booking)

    @on_class
    class Bookings(MethodView):
        decorators = [in_list]

        def get(self) -> str:
            return ""

        @on_method
        async def post(self) -> str:
            return ""

    app.add_url_rule("/bookings", view_func=Bookings.as_view("bookings"))
    assert shown(app) == [
        ("GET", "/bookings", ["class", "list"]),
        ("POST", "/bookings", ["method", "class", "list"]),
    ]
    assert {route.shared for route in routes(app)} == {True}


def test_a_view_class_of_the_old_kind_is_a_view_too(webhooks: Webhooks, app: Flask) -> None:
    """``View`` with ``dispatch_request`` is documented for each of its methods."""

    @webhooks.webhook("told", Booking)
    class Show(View):
        methods = ["GET", "PATCH"]

        def dispatch_request(self) -> str:
            return ""

    app.add_url_rule("/show", view_func=Show.as_view("show"))
    assert [found[:2] for found in shown(app)] == [("GET", "/show"), ("PATCH", "/show")]


def test_async_views_are_views(webhooks: Webhooks, app: Flask) -> None:
    """An ``async def`` view is documented and still answers."""

    @app.get("/later")
    @webhooks.webhook("told", Booking)
    async def later() -> str:
        """Answer later."""
        return "done"

    assert only(app).doc == "Answer later."
    assert app.test_client().get("/later").text == "done"


def test_a_blueprint_registered_twice_is_documented_twice(webhooks: Webhooks, app: Flask) -> None:
    """Each registration has its own path and endpoint, nested ones too."""
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__, url_prefix="/v1")
    inner.post("/x/<int:n>")(webhooks.webhook("told", Booking)(lambda n: ""))
    outer.register_blueprint(inner, url_prefix="/in")
    app.register_blueprint(outer)
    app.register_blueprint(inner, name="again", url_prefix="/again")
    assert [(route.path, route.endpoint) for route in routes(app)] == [
        ("/v1/in/x/{n}", "outer.inner.<lambda>"),
        ("/again/x/{n}", "again.<lambda>"),
    ]


def test_views_without_marks_and_rules_without_views_are_left_out(
    webhooks: Webhooks, app: Flask
) -> None:
    """Only what is declared is described."""
    told = webhooks.webhook("told", Booking)
    app.get("/plain")(lambda: "")
    app.add_url_rule("/build", "build", told(lambda: ""), build_only=True)
    app.add_url_rule("/nothing", "nothing")
    assert routes(app) == []


def test_one_path_for_two_views_is_refused(webhooks: Webhooks, app: Flask) -> None:
    """The message names both endpoints and both places."""
    app.get("/a", endpoint="one")(webhooks.operation()(lambda: ""))
    app.get("/a", endpoint="two")(webhooks.operation()(lambda: ""))
    with pytest.raises(DeclarationError) as told:
        distinct(routes(app))
    assert str(told.value).count("test_routes.py:") == 2
    assert "one (declared at" in str(told.value) and "two (at" in str(told.value)
