"""The headers that a subscription may add to its deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webhooks import RefusedHeaderError
from flask_webhooks.rules.headers import check_headers


def _rule(headers: Any) -> str:
    with pytest.raises(RefusedHeaderError) as refused:
        check_headers(headers)
    return refused.value.rule


def test_ordinary_headers_pass_in_order() -> None:
    """A token and printable ASCII are what a header takes, and the order stays."""
    given = {"X-Team": "night shift", "Authorization": "Bearer abc.def", "x.y_z!": "~"}
    assert check_headers(given) == tuple(given.items())


@pytest.mark.parametrize(
    "name",
    [
        "Host", "HOST", "Content-Type", "content_length", "Content-MD5", "Transfer-Encoding",
        "Transfer_Encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect",
        "Cookie", "Set-Cookie", "Proxy-Authorization", "Proxy-Connection", "Forwarded",
        "X-Forwarded-For", "X_Forwarded_Host", "X-Real-IP", "Via", "webhook-id",
        "Webhook-Signature", "webhook_timestamp", "webhook-anything", "Metadata",
        "Metadata-Flavor", "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds",
        "X-Google-Metadata-Request", "X-Metadata-Token", "X-HTTP-Method-Override",
        "X-Original-URL", "User-Agent", "Accept-Encoding", "Date", "Origin", "Sec-Fetch-Site",
        "Client-IP", "Remote_User", "X-Remote-Addr", "X-Original-Host",
    ],
)  # fmt: skip
def test_what_is_not_a_subscriptions_to_set_is_refused(name: str) -> None:
    """Framing, identity, signature and metadata headers are refused, however they are spelled."""
    assert _rule({name: "x"}) == "reserved"


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nY", "Ü", "X\x00", "(X)", "x" * 101, 7])
def test_names_outside_the_grammar_are_refused(name: Any) -> None:
    """A name is a token of RFC 9110 and at most 100 characters."""
    assert _rule({name: "x"}) == "name"


@pytest.mark.parametrize("value", ["", " x", "x ", "a\r\nHost: b", "a\tb", "é", "\x7f", None, 5])
def test_values_that_could_split_a_request_are_refused(value: Any) -> None:
    """A value is printable ASCII without a space at its ends; the error does not show it."""
    assert _rule({"X-Team": value}) == "value"


def test_too_many_headers_are_refused() -> None:
    """Twenty headers pass, and twenty-one don't."""
    assert len(check_headers({f"X-{n}": "v" for n in range(20)})) == 20
    assert _rule({f"X-{n}": "v" for n in range(21)}) == "length"
    assert _rule({"X-Long": "v" * 8192}) == "length"


def test_two_names_that_a_receiver_could_take_for_one_are_refused() -> None:
    """``X-Team`` and ``x_team`` are the same header to CGI and WSGI."""
    assert _rule({"X-Team": "a", "x_team": "b"}) == "twice"


@given(st.dictionaries(st.text(), st.text()))
def test_what_passes_is_one_line_of_ascii(headers: dict[str, str]) -> None:
    """No header that passes holds a line break or anything beyond printable ASCII."""
    try:
        passed = check_headers(headers)
    except RefusedHeaderError:
        return
    for name, value in passed:
        line = f"{name}: {value}"
        assert line.isascii() and line.isprintable()
