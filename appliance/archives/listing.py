"""The files of a layer, for people to look at: an archive's entries in their order, as a runtime would name them.

Nothing is unpacked. What an archive says of itself is untrusted text; how much of it is looked at is bounded in time,
in bytes and in entries (`appliance.archives.unpacking`, `appliance.archives.tar_stream`).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import BinaryIO, Final

from appliance.api.content import LayerFile, LayerFiles
from appliance.archives.tar_fields import is_header
from appliance.archives.tar_stream import Member, members
from appliance.archives.unpacking import Unwrapped
from appliance.limits import archives as limits
from bundles.errors import LockgateError

_KINDS: Final = {
    "0": "file", "1": "hard link", "2": "link", "3": "device", "4": "device", "5": "folder", "6": "pipe", "7": "file",
    "S": "file",
}  # fmt: skip
_BATCH: Final = 200
"""Files that are told at once."""
_PATIENCE: Final = 0.5
"""Seconds after which is told how far it is, where few files answer the filter."""


def listed(file: BinaryIO, size: int, wanted: str = "", seconds: float = limits.LISTING_TIME) -> Generator[LayerFiles]:
    """The files whose path holds `wanted`, whatever its case, batch by batch; the last batch is the `end`, and says in
    `why` what keeps it from being the whole layer. The file is closed. Blocking, between any two batches."""
    batch: list[LayerFile] = []
    found = looked = 0
    why, begun = "", time.monotonic()
    deadline, last, sought = begun + seconds, begun, wanted.casefold()
    try:
        with file, Unwrapped(file, size, deadline) as unwrapped:
            if not is_header(unwrapped.stream.peek(512)):
                yield LayerFiles(end=True, why="it is no archive")
                return
            for member in members(unwrapped.stream):
                if not isinstance(member, Member):
                    continue
                looked += 1
                if sought in member.names[0].casefold():
                    if found == limits.LISTING_FILES:
                        why = f"only the first {limits.LISTING_FILES} files are shown: filter for the others"
                        break
                    found += 1
                    batch.append(_shown(member))
                now = time.monotonic()
                if len(batch) == _BATCH or now - last > _PATIENCE:
                    yield LayerFiles(files=tuple(batch), looked=looked)
                    batch, last = [], now
    except LockgateError as error:
        late = time.monotonic() > deadline
        why = f"it was looked at for {seconds:.0f} s, and there is more" if late else error.diagnostics()
    yield LayerFiles(files=tuple(batch), looked=looked, end=True, why=why)


def _shown(member: Member) -> LayerFile:
    linked = member.kind in ("1", "2")
    return LayerFile(
        path=member.names[0][: limits.LISTING_PATH],
        kind=_KINDS.get(member.kind, f"type {member.kind!r}"),
        size=member.size,
        mode=f"{member.mode & 0o7777:04o}",
        link=member.targets[0][: limits.LISTING_PATH] if linked and member.targets else "",
    )
