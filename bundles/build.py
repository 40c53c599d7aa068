"""Building a bundle: lay out and hash, then (once it is signed) write and compare.

Everything about a volume is known before it is written; what the plan fixes is the same whenever it is asked for, so a
volume that failed on its medium, or was cut off by a power cut, is cut again byte for byte.
"""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bundles import limits
from bundles.errors import FailedError, LockgateError, UsageError
from bundles.format import sums
from bundles.format.manifest import Artifact, Blob, BundleManifest, Evidence, Part, Required, Volume, volume_path
from bundles.format.media import Packing, pack
from bundles.format.oci_layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.format.volume_frame import Entry, Piece, VolumeLayout, lay_out_volume
from bundles.io.files import failures_named
from bundles.io.work_threads import at_once
from bundles.oci.digest import Digest
from bundles.ports import BlobReader, BlobSource, Progress
from bundles.volumes.hashing import Measure, hash_volume, measure_parts
from bundles.volumes.medium_folder import Signed, finish, prepare
from bundles.volumes.read import ranges_of
from bundles.volumes.write import Note, confirm_volume, is_whole, write_volume

__all__ = ["Content", "LaidOut", "Signed", "lay_out", "layouts_of", "plan_volumes", "sums_of", "write", "write_media"]

_SMALL_FILES: Final = 128 * limits.KIB
_BLOB_RECORD: Final = 320
_EVIDENCE_RECORD: Final = 340
_VOLUME_RECORD: Final = 400
"""What a medium holds beside volumes: README.txt, signatures and the slack of its file system; then manifest.json and
SHA256SUMS, by blob (a sha512 digest and its place), by piece of evidence, and by volume (with a part that ends it)."""

_CLUSTER: Final = 32 * limits.KIB
"""What a volume's end may waste: the largest usual cluster of FAT32."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a bundle carries. `blobs` (digest, bytes) stand in the order in which they are to lie on the media."""

    artifacts: Sequence[Artifact]
    blobs: Sequence[tuple[Digest, int]]
    requires: Sequence[Required] = ()
    sboms: Sequence[Evidence] = ()
    signatures: Sequence[Evidence] = ()
    attestations: Sequence[Evidence] = ()

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(size for _, size in self.blobs)


@dataclass(frozen=True, slots=True)
class LaidOut:
    """The manifest's `blobs` and `volumes`, hashed."""

    blobs: list[Blob]
    volumes: list[Volume]


def plan_volumes(content: Content, volume_size: int, media: Sequence[int | None]) -> Packing:
    """Where every blob will lie; `media` are the bytes free on each. Raises FailedError where they do not suffice."""
    usable = [None if free is None else max(free - _reserve(content, volume_size, free), 0) for free in media]
    first = [(entry.name, entry.size) for entry in _literals(content.artifacts)]
    return pack(content.blobs, volume_size, usable, first)


def _reserve(content: Content, volume_size: int, free: int) -> int:
    """What a medium with `free` bytes must keep beside its volumes, in bytes: counted large rather than small."""
    evidence = len(content.sboms) + len(content.signatures) + len(content.attestations)
    return (
        _SMALL_FILES
        + len(msgspec.json.encode(content.artifacts))
        + _BLOB_RECORD * (len(content.blobs) + len(content.requires))
        + _EVIDENCE_RECORD * evidence
        + _VOLUME_RECORD * _most_volumes(content.size, min(volume_size, free))
        + _CLUSTER * _most_volumes(min(content.size, free), volume_size)
    )


def _most_volumes(size: int, volume_size: int) -> int:
    """How many volumes `size` bytes may take: of two that follow one another, one is at least half full."""
    return min(2 * size // max(volume_size, 1) + 2, limits.VOLUMES)


def lay_out(content: Content, packing: Packing, source: BlobSource, progress: Progress) -> LaidOut:
    """Lay out and hash every volume: one read of every blob, and one before it of blobs in parts.

    Raises FailedError naming a stored blob that is missing or rotten.
    """
    parted = [piece for pieces in packing.volumes for piece in pieces if piece.part is not None]
    counter = _Counter(progress, "hash", content.size + sum(piece.length for piece in parted))
    measured = measure_parts(parted, source, counter.advance)
    volumes: list[Volume] = []
    placed: dict[Digest, list[tuple[Piece, int, int]]] = {}
    for index, (pieces, medium) in enumerate(zip(packing.volumes, packing.media, strict=True), 1):
        layout = _layout(index, pieces, content.artifacts)
        crcs = [_crc32(entry, measured, source) for entry in layout.entries]
        sha256 = hash_volume(layout, crcs, source, counter.advance)
        volumes.append(Volume(index=index, medium=medium, size=layout.size, sha256=sha256))
        for entry, offset in zip(layout.entries, layout.offsets, strict=True):
            if isinstance(entry.content, Piece):
                placed.setdefault(entry.content.digest, []).append((entry.content, index, offset))
    blobs = [
        _blob(digest, places, measured) for digest, places in sorted(placed.items(), key=lambda item: str(item[0]))
    ]
    return LaidOut(blobs, volumes)


def layouts_of(manifest: BundleManifest) -> Callable[[int], VolumeLayout]:
    """The layout of each volume (by index) from the manifest alone, so that any one can be cut again."""
    ranges = ranges_of(manifest)

    def layout(index: int) -> VolumeLayout:
        pieces = [Piece(entry.digest, entry.blob_offset, entry.length, entry.part) for entry in ranges[index]]
        return _layout(index, pieces, manifest.artifacts)

    return layout


def sums_of(manifest: BundleManifest, manifest_bytes: bytes, readme: bytes) -> bytes:
    """SHA256SUMS of a bundle: the bytes that are signed."""
    lines = [
        sums.SumLine(hashlib.sha256(manifest_bytes).hexdigest(), sums.MANIFEST),
        sums.SumLine(hashlib.sha256(readme).hexdigest(), sums.README),
        *(sums.SumLine(volume.sha256, volume_path(volume.index)) for volume in manifest.volumes),
    ]
    return sums.render(lines)


Told = Callable[[int, str, int, int, str], object]
"""Told of a medium (its number): `writing`, `comparing`, `done` or `failed`; bytes done of those to write and to
compare; and what failed."""


def write(
    bundle: Signed,
    source: BlobReader,
    out: Sequence[Path],
    progress: Progress,
    note: Note = lambda _: None,
    told: Told = lambda *_: None,
) -> list[Path]:
    """Write and compare every medium: `out[n - 1]` takes medium n. Returns the bundle's folder on each medium used.

    All media are looked at before the first volume is written, and all volumes of a medium are written before the first
    is compared. Media on different drives are written at once; one that fails does not stop the others. Goes on where
    it was: a volume that is there and compares is kept. `note` is told lines for the record, from several threads,
    and `told` how far each medium is.
    Raises FailedError naming the medium, or RefusedError where another bundle's files are in the way.
    """
    media = sorted({volume.medium for volume in bundle.manifest.volumes})
    return write_media(bundle, source, {medium: out[medium - 1] for medium in media}, progress, note, told)


def write_media(
    bundle: Signed,
    source: BlobReader,
    places: Mapping[int, Path],
    progress: Progress,
    note: Note = lambda _: None,
    told: Told = lambda *_: None,
) -> list[Path]:
    """As `write`, of the media in `places` alone: medium by number, and the folder that it goes to."""
    manifest = bundle.manifest
    layout = layouts_of(manifest)
    total = sum(volume.size for volume in manifest.volumes if volume.medium in places)
    counter = _Counter(progress, "write", 2 * total)
    folders = {medium: place / manifest.id for medium, place in places.items()}
    if len(set(folders.values())) < len(folders):
        named = str(next(iter(places.values())))
        raise UsageError("two media are one folder", thing=named, remedy="give each medium a folder of its own")
    for medium, folder in folders.items():
        prepare(folder, bundle, medium)

    def write_medium(medium: int) -> None:
        folder = folders[medium]
        places = [(v, folder / volume_path(v.index)) for v in manifest.volumes if v.medium == medium]
        share = _Share(medium, sum(v.size for v, _ in places), counter.advance, told)
        fresh = [(v, path) for v, path in places if not is_whole(path, v.size, v.sha256, share.advance)]
        for volume, path in fresh:
            write_volume(layout(volume.index), source, path, share.advance)
        share.state = "comparing"

        def confirm(place: tuple[Volume, Path]) -> None:
            volume, path = place
            confirm_volume(layout(volume.index), volume.sha256, source, path, share.advance, note)

        at_once(confirm, fresh, 2)
        finish(folder, bundle)
        share.end("done")

    _on_every_drive(write_medium, folders, lambda medium, why: told(medium, "failed", 0, 0, why))
    return list(folders.values())


class _Share:
    """A medium's part of the progress: each byte counts once when it is written, and once when it is compared."""

    def __init__(self, medium: int, size: int, advance: Callable[[int], None], told: Told) -> None:
        self.state = "writing"
        self._medium, self._total, self._done = medium, 2 * size, 0
        self._advance, self._told = advance, told
        told(medium, self.state, 0, self._total, "")

    def advance(self, count: int) -> None:
        self._advance(count)
        self._done += count  # whoever looks may be a block behind: it is shown, and nothing hangs on it
        self._told(self._medium, self.state, min(self._done, self._total), self._total, "")

    def end(self, state: str) -> None:
        self._told(self._medium, state, self._total, self._total, "")


def _on_every_drive(
    write_medium: Callable[[int], None], folders: Mapping[int, Path], failing: Callable[[int, str], object]
) -> None:
    """Write media on different drives at once, those of one drive in turn. One that fails does not keep the others from
    being finished; its error is raised when they are."""
    drives: dict[int, list[int]] = {}
    for medium, folder in folders.items():
        with failures_named(folder, "the medium cannot be written"):
            drives.setdefault(folder.stat().st_dev, []).append(medium)
    failed: list[LockgateError] = []

    def write_drive(media: Sequence[int]) -> None:
        for medium in media:
            try:
                write_medium(medium)
            except FailedError as error:
                failing(medium, error.diagnostics())
                failed.append(error)

    at_once(write_drive, list(drives.values()), limits.DRIVES)
    if failed:
        raise failed[0]


def _literals(artifacts: Sequence[Artifact]) -> list[Entry]:
    return [Entry.literal(INDEX, index_bytes(artifacts)), Entry.literal(LAYOUT_FILE, LAYOUT)]


def _layout(index: int, pieces: Sequence[Piece], artifacts: Sequence[Artifact]) -> VolumeLayout:
    literals = _literals(artifacts) if index == 1 else []
    return lay_out_volume([*map(Entry.piece, pieces), *literals])


def _crc32(entry: Entry, measured: Mapping[Piece, Measure], source: BlobSource) -> int:
    if isinstance(entry.content, bytes):
        return zlib.crc32(entry.content)
    return source.crc32(entry.content.digest) if entry.content.part is None else measured[entry.content].crc32


def _blob(digest: Digest, places: list[tuple[Piece, int, int]], measured: Mapping[Piece, Measure]) -> Blob:
    first, volume, offset = places[0]
    if first.part is None:
        return Blob(digest=str(digest), size=first.length, volume=volume, offset=offset)
    parts = [
        Part(volume=volume, offset=offset, length=piece.length, sha256=measured[piece].sha256)
        for piece, volume, offset in sorted(places, key=lambda place: place[0].offset)
    ]
    return Blob(digest=str(digest), size=sum(part.length for part in parts), parts=parts)


class _Counter:
    """Bytes done so far, told to the Progress."""

    def __init__(self, progress: Progress, phase: str, total: int) -> None:
        self._progress, self._phase, self._total, self._done = progress, phase, total, 0
        self._turn = threading.Lock()
        progress(phase, 0, total)

    def advance(self, count: int) -> None:
        with self._turn:
            self._done += count
            self._progress(self._phase, min(self._done, self._total), self._total)
