"""Claims about which URLs pass the first gate, by their text alone."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webhooks.exceptions import RefusedURLError
from flask_webhooks.rules.urls import (
    Destination,
    UrlRules,
    check_url,
    host_of,
    networks_for,
    shown,
    target_uri,
)

STRICT = UrlRules()
DEVELOPMENT = UrlRules(allow_loopback=True)
INSIDE = UrlRules(allowed_networks=(ip_network("10.0.0.0/8"),))

LOOPBACK_NUMBERS = [
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.0.0.01",
    "127.0.0.001",
    "127.000.000.1",
    "127.0.0.0x1",
    "0x7f.1",
    "0",
    "00",
    "0x0",
    "0x",
    "1",
    "4294967295",
    "4294967296",
    "18446744071562067969",
    "127.0.0.1.2",
    "256.0.0.1",
    "127.0.0.256",
    "1.2.3",
    "1.2.3.4.5",
    "127..1",
    "169.16689662",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "0xA9.0xFE.0xA9.0xFE",
    "a.0x7f",
    "a.127",
    "a.00",
]

UNICODE_HOSTS = [
    "①②⑦.⓪.⓪.①",  # noqa: RUF001
    "１２７.０.０.１",  # noqa: RUF001
    "127。0。0。1",
    "127．0．0．1",  # noqa: RUF001
    "127｡0｡0｡1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",  # noqa: RUF001
    "loc\u00adalhost",
    "localhost\u200b",
    "٠x7f.1",
    "١٢٧.٠.٠.١",
    "hook\u2044s.example.com",
    "hooks.example.com\u202e",
    "hooks\u2024example.com",
    "xn--\u0430",
    "B\u00dcCHER.example",
    "b\u0075\u0308cher.example",
    "☃.example",
    "hooks.example.com\ufeff",
]

SIX = [
    "::1",
    "0:0:0:0:0:0:0:1",
    "::",
    "::127.0.0.1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:169.254.169.254",
    "0:0:0:0:0:ffff:0a00:0001",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:0:0:0:0:80ff:fffe",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
]

FOUR = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]

REFUSED = [
    *((f"https://{host}/hook", "host") for host in LOOPBACK_NUMBERS),
    *((f"https://{host}/hook", "characters") for host in UNICODE_HOSTS),
    *((f"https://[{host}]/hook", "address") for host in SIX),
    *((f"https://{host}/hook", "address") for host in FOUR),
    ("", "url"),
    ("/hook", "url"),
    ("//example.com/hook", "url"),
    ("example.com/hook", "url"),
    ("example.com:443/hook", "url"),
    ("https:/example.com", "url"),
    ("https:example.com", "url"),
    ("https//example.com", "url"),
    ("://example.com", "url"),
    ("1https://example.com", "url"),
    ("http://example.com/hook", "scheme"),
    ("HTTP://example.com/hook", "scheme"),
    ("ftp://example.com/", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("gopher://example.com/_x", "scheme"),
    ("dict://example.com:11211/", "scheme"),
    ("ws://example.com/", "scheme"),
    ("unix://example.com/", "scheme"),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/x", "scheme"),
    ("javascript://example.com/%0Aalert(1)", "scheme"),
    ("https://user@example.com/", "userinfo"),
    ("https://user:password@example.com/", "userinfo"),
    ("https://@example.com/", "userinfo"),
    ("https://example.com@127.0.0.1/", "userinfo"),
    ("https://127.0.0.1:443@example.com/", "userinfo"),
    ("https://a@b@example.com/", "userinfo"),
    ("https://example.com%40127.0.0.1/", "host"),
    ("https://example.com/#", "fragment"),
    ("https://example.com/hook#part", "fragment"),
    ("https://example.com#@127.0.0.1/", "fragment"),
    ("https://example.com?#x", "fragment"),
    ("https://example.com\\@127.0.0.1/", "characters"),
    ("https:\\\\example.com/", "characters"),
    ("https://example.com/a\\b", "characters"),
    ("https://example.com /", "characters"),
    (" https://example.com/", "characters"),
    ("https://example.com/ ", "characters"),
    ("https://example.com/a b", "characters"),
    ("https://example.com/\t", "characters"),
    ("https://exam\tple.com/", "characters"),
    ("https://example.com/\r\nHost: x", "characters"),
    ("https://example.com/\n", "characters"),
    ("https://example.com\x00.evil.example/", "characters"),
    ("https://example.com/\x7f", "characters"),
    ("https://example.com/\u2028", "characters"),
    ("https://example.com/\u202egnp", "characters"),
    ("https://example.com/ü", "characters"),
    ("https://example.com/?q=ü", "characters"),
    ("https://example.com/100%", "characters"),
    ("https://example.com/%zz", "characters"),
    ("https://example.com/%u0041", "characters"),
    ("https://example.com/{id}", "characters"),
    ("https://example.com/<x>", "characters"),
    ('https://example.com/"', "characters"),
    ("https://example.com/a|b", "characters"),
    ("https://example.com/^", "characters"),
    ("https://example.com/`", "characters"),
    ("https:///hook", "host"),
    ("https://", "host"),
    ("https://:443/", "host"),
    ("https://?x", "host"),
    ("https://[]/", "host"),
    ("https://[::1/", "host"),
    ("https://::1/", "host"),
    ("https://::1]/", "host"),
    ("https://[::1]x/", "host"),
    ("https://[example.com]/", "host"),
    ("https://[127.0.0.1]/", "host"),
    ("https://[::1%25lo]/", "host"),
    ("https://[fe80::1%25eth0]/", "host"),
    ("https://[2606:4700::1111%251]/", "host"),
    ("https://[v1.fe80]/", "host"),
    ("https://[1::2::3]/", "host"),
    ("https://[::ffff:127.1]/", "host"),
    ("https://[2606:4700::1111]443/", "host"),
    ("https://ex%61mple.com/", "host"),
    ("https://127%2e0%2e0%2e1/", "host"),
    ("https://localhost%00.example.com/", "host"),
    ("https://example.com./", "host"),
    ("https://localhost./", "host"),
    ("https://.example.com/", "host"),
    ("https://a..example.com/", "host"),
    ("https://./", "host"),
    ("https://-a.example.com/", "host"),
    ("https://a-.example.com/", "host"),
    ("https://a_b.example.com/", "host"),
    ("https://*.example.com/", "host"),
    ("https://a,b.example.com/", "host"),
    ("https://a!b.example.com/", "host"),
    ("https://" + "a" * 64 + ".example.com/", "host"),
    ("https://" + "a." * 126 + "com/", "host"),
    ("https://xn--/", "host"),
    ("https://xn--a.example/", "host"),
    ("https://xn--zzzzzz99999.example/", "host"),
    ("https://xn--n3h.example/", "host"),  # a snowman: not IDNA 2008
    ("https://example.com:/", "port"),
    ("https://example.com:0/", "port"),
    ("https://example.com:00443/", "port"),
    ("https://example.com:0443/", "port"),
    ("https://example.com:65536/", "port"),
    ("https://example.com:99999999/", "port"),
    ("https://example.com:-1/", "port"),
    ("https://example.com:+443/", "port"),
    ("https://example.com:443:443/", "port"),
    ("https://example.com:https/", "port"),
    ("https://example.com:0x1bb/", "port"),
    ("https://example.com:443.0/", "port"),
    ("https://example.com:80/", "port"),
    ("https://example.com:22/", "port"),
    ("https://example.com:6379/", "port"),
    ("https://example.com:9443/", "port"),
    ("https://[2606:4700::1111]:22/", "port"),
    ("https://localhost/", "name"),
    ("https://LOCALHOST/", "name"),
    ("https://app.localhost/", "name"),
    ("https://printer.local/", "name"),
    ("https://metadata.google.internal/", "name"),
    ("https://db.svc.cluster.local/", "name"),
    ("https://router.lan/", "name"),
    ("https://nas.home.arpa/", "name"),
    ("https://host.docker.internal/", "name"),
    ("https://localhost.localdomain/", "name"),
    ("https://wiki.corp/", "name"),
    ("https://wiki.intranet/", "name"),
    ("https://box.home/", "name"),
    ("https://abc.onion/", "name"),
    ("https://redis/", "name"),
    ("https://metadata/", "name"),
    ("https://com/", "name"),
    ("https://example.com/" + "a" * 2000, "length"),
    ("https://" + "ü." * 1200, "length"),
]

ACCEPTED = [
    ("https://example.com", "example.com", 443),
    ("https://example.com/", "example.com", 443),
    ("https://example.com?x=1", "example.com", 443),
    ("https://example.com/hook?x=1&y=%20z", "example.com", 443),
    ("https://example.com:443/hook", "example.com", 443),
    ("https://example.com:8443/hook", "example.com", 8443),
    ("HTTPS://Example.COM/Hook", "example.com", 443),
    ("https://hooks.example.com/services/T00/B00/x~y_z-.!$&'()*+,;=:@", "hooks.example.com", 443),
    ("https://example.com/?filter[a]=b", "example.com", 443),
    ("https://example.com/@me/hook", "example.com", 443),
    ("https://example.com/?to=user@example.org", "example.com", 443),
    ("https://example.com//double", "example.com", 443),
    ("https://example.com/../up", "example.com", 443),
    ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
    ("https://xn--fa-hia.example/", "xn--fa-hia.example", 443),
    ("https://xn--p1ai.xn--p1ai/", "xn--p1ai.xn--p1ai", 443),
    ("https://r3---sn-x.example.com/", "r3---sn-x.example.com", 443),
    ("https://1password.example/", "1password.example", 443),
    ("https://123.example/", "123.example", 443),
    ("https://0x7f.example/", "0x7f.example", 443),
    ("https://127.0.0.1.nip.io/", "127.0.0.1.nip.io", 443),  # the second gate's to refuse
    ("https://my.locals/", "my.locals", 443),
    ("https://localhost.example.com/", "localhost.example.com", 443),
    ("https://" + "a" * 63 + ".example.com/", "a" * 63 + ".example.com", 443),
    ("https://8.8.8.8/", "8.8.8.8", 443),
    ("https://1.1.1.1:8443/", "1.1.1.1", 8443),
    ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443),
    ("https://[2606:4700:4700:0:0:0:0:1111]:8443/", "2606:4700:4700::1111", 8443),
    ("https://example.com/" + "a" * 1980, "example.com", 443),
]


@pytest.mark.parametrize(("url", "rule"), REFUSED)
def test_refused(url: str, rule: str) -> None:
    """The default rules refuse it by the rule that it breaks, and keep the URL as given."""
    with pytest.raises(RefusedURLError) as caught:
        check_url(url, STRICT)
    assert (caught.value.rule, caught.value.url) == (rule, url)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("url", "host", "port"), ACCEPTED)
def test_accepted(url: str, host: str, port: int) -> None:
    """The default rules accept it, and it is stored as it was given."""
    expected = Destination(scheme="https", host=host, port=port, loopback=False, url=url)
    assert check_url(url, STRICT) == expected


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://bücher.example/a?b", "https://xn--bcher-kva.example/a?b"),
        ("https://Bücher.Example:8443", "https://xn--bcher-kva.Example:8443"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://\u0430pple.com/", "https://xn--pple-43d.com/"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://президент.рф/", "https://xn--d1abbgf6aiiy.xn--p1ai/"),
    ],
)
def test_a_host_in_other_scripts_is_stored_as_dns_has_it(url: str, stored: str) -> None:
    """A name that IDNA 2008 allows is written in ASCII; the rest of the URL stays as given."""
    assert check_url(url, STRICT).url == stored
    assert check_url(stored, STRICT) == check_url(url, STRICT)


@pytest.mark.parametrize(
    ("url", "rules", "port"),
    [
        ("http://example.com/", UrlRules(allow_http=True), 80),
        ("http://example.com:80/", UrlRules(allow_http=True), 80),
        ("https://example.com:9000/", UrlRules(allowed_ports=(9000,)), 9000),
        ("http://example.com:9000/", UrlRules(allow_http=True, allowed_ports=(9000,)), 9000),
        ("https://10.1.2.3/", INSIDE, 443),
        ("https://redis/", INSIDE, 443),
        ("https://db.internal/", INSIDE, 443),
        ("https://localhost/", INSIDE, 443),
        ("http://localhost/", DEVELOPMENT, 80),
        ("http://localhost:5000/", DEVELOPMENT, 5000),
        ("https://app.localhost:5000/", DEVELOPMENT, 5000),
        ("http://127.0.0.1:5000/", DEVELOPMENT, 5000),
        ("http://127.9.9.9:5000/", DEVELOPMENT, 5000),
        ("http://[::1]:5000/", DEVELOPMENT, 5000),
    ],
)
def test_opened(url: str, rules: UrlRules, port: int) -> None:
    """What a setting opens is accepted."""
    assert check_url(url, rules).port == port


@pytest.mark.parametrize(
    ("url", "rules", "rule"),
    [
        ("http://example.com:443/", UrlRules(allow_http=True), "port"),
        ("https://example.com:80/", UrlRules(allow_http=True), "port"),
        ("http://10.0.0.1/", UrlRules(allow_http=True), "address"),
        ("https://10.0.0.1:9000/", UrlRules(allowed_ports=(9000,)), "address"),
        ("http://10.0.0.1/", INSIDE, "scheme"),
        ("https://10.0.0.1:9000/", INSIDE, "port"),
        ("https://192.168.0.1/", INSIDE, "address"),
        ("https://[::ffff:10.0.0.1]/", INSIDE, "address"),
        ("https://0xa000001/", INSIDE, "host"),
        ("http://example.com/", DEVELOPMENT, "scheme"),
        ("https://example.com:5000/", DEVELOPMENT, "port"),
        ("http://10.0.0.1:5000/", DEVELOPMENT, "scheme"),
        ("https://10.0.0.1/", DEVELOPMENT, "address"),
        ("https://redis/", DEVELOPMENT, "name"),
        ("https://0.0.0.0/", DEVELOPMENT, "address"),
        ("https://[::]/", DEVELOPMENT, "address"),
        ("https://[::ffff:127.0.0.1]/", DEVELOPMENT, "address"),
        ("http://127.1:5000/", DEVELOPMENT, "host"),
        ("http://localhost.:5000/", DEVELOPMENT, "host"),
        ("http://notlocalhost:5000/", DEVELOPMENT, "scheme"),
        ("https://8.8.8.8/", UrlRules(denied_networks=(ip_network("8.0.0.0/8"),)), "address"),
        (
            "http://127.0.0.1/",
            UrlRules(allow_loopback=True, denied_networks=(ip_network("127.0.0.0/8"),)),
            "address",
        ),
    ],
)
def test_opened_no_further(url: str, rules: UrlRules, rule: str) -> None:
    """A setting opens what it names and nothing else."""
    with pytest.raises(RefusedURLError) as caught:
        check_url(url, rules)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://example.com/", "WEBHOOKS_ALLOW_HTTP"),
        ("https://example.com:9000/", "WEBHOOKS_ALLOWED_PORTS"),
        ("https://10.0.0.1/", "WEBHOOKS_ALLOWED_NETWORKS"),
        ("https://redis/", "WEBHOOKS_ALLOWED_NETWORKS"),
        ("http://localhost:5000/", "WEBHOOKS_ALLOW_LOOPBACK"),
        ("https://localhost/", "WEBHOOKS_ALLOW_LOOPBACK"),
        ("https://127.0.0.1/", "WEBHOOKS_ALLOW_LOOPBACK"),
        ("https://BÜCHER.example/", "write it as DNS has it (xn--...)"),
        ("https://example.com/ü", "percent-encode them as UTF-8"),
        ("https://example.com/a b", "percent-encode it as %20"),
    ],
)
def test_messages_say_what_to_do(url: str, advice: str) -> None:
    """A message names the setting, or the spelling, that would be accepted."""
    with pytest.raises(RefusedURLError) as caught:
        check_url(url, STRICT)
    assert advice in str(caught.value)


def test_message_in_full() -> None:
    """A message says what happened, names the URL without its query, and says what to do."""
    with pytest.raises(RefusedURLError) as caught:
        check_url("https://example.com:9000/hook?token=s3cret", STRICT)
    assert str(caught.value) == (
        "The URL 'https://example.com:9000/hook' is refused: port 9000 is not open to https, "
        "only 443 and 8443; others are opened by WEBHOOKS_ALLOWED_PORTS."
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://u:s3cret@example.com/a?s3cret#s3cret", "https://example.com/a"),
        ("https:u:s3cret@example.com", "https:example.com"),
        ("https:\\\\u:s3cret@example.com", "https:\\\\\\\\example.com"),
        ("https://example.com/@a", "https://example.com/@a"),
        ("https://example.com/" + "a" * 300, "https://example.com/" + "a" * 180 + "..."),
        ("a\r\nb\u202e", "a\\r\\nb\\u202e"),
    ],
)
def test_shown_holds_no_secrets(url: str, expected: str) -> None:
    """What logs and messages show has no user information, query or fragment, in one line."""
    assert shown(url) == expected


def test_loopback_networks_open_only_for_loopback_urls() -> None:
    """Allowing loopback opens 127.0.0.0/8 and ::1 to localhost and to no other host."""
    local = check_url("http://localhost:5000/", DEVELOPMENT)
    public = check_url("https://example.com/", DEVELOPMENT)
    assert [str(network) for network in networks_for(local, DEVELOPMENT)] == [
        "127.0.0.0/8",
        "::1/128",
    ]
    assert networks_for(public, DEVELOPMENT) == ()
    assert networks_for(local, STRICT) == ()


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """Any text at all is accepted or refused by the one error, never by another."""
    for url in (text, f"https://{text}", f"https://{text}/", f"https://[{text}]/"):
        try:
            destination = check_url(url, STRICT)
        except RefusedURLError as error:
            assert error.url == url
        else:
            assert destination.host.isascii()
            assert "." in destination.host or ":" in destination.host


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}", "0X{:X}"]))
def test_no_number_is_a_host(number: int, form: str) -> None:
    """No IPv4 address written as one number passes, whatever its base."""
    with pytest.raises(RefusedURLError):
        check_url(f"https://{form.format(number)}/", STRICT)


def test_opening_one_loopback_network_opens_localhost_whole() -> None:
    """``localhost`` may resolve to 127.0.0.1 and ::1; opening the first is enough for the name."""
    rules = UrlRules(
        allow_http=True, allowed_ports=(8000,), allowed_networks=(ip_network("127.0.0.0/8"),)
    )
    destination = check_url("http://localhost:8000/hook", rules)

    assert ip_network("::1/128") in networks_for(destination, rules)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A?b=%20C", "https://example.com/A?b=%20C"),
        ("https://example.com:8443?x", "https://example.com:8443/?x"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://[2606:4700:0:0::1111]/", "https://[2606:4700::1111]/"),
        ("https://[::1", "https://[::1"),
        ("https://example.com:99999/", "https://example.com:99999/"),
        ("ftp://example.com/", "ftp://example.com/"),
    ],
)
def test_the_target_uri_is_what_a_receiver_reads(url: str, expected: str) -> None:
    """Scheme and host are in lower case, the scheme's port is left out, no path is a slash."""
    assert target_uri(url) == expected


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.com:8443/a@b", "example.com"),
        ("https://[2606:4700:0:0::1111]/", "2606:4700::1111"),
        ("https://[2606:4700:0:0::1111", ""),
        ("no url", ""),
    ],
)
def test_a_host_has_one_spelling(url: str, host: str) -> None:
    """However a URL spells its host, what counts requests for it counts them together."""
    assert host_of(url) == host
