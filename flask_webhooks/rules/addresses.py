"""Judges whether an IP address may be dialled, by an explicit table.

:mod:`ipaddress` can't be the table: ``is_global`` changes with the Python version and passes
addresses such as ``::127.0.0.1``, ``64:ff9b::7f00:1``, ``fec0::1`` and ``168.63.129.16``.
Sources: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890), RFC 4291,
RFC 6052, and the documentation of the cloud providers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4_FORBIDDEN: tuple[tuple[IPv4Network, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "this network (RFC 1122)"),
    (IPv4Network("10.0.0.0/8"), "private (RFC 1918)"),
    (IPv4Network("100.64.0.0/10"), "shared by carriers (RFC 6598)"),
    (IPv4Network("127.0.0.0/8"), "loopback (RFC 1122)"),
    (IPv4Network("168.63.129.16/32"), "Azure's host service"),
    (IPv4Network("169.254.0.0/16"), "link-local (RFC 3927)"),
    (IPv4Network("172.16.0.0/12"), "private (RFC 1918)"),
    (IPv4Network("192.0.0.0/24"), "protocol assignments (RFC 6890)"),
    (IPv4Network("192.0.2.0/24"), "documentation (RFC 5737)"),
    (IPv4Network("192.88.99.0/24"), "6to4 relays (RFC 7526)"),
    (IPv4Network("192.168.0.0/16"), "private (RFC 1918)"),
    (IPv4Network("198.18.0.0/15"), "benchmarking (RFC 2544)"),
    (IPv4Network("198.51.100.0/24"), "documentation (RFC 5737)"),
    (IPv4Network("203.0.113.0/24"), "documentation (RFC 5737)"),
    (IPv4Network("224.0.0.0/4"), "multicast (RFC 5771)"),
    (IPv4Network("240.0.0.0/4"), "reserved and broadcast (RFC 1112)"),
)

_IPV6_PUBLIC = IPv6Network("2000::/3")
_IPV6_FORBIDDEN: tuple[tuple[IPv6Network, str], ...] = (
    (IPv6Network("2001::/23"), "protocol assignments, Teredo among them (RFC 2928)"),
    (IPv6Network("2001:db8::/32"), "documentation (RFC 3849)"),
    (IPv6Network("2002::/16"), "6to4 (RFC 3056)"),
    (IPv6Network("3fff::/20"), "documentation (RFC 9637)"),
)

# Where clouds hand out credentials. Opening a wide network must not open these by accident.
_METADATA: frozenset[Address] = frozenset(
    (
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure
        IPv4Address("169.254.0.23"),  # Tencent
        IPv4Address("169.254.42.42"),  # Scaleway
        IPv4Address("169.254.169.254"),  # AWS, Azure, Google, Oracle and most others
        IPv4Address("169.254.170.2"),  # AWS containers
        IPv4Address("169.254.170.23"),  # AWS pods
        IPv4Address("192.0.0.192"),  # Oracle
        IPv6Address("fd00:42::42"),  # Scaleway
        IPv6Address("fd00:ec2::23"),  # AWS pods
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd20:ce::254"),  # Google
        IPv6Address("fe80::a9fe:a9fe"),  # OpenStack
    )
)

# Prefixes whose last 32 bits a kernel or a translator takes for an IPv4 address.
_CARRIERS: tuple[IPv6Network, ...] = (
    IPv6Network("::/96"),  # IPv4-compatible
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped
    IPv6Network("::ffff:0:0:0/96"),  # SIIT, RFC 2765
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
    IPv6Network("64:ff9b:1::/48"),  # NAT64 in one's own network, RFC 8215
)

#: What ``WEBHOOKS_ALLOW_LOOPBACK`` opens to hosts that say that they are loopback.
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def refusal(
    address: Address,
    *,
    allowed: Iterable[Network] = (),
    denied: Iterable[Network] = (),
    is_own: Callable[[Address], bool] = lambda address: False,
) -> str | None:
    """Tell why an address may not be dialled, or ``None`` when it may.

    :param allowed: otherwise forbidden networks that the operator opened. Each opens exactly
        itself: an IPv4 network never opens IPv6 forms that carry its addresses, and a cloud's
        metadata address is opened only by naming it alone (``/32`` or ``/128``).
    :param denied: networks that stay closed, whatever else is said.
    :param is_own: tells the addresses of the host itself, which stay closed unless ``allowed``.
    """
    allowed, denied = tuple(allowed), tuple(denied)
    why = _single_refusal(address, allowed, denied, is_own)
    carried = _carried(address)
    if why is None and carried is not None:
        why = _single_refusal(carried, allowed, denied, is_own)
    return why


def _single_refusal(
    address: Address,
    allowed: tuple[Network, ...],
    denied: tuple[Network, ...],
    is_own: Callable[[Address], bool],
) -> str | None:
    for network in denied:
        if address in network:
            return f"{address} is in {network}, denied by configuration"
    openers = [network for network in allowed if address in network]
    if address in _METADATA and not any(network.num_addresses == 1 for network in openers):
        return f"{address} is a cloud's metadata service"
    if openers:
        return None
    own = f"{address} is an address of this host itself"
    return _table_refusal(address) or (own if is_own(address) else None)


def _table_refusal(address: Address) -> str | None:
    if isinstance(address, IPv6Address) and address not in _IPV6_PUBLIC:
        return f"{address} is outside {_IPV6_PUBLIC}, the public part of IPv6"
    table = _IPV4_FORBIDDEN if isinstance(address, IPv4Address) else _IPV6_FORBIDDEN
    for network, purpose in table:
        if address in network:
            return f"{address} is in {network}: {purpose}"
    return None


def _carried(address: Address) -> IPv4Address | None:
    """Give the IPv4 address that a translated IPv6 address reaches.

    An operator behind NAT64 opens ``64:ff9b::/96``; what lies behind must be judged, too.
    """
    if isinstance(address, IPv4Address) or int(address) <= 1:  # :: and ::1 are not IPv4-compatible
        return None
    if any(address in prefix for prefix in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or (address.teredo[1] if address.teredo else None)
