"""How the receiving ends of diodes stand, for alerts and metrics. Blocking: a small file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.diode import receiver_state
from appliance.limits import diode as limits
from appliance.station import Station

_RMEM: Final = Path("/proc/sys/net/core/rmem_max")
"""The most that a socket may have the kernel hold of what has come, in bytes (socket(7))."""

_FORCED: Final = 0
"""The account whose sockets that does not bound."""

Values = Mapping[tuple[tuple[str, str], ...], float]


def alerts(station: Station, uid: int, rmem: Path = _RMEM) -> list[str]:
    """What somebody should do about diodes; `uid` is the station's account."""
    if station.config.side != "inside" or not station.config.diodes or uid == _FORCED:
        return []
    try:
        most = int(rmem.read_text())
    except (OSError, ValueError):
        return []
    if most >= limits.DIODE_BUFFER_LEAST:
        return []
    return [
        f"diodes: the kernel holds {most} bytes of what comes over one, and drops the rest where the machine is busy;"
        f" sysctl net.core.rmem_max={limits.DIODE_BUFFER}"
    ]


def gauges(station: Station) -> dict[str, tuple[str, Values]]:
    """The metrics of diodes by name: text and values."""
    stands = {name: receiver_state.read(station.paths.diode(name)) for name in sorted(station.config.diodes)}
    return {
        "lockgate_diode_datagrams": (
            "Datagrams of the receiver's last run",
            {
                (("diode", name), ("result", how)): float(one.datagrams.get(how, 0))
                for name, one in stands.items()
                for how in receiver_state.COUNTED
            },
        ),
        "lockgate_diode_received_bytes": (
            "Bytes that were of use in the receiver's last run",
            {(("diode", name),): float(one.bytes) for name, one in stands.items()},
        ),
        "lockgate_diode_missing_blocks": (
            "Blocks that have not come of bundles on their way",
            {(("diode", name),): float(sum(bundle.missing for bundle in one.arriving)) for name, one in stands.items()},
        ),
        "lockgate_diode_arriving_bundles": (
            "Bundles on their way that are not whole",
            {(("diode", name),): float(len(one.arriving)) for name, one in stands.items()},
        ),
    }
