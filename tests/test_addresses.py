"""Claims about which addresses may be dialled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webhooks.rules.addresses import refusal

# First and last address of each forbidden range, and the neighbours outside it.
EDGES = [
    ("0.0.0.0", "0.255.255.255", None, "1.0.0.0"),
    ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
    ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
    ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
    ("168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"),
    ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
    ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
    ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
    ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
    ("192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
    ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
    ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
    ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
    ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
    ("224.0.0.0", "255.255.255.255", "223.255.255.255", None),
    ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, "2000::"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff::", "2001:200::"),
    ("2001:db8::", "2001:db8:ffff::", "2001:db7:ffff::", "2001:db9::"),
    ("2002::", "2002:ffff:ffff::", "2001:ffff::", "2003::"),
    ("3fff::", "3fff:fff:ffff::", "3ffe:ffff::", "3fff:1000::"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff::", None),
]

FORBIDDEN = [
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::808:808",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "224.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "169.254.169.254",
    "192.0.0.192",
    "192.0.0.9",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.67.1.1",
    "192.31.196.1",
    "192.0.1.1",
    "2001:4860:4860::8888",
    "2001:470::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2620:fe::fe",
    "2400:cb00::1",
]


@pytest.mark.parametrize(("first", "last", "before", "after"), EDGES)
def test_ranges_end_where_they_end(
    first: str, last: str, before: str | None, after: str | None
) -> None:
    """A forbidden range refuses its first and last address and neither neighbour."""
    assert refusal(ip_address(first))
    assert refusal(ip_address(last))
    for neighbour in (before, after):
        assert neighbour is None or refusal(ip_address(neighbour)) is None


@pytest.mark.parametrize("text", FORBIDDEN)
def test_forbidden(text: str) -> None:
    """Every form that could lead inside is refused, with the address in the reason."""
    address = ip_address(text)
    assert str(address) in str(refusal(address))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    """Public addresses are not refused."""
    assert refusal(ip_address(text)) is None


def test_reason_names_network_and_purpose() -> None:
    """The reason says which network it is and what that network is for."""
    assert refusal(IPv4Address("10.1.2.3")) == "10.1.2.3 is in 10.0.0.0/8: private (RFC 1918)"
    assert refusal(IPv6Address("fc00::1")) == "fc00::1 is outside 2000::/3, the public part of IPv6"


@given(st.ip_addresses(v=4))
def test_nothing_private_by_the_standard_library(address: IPv4Address) -> None:
    """Whatever IPv4 address the standard library holds for not global is refused."""
    assert address.is_global or refusal(address)


@given(st.ip_addresses(v=6))
def test_only_global_unicast(address: IPv6Address) -> None:
    """An IPv6 address outside 2000::/3 is never let through."""
    assert refusal(address) or int(address) >> 125 == 0b001


def test_allowed_network_opens_itself() -> None:
    """An opened network opens its own addresses and nothing beside them."""
    opened = (ip_network("10.1.0.0/16"),)
    assert refusal(ip_address("10.1.2.3"), allowed=opened) is None
    assert refusal(ip_address("10.2.0.1"), allowed=opened)


@pytest.mark.parametrize("text", ["::ffff:10.1.2.3", "::10.1.2.3", "64:ff9b::10.1.2.3"])
def test_allowed_ipv4_opens_no_ipv6_form(text: str) -> None:
    """An opened IPv4 network does not open IPv6 forms which carry its addresses."""
    assert refusal(ip_address(text), allowed=(ip_network("10.0.0.0/8"),))


def test_translated_addresses_are_judged_twice() -> None:
    """Opening NAT64 lets public IPv4 through and still keeps what lies inside closed."""
    opened = (ip_network("64:ff9b::/96"),)
    assert refusal(ip_address("64:ff9b::8.8.8.8"), allowed=opened) is None
    assert refusal(ip_address("64:ff9b::127.0.0.1"), allowed=opened)
    assert refusal(ip_address("64:ff9b::169.254.169.254"), allowed=opened)


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        ("169.254.169.254", "169.254.0.0/16"),
        ("169.254.170.2", "0.0.0.0/0"),
        ("100.100.100.200", "100.64.0.0/10"),
        ("192.0.0.192", "192.0.0.0/24"),
        ("168.63.129.16", "168.0.0.0/8"),
        ("fd00:ec2::254", "fd00::/8"),
        ("fd20:ce::254", "::/0"),
    ],
)
def test_metadata_stays_closed(text: str, wide: str) -> None:
    """A cloud's metadata address is opened only by naming it alone."""
    address = ip_address(text)
    assert "metadata" in str(refusal(address, allowed=(ip_network(wide),)))
    assert refusal(address, allowed=(ip_network(text),)) is None


def test_denied_wins() -> None:
    """A denied network stays closed, public or opened; an IPv6 form does not lead around it."""
    assert refusal(ip_address("8.8.8.8"), denied=(ip_network("8.0.0.0/8"),))
    ten = ip_network("10.0.0.0/8")
    assert refusal(ip_address("10.0.0.1"), allowed=(ip_network("10.0.0.1/32"),), denied=(ten,))
    both = (ip_network("::/0"), ip_network("0.0.0.0/0"))
    assert refusal(ip_address("::ffff:10.0.0.1"), allowed=both, denied=(ten,))


def test_loopback_carries_nothing() -> None:
    """Opening ::1 opens it: it is not taken for an IPv4 address in an IPv6 form."""
    assert refusal(ip_address("::1"), allowed=(ip_network("::1/128"),)) is None
