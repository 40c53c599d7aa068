"""Building a bundle: lay out and hash, then (once it is signed) write and compare.

Everything about a volume is known before it is written; what the plan fixes is the same whenever it is asked for, so a
volume that failed on its medium, or was cut off by a power cut, is cut again byte for byte.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bundles import limits, sums
from bundles.errors import FailedError, RefusedError
from bundles.files import failures_named, read_small, sync_folder, write_atomic
from bundles.lanes import Lane
from bundles.manifest import Artifact, Blob, BundleManifest, Evidence, Part, Required, Volume, volume_path
from bundles.media import Packing, pack
from bundles.oci.digest import Digest, new_hasher
from bundles.oci.layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.ports import BlobSource, Progress
from bundles.volumes.frame import Entry, Piece, VolumeLayout, entry_overhead, lay_out_volume
from bundles.volumes.read import ranges_of
from bundles.volumes.write import cut_volume, hash_volume, stream_piece

_MEDIUM_RESERVE = 256 * limits.KIB
_BLOB_RECORD = 600
"""What a medium holds beside volumes: the small files, and manifest.json with at most this much a blob or artifact."""


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
    reserve = _MEDIUM_RESERVE + _BLOB_RECORD * (len(content.blobs) + len(content.artifacts))
    usable = [None if free is None else max(free - reserve, 0) for free in media]
    first = sum(entry.size + entry_overhead(entry.name) for entry in _literals(content.artifacts))
    return pack(content.blobs, volume_size, usable, first)


def lay_out(content: Content, packing: Packing, source: BlobSource, progress: Progress) -> LaidOut:
    """Lay out and hash every volume; one read, and one more of blobs in parts (a 7z header needs their CRC-32).

    Raises FailedError naming a stored blob that is missing or rotten.
    """
    parted = [piece for pieces in packing.volumes for piece in pieces if piece.part is not None]
    total = content.size + sum(piece.length for piece in parted)
    counter = _Counter(progress, "hash", total)
    measured = _measure_parts(parted, source, counter.advance)
    volumes: list[Volume] = []
    placed: dict[Digest, list[tuple[Piece, int, int]]] = {}
    for index, (pieces, medium) in enumerate(zip(packing.volumes, packing.media, strict=True), 1):
        layout = _layout(index, pieces, content.artifacts, measured, source)
        volumes.append(
            Volume(index=index, medium=medium, size=layout.size, sha256=hash_volume(layout, source, counter.advance))
        )
        for entry, offset in zip(layout.entries, layout.offsets, strict=True):
            if isinstance(entry.content, Piece):
                placed.setdefault(entry.content.digest, []).append((entry.content, index, offset))
    blobs = [
        _blob(digest, places, measured) for digest, places in sorted(placed.items(), key=lambda item: str(item[0]))
    ]
    return LaidOut(blobs, volumes)


def layouts_of(manifest: BundleManifest, source: BlobSource) -> Callable[[int], VolumeLayout]:
    """The layout of each volume (by index) from the manifest alone, so that any one can be cut again."""
    ranges = ranges_of(manifest)

    def layout(index: int) -> VolumeLayout:
        pieces = [Piece(r.digest, r.blob_offset, r.length, r.part) for r in ranges[index]]
        parted = [piece for piece in pieces if piece.part is not None]
        measured = {piece: (_crc32_of(piece, source), "") for piece in parted}
        return _layout(index, pieces, manifest.artifacts, measured, source)

    return layout


def sums_of(manifest: BundleManifest, manifest_bytes: bytes, readme: bytes) -> bytes:
    """SHA256SUMS of a bundle: the bytes that are signed."""
    lines = [
        sums.SumLine(hashlib.sha256(manifest_bytes).hexdigest(), sums.MANIFEST),
        sums.SumLine(hashlib.sha256(readme).hexdigest(), sums.README),
        *(sums.SumLine(volume.sha256, volume_path(volume.index)) for volume in manifest.volumes),
    ]
    return sums.render(lines)


@dataclass(frozen=True, slots=True)
class Signed:
    """A bundle's small files: manifest, their exact bytes, and the signatures made so far (file name to bytes)."""

    manifest: BundleManifest
    manifest_bytes: bytes
    readme: bytes
    sums: bytes
    signatures: Mapping[str, bytes] = field(default_factory=dict)


def write(bundle: Signed, source: BlobSource, out: Sequence[Path], progress: Progress) -> list[Path]:
    """Write and compare every medium: `out[n - 1]` takes medium n. Returns the bundle's folder on each medium used.

    Goes on where it was: a volume that is there and compares is kept. Raises FailedError naming the medium, or
    RefusedError where another bundle's files are in the way.
    """
    layout = layouts_of(bundle.manifest, source)
    total = 2 * sum(volume.size for volume in bundle.manifest.volumes)
    counter = _Counter(progress, "write", total)
    folders: dict[int, Path] = {}
    for volume in bundle.manifest.volumes:
        folder = folders.get(volume.medium)
        if folder is None:
            folder = folders[volume.medium] = out[volume.medium - 1] / bundle.manifest.id
            _prepare(folder, bundle)
        cut_volume(layout(volume.index), volume.sha256, source, folder / volume_path(volume.index), counter.advance)
    for folder in folders.values():
        _small_files(folder, bundle)
    return list(folders.values())


def _prepare(folder: Path, bundle: Signed) -> None:
    with failures_named(folder, "the medium cannot be written"):
        folder.mkdir(exist_ok=True)
        (folder / "volumes").mkdir(exist_ok=True)
        existing = folder / sums.NAME
        if existing.exists() and read_small(existing, limits.SUMS_FILE) != bundle.sums:
            raise RefusedError("another bundle of this name is on the medium", thing=str(folder), remedy="move it away")


def _small_files(folder: Path, bundle: Signed) -> None:
    """Written last, SHA256SUMS at the very end: a medium without it is not finished."""
    write_atomic(folder / sums.MANIFEST, bundle.manifest_bytes)
    write_atomic(folder / sums.README, bundle.readme)
    for name, signature in bundle.signatures.items():
        write_atomic(folder / name, signature)
    write_atomic(folder / sums.NAME, bundle.sums)
    sync_folder(folder.parent)


def _literals(artifacts: Sequence[Artifact]) -> list[Entry]:
    return [Entry.literal(INDEX, index_bytes(artifacts)), Entry.literal(LAYOUT_FILE, LAYOUT)]


def _layout(
    index: int,
    pieces: Sequence[Piece],
    artifacts: Sequence[Artifact],
    measured: Mapping[Piece, tuple[int, str]],
    source: BlobSource,
) -> VolumeLayout:
    entries = [Entry(p.name, p.length, source.crc32(p.digest) if p.part is None else measured[p][0], p) for p in pieces]
    return lay_out_volume([*entries, *(_literals(artifacts) if index == 1 else [])])


def _blob(digest: Digest, places: list[tuple[Piece, int, int]], measured: Mapping[Piece, tuple[int, str]]) -> Blob:
    first, volume, offset = places[0]
    if first.part is None:
        return Blob(digest=str(digest), size=first.length, volume=volume, offset=offset)
    parts = [
        Part(volume=volume, offset=offset, length=piece.length, sha256=measured[piece][1])
        for piece, volume, offset in sorted(places, key=lambda place: place[0].offset)
    ]
    return Blob(digest=str(digest), size=sum(part.length for part in parts), parts=parts)


def _measure_parts(
    pieces: Sequence[Piece], source: BlobSource, advance: Callable[[int], object]
) -> dict[Piece, tuple[int, str]]:
    """CRC-32 and sha256 of each part, the whole blob checked against its digest on the way."""
    measured: dict[Piece, tuple[int, str]] = {}
    for digest in dict.fromkeys(piece.digest for piece in pieces):
        whole = new_hasher(digest.algorithm)
        for piece in sorted((p for p in pieces if p.digest == digest), key=lambda p: p.offset):
            crc, part = 0, hashlib.sha256()
            with Lane(whole.update) as whole_lane, Lane(part.update) as part_lane:
                for chunk in stream_piece(piece, source):
                    whole_lane.put(chunk)
                    part_lane.put(chunk)
                    crc = zlib.crc32(chunk, crc)
                    advance(len(chunk))
            measured[piece] = (crc, part.hexdigest())
        if whole.hexdigest() != digest.hex:
            raise FailedError(
                "a stored blob has rotted", thing=str(digest), remedy="collect it again, then build again"
            )
    return measured


def _crc32_of(piece: Piece, source: BlobSource) -> int:
    crc = 0
    for chunk in stream_piece(piece, source):
        crc = zlib.crc32(chunk, crc)
    return crc


class _Counter:
    """Bytes done so far, told to the Progress."""

    def __init__(self, progress: Progress, phase: str, total: int) -> None:
        self._progress, self._phase, self._total, self._done = progress, phase, total, 0
        progress(phase, 0, total)

    def advance(self, count: int) -> None:
        self._done += count
        self._progress(self._phase, min(self._done, self._total), self._total)
