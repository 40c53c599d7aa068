"""How a diode's receiving end stands, in a file of the station's folder: the job writes it, everybody reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from appliance.diode.arrival import Arrival
from appliance.limits import diode as limits
from bundles.errors import LockgateError
from bundles.io.files import read_small, write_atomic

COUNTED: Final = ("useful", "surplus", "unknown", "forged", "foreign")
"""How datagrams are counted: of use; right and not needed any more; of a session whose head has not come; with a hash
or signature that does not hold; and what is none of ours."""


class ArrivingTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle on its way in: `blocks` it has, `missing` of them are not whole, `code` says which."""

    id: str
    site: str
    bytes: int
    blocks: int
    missing: int
    code: str


class ReceiverState(msgspec.Struct, frozen=True, kw_only=True):
    """`job` receives, since `at` it has not said anything new; `datagrams` counts by `COUNTED`, and
    `buffer` is what the kernel holds for it, in bytes."""

    job: str = ""
    at: str = ""
    buffer: int = 0
    bytes: int = 0
    datagrams: dict[str, int] = {}
    arriving: list[ArrivingTransfer] = []


def of(arrival: Arrival) -> ArrivingTransfer:
    """How a transfer stands."""
    found = arrival.session
    return ArrivingTransfer(
        id=found.bundle, site=found.site, bytes=found.size, blocks=found.geometry.blocks,
        missing=len(arrival.missing()), code=arrival.code(),
    )  # fmt: skip


def read(path: Path) -> ReceiverState:
    """What was written last; an empty one where nothing was, or it cannot be read."""
    try:
        return msgspec.json.decode(read_small(path, limits.DIODE_STATE), type=ReceiverState)
    except (LockgateError, msgspec.DecodeError):
        return ReceiverState()


def write(path: Path, standing: ReceiverState) -> None:
    """Keep it. Raises FailedError."""
    write_atomic(path, msgspec.json.encode(standing), 0o600)
