"""One-way links: `[diodes.NAME]` of config.toml (docs/reference/configuration.md)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import msgspec

from bundles.errors import UsageError

PORT: Final = 7416
"""Where a diode's datagrams go to where its address names no port."""

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::([1-9][0-9]{0,4}))?\Z")


class DiodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A one-way link, at either end of it.

    `address`: where datagrams are sent to, or come in. `mtu`: bytes of a packet on the link. Of the sending end alone:
    `rate` (bytes a second), `repair` (percent of symbols beyond those that a block takes), `repeat` (rounds). Of the
    receiving end alone: `drop_folder`, the name of the one that bundles are delivered into. `key`: whether both ends
    were given a key of the link.
    """

    address: str = ""
    mtu: int = 1500
    rate: int = 20_000_000
    repair: int = 20
    repeat: int = 2
    drop_folder: str = ""
    key: bool = False


def split_address(text: str) -> tuple[str, int]:
    """An IP address as host and port: `10.9.0.2`, `10.9.0.2:7416` or `[fd00::2]:7416`. Raises UsageError."""
    match = _ADDRESS.match(text)
    try:
        host = ipaddress.ip_address(match[1] or match[2]) if match is not None else None
    except ValueError:
        host = None
    port = int(match[3] or PORT) if match is not None else PORT
    if host is None or port > 65535:
        raise UsageError(
            "not the address of a diode", thing=repr(text)[:80], remedy='write an IP address, as "10.9.0.2:7416"'
        )
    return str(host), port
