"""Media and the packing of blobs into volumes.

Packing keeps the plan's order, so that an artifact's blobs lie together; a few volumes stay open, so that small blobs
fill what large ones left. Media are filled in their order, each to `FILLED` or better before the next is begun: a blob
larger than a volume, or than what a medium has left below that, is cut into parts. Nothing goes back to a medium that
is full, so an artifact lies on neighbouring media. The same input gives the same packing. Sizes are exact: what is
packed is never a byte over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bundles import limits
from bundles.errors import FailedError, UsageError
from bundles.format.volume_frame import FrameSize, Piece
from bundles.oci.digest import Digest

_DISC_RESERVE: Final = 80 * limits.MIB
"""What a disc holds beside a volume: its file system, and the bundle's small files at their largest."""

_DISC_FILE_SYSTEM: Final = 4 * limits.MIB
"""What ISO 9660 with Joliet, or UDF, takes of a disc for itself; counted large."""

_DISCS: Final = {
    "dvd": 4_700_372_992,
    "dvd-dl": 8_543_666_176,
    "bd25": 25_025_314_816,
    "bd50": 50_050_629_632,
    "bd100": 100_103_356_416,
}
"""Bytes of a disc: DVD+R (ECMA-349), DVD+R DL (ECMA-364), BD-R of one, two and three layers."""

PROFILES: Final = {"fat32": 4 * 1024**3 - 1} | {name: size - _DISC_RESERVE for name, size in _DISCS.items()}
"""The largest volume by profile, in bytes: FAT32's largest file; of a disc's capacity, what leaves it room."""

_UNITS: Final = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([A-Za-z]*)\Z")
_FLOOR: Final = 1024
"""A volume of fewer bytes may not hold a part's own header."""

FILLED: Final = 0.99
"""How full a medium is, of what it takes, before a blob that it could hold a part of goes whole to the next: with what
the small files and the ends of clusters take, 95 % or better of what was free on it."""

_LEAST: Final = 256 * limits.KIB
"""A medium, or a volume, with less room left takes no further part: it would be all header, and one seek more."""

_OPEN: Final = 8
"""Volumes that stay open while packing: enough for small blobs to fill gaps, few enough to stay linear."""


def capacity(text: str) -> int:
    """The largest volume, in bytes, by a profile or a size: `fat32`, `bd25`, `40MB`, `64MiB`, `1000000`.

    Raises UsageError.
    """
    if text.strip().lower() in PROFILES:
        return PROFILES[text.strip().lower()]
    match = _SIZE.match(text.strip())
    factor = _UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise UsageError(
            "not a volume size",
            thing=repr(text)[:60],
            remedy=f"use {', '.join(PROFILES)}, or a size such as 40MB or 4GiB",
        )
    size = int(match[1]) * factor
    if not limits.VOLUME_MINIMUM <= size <= limits.INTEGER:
        raise UsageError("a volume size out of range", thing=text, remedy=f"the least is {limits.VOLUME_MINIMUM} bytes")
    return size


def disc_of(text: str) -> int | None:
    """The bytes that one medium takes, where `text` is a profile of a disc; None where it is as large as it is."""
    size = _DISCS.get(text.strip().lower())
    return None if size is None else size - _DISC_FILE_SYSTEM


@dataclass(frozen=True, slots=True)
class Packing:
    """Which pieces each volume holds, and the medium (from 1) it goes to; media ascend without a gap. `sizes` are the
    volumes' bytes, exact, where `pack` made it."""

    volumes: tuple[tuple[Piece, ...], ...]
    media: tuple[int, ...]
    sizes: tuple[int, ...] = ()


def pack(
    blobs: Sequence[tuple[Digest, int]],
    volume_size: int,
    media: Sequence[int | None] = (None,),
    first: Sequence[tuple[str, int]] = (),
) -> Packing:
    """Pack blobs (digest, bytes) into volumes of at most `volume_size` bytes, and volumes onto media.

    `media` are the bytes free on each (None: not known, as much as it takes); `first` (name, bytes) are the entries
    that volume 1 holds beside blobs. Blobs stay whole where a medium is `FILLED` without cutting; where the media do
    not suffice so, each is filled to its end. Raises FailedError naming the bytes that are missing, UsageError for too
    many volumes.
    """
    try:
        packer = _Packer(volume_size, media, cut_at_ends=False)
        packer.run(blobs, first)
    except FailedError:
        packer = _Packer(volume_size, media, cut_at_ends=True)
        packer.run(blobs, first)
    if len(packer.volumes) > limits.VOLUMES:
        raise UsageError("too many volumes", thing=str(len(packer.volumes)), remedy="choose a larger --volume")
    return Packing(
        tuple(tuple(volume.pieces) for volume in packer.volumes),
        tuple(volume.medium + 1 for volume in packer.volumes),
        tuple(volume.frame.size for volume in packer.volumes),
    )


@dataclass(slots=True)
class _Volume:
    medium: int
    frame: FrameSize = field(default_factory=FrameSize)
    pieces: list[Piece] = field(default_factory=list)


class MediumTooSmallError(FailedError):
    """The medium of index `medium`, `free` bytes of room, takes no volume."""

    def __init__(self, medium: int, name: str, free: int) -> None:
        super().__init__(
            "a medium is too small for a volume",
            thing=f"{name} ({free} bytes are free)",
            remedy="free some space on it, or leave it out",
        )
        self.medium, self.free = medium, free


class _NoMediumError(Exception):
    """The last medium is full."""


class _Packer:
    """First fit over the open volumes; then a new volume; then the next medium; then parts."""

    def __init__(self, volume_size: int, media: Sequence[int | None], *, cut_at_ends: bool) -> None:
        if volume_size < _FLOOR:
            raise UsageError("a volume size too small", thing=str(volume_size), remedy="choose a larger --volume")
        self._volume_size = volume_size
        self._least = min(volume_size, _LEAST)
        self._least_part = self._least // 2
        self._free = [limits.INTEGER if free is None else free for free in media]
        self._may_stay_free = [free * (1 - FILLED) for free in self._free]
        self._medium = 0
        self._cut_at_ends = cut_at_ends
        self.volumes: list[_Volume] = []

    def run(self, blobs: Sequence[tuple[Digest, int]], first: Sequence[tuple[str, int]]) -> None:
        """Place everything. Raises FailedError where the media do not take it."""
        self._open_first(first)
        try:
            for digest, size in blobs:
                self._place(digest, size)
        except _NoMediumError:
            whole = sum(size for _, size in blobs)
            held = sum(piece.length for volume in self.volumes for piece in volume.pieces)
            raise FailedError(
                "the media are too small for the bundle",
                thing=f"{whole - held} bytes more are needed",
                remedy="free some space, or give another --out",
            ) from None

    def _open_first(self, first: Sequence[tuple[str, int]]) -> None:
        needed = FrameSize()
        for name, size in first:
            needed.add(name, size)
        if needed.size > self._volume_size:
            raise UsageError(
                "the volumes are too small for the bundle's index",
                thing=f"{needed.size} bytes",
                remedy="choose a larger --volume",
            )
        if self._free[0] < max(self._least, needed.size):
            raise _too_small(0, self._free[0])
        self.volumes.append(_Volume(0, needed))
        self._free[0] -= needed.size

    def _place(self, digest: Digest, size: int) -> None:
        whole = Piece(digest, 0, size)
        name = whole.name
        for volume in reversed(self.volumes[-_OPEN:]):
            if volume.medium != self._medium:
                continue
            total = volume.frame.size_with(name, size)
            if total <= self._ceiling(volume):
                self._add(volume, whole, name, total)
                return
        alone = FrameSize().size_with(name, size)
        if not self._fits_alone(alone, self._medium):
            if not self._may_go_on(alone):
                self._cut(digest, size)
                return
            self._medium += 1
        self._add(self._open(), whole, name, alone)

    def _may_go_on(self, size: int) -> bool:
        """Whether the current medium is full enough to leave it for the next, which takes `size` bytes in one piece."""
        is_full = self._free[self._medium] <= self._may_stay_free[self._medium]
        return is_full and not self._cut_at_ends and self._fits_alone(size, self._medium + 1)

    def _ceiling(self, volume: _Volume) -> int:
        """The size that a volume may reach."""
        return min(self._volume_size, volume.frame.size + self._free[volume.medium])

    def _fits_alone(self, size: int, medium: int) -> bool:
        return medium < len(self._free) and size <= min(self._volume_size, self._free[medium])

    def _add(self, volume: _Volume, piece: Piece, name: str, total: int | None = None) -> None:
        """Put a piece into a volume. `name` is the piece's, `total` what `size_with` said of it."""
        before = volume.frame.size
        volume.frame.add(name, piece.length, total)
        volume.pieces.append(piece)
        self._free[volume.medium] -= volume.frame.size - before

    def _open(self) -> _Volume:
        """A new volume on the current medium."""
        volume = _Volume(self._medium)
        self._free[self._medium] -= volume.frame.size
        self.volumes.append(volume)
        return volume

    def _open_roomy(self) -> _Volume:
        """A new volume on the current medium, or on the next where there is hardly room on it."""
        if self._free[self._medium] < self._least:
            self._medium += 1
            if self._medium == len(self._free):
                raise _NoMediumError
            if self._free[self._medium] < self._least:
                raise _too_small(self._medium, self._free[self._medium])
        return self._open()

    def _cut(self, digest: Digest, size: int) -> None:
        """Put a blob into parts: what the last volume has left, then volumes filled whole."""
        position, part = 0, 1
        volume = self.volumes[-1]
        while True:
            name = Piece(digest, 0, 0, part).name
            length = min(volume.frame.room_for(name, self._ceiling(volume)), size - position)
            if length < min(self._least_part, size - position):
                volume = self._open_roomy()
                continue
            if length == size:  # a fresh volume took it whole after all
                self._add(volume, whole := Piece(digest, 0, size), whole.name)
                return
            self._add(volume, cut := Piece(digest, position, length, part), cut.name)
            position += length
            part += 1
            if position == size:
                return


def _too_small(medium: int, free: int) -> MediumTooSmallError:
    return MediumTooSmallError(medium, f"medium {medium + 1}", free)
