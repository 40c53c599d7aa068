"""Network addresses as limits and counts see them."""

from __future__ import annotations

import functools
import ipaddress


@functools.lru_cache(maxsize=8_192)
def origin_of(address: str) -> str:
    """What a peer's address is counted as: an IPv4 address itself, an IPv6 address's /64, which is one host's or one
    household's to choose from (RFC 6177, section 2). Another text is taken as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
