"""Zones of network addresses: which addresses a registry may send its client to.

What `collect` follows is named by somebody outside. It reaches public addresses, and of the others those of the zone
that the source itself is in (docs/internals/threat-model.md).
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, Literal

Zone = Literal["public", "loopback", "private", "shared", "link-local", "multicast", "unspecified", "reserved"]

_V4: Final[tuple[tuple[str, Zone], ...]] = (
    ("127.0.0.0/8", "loopback"),
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.64.0.0/10", "shared"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("198.18.0.0/15", "reserved"),
    ("198.51.100.0/24", "reserved"),
    ("203.0.113.0/24", "reserved"),
    ("240.0.0.0/4", "reserved"),
)
_V6: Final[tuple[tuple[str, Zone], ...]] = (
    ("::1/128", "loopback"),
    ("::/128", "unspecified"),
    ("fc00::/7", "private"),
    ("fec0::/10", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "reserved"),
    ("3fff::/20", "reserved"),
)
"""IANA's special-purpose address registries (RFC 6890 and its updates), and RFC 3879's site-local addresses."""

_EMBEDDING: Final = ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")
"""Networks whose last 32 bits are an IPv4 address: IPv4-mapped (RFC 4291, section 2.5.5.2), IPv4-translated (RFC 2765),
NAT64 (RFC 6052, section 2.1), IPv4-compatible (RFC 4291, section 2.5.5.1)."""

_TABLE4: Final = tuple((ipaddress.IPv4Network(text), zone) for text, zone in _V4)
_TABLE6: Final = tuple((ipaddress.IPv6Network(text), zone) for text, zone in _V6)
_WITHIN: Final = tuple(ipaddress.IPv6Network(text) for text in _EMBEDDING)
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")


def zone_of(address: str) -> Zone:
    """The zone of an address, with or without a scope. One that carries an IPv4 address is in that one's zone; what is
    assigned to nobody, and NAT64's local prefix (RFC 8215), is reserved. Raises ValueError for what is no address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return _zone4(found)
    for network, zone in _TABLE6:
        if found in network:
            return zone
    if any(found in network for network in _WITHIN):
        return _zone4(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF))
    if found in _SIX_TO_FOUR:
        return _zone4(ipaddress.IPv4Address(int(found) >> 80 & 0xFFFF_FFFF))
    return "public" if found in _GLOBAL else "reserved"


def _zone4(address: ipaddress.IPv4Address) -> Zone:
    return next((zone for network, zone in _TABLE4 if address in network), "public")


def zone_of_host(host: str) -> Zone | None:
    """The zone of a host that is an address, in any notation that a resolver takes (`127.1`, `0x7f000001`), or a name
    of loopback (RFC 6761, section 6.3); None for another name."""
    try:
        return zone_of(host)
    except ValueError:
        pass
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return "loopback"
    try:
        return zone_of(socket.inet_ntoa(socket.inet_aton(name)))
    except (OSError, ValueError):
        return None
