"""Judges the headers that a subscription adds to its deliveries: when stored, and when sent.

Sources: RFC 9110 sections 5.1 (names) and 5.5 (values). Names are compared as CGI and WSGI would
show them, where ``Content_Length`` is ``Content-Length``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..exceptions import RefusedHeaderError

#: The most headers of a subscription, and the most characters of them all.
MOST, LONGEST = 20, 8192

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")

# Framing and connection (RFC 9112), what says whose request it is, and what we state ourselves.
_RESERVED = frozenset(
    ("accept-encoding", "connection", "cookie", "cookie2", "date", "expect", "forwarded", "host")
    + ("http2-settings", "keep-alive", "origin", "referer", "set-cookie", "te", "trailer", "via")
    + ("transfer-encoding", "upgrade", "user-agent", "x-real-ip", "true-client-ip", "x-client-ip")
    + ("client-ip", "remote-addr", "remote-user", "x-remote-addr", "x-remote-ip", "x-remote-user")
    + ("x-cluster-client-ip", "x-original-forwarded-for", "x-original-host", "x-original-url")
    + ("x-rewrite-url", "x-host", "x-http-host-override")
    + ("x-http-method", "x-http-method-override", "x-method-override")
    + ("signature", "signature-input")
    # What the metadata services of clouds ask for before they answer.
    + ("metadata", "metadata-flavor", "x-google-metadata-request", "x-metadata-token")
    + ("x-identity-header", "secret")
)
# Where a server, a proxy or a framework finds the host that it believes to be.
_HOST_TELLING = frozenset(
    ("forwarded", "host", "x-host", "x-http-host-override", "x-original-host", "x-original-url")
    + ("x-rewrite-url",)
)
_RESERVED_STARTS = ("cf-", "content-", "fastly-", "proxy-", "sec-", "webhook-", "x-aws-ec2-",
                    "x-envoy-", "x-forwarded-")  # fmt: skip


def check_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as pairs, in the order given.

    :raises RefusedHeaderError: there are too many, or one breaks a rule; shows no value.
    """
    if not isinstance(headers, Mapping):
        raise RefusedHeaderError("headers", "form", "headers= takes a dict of names and values.")
    seen: set[str] = set()
    for name, value in headers.items():
        check_header(name, value)
        if folded(name) in seen:
            raise _refused(name, "twice", "it is given twice; give it once.")
        seen.add(folded(name))
    size = sum(len(name) + len(value) for name, value in headers.items())
    if len(headers) > MOST or size > LONGEST:
        raise RefusedHeaderError(
            "headers", "length",
            f"A subscription may have {MOST} headers of {LONGEST} characters in all.",
        )  # fmt: skip
    return tuple(headers.items())


def check_header(name: str, value: str) -> None:
    """Judge one header of a subscription.

    :raises RefusedHeaderError: its ``rule`` is ``name``, ``reserved`` or ``value``.
    """
    if not isinstance(name, str) or not is_name(name):
        raise _refused(str(name), "name", "a name is 1 to 100 letters, digits and hyphens.")
    if is_reserved(name):
        raise _refused(name, "reserved", "it is not a subscription's to set; choose another name.")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise _refused(
            name, "value", "a value is printable ASCII, without spaces at its start or end."
        )


def is_name(name: str) -> bool:
    """Whether it is a field name of RFC 9110, and of a bearable length."""
    return _NAME.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    """Whether a header is never a subscription's to set."""
    return folded(name) in _RESERVED or folded(name).startswith(_RESERVED_STARTS)


def tells_host(name: str) -> bool:
    """Whether a request's header says by which host name it came."""
    return folded(name) in _HOST_TELLING or folded(name).startswith("x-forwarded-")


def folded(name: str) -> str:
    """A name as CGI and WSGI tell it apart: neither case nor ``_`` against ``-`` counts."""
    return name.lower().replace("_", "-")


def _refused(name: str, rule: str, wrong: str) -> RefusedHeaderError:
    shown = name[:60].encode("unicode_escape").decode("ascii")
    return RefusedHeaderError(shown, rule, f"The header '{shown}' is refused: {wrong}")
