"""Runtime expressions: the grammar, what an error says, what live traffic gives, what never can."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import abnf
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flask_webhooks.exceptions import ExpressionError
from flask_webhooks.rules.evaluate import Body, Exchange, Unresolved, evaluate, value_of
from flask_webhooks.rules.expressions import Expression, Part, Source, Template, impossible, parse

# ---------------------------------------------------------------------------------------- grammar


@pytest.mark.parametrize(
    ("text", "where", "part", "name", "pointer"),
    [
        ("$url", "url", None, None, None),
        ("$method", "method", None, None, None),
        ("$statusCode", "statusCode", None, None, None),
        ("$request.header.accept", "request", "header", "accept", None),
        ("$request.header.X-A.b_c!#$%&'*+^`|~", "request", "header", "X-A.b_c!#$%&'*+^`|~", None),
        ("$response.header.Location", "response", "header", "Location", None),
        ("$request.query.a.b", "request", "query", "a.b", None),
        ("$request.query.filter[url]", "request", "query", "filter[url]", None),
        ("$request.query.é", "request", "query", "é", None),
        ("$request.query.", "request", "query", "", None),
        ("$request.query.a b", "request", "query", "a b", None),
        (r"$request.query.a\"b\\c\u007Dd\/", "request", "query", 'a"b\\c}d/', None),
        ("$request.path.", "request", "path", "", None),
        ("$request.path.eventId", "request", "path", "eventId", None),
        ("$request.body", "request", "body", None, ()),
        ("$request.body#", "request", "body", None, ()),
        ("$request.body#/", "request", "body", None, ("",)),
        ("$request.body#//a", "request", "body", None, ("", "a")),
        ("$request.body#/a.b/0/-", "request", "body", None, ("a.b", "0", "-")),
        ("$request.body#/a~1b/~0/~01", "request", "body", None, ("a/b", "~", "~1")),
        ("$request.body#/a%20b", "request", "body", None, ("a%20b",)),
        ("$request.body#/a#b\n", "request", "body", None, ("a#b\n",)),
        ("$response.body#/id", "response", "body", None, ("id",)),
    ],
)
def test_bare_expressions(
    text: str, where: Source, part: Part | None, name: str | None, pointer: tuple[str, ...] | None
) -> None:
    """Every form of the grammar gives its source, its part, and the decoded name or pointer."""
    assert parse("{" + text + "}", url=False).parts == (
        Expression(text=text, where=where, part=part, name=name, pointer=pointer),
    )


class Oracle(abnf.Rule):
    """The grammar as the specification prints it; ``char`` is renamed, for ABNF has a ``CHAR``."""


Oracle.load_grammar(
    "\r\n".join(
        [
            'expression = %s"$url" / %s"$method" / %s"$statusCode"'
            ' / %s"$request." source / %s"$response." source',
            "source = header-reference / query-reference / path-reference / body-reference",
            'header-reference = %s"header." token',
            'query-reference = %s"query." name',
            'path-reference = %s"path." name',
            'body-reference = %s"body" [ "#" json-pointer ]',
            'json-pointer = *( "/" reference-token )',
            "reference-token = *( unescaped / escaped )",
            "unescaped = %x00-2E / %x30-7D / %x7F-10FFFF",
            'escaped = "~" ( "0" / "1" )',
            "name = *( json-char )",
            "json-char = %x20-21 / %x23-5B / %x5D-10FFFF / %x5C ( %x22 / %x5C / %x2F / %x62"
            " / %x66 / %x6E / %x72 / %x74 / %x75 4HEXDIG )",
            "token = 1*tchar",
            'tchar = "!" / "#" / "$" / "%" / "&" / "\'" / "*" / "+" / "-" / "." / "^" / "_"'
            ' / "`" / "|" / "~" / DIGIT / ALPHA',
            "",
        ]
    )
)


def in_specification(text: str) -> bool:
    try:
        Oracle("expression").parse_all(text)
    except abnf.ParseError:
        return False
    return not text.startswith(("$response.query.", "$response.path."))


def is_read(text: str) -> bool:
    try:
        return parse(text, url=False).parts == parse("{" + text + "}", url=False).parts
    except ExpressionError:
        return False


SOURCES = ["$url", "$method", "$statusCode", "$request.", "$response.", "$Request.", "$", ""]
PARTS = ["header.", "query.", "path.", "body", "body#", "body#/", "Body", "headers.", "body.", ""]
REST = st.text(alphabet='aZ0é.~01/\\"u#- $\n\x7f\U0001f600') | st.text(
    st.characters(exclude_characters="{}", exclude_categories=["Cs"])
)


@settings(max_examples=400, deadline=None)
@given(st.tuples(st.sampled_from(SOURCES), st.sampled_from(PARTS), REST).map("".join))
@example("$request.body#/~2")
@example("$request.query.\\u12g4")
@example("$request.header.")
@example("$statusCode.")
@example("$URL")
def test_grammar_is_the_specification(text: str) -> None:
    """A text without braces is read exactly when the specification's ABNF has it, in its case."""
    assert is_read(text) == in_specification(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}$request.body#/~a") | st.text(), st.booleans())
def test_parse_keeps_the_text_or_refuses(text: str, url: bool) -> None:
    """Any text is either read, and its parts put together are the text, or an ExpressionError."""
    try:
        template = parse(text, url=url)
    except ExpressionError:
        return
    parts = [part if isinstance(part, str) else "{" + part.text + "}" for part in template.parts]
    assert template.text == text
    assert "".join(parts) in (text, "{" + text + "}")


# -------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("$request.body#/url", ["$request.body#/url"]),
        ("{$request.body#/url}", ["$request.body#/url"]),
        ("https://example.com/hook", ["https://example.com/hook"]),
        ("HTTP://example.com", ["HTTP://example.com"]),
        ("https://example.com/$id?$filter=a", ["https://example.com/$id?$filter=a"]),
        (
            "http://example.com?event={$method}&id={$request.path.id}#x",
            ["http://example.com?event=", "$method", "&id=", "$request.path.id", "#x"],
        ),
        ("{$url}{$request.query.q}", ["$url", "$request.query.q"]),
        ("https://{$request.body#/host}/x", ["https://", "$request.body#/host", "/x"]),
        ("http{$request.query.s}://a.example", ["http", "$request.query.s", "://a.example"]),
    ],
)
def test_templates(key: str, parts: list[str]) -> None:
    """A key is a bare expression, a constant URL, or text whose expressions end at the first }."""
    template = parse(key)
    assert template.text == key
    assert [part if isinstance(part, str) else part.text for part in template.parts] == parts
    assert template.expressions == tuple(p for p in template.parts if not isinstance(p, str))


@pytest.mark.parametrize(
    ("key", "response", "request_body", "response_body"),
    [
        ("https://example.com", False, False, False),
        ("$request.query.url", False, False, False),
        ("$request.body#/url", False, True, False),
        ("$response.header.location", True, False, False),
        ("$response.body#/url", True, False, True),
        ("{$url}/{$statusCode}", True, False, False),
        ("{$request.body}/{$response.body}", True, True, True),
    ],
)
def test_what_a_template_needs(
    key: str, response: bool, request_body: bool, response_body: bool
) -> None:
    """It needs the response for $response and $statusCode, and a body only for that body."""
    template = parse(key)
    assert template.needs_response is response
    assert template.needs_request_body is request_body
    assert template.needs_response_body is response_body


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "{$request.body.callbackUrl}",
            """\
This can't work as a callback URL: after "body" comes "#" and a JSON pointer, as in body#/id.

    {$request.body.callbackUrl}
                  ^
Did you mean {$request.body#/callbackUrl}?""",
        ),
        (
            "/orders/{$request.path.id}",
            """\
This can't work as a callback URL: it can never be a URL: start with an expression, "https://" or \
"http://".

    /orders/{$request.path.id}
    ^""",
        ),
        (
            "https://a.example/{$request.body#/a\n~2}",
            """\
This can't work as a callback URL: a JSON pointer has "~0" for "~" and "~1" for "/", and no other \
"~".

    https://a.example/{$request.body#/a\\n~2}
                                         ^
Did you mean https://a.example/{$request.body#/a
~02}?""",
        ),
        ("", "This can't work as a callback URL: it is empty."),
    ],
)
def test_whole_error(key: str, message: str) -> None:
    """An error says what is wrong, points at it with a caret, and says what was probably meant."""
    with pytest.raises(ExpressionError) as caught:
        parse(key)
    assert str(caught.value) == message


def error(key: str, *, url: bool = True) -> tuple[str, int, str]:
    """The problem, the caret's offset in the key, and the guesses."""
    with pytest.raises(ExpressionError) as caught:
        parse(key, url=url)
    problem, _, _, caret, *hint = str(caught.value).split("\n")
    guesses = hint[0].removeprefix("Did you mean ").removesuffix("?") if hint else ""
    return problem.partition(": ")[2], caret.index("^") - 4, guesses


SOURCE = 'after "$" comes url, method, statusCode, request or response.'
PART = 'after "$request." comes header, query, path or body.'
BODY = 'after "body" comes "#" and a JSON pointer, as in body#/id.'
NEVER = 'it can never be a URL: start with an expression, "https://" or "http://".'
DOLLAR = 'an expression starts with "$".'
ANOTHER = 'there is another "{" before this one is closed.'
BRACES = "an expression beside other text stands in braces, one pair for each."
COOKIE = "an expression can't read cookies, only header, query, path and body."
ESCAPE = "'\"' can't stand in a query name; escape it as in JSON."
PLURAL = '"header" is written without an "s".'


@pytest.mark.parametrize(
    ("key", "problem", "at", "guesses"),
    [
        ("$request.body.callbackUrl", BODY, 13, "{$request.body#/callbackUrl}"),
        ("{$request.body/callbackUrl}", BODY, 14, "{$request.body#/callbackUrl}"),
        ("{$request.body.a.b}", BODY, 14, "{$request.body#/a/b}"),
        ("{$request.body['a'][0]}", BODY, 14, "{$request.body#/a/0}"),
        ("{$request.body#url}", 'a JSON pointer starts with "/".', 15, "{$request.body#/url}"),
        ("{request.body#/x}", DOLLAR, 1, "{$request.body#/x}"),
        ("request.body#/x", NEVER, 0, "{$request.body#/x}"),
        ("{ $request.body#/x }", DOLLAR, 1, "{$request.body#/x}"),
        (
            "$callback_url",
            SOURCE,
            1,
            "{$request.body#/callback_url} or {$request.query.callback_url}",
        ),
        (
            "{$callback_url}/invoices/{$request.body.id}",
            SOURCE,
            2,
            "{$request.body#/callback_url}/invoices/{$request.body#/id} or "
            "{$request.query.callback_url}/invoices/{$request.body#/id}",
        ),
        (
            "https://a.example/{id}",
            DOLLAR,
            19,
            "https://a.example/{$request.body#/id} or https://a.example/{$request.path.id}",
        ),
        (
            "{$response.cookie.x}",
            COOKIE,
            11,
            "{$response.header.set-cookie} or {$response.body#/x}",
        ),
        ("{$request.cookies.x}", COOKIE, 10, "{$request.header.cookie} or {$request.body#/x}"),
        ("{$request.headers.X-Url}", PLURAL, 16, "{$request.header.X-Url}"),
        ("{$request.headers['X-Url']}", PLURAL, 16, "{$request.header.X-Url}"),
        ("{$Request.Body#/x}", SOURCE, 2, "{$request.body#/x}"),
        ("$URL", SOURCE, 1, "{$url}"),
        ("{$request.params.x}", PART, 10, "{$request.query.x} or {$request.path.x}"),
        ("{$request.parameters.x}", PART, 10, "{$request.query.x} or {$request.path.x}"),
        ("{$request.form.x}", PART, 10, "{$request.body#/x}"),
        ("{$request.qurey.x}", PART, 10, "{$request.query.x}"),
        ("{$request.url}", PART, 10, "{$url}"),
        ("{$url/x}", 'nothing may follow "$url" in an expression.', 5, "{$url}/x"),
        ("{$body#/x}", SOURCE, 2, "{$request.body#/x}"),
        ("{$query.x}", SOURCE, 2, "{$request.query.x}"),
        ("{$requst.body#/x}", SOURCE, 2, "{$request.body#/x}"),
        ("{$requestBody#/x}", SOURCE, 2, "{$request.body#/x}"),
        (
            "{$response.path.x}",
            "a response has no path, only the request has one.",
            11,
            "{$request.path.x}",
        ),
        (
            "{$response.query.x}",
            "a response has no query, only the request has one.",
            11,
            "{$request.query.x}",
        ),
        ("{$request.header.}", 'after "header" comes "." and a name.', 17, ""),
        ("{$request.header.X Y}", "' ' can't stand in a header name.", 18, ""),
        ('$request.query.a"', ESCAPE, 16, "{$request.query.a}"),
        ("{$request}", PART, 9, ""),
        ("{}", "the braces are empty.", 1, ""),
        ("{$}", SOURCE, 2, ""),
        ("{{$request.body#/x}}", ANOTHER, 0, "{$request.body#/x}"),
        ("${request.body#/x}", SOURCE, 1, "{$request.body#/x}"),
        ("{$request.body#/x", 'this "{" is never closed.', 0, "{$request.body#/x}"),
        ("$request.body#/x}", BRACES, 16, "{$request.body#/x}"),
        ("https://a.example/}", 'this "}" closes nothing.', 18, ""),
        ("{$request.body#/a}b}", 'this "}" closes nothing.', 19, ""),
        ("https://a.example/{", 'this "{" is never closed.', 18, ""),
        (
            "$url/{$request.body#/id}",
            'nothing may follow "$url" in an expression.',
            4,
            "{$url}/{$request.body#/id}",
        ),
        ("$request.body#/a/{$url}", BRACES, 17, "{$request.body#/a}/{$url}"),
        (
            "https://a.example/?u=$request.body#/u&x=1",
            "an expression inside of a text stands in braces.",
            21,
            "https://a.example/?u={$request.body#/u}&x=1",
        ),
        ("/orders", NEVER, 0, ""),
        ("callbackUrl", NEVER, 0, "{$request.body#/callbackUrl} or {$request.path.callbackUrl}"),
        ("a.example/hook", NEVER, 0, "https://a.example/hook"),
        ("ftp://a.example/", NEVER, 0, ""),
        ("https://", NEVER, 0, ""),
        ("https:///{$request.path.id}", NEVER, 0, ""),
        ("{$method}", "it can never be a URL, since it starts with $method.", 0, ""),
        ("{$statusCode}/x", "it can never be a URL, since it starts with $statusCode.", 0, ""),
    ],
)
def test_slips(key: str, problem: str, at: int, guesses: str) -> None:
    """A common slip is refused with its exact place and with what was most likely meant."""
    assert error(key) == (problem, at, guesses)


def test_a_text_that_is_no_url() -> None:
    """Where no URL is wanted, a text need not be one, but it needs an expression."""
    assert parse("order-{$response.body#/id}", url=False).url is False
    assert error("orderId", url=False) == (
        "it has no expression, so it would be the same for every call.",
        0,
        "{$request.body#/orderId} or {$request.path.orderId}",
    )


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}$request.bodyhapl#/~'[]"), st.booleans())
@example("{$request.headers}", True)
@example("{$request.params}", True)
@example("{$request.body.a~}/{$x}", True)
def test_every_guess_can_be_declared(key: str, url: bool) -> None:
    """What an error proposes is never an error itself."""
    try:
        parse(key, url=url)
    except ExpressionError as caught:
        _, _, guesses = str(caught).partition("\nDid you mean ")
        for guess in guesses.removesuffix("?").split(" or ") if guesses else ():
            parse(guess, url=url)


# --------------------------------------------------------------------------------------- evaluate


def body(value: object) -> Body:
    return Body.of(json.dumps(value).encode(), "application/json")


def exchange(**changed: Any) -> Exchange:
    known: dict[str, Any] = {
        "url": "https://api.example/orders?q=a%20b",
        "method": "post",
        "request_headers": {"X-Callback-URL": "https://a.example/h"},
        "query": {"url": ["https://a.example/1", "https://a.example/2"], "none": [], "e": [""]},
        "path": {"id": "007", "": "nameless"},
        "request_body": body(
            {
                "url": "https://a.example/hook?x=1",
                "": "empty",
                "a/b": "slash",
                "~": "tilde",
                "~1": "escaped",
                "%20": "percent",
                "n": 42,
                "big": 123456789012345678901234567890,
                "float": 1.5,
                "huge": 1e22,
                "yes": True,
                "nothing": None,
                "blank": "",
                "break": "x/../?a=b&c#d é",
                "dots": "..",
                "half": "\ud800",
                "list": ["zero", {"one": 1}],
                "object": {"0": "key"},
            }
        ),
        "status_code": 201,
        "response_headers": {"location": "https://a.example/made"},
        "response_body": body({"id": 7}),
    }
    return Exchange(**known | changed)


@pytest.mark.parametrize(
    ("key", "result"),
    [
        ("$url", "https://api.example/orders?q=a%20b"),
        ("$request.header.x-callback-url", "https://a.example/h"),
        ("$response.header.LOCATION", "https://a.example/made"),
        ("$request.query.url", "https://a.example/1"),
        ("$request.body#/url", "https://a.example/hook?x=1"),
        ("{$request.body#/url}&n={$request.body#/n}", "https://a.example/hook?x=1&n=42"),
        ("https://a.example/const", "https://a.example/const"),
        ("https://a.example/{$method}/{$statusCode}", "https://a.example/POST/201"),
        ("https://a.example/{$request.path.id}", "https://a.example/007"),
        ("https://a.example/{$request.path.}", "https://a.example/nameless"),
        ("https://a.example/{$request.body#/}", "https://a.example/empty"),
        ("https://a.example/{$request.body#/a~1b}", "https://a.example/slash"),
        ("https://a.example/{$request.body#/~0}", "https://a.example/tilde"),
        ("https://a.example/{$request.body#/~01}", "https://a.example/escaped"),
        ("https://a.example/{$request.body#/%20}", "https://a.example/percent"),
        ("https://a.example/{$request.body#/float}", "https://a.example/1.5"),
        ("https://a.example/{$request.body#/huge}", "https://a.example/1e%2B22"),
        ("https://a.example/{$request.body#/yes}", "https://a.example/true"),
        (
            "https://a.example/{$request.body#/big}",
            "https://a.example/123456789012345678901234567890",
        ),
        ("https://a.example/{$request.body#/list/0}", "https://a.example/zero"),
        ("https://a.example/{$request.body#/list/1/one}", "https://a.example/1"),
        ("https://a.example/{$request.body#/object/0}", "https://a.example/key"),
        ("https://a.example/{$response.body#/id}", "https://a.example/7"),
        ("https://a.example/?e={$request.query.e}", "https://a.example/?e="),
        (
            "https://a.example/{$request.body#/break}/x",
            "https://a.example/x%2F..%2F%3Fa%3Db%26c%23d%20%C3%A9/x",
        ),
        (
            "{$url}{$request.body#/url}",
            "https://api.example/orders?q=a%20bhttps%3A%2F%2Fa.example%2Fhook%3Fx%3D1",
        ),
    ],
)
def test_evaluate(key: str, result: str) -> None:
    """A scalar goes in as JSON text; the leading expression as it is, every later one encoded."""
    assert evaluate(parse(key), exchange()) == result


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("$request.header.x-none", "the request has no such header"),
        ("$response.header.x-none", "the response has no such header"),
        ("$request.query.URL", "the URL has no such query parameter"),
        ("$request.query.none", "the URL has no such query parameter"),
        ("$request.path.ID", "the path has no such variable"),
        ("$request.body#/none", "the body has no member 'none' there"),
        ("$request.body#/URL", "the body has no member 'URL' there"),
        ("$request.body#/url/0", "the body has a text where '0' is looked up"),
        ("$request.body#/yes/0", "the body has a number or a boolean where '0' is looked up"),
        ("$request.body#/nothing/a", "the body has null where 'a' is looked up"),
        ("$request.body#/list/2", "the body has an array without an item '2' there"),
        ("$request.body#/list/-", "the body has an array without an item '-' there"),
        ("$request.body#/list/-1", "the body has an array without an item '-1' there"),
        ("$request.body#/list/00", "the body has an array without an item '00' there"),
        ("$request.body#/list/٠", "the body has an array without an item '٠' there"),
        (
            "$request.body#/list/99999999999999999999",
            "the body has an array without an item '99999999999999999999' there",
        ),
        ("$request.body#/list", "it is an array, not a text or a number"),
        ("$request.body#/object", "it is an object, not a text or a number"),
        ("$request.body", "it is an object, not a text or a number"),
        ("$request.body#/nothing", "it is null, not a text or a number"),
        ("$request.body#/half", "it has half of a surrogate pair, which is no character"),
    ],
)
@pytest.mark.parametrize("before", ["", "https://a.example/"])
def test_unresolved(before: str, expression: str, reason: str) -> None:
    """What is missing, null, an object or an array leaves the whole template unresolved."""
    template = parse(before + "{" + expression + "}")
    assert evaluate(template, exchange()) == Unresolved(expression, reason)


@pytest.mark.parametrize(
    ("key", "expression", "reason"),
    [
        ("$request.body#/blank", "$request.body#/blank", "it is empty"),
        ("{$request.query.e}/x", "$request.query.e", "it is empty"),
        (
            "https://a.example/t/{$request.body#/dots}/x",
            "$request.body#/dots",
            "it is only dots, which would lead to another path",
        ),
    ],
)
def test_unfit_values(key: str, expression: str, reason: str) -> None:
    """A URL never starts with an empty value, and no later value climbs out of its path."""
    assert evaluate(parse(key), exchange()) == Unresolved(expression, reason)


def test_other_texts_are_not_encoded() -> None:
    """A text that is no URL takes every value as it is, but no empty one."""
    template = parse("{$request.body#/break} {$request.body#/dots}", url=False)
    assert evaluate(template, exchange()) == "x/../?a=b&c#d é .."
    template = parse("order-{$request.body#/blank}", url=False)
    assert evaluate(template, exchange()) == Unresolved("$request.body#/blank", "it is empty")


@pytest.mark.parametrize(
    "expression", ["$statusCode", "$response.header.location", "$response.body#/id"]
)
def test_no_response_yet(expression: str) -> None:
    """Before the response exists nothing of it has a value, and the request has all of its own."""
    before = exchange(status_code=None, response_headers=None, response_body=None)
    template = parse("https://a.example/{" + expression + "}")
    assert evaluate(template, before) == Unresolved(expression, "there is no response yet")
    assert evaluate(parse("$request.header.X-Callback-Url"), before) == "https://a.example/h"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$statusCode", 201),
        ("$method", "POST"),
        ("$request.body#/n", 42),
        ("$request.body#/yes", True),
        ("$request.body#/nothing", None),
        ("$request.body#/list", ["zero", {"one": 1}]),
        ("$response.body", {"id": 7}),
        ("$request.query.x", Unresolved("$request.query.x", "the URL has no such query parameter")),
    ],
)
def test_value_of(expression: str, value: object) -> None:
    """A lone expression keeps the type that its value has in JSON."""
    (found,) = parse("{" + expression + "}", url=False).expressions
    assert value_of(found, exchange()) == value


# ------------------------------------------------------------------------------------------- body

CHARSET = "the body is in a charset that is not read here"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("found", "pointer", "value"),
    [
        (Body.of(b'{"a": 1, "a": 2}', "application/json; charset=utf-8"), "#/a", "2"),
        (Body.of(b'{"a": "b"}', "Application/CloudEvents+JSON"), "#/a", "b"),
        (Body.of('\ufeff"é"'.encode(), "application/json"), "", "é"),
        (Body.of("é".encode(), "text/plain"), "", "é"),
        (Body.of(b"\xe9", 'text/plain; charset="ISO-8859-1"'), "", "é"),
        (Body.of(b"text", None), "", "text"),
        (Body.of(b"a=b", f"{FORM}; charset=utf-8", {"a": "b"}), "#/a", "b"),
        (Body.of(None, "multipart/form-data; boundary=x", {"a": "b"}), "#/a", "b"),
        (Body.of(b"text", "text/plain", {}), "", "text"),
        (Body.of(b"a=b", FORM), "", "a=b"),
    ],
)
def test_bodies(found: Body, pointer: str, value: str) -> None:
    """JSON is parsed, a form is an object of texts, and anything else is one text."""
    template = parse("$request.body" + pointer)
    assert evaluate(template, exchange(request_body=found)) == value


@pytest.mark.parametrize(
    ("found", "pointer", "reason"),
    [
        (Body.of(None, None), "", "there is no body"),
        (Body.of(b"", "application/json"), "#/a", "there is no body"),
        (Body.of(b"{}", "application/json", None, "it is a stream"), "#/a", "it is a stream"),
        (Body.of(b"{", "application/json"), "#/a", "the body is not valid JSON"),
        (Body.of(b"\xff", "application/json"), "", "the body is not valid JSON"),
        (Body.of(b"[" * 100_000, "application/json"), "#/a", "the body is not valid JSON"),
        (Body.of(b"9" * 5_000, "application/json"), "", "the body is not valid JSON"),
        (Body.of(b"NaN", "application/json"), "", "the body is not valid JSON"),
        (Body.of(b"1e400", "application/json"), "", "it is a number beyond all bounds"),
        (Body.of(b"\xe9", "text/plain"), "", "the body is not text"),
        (Body.of(b"a", "text/plain; charset=punycode"), "", CHARSET),
        (Body.of(b"text", "text/plain"), "#/a", "the body has a text where 'a' is looked up"),
        (Body.of(b"", FORM, {}), "#/a", "the body has no member 'a' there"),
    ],
)
def test_bodies_without_a_value(found: Body, pointer: str, reason: str) -> None:
    """A body that is missing, broken or hostile is a reason, never an exception."""
    expression = "$request.body" + pointer
    result = evaluate(parse(expression), exchange(request_body=found))
    assert result == Unresolved(expression, reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inside: st.lists(inside) | st.dictionaries(st.sampled_from(["", "a", "0", "~"]), inside),
)
RAW = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
TYPES = st.sampled_from(["application/json", "a/b+json", "text/plain; charset=utf-8", FORM, None])
TEMPLATES = [
    parse("{$request.body#/a}"),
    parse("https://a.example/{$request.body#/0/a}/{$response.body}"),
    parse("{$response.body#/~0/}{$request.header.a}", url=False),
]


@settings(deadline=None)
@given(RAW, TYPES | st.text(), RAW, TYPES, st.sampled_from(TEMPLATES))
def test_evaluate_never_raises(
    raw: bytes, content_type: str | None, answer: bytes, answer_type: str | None, template: Template
) -> None:
    """Whatever the bodies hold, the result is a text that can be encoded, or a reason."""
    live = exchange(
        request_body=Body.of(raw, content_type), response_body=Body.of(answer, answer_type)
    )
    result = evaluate(template, live)
    if isinstance(result, str):
        result.encode()
    else:
        assert result.expression in [found.text for found in template.expressions]
    for expression in template.expressions:
        value_of(expression, live)


# ------------------------------------------------------------------------------------- impossible

ORDER = {
    "type": "object",
    "properties": {
        "callback_url": {"type": "string", "format": "uri"},
        "total": {"type": ["number", "null"]},
        "nothing": {"type": "null"},
        "customer": {"$ref": "#/components/schemas/Customer"},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
        "free": {"type": "object"},
        "open": {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        "texts": {"type": "object", "additionalProperties": {"type": "string"}},
        "lists": {"type": "object", "additionalProperties": {"type": "array"}},
        "pattern": {"type": "object", "patternProperties": {"^x": {}}, "properties": {}},
        "any": {},
        "closed": {"type": "object", "additionalProperties": False},
        "either": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Line"}]},
        "both": {
            "allOf": [
                {"$ref": "#/components/schemas/Line"},
                {"type": "object", "properties": {"note": {"type": "string"}}},
                {"description": "both"},
            ]
        },
        "wide": {"$ref": "#/components/schemas/Line", "properties": {"more": {"type": "string"}}},
        "dangling": {"$ref": "#/components/schemas/None"},
        "if": {"type": "object", "properties": {}, "if": {}, "then": {}},
    },
}
COMPONENTS = {
    "schemas": {
        "Customer": {
            "properties": {
                "mail": {"type": "string"},
                "friend": {"$ref": "#/components/schemas/Customer"},
            },
            "additionalProperties": False,
        },
        "Line": {"type": "object", "properties": {"sku": {"type": "string"}}},
        "Loop": {"anyOf": [{"$ref": "#/components/schemas/Loop"}, {"type": "object"}]},
    }
}


def check(text: str, **changed: Any) -> str | None:
    known: dict[str, Any] = {
        "path_names": ["order_id", "shop"],
        "method": "POST",
        "query_names": ["callbackUrl"],
        "has_request_schema": True,
        "request_schema": ORDER,
        "response_schema": None,
        "components": COMPONENTS,
    }
    (expression,) = parse("{" + text + "}", url=False).expressions
    sentence = impossible(expression, **known | changed)
    return sentence and sentence.removeprefix(f"{text} can never have a value: ")


@pytest.mark.parametrize(
    "text",
    [
        "$url",
        "$statusCode",
        "$request.path.shop",
        "$request.query.callbackUrl",
        "$request.query.undeclared",
        "$request.query.undeclared/x",
        "$request.header.undeclared",
        "$response.body#/anything",
        "$request.body#/callback_url",
        "$request.body#/total",
        "$request.body#/customer/friend/friend/mail",
        "$request.body#/lines/0/sku",
        "$request.body#/pair/0",
        "$request.body#/free/a/b",
        "$request.body#/open/b",
        "$request.body#/texts/a",
        "$request.body#/pattern/xa",
        "$request.body#/any",
        "$request.body#/any/0/a",
        "$request.body#/either/sku",
        "$request.body#/both/sku",
        "$request.body#/both/note",
        "$request.body#/wide/sku",
        "$request.body#/wide/more",
        "$request.body#/dangling/a",
        "$request.body#/if/a",
    ],
)
def test_possible(text: str) -> None:
    """What the declarations allow, or say nothing about, is not refused."""
    assert check(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "$request.path.orderid",
            'the rule has no variable "orderid"; did you mean "order_id"?',
        ),
        ("$request.path.x", 'the rule has no variable "x"; it has order_id, shop.'),
        (
            "$request.query.callbackUrl/x",
            'no query parameter is named "callbackUrl/x"; '
            "did you mean {$request.query.callbackUrl}/x?",
        ),
        (
            "$request.body#/callbackUrl",
            'the request body is declared without "callbackUrl"; did you mean "callback_url"?',
        ),
        (
            "$request.body",
            "the request body is declared as object, not as a text or a number.",
        ),
        (
            "$request.body#/lines",
            "#/lines of the request body is declared as array, not as a text or a number.",
        ),
        (
            "$request.body#/lines/first",
            '#/lines of the request body is declared as an array, so "first" can\'t be in it.',
        ),
        (
            "$request.body#/lines/0/sky",
            '#/lines/0 of the request body is declared without "sky"; it has sku.',
        ),
        ("$request.body#/pair/1", "#/pair/1 of the request body is declared as never there."),
        (
            "$request.body#/nothing",
            "#/nothing of the request body is declared as null, not as a text or a number.",
        ),
        (
            "$request.body#/callback_url/x",
            "#/callback_url of the request body is declared as string, "
            'with nothing like "x" in it.',
        ),
        (
            "$request.body#/lists/a",
            "#/lists/a of the request body is declared as array, not as a text or a number.",
        ),
        (
            "$request.body#/closed/a",
            '#/closed of the request body is declared without "a"; it has none at all.',
        ),
        (
            "$request.body#/customer/friend/mial",
            "#/customer/friend of the request body is declared without "
            '"mial"; did you mean "mail"?',
        ),
        (
            "$request.body#/either/x",
            '#/either of the request body is declared without "x"; it has sku.',
        ),
        (
            "$request.body#/either",
            "#/either of the request body is declared as object, not as a text or a number.",
        ),
        (
            "$request.body#/both/x",
            '#/both of the request body is declared without "x"; it has sku.',
        ),
        (
            "$request.body#/wide/x",
            '#/wide of the request body is declared without "x"; it has sku.',
        ),
    ],
)
def test_impossible(text: str, reason: str) -> None:
    """What the declarations rule out is told with its place, and with the nearest name there is."""
    assert check(text) == reason


@pytest.mark.parametrize("method", ["GET", "head"])
def test_body_of_a_method_without_one(method: str) -> None:
    """$request.body is impossible on GET and HEAD unless a request body is declared."""
    undeclared: Mapping[str, Any] = {"method": method, "request_schema": None}
    assert check("$request.body#/a", has_request_schema=False, **undeclared) == (
        f"a {method.upper()} request has no body, and none is declared."
    )
    assert check("$request.body#/a", has_request_schema=True, **undeclared) is None
    assert check("$response.body#/a", has_request_schema=False, **undeclared) is None


def test_references_that_only_point_at_themselves() -> None:
    """A schema that refers to itself ends the search."""
    loop = {"$ref": "#/components/schemas/Loop"}
    assert check("$response.body#/a/b", response_schema=loop) is None
