"""Claims about what is dialled: a long list of vectors, and three other guards as oracles.

A vector is a URL, what its host resolves to, and whether anything may be dialled. It runs through
our transport and, with the extra ``guards``, through three packages that guard requests; wherever
one of them judges otherwise, the table at the end says why ours is right.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from test_addresses import EDGES, FORBIDDEN
from test_addresses import PUBLIC as PUBLIC_ADDRESSES
from test_urls import LOOPBACK_NUMBERS, UNICODE_HOSTS

from flask_webhooks.deliver.dialling import is_own
from flask_webhooks.deliver.outcome import Reason
from flask_webhooks.deliver.transport import Outgoing, Transport
from flask_webhooks.rules.urls import UrlRules
from tests.needs import need

PUBLIC, OTHER, SIX = "93.184.215.14", "1.1.1.1", "2606:4700::1111"


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One thing that a stranger could try.

    :param url: with ``{}`` for the scheme.
    :param answers: the host's addresses at the first look-up, the second, and so on.
    :param allowed: whether something may be dialled; then only public addresses, all the same.
    """

    name: str
    url: str = "{}://hooks.example.com/"
    answers: tuple[tuple[str, ...], ...] = ((PUBLIC,),)
    allowed: bool = False


def literal(address: str, allowed: bool) -> Vector:
    host = f"[{address}]" if ":" in address else address
    return Vector(name=f"literal {address}", url=f"{{}}://{host}/", allowed=allowed)


def answer(address: str, allowed: bool) -> Vector:
    return Vector(name=f"answer {address}", answers=((address,),), allowed=allowed)


def host(text: str) -> Vector:
    return Vector(name=f"host {text}", url=f"{{}}://{text}/", answers=(("127.0.0.1",),))


def sequence(name: str, *answers: tuple[str, ...], allowed: bool = False) -> Vector:
    return Vector(name=name, answers=answers, allowed=allowed)


def unzoned(*addresses: str | None) -> list[str]:
    return [address for address in addresses if address and "%" not in address]


INSIDE = sorted(
    {address for first, last, _, _ in EDGES for address in unzoned(first, last)}
    | set(unzoned(*FORBIDDEN))
)
OUTSIDE = sorted(
    {address for _, _, before, after in EDGES for address in unzoned(before, after)}
    | set(PUBLIC_ADDRESSES)
)

NAMES = [
    *("localhost", "LOCALHOST", "localhost.", "app.localhost", "localhost.localdomain"),
    *("printer.local", "metadata.google.internal", "db.svc.cluster.local", "router.lan"),
    *("host.docker.internal", "kubernetes.default.svc", "redis", "metadata", "abc.onion"),
    *("127.0.0.1.nip.io", "localtest.me", "spoofed.burpcollaborator.example"),
]

TRICKS = [
    "{}://hooks.example.com\\@127.0.0.1/",
    "{}://127.0.0.1\\@hooks.example.com/",
    "{}://hooks.example.com@127.0.0.1/",
    "{}://127.0.0.1@hooks.example.com/",
    "{}://user:password@hooks.example.com/",
    "{}://a@b@hooks.example.com/",
    "{}://hooks.example.com%40127.0.0.1/",
    "{}://hooks.example.com#@127.0.0.1/",
    "{}://127.0.0.1#@hooks.example.com/",
    "{}://hooks.example.com?@127.0.0.1:80#",
    "{}://hooks.example.com:80@127.0.0.1/",
    "{}://[::1]@hooks.example.com/",
    "{}://hooks.example.com:443:80/",
    "{}://hooks.example.com:0/",
    "{}://hooks.example.com:65536/",
    "{}://hooks.example.com:-1/",
    "{}://hooks.example.com:80x/",
    "{}://hooks.example.com:22/",
    "{}://hooks.example.com:6379/",
    "{}:///hook",
    "{}://",
    "{}:hooks.example.com",
    "{}:/hooks.example.com/",
    "{}:\\\\hooks.example.com/",
    " {}://hooks.example.com/",
    "{}://hooks.example.com /",
    "{}://hooks.exam\tple.com/",
    "{}://hooks.example.com\r\n/",
    "{}://hooks.example.com/\r\nHost: 127.0.0.1",
    "{}://hooks.example.com/ HTTP/1.1\r\nX: y",
    "{}://hooks.example.com\x00.evil.example/",
    "{}://localhost%00.example.com/",
    "{}://127%2e0%2e0%2e1/",
    "{}://%31%32%37.0.0.1/",
    "{}://hooks%2eexample.com/",
    "{}://[127.0.0.1]/",
    "{}://[hooks.example.com]/",
    "{}://[::1%25lo]/",
    "{}://[fe80::1%25eth0]/",
    "{}://[2606:4700::1111%251]/",
    "{}://[v1.fe80]/",
    "{}://[::1]x/",
    "{}://[::1",
    "{}://::1/",
    "{}://[::ffff:127.1]/",
    "{}://.hooks.example.com/",
    "{}://hooks..example.com/",
    "{}://-hooks.example.com/",
    "{}://hooks_.example.com/",
    "{}://*.example.com/",
    "{}://" + "a" * 64 + ".example.com/",
    "{}://" + "a." * 127 + "com/",
    "{}://xn--a.example/",
    "{}://xn--n3h.example/",
    "{}://hooks.example.com/" + "a" * 2000,
    "{}://hooks.example.com/\u2028",
    "{}://hooks.example.com/%",
    "{}+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "x{}://hooks.example.com/",
    "{}:////hooks.example.com/",
    "{}://///127.0.0.1/",
    "{}://hooks.example.com:00443/",
    "{}://hooks.example.com:+443/",
    "{}://hooks.example.com:4_43/",
    "{}://hooks.example.com:\uff14\uff14\uff13/",
    "{}://hooks.example.com:%34%34%33/",
    "{}://hooks.example.com:443@127.0.0.1/",
    "{}://hooks.example.com:/",
    "{}://@hooks.example.com/",
    "{}://hooks.example.com;@127.0.0.1/",
    "{}://hooks.example.com,127.0.0.1/",
    "{}://hooks.example.com%2f@127.0.0.1/",
    "{}://hooks.example.com%23@127.0.0.1/",
    "{}://hooks.example.com%5c@127.0.0.1/",
    "{}://hooks.example.com%0d%0aX:y/",
    "{}://hooks.example.com%20.evil.example/",
    "{}://hooks.example.com\x85/",
    "{}://hooks.example.com\x7f/",
    "{}://hooks.example.com/\u202e",
    "\ufeff{}://hooks.example.com/",
    "\x00{}://hooks.example.com/",
    "{}\t://hooks.example.com/",
    "{}://[0:0:0:0:0:ffff:7f00:1]/",
    "{}://[64:ff9b::169.254.169.254]/",
    "{}://[::ffff:0xa9fea9fe]/",
    "{}://[2606:4700:1111]/",
    "{}://[::1]:443@hooks.example.com/",
    "{}://[::1]]/",
    "{}://[[::1]]/",
    "{}://xn--127-.0.0.1/",
    "{}://hooks.example.com./",
    "{}://hooks.example.com/#",
    "{}://hooks.example.com/`id`",
    "{}://hooks.example.com/{{{{url}}}}",
    "{}://hooks.example.com/a|b",
    "{}://hooks.example.com/%zz",
    "file:///etc/passwd#{}",
    "gopher://hooks.example.com/{}",
]

HARMLESS = [
    "{}://hooks.example.com",
    "{}://HOOKS.Example.com/",
    "{}://hooks.example.com?x=1",
    "{}://hooks.example.com/a/../b/./c//d",
    "{}://hooks.example.com/%2e%2e/%00?%0d%0a",
    "{}://hooks.example.com/@127.0.0.1",
    "{}://hooks.example.com/?to=http://127.0.0.1/",
    "{}://hooks.example.com/?user@127.0.0.1",
    "{}://hooks.example.com/a:80;b,c!$&'()*+~",
    "{}://xn--bcher-kva.example/",
    "{}://r3---sn-x.example.com/",
    "{}://0x7f.example/",
    "{}://1password.example/",
    "{}://localhost.example.com/",
    "{}://127.0.0.1.example.com/",
    "{}://xn--e1afmkfd.xn--p1ai/",
    "{}://bücher.example/",
    "{}://президент.рф/",
    "{}://XN--BCHER-KVA.example/",
    "{}://a.b.c.d.e.f.g.h.example.com/",
    "{}://hooks.example.com/%E2%80%AE?%2F%2F127.0.0.1",
    "{}://hooks.example.com//127.0.0.1/",
    "{}://[2606:4700:0000:0000:0000:0000:0000:1111]/",
    "{}://internal.example.com/",
]

MANY = tuple(f"93.184.{third}.{last}" for third in range(2) for last in range(1, 101))

SEQUENCES = [
    sequence("mixed: inside last", (PUBLIC, "127.0.0.1")),
    sequence("mixed: inside first", ("127.0.0.1", PUBLIC)),
    sequence("mixed: inside IPv6", (PUBLIC, "::1")),
    sequence("mixed: mapped IPv6", (PUBLIC, "::ffff:10.0.0.1")),
    sequence("mixed: inside IPv4", (SIX, "10.0.0.1")),
    sequence("mixed: inside among many", (*MANY[:100], "169.254.169.254", *MANY[100:])),
    sequence("mixed: inside after many", (*MANY, "10.0.0.1")),
    sequence("rebinding: at once", ("127.0.0.1",), (PUBLIC,)),
    sequence("no address", ()),
    sequence("garbage: empty", ("",)),
    sequence("garbage: a name", ("localhost",)),
    sequence("garbage: a number", ("2130706433",)),
    sequence("garbage: a short form", ("127.1",)),
    sequence("garbage: a zone", ("fe80::1%lo",)),
    sequence("garbage: a public address with a zone", ("2606:4700::1111%lo",)),
    sequence("garbage: a path", ("/var/run/docker.sock",)),
    sequence("garbage: beside a public address", (PUBLIC, "127.1")),
    sequence("many", MANY, allowed=True),
    sequence("doubled", (PUBLIC,) * 9, allowed=True),
    sequence("both versions", (SIX, PUBLIC), allowed=True),
    sequence("rebinding: loopback", (PUBLIC,), ("127.0.0.1",), allowed=True),
    sequence("rebinding: metadata", (PUBLIC,), ("169.254.169.254",), allowed=True),
    sequence("rebinding: IPv6", (SIX,), ("::1",), allowed=True),
    sequence("rebinding: mixed", (PUBLIC,), (PUBLIC, "10.0.0.1"), allowed=True),
    sequence("rebinding: alternating", *((PUBLIC,), ("10.0.0.1",)) * 4, allowed=True),
]

VECTORS = [
    *(literal(address, False) for address in INSIDE),
    *(answer(address, False) for address in INSIDE),
    *(literal(address, True) for address in OUTSIDE),
    *(answer(address, True) for address in OUTSIDE),
    *(host(text) for text in LOOPBACK_NUMBERS + UNICODE_HOSTS + NAMES),
    *(Vector(name=url, url=url) for url in TRICKS),
    *(Vector(name=f"harmless {url}", url=url, allowed=True) for url in HARMLESS),
    *SEQUENCES,
]

HARMLESS_DIALS = {PUBLIC, OTHER, SIX, *MANY, *OUTSIDE}


class World:
    """Stands in for the network: names resolve as a vector says, and every dial is refused."""

    def __init__(self) -> None:
        self.numeric = socket.getaddrinfo
        self.vector = VECTORS[0]
        self.lookups = 0
        self.dials: list[str] = []

    def judge(self, vector: Vector, send: Callable[[], object]) -> str:
        """Send once, and say what was dialled: ``block``, ``allow``, or what never may be."""
        self.vector = vector
        self.restart()
        try:
            send()
        except Exception:  # whatever a guard refuses with
            pass
        bad = [dial for dial in self.dials if dial not in HARMLESS_DIALS]
        return f"dials {bad[0]}" if bad else "allow" if self.dials else "block"

    def restart(self) -> None:
        """Forget what was looked up and dialled."""
        self.lookups, self.dials = 0, []

    def connect(self, sock: socket.socket, address: Any) -> None:
        self.dials.append(str(ip_address(address[0])))
        raise ConnectionRefusedError(111, "Connection refused")

    def getaddrinfo(self, name: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        try:  # as the system does it: every form that inet_aton takes is an address
            return self.numeric(name, port, type=1, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            pass
        self.lookups += 1
        answers = self.vector.answers
        found = answers[min(self.lookups, len(answers)) - 1]
        if not found:
            raise socket.gaierror(-2, "Name or service not known")
        return [
            (socket.AF_INET6, 1, 6, "", (text, port, 0, 0))
            if ":" in text
            else (socket.AF_INET, 1, 6, "", (text, port))
            for text in found
        ]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    one = World()
    monkeypatch.setattr(socket, "getaddrinfo", one.getaddrinfo)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: one.connect(self, address))
    return one


@pytest.fixture(scope="module")
def transport() -> Iterator[Transport]:
    one = Transport(UrlRules(allow_http=True), verify=False, is_own=lambda address: False)
    yield one
    one.close()


def sent(transport: Transport, url: str) -> Any:
    return transport.send(Outgoing(method="POST", url=url, headers=(), body=b"{}", timeout=5))


def judged(world: World, send: Callable[[str], object], scheme: str) -> dict[str, str]:
    """Run all vectors, and give those that are judged otherwise than ours has to."""
    wrong = {}
    for vector in VECTORS:
        verdict = world.judge(vector, lambda url=vector.url: send(url.format(scheme)))
        if verdict != ("allow" if vector.allowed else "block"):
            wrong[vector.name] = verdict
    return wrong


def test_the_list_is_long_and_has_no_doubles() -> None:
    """There are more than 457 vectors, each under a name of its own."""
    assert len({vector.name for vector in VECTORS}) == len(VECTORS) > 457


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_vectors(scheme: str, world: World, transport: Transport) -> None:
    """Nothing is dialled that may not be, and what is harmless is dialled."""
    assert judged(world, lambda url: sent(transport, url), scheme) == {}


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of proxies, passwords and CA bundles; its home."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, "http://10.0.0.1:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/nonexistent")
    (tmp_path / ".netrc").write_text("default login user password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    (tmp_path / ".curlrc").write_text("proxy = http://10.0.0.1:3128\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_vectors_in_a_hostile_environment(scheme: str, world: World, hostile: Path) -> None:
    """Proxies, a netrc and CA bundles of the environment change no verdict."""
    fresh = Transport(UrlRules(allow_http=True), is_own=lambda address: False)
    assert judged(world, lambda url: sent(fresh, url), scheme) == {}


def test_one_look_up_and_four_dials_at_most(world: World, transport: Transport) -> None:
    """An attempt looks its host up once, and dials four of its addresses, whatever happens."""
    for vector in VECTORS:
        world.judge(vector, lambda url=vector.url: sent(transport, url.format("https")))
        assert world.lookups <= 1, vector.name
        assert len(world.dials) <= 4, vector.name
    many = next(vector for vector in SEQUENCES if vector.name == "many")
    world.judge(many, lambda: sent(transport, many.url.format("https")))
    assert world.dials == list(MANY[:4])


def _ssrfguard() -> Callable[[str], object]:
    policy = need("ssrfguard", "guards")
    sessions = need("ssrfguard.requests", "guards")
    ports = frozenset((80, 443, 8443))
    session = sessions.Session(policy=policy.Policy(allowed_ports=ports))
    session.trust_env = False
    return lambda url: session.post(url, b"{}", timeout=1, allow_redirects=False)


def _requests_hardened() -> Callable[[str], object]:
    hardened = need("requests_hardened", "guards")
    config = hardened.Config(
        ip_filter_enable=True,
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(1, 1),
    )
    session = hardened.Manager(config).get_session()
    session.trust_env = False
    return lambda url: session.post(url, b"{}")


def _antissrf() -> Callable[[str], object]:
    microsoft = need("AntiSSRF", "guards")
    policy = microsoft.AntiSSRFPolicy(microsoft.PolicyConfigOptions.EXTERNAL_ONLY_LATEST)
    policy.allow_plain_text_http = True
    session = policy.get_antissrf_session()
    session.trust_env = False
    return lambda url: session.post(url, b"{}", timeout=1, allow_redirects=False)


GUARDS = {
    "ssrfguard": _ssrfguard,
    "requests-hardened": _requests_hardened,
    "microsoft-antissrf": _antissrf,
}

SG, RH, MS = ("ssrfguard",), ("requests-hardened",), ("microsoft-antissrf",)


def both(*addresses: str) -> tuple[str, ...]:
    return tuple(f"{form} {address}" for address in addresses for form in ("literal", "answer"))


#: Why ours is right, which guards judge otherwise, and of which vectors.
DIFFERENCES = [
    (
        "Azure's host service: reachable from every machine there, and global by every registry",
        SG + RH,
        both("168.63.129.16"),
    ),
    (
        "an anycast address of the link's own router (RFC 7723)",
        SG,
        both("192.0.0.9"),
    ),
    (
        "outside 2000::/3: nobody holds it, so only a local route can lead there",
        SG + RH + MS,
        both("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "4000::1"),
    ),
    (
        "an identifier, not a place (ORCHIDv2, RFC 7343)",
        SG,
        both("2001:20::1"),
    ),
    (
        "for discarding, and for sites (RFC 9780, RFC 3879)",
        RH,
        both("100:0:0:1::1", "fec0::1"),
    ),
    (
        "IPv6 that carries IPv4: it leads where a translator of ours says, which the outside "
        "can't know; an operator behind NAT64 opens 64:ff9b::/96",
        SG + RH + MS,
        both("::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "::ffff:8.8.8.8"),
    ),
    ("the same, carrying loopback", RH + MS, both("::127.0.0.1")),
    ("the same, by 6to4 and NAT64", SG, both("2002:808:808::", "64:ff9b::808:808")),
    (
        "globally reachable by the registry (AS112, RFC 7535): refusing it would be over-blocking",
        MS,
        both("192.31.196.1"),
    ),
    ("a short form that only old libraries read, here as 1.2.0.3", RH + MS, ("host 1.2.3",)),
    (
        "two parsers read two hosts",
        SG + RH + MS,
        (
            "{}://hooks.example.com\\@127.0.0.1/",
            "{}://hooks.example.com#@127.0.0.1/",
            "{}://hooks.example.com?@127.0.0.1:80#",
        ),
    ),
    (
        "credentials of a stranger's, or a host that hides before an at sign",
        RH + MS,
        (
            "{}://127.0.0.1@hooks.example.com/",
            "{}://user:password@hooks.example.com/",
            "{}://a@b@hooks.example.com/",
            "{}://[::1]@hooks.example.com/",
            "{}://[::1]:443@hooks.example.com/",
            "{}://hooks.example.com%40127.0.0.1/",
        ),
    ),
    ("the same, with nothing before the at sign", SG + RH + MS, ("{}://@hooks.example.com/",)),
    (
        "one host in another spelling: what is stored is to be what is dialled",
        SG + RH + MS,
        (
            "{}://hooks.example.com./",
            "{}://hooks.example.com:/",
            "{}://hooks.example.com:00443/",
            "{}://hooks.example.com/#",
        ),
    ),
    (
        "requests sends another URL than was stored: it strips, encodes and decodes",
        SG + RH + MS,
        (
            " {}://hooks.example.com/",
            "{}://hooks.example.com/\r\nHost: 127.0.0.1",
            "{}://hooks.example.com/ HTTP/1.1\r\nX: y",
            "{}://hooks%2eexample.com/",
            "{}://hooks.example.com/\u2028",
            "{}://hooks.example.com/\u202e",
            "{}://hooks.example.com/%",
            "{}://hooks.example.com/%zz",
            "{}://hooks.example.com/`id`",
            "{}://hooks.example.com/a|b",
            "{}://hooks.example.com/{{{{url}}}}",
        ),
    ),
    ("port 0 is sent as the default port", SG + RH + MS, ("{}://hooks.example.com:0/",)),
    (
        "not a web server's port: it scans, or speaks to Redis",
        RH + MS,
        ("{}://hooks.example.com:22/", "{}://hooks.example.com:6379/"),
    ),
    (
        "a zone leads to a link, where no stranger's host is",
        RH,
        ("{}://[::1%25lo]/", "{}://[fe80::1%25eth0]/", "{}://[2606:4700::1111%251]/"),
    ),
    (
        "the same, from a resolver",
        SG + RH,
        ("garbage: a public address with a zone",),
    ),
    (
        "not a host name (RFC 1123), so each resolver makes of it what it likes",
        RH + MS,
        (
            "{}://hooks..example.com/",
            "{}://hooks.example.com%20.evil.example/",
            "{}://hooks.example.com,127.0.0.1/",
            "{}://xn--127-.0.0.1/",
            "{}://-hooks.example.com/",
            "{}://hooks_.example.com/",
            "{}://" + "a" * 64 + ".example.com/",
            "{}://" + "a." * 127 + "com/",
        ),
    ),
    ("not IDNA 2008 names", SG + RH + MS, ("{}://xn--a.example/", "{}://xn--n3h.example/")),
    ("longer than we store", SG + RH + MS, ("{}://hooks.example.com/" + "a" * 2000,)),
    (
        "it judges the first answer alone; a mixed answer is an attack",
        RH,
        (
            "mixed: inside last",
            "mixed: inside IPv6",
            "mixed: mapped IPv6",
            "mixed: inside IPv4",
            "mixed: inside among many",
            "mixed: inside after many",
            "garbage: beside a public address",
        ),
    ),
]


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("guard", GUARDS)
def test_differences_to_other_guards_are_explained(guard: str, scheme: str, world: World) -> None:
    """Another guard judges a vector otherwise exactly where the table says why."""
    explained = {name for _, guards, names in DIFFERENCES if guard in guards for name in names}
    found = set(judged(world, GUARDS[guard](), scheme))
    assert (found - explained, explained - found) == (set(), set())


def test_own_addresses_are_refused(world: World) -> None:
    """A public address of the host itself is not dialled, under whatever name, unless opened."""
    mine = ip_address(PUBLIC)
    closed = Transport(UrlRules(), verify=False, is_own=lambda address: address == mine)
    for url in ("https://hooks.example.com/", f"https://{PUBLIC}/"):
        outcome = sent(closed, url)
        assert outcome.reason is Reason.blocked
        assert outcome.detail.endswith(f"{PUBLIC} is an address of this host itself")
    assert world.dials == []
    opened = UrlRules(allowed_networks=(ip_network(f"{PUBLIC}/32"),))
    sent(Transport(opened, verify=False, is_own=lambda address: True), f"https://{PUBLIC}/")
    assert world.dials == [PUBLIC]


def test_an_own_address_behind_nat64_is_refused(world: World) -> None:
    """Opening NAT64 does not open a translated address that is the host's own."""
    rules = UrlRules(allowed_networks=(ip_network("64:ff9b::/96"),))
    mine = ip_address(PUBLIC)
    sender = Transport(rules, verify=False, is_own=lambda address: address == mine)
    assert sent(sender, f"https://[64:ff9b::{PUBLIC}]/").reason is Reason.blocked
    sent(sender, f"https://[64:ff9b::{OTHER}]/")
    assert world.dials == ["64:ff9b::101:101"]


def test_own_addresses_are_found() -> None:
    """This host's addresses are known as its own, other hosts' are not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((OTHER, 9))  # sends nothing
        except OSError:
            pytest.skip("this host has no way out")
        mine = ip_address(probe.getsockname()[0])
    found = [is_own(ip_address(text)) for text in (str(mine), "127.0.0.1", OTHER, SIX)]
    assert found == [True, True, False, False]


@pytest.mark.parametrize("fault", [None, PermissionError(1, "Operation not permitted")])
def test_own_addresses_are_found_where_binding_tells_nothing(
    fault: OSError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that lets programs bind any address, or none, does not change what is ours."""

    def bind(self: socket.socket, address: object) -> None:
        if fault:
            raise fault

    monkeypatch.setattr(socket.socket, "bind", bind)
    found = [is_own(ip_address(text)) for text in ("127.0.0.1", OTHER, SIX)]
    assert found == [True, False, False]
