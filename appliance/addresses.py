"""Network addresses as limits and counts see them."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Final

from bundles.errors import UsageError

OWN_ACCOUNT: Final = "127.0.0.1"
"""The address of whoever comes by a worker's own Unix socket: this machine's, as at the listener."""

_LISTEN: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})\Z")
_NUMBERS: Final = re.compile(r"[0-9.]+\Z")


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


def split_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT` as a pair; the host is a name or an address, an IPv6 address in brackets. Raises UsageError."""
    match = _LISTEN.match(text)
    if match is None or int(match["port"]) > 65_535 or not _is_host(match["host"]):
        raise UsageError(
            "not an address to listen on", thing=repr(text)[:80],
            remedy="write an address and a port, as 127.0.0.1:5000 or [::1]:5000",
        )  # fmt: skip
    return match["host"].strip("[]"), int(match["port"])


def _is_host(host: str) -> bool:
    """Whether what looks like an address is one."""
    if not host.startswith("[") and not _NUMBERS.match(host):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).version == (6 if host.startswith("[") else 4)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address without brackets, is this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback and (address.version == 4 or address == ipaddress.IPv6Address(1))
