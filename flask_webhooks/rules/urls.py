"""Judges whether a URL may be stored and called: the first gate, pure, without any lookup.

What passes is stored and dialled as :attr:`Destination.url` has it, to the letter, so whatever two
parsers could read differently is refused: user information, backslashes, raw non-ASCII, IPv4 in
any but its canonical form. Only a name in letters of other scripts is rewritten, as IDNA says.
Sources: RFC 3986 (grammar), RFC 1123 (host names), RFC 5891 (IDNA 2008).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

from ..exceptions import RefusedURLError
from .addresses import LOOPBACK, Address, Network, refusal

#: The most characters of a URL.
MAX_LENGTH = 2000

_DEFAULT_PORTS: dict[str, int] = {"https": 443, "http": 80}
_OPEN_PORTS: dict[str, tuple[int, ...]] = {"https": (443, 8443), "http": (80,)}

_ORIGIN = re.compile(r"^[^:]*://[^/?]*")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#?)", re.DOTALL)
_AUTHORITY_OF = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/?#:@\[\]\\]*)(.*)", re.DOTALL)
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")

# Suffixes that no public name server may ever answer for. `.test`, `.example` and `.invalid` are
# left out: they lead nowhere, people write them in tests, and the second gate judges the address.
_INSIDE = (
    "localhost",  # RFC 6761
    "local",  # RFC 6762, multicast DNS
    "internal",  # ICANN, 2024
    "home.arpa",  # RFC 8375
    "onion",  # RFC 7686
    "localdomain",  # common in /etc/hosts
    "lan",  # common in routers
    "intranet",
    "corp",  # ICANN, 2018: never delegated, like the next
    "home",
)


@dataclass(frozen=True, kw_only=True)
class UrlRules:
    """What an operator opened. The defaults open only https on 443 and 8443 to public hosts.

    :param allow_http: plain http, too, on port 80 (``WEBHOOKS_ALLOW_HTTP``).
    :param allowed_ports: ports besides those (``WEBHOOKS_ALLOWED_PORTS``).
    :param allowed_networks: otherwise forbidden networks (``WEBHOOKS_ALLOWED_NETWORKS``); with
        any, names of inside hosts are accepted and their addresses alone decide.
    :param denied_networks: networks that stay closed, whatever else is said.
    :param allow_loopback: for development (``WEBHOOKS_ALLOW_LOOPBACK``): http or https on any
        port to ``localhost``, ``*.localhost`` and loopback literals, only if they are loopback.
    """

    allow_http: bool = False
    allowed_ports: tuple[int, ...] = ()
    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    allow_loopback: bool = False


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an accepted URL leads.

    :param host: lower-case ASCII name or address, without brackets.
    :param loopback: the URL itself names a loopback host.
    :param url: as it is to be stored: as it was given, but for a host in other scripts, which is
        written in ASCII.
    """

    scheme: str
    host: str
    port: int
    loopback: bool
    url: str

    @property
    def authority(self) -> str:
        """The ``Host`` header: host and port, but for the scheme's own port (RFC 9110, 7.2)."""
        return _authority(self.scheme, self.host, self.port)

    @property
    def authority_with_port(self) -> str:
        """What a proxy is asked to connect to (RFC 9110, section 9.3.6)."""
        return _authority("", self.host, self.port)

    @property
    def target(self) -> str:
        """Path and query, exactly as they were given."""
        return _target(self.url)


def check_url(url: str, rules: UrlRules) -> Destination:
    """Judge a URL by its text alone.

    :raises RefusedURLError: its ``rule`` is one of ``length``, ``characters``, ``url``,
        ``scheme``, ``userinfo``, ``fragment``, ``host``, ``name``, ``port`` and ``address``.
    """
    try:
        return _checked(_in_ascii(url), rules)
    except RefusedURLError as error:
        error.url = url
        raise


def _checked(url: str, rules: UrlRules) -> Destination:
    _check_text(url)
    scheme, authority = _split(url)
    host, port_text = _split_authority(url, authority)
    address = _literal(url, host)
    if address is None:
        _check_name(url, host)
    loopback = _is_loopback(host, address)
    opened = loopback and rules.allow_loopback
    if not opened:
        _check_scheme(url, scheme, rules)
    port = _port(url, scheme, port_text)
    if not opened:
        _check_port(url, scheme, port, rules)
    _check_reach(url, host, address, rules, opened)
    name = host if address is None else str(address)
    return Destination(scheme=scheme, host=name, port=port, loopback=loopback, url=url)


def networks_for(destination: Destination, rules: UrlRules) -> tuple[Network, ...]:
    """Give the otherwise forbidden networks that this destination may be dialled in."""
    # One machine under two addresses: a name such as localhost often resolves to both.
    loopback = rules.allow_loopback or not set(LOOPBACK).isdisjoint(rules.allowed_networks)
    opened = destination.loopback and loopback
    return rules.allowed_networks + LOOPBACK if opened else rules.allowed_networks


def host_of(url: str) -> str:
    """Give the host of a stored URL, in its one spelling; empty where it has none.

    A row may have been written by hand, so nothing is raised.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    try:
        return str(IPv6Address(host))
    except AddressValueError:
        return host


def target_uri(url: str) -> str:
    """Give a URL as its receiver puts it together, out of ``Host`` and the request's first line.

    What can't be read comes back as it is: it is refused before it is sent.
    """
    authority = authority_of(url)
    return f"{urlsplit(url).scheme}://{authority}{_target(url)}" if authority else url


def authority_of(url: str) -> str:
    """Give the ``Host`` header that goes to a stored URL; empty where it can't be read."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return ""
    return _authority(parts.scheme, host_of(url), port)


def _authority(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"


def _target(url: str) -> str:
    target = _ORIGIN.sub("", url)
    return target if target.startswith("/") else f"/{target}"


def shown(url: str) -> str:
    """Shorten a URL to what logs and errors may hold: no user information, query or fragment."""
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:[/\\]*)?[^/\\]*@", r"\1", bare)
    bare = bare if len(bare) <= 200 else bare[:200] + "..."
    return bare.encode("unicode_escape").decode("ascii")


def _refuse(url: str, rule: str, wrong: str) -> RefusedURLError:
    return RefusedURLError(url, rule, f"The URL '{shown(url)}' is refused: {wrong}")


def _check_text(url: str) -> None:
    if len(url) > MAX_LENGTH:
        wrong = f"it has {len(url)} characters; use at most {MAX_LENGTH}."
        raise _refuse(url, "length", wrong)
    end = _matched(_CHARACTERS, url)
    if end == len(url):
        return
    character = url[end]
    if not character.isascii():
        wrong = "it holds non-ASCII characters outside its host; percent-encode them as UTF-8."
        raise _refuse(url, "characters", wrong)
    wrong = f"character {character!r} at position {end + 1} is not allowed"
    hint = "percent-encode it as" if character != "%" else "a literal one is written"
    raise _refuse(url, "characters", f"{wrong}; {hint} %{ord(character):02X}.")


def _matched(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _in_ascii(url: str) -> str:
    """Write a host in letters of other scripts as DNS has it; nothing else may be non-ASCII."""
    if url.isascii() or len(url) > MAX_LENGTH:  # IDNA takes its time over a long text
        return url
    parts = _AUTHORITY_OF.match(url)
    if parts is None:
        return url
    before, host, after = parts.groups()
    if not (before.isascii() and after.isascii()):
        return url
    return before + ".".join(_a_label(url, label) for label in host.split(".")) + after


def _a_label(url: str, label: str) -> str:
    """The ASCII form of one label of a name; strict, so that no two texts are taken for one."""
    import idna  # its tables are big, and few URLs need them

    if label.isascii():
        return label
    # IDNA 2008 knows no capitals; those of ASCII are the same letters to DNS (RFC 4343).
    lowered = "".join(c.lower() if c.isascii() else c for c in label)
    try:
        return idna.alabel(lowered).decode("ascii")
    except UnicodeError:
        wrong = f"{label!a} in its host is no name in IDNA 2008; write it as DNS has it (xn--...)."
        raise _refuse(url, "characters", wrong) from None


def _split(url: str) -> tuple[str, str]:
    parts = _PARTS.match(url)
    if parts is None:
        raise _refuse(url, "url", "it is not absolute; write https://host/path.")
    scheme, authority, _, fragment = parts.groups()
    if scheme.lower() not in _DEFAULT_PORTS:
        raise _refuse(url, "scheme", f"its scheme is {scheme!r}; use https.")
    if "@" in authority:
        raise _refuse(url, "userinfo", "it holds a user name or password; leave them out.")
    if fragment:
        raise _refuse(url, "fragment", "a fragment ('#...') is never sent; leave it out.")
    return scheme.lower(), authority


def _split_authority(url: str, authority: str) -> tuple[str, str | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise _refuse(url, "host", "its host is malformed; IPv6 is written as [address].")
    host, port = match.groups()
    if not host:
        raise _refuse(url, "host", "it has no host; write https://host/path.")
    return host.lower(), port


def _literal(url: str, host: str) -> Address | None:
    """Read a host that is an address, in its one canonical form; a name gives ``None``."""
    try:
        if host.startswith("["):
            return IPv6Address(_without_zone(host[1:-1]))
        if _NUMERIC.fullmatch(host.removesuffix(".").rpartition(".")[2]):
            return IPv4Address(host)
    except AddressValueError:
        wrong = f"its host {host!r} is not a well-formed address; IPv4 is written as four "
        wrong += "decimal numbers, IPv6 as [address] without a zone."
        raise _refuse(url, "host", wrong) from None
    return None


def _without_zone(text: str) -> str:
    if "%" in text:
        raise AddressValueError(text)
    return text


def _check_name(url: str, host: str) -> None:
    wrong = ""
    if len(host) > 253:
        wrong = f"its host has {len(host)} characters; a name has at most 253"
    for label in host.split("."):
        wrong = wrong or _label_fault(label)
    if wrong:
        raise _refuse(url, "host", f"{wrong}.")


def _label_fault(label: str) -> str:
    if not label:
        return "its host starts or ends with a dot, or has two in a row"
    if not _LABEL.fullmatch(label):
        return f"{label!r} in its host is not up to 63 letters, digits and inner hyphens"
    return _idna_fault(label) if label.startswith("xn--") else ""


def _idna_fault(label: str) -> str:
    import idna  # its tables are big, and few URLs need them

    try:
        sound = idna.encode(idna.decode(label)).decode("ascii") == label
    except UnicodeError:
        sound = False
    return "" if sound else f"{label!r} in its host is not a valid IDNA 2008 name"


def _is_loopback(host: str, address: Address | None) -> bool:
    if address is not None:
        return any(address in network for network in LOOPBACK)
    return host == "localhost" or host.endswith(".localhost")


def _check_scheme(url: str, scheme: str, rules: UrlRules) -> None:
    if scheme == "http" and not rules.allow_http:
        raise _refuse(
            url,
            "scheme",
            "its scheme is 'http'; use https, or set WEBHOOKS_ALLOW_HTTP (for localhost "
            "WEBHOOKS_ALLOW_LOOPBACK, on in debug mode).",
        )


def _port(url: str, scheme: str, text: str | None) -> int:
    if text is None:
        return _DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise _refuse(url, "port", f"its port {text!r} is not a number from 1 to 65535.")
    return int(text)


def _check_port(url: str, scheme: str, port: int, rules: UrlRules) -> None:
    if port in _OPEN_PORTS[scheme] or port in rules.allowed_ports:
        return
    accepted = " and ".join(map(str, (*_OPEN_PORTS[scheme], *rules.allowed_ports)))
    wrong = f"port {port} is not open to {scheme}, only {accepted}"
    raise _refuse(url, "port", f"{wrong}; others are opened by WEBHOOKS_ALLOWED_PORTS.")


def _check_reach(
    url: str, host: str, address: Address | None, rules: UrlRules, opened: bool
) -> None:
    if address is not None:
        allowed = rules.allowed_networks + (LOOPBACK if opened else ())
        why = refusal(address, allowed=allowed, denied=rules.denied_networks)
        if why is not None:
            raise _refuse(url, "address", f"{why}. {_opener(address)}")
    elif not (opened or rules.allowed_networks) and _is_inside(host):
        wrong = f"{host!r} is not a public name; use one that public DNS knows."
        raise _refuse(url, "name", f"{wrong} {_opener(None)}")


def _opener(address: Address | None) -> str:
    advice = "Networks inside are opened by WEBHOOKS_ALLOWED_NETWORKS"
    if address is None or _is_loopback("", address):
        advice += ", localhost by WEBHOOKS_ALLOW_LOOPBACK"
    return f"{advice}."


def _is_inside(host: str) -> bool:
    if "." not in host:
        return True
    return any(host == suffix or host.endswith(f".{suffix}") for suffix in _INSIDE)


__all__ = [
    "MAX_LENGTH",
    "Destination",
    "UrlRules",
    "authority_of",
    "check_url",
    "host_of",
    "networks_for",
    "shown",
    "target_uri",
]
