"""Media and the packing of blobs into volumes.

Packing keeps the plan's order, so that an artifact's blobs lie together; a few volumes stay open so that small blobs
fill what large ones left. A blob larger than a volume is cut into parts that fill volumes. The same input gives the
same packing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bundles import limits
from bundles.errors import FailedError, UsageError
from bundles.oci.digest import Digest
from bundles.volumes.frame import Piece, entry_overhead, volume_overhead

PROFILES: Final = {
    "fat32": 4 * 1024**3 - 1,
    "dvd": 4_700_372_992,
    "dvd-dl": 8_543_666_176,
    "bd25": 25_025_314_816,
    "bd50": 50_050_629_632,
    "bd100": 100_103_356_416,
}
"""The largest file of FAT32, and the capacities of recordable discs, in bytes."""

_UNITS: Final = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([A-Za-z]*)\Z")
_OPEN: Final = 8
"""Volumes that stay open while packing: enough for small blobs to fill gaps, few enough to stay linear."""


def capacity(text: str) -> int:
    """A profile's or size's bytes (`fat32`, `bd25`, `40MB`, `64MiB`, `1000000`). Raises UsageError."""
    if text.lower() in PROFILES:
        return PROFILES[text.lower()]
    match = _SIZE.match(text.strip())
    factor = _UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise UsageError(
            "not a volume size",
            thing=repr(text)[:60],
            remedy=f"use {', '.join(PROFILES)}, or a size such as 40MB or 4GiB",
        )
    size = int(match[1]) * factor
    if size < limits.VOLUME_MINIMUM:
        raise UsageError("a volume size too small", thing=text, remedy=f"the least is {limits.VOLUME_MINIMUM} bytes")
    return size


@dataclass(frozen=True, slots=True)
class Packing:
    """Which pieces each volume holds, and the medium (from 1) it goes to."""

    volumes: tuple[tuple[Piece, ...], ...]
    media: tuple[int, ...]


@dataclass(slots=True)
class _Volume:
    free: int
    pieces: list[Piece] = field(default_factory=list)


def pack(
    blobs: Sequence[tuple[Digest, int]],
    volume_size: int,
    media: Sequence[int | None] = (None,),
    first_reserve: int = 0,
) -> Packing:
    """Pack blobs (digest, bytes) into volumes of at most `volume_size` bytes, and volumes onto media.

    `media` are the bytes free on each (None: not known, as much as it takes); `first_reserve` is what volume 1 holds
    beside blobs. Raises FailedError when the media cannot take it, naming the bytes that are missing.
    """
    largest = max((free for free in media if free is not None), default=None)
    if largest is not None and None not in media:
        volume_size = min(volume_size, largest)
    if volume_size < max(limits.VOLUME_MINIMUM, first_reserve + volume_overhead()):
        raise FailedError(
            "the media are too small for a volume", thing=f"{volume_size} bytes free", remedy="free some space"
        )
    volumes = _fill(blobs, volume_size, first_reserve)
    if len(volumes) > limits.VOLUMES:
        raise UsageError("too many volumes", thing=str(len(volumes)), remedy="choose a larger --volume")
    used = [volume_size - volume.free for volume in volumes]
    return Packing(tuple(tuple(volume.pieces) for volume in volumes), _assign(used, media))


def _fill(blobs: Sequence[tuple[Digest, int]], volume_size: int, first_reserve: int) -> list[_Volume]:
    fresh = volume_size - volume_overhead()
    volumes = [_Volume(fresh - first_reserve)]
    for digest, size in blobs:
        whole = Piece(digest, 0, size)
        needed = size + entry_overhead(whole.name)
        target = next((volume for volume in volumes[-_OPEN:] if volume.free >= needed), None)
        if target is None and needed > fresh:
            _cut(volumes, digest, size, fresh)
            continue
        if target is None:
            target = _Volume(fresh)
            volumes.append(target)
        target.pieces.append(whole)
        target.free -= needed
    return volumes


def _cut(volumes: list[_Volume], digest: Digest, size: int, fresh: int) -> None:
    """Put a blob larger than a volume into parts: what the last volume has left, then whole volumes."""
    position, part = 0, 1
    while position < size:
        overhead = entry_overhead(Piece(digest, 0, 0, part).name)
        room = volumes[-1].free - overhead
        if room < min(limits.VOLUME_MINIMUM // 2, size - position):
            volumes.append(_Volume(fresh))
            continue
        length = min(room, size - position)
        volumes[-1].pieces.append(Piece(digest, position, length, part))
        volumes[-1].free -= length + overhead
        position += length
        part += 1


def _assign(used: Sequence[int], media: Sequence[int | None]) -> tuple[int, ...]:
    """The medium of each volume: media are filled in order, a volume never spans two."""
    assigned: list[int] = []
    medium, left = 0, media[0]
    for size in used:
        while left is not None and size > left:
            medium += 1
            if medium == len(media):
                missing = sum(used[len(assigned) :]) - left
                raise FailedError(
                    "the media are too small for the bundle",
                    thing=f"{missing} bytes more are needed",
                    remedy="free some space, or give another --out",
                )
            left = media[medium]
        assigned.append(medium + 1)
        left = None if left is None else left - size
    return tuple(assigned)
