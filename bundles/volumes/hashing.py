"""Hashing volumes before they exist, every stored blob checked on the way, so that nothing rotten is ever signed."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from bundles.errors import FailedError
from bundles.format.volume_frame import Entry, Piece, VolumeLayout
from bundles.io.work_threads import WorkThread
from bundles.oci.digest import Digest, Hasher, new_hasher
from bundles.ports import BlobReader
from bundles.volumes.stream import Advance, Joined, entry_chunks, rotten, stream_piece


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known of a part: its CRC-32 for the volume's header, its sha256 (hex) for the manifest."""

    crc32: int
    sha256: str


def measure_parts(pieces: Sequence[Piece], source: BlobReader, advance: Advance) -> dict[Piece, Measure]:
    """CRC-32 and sha256 of each part, from one read of each blob in parts, which is checked against its digest.

    A header needs the CRC-32 of a part before its first byte is hashed, so this read cannot be the volume's own.
    Raises FailedError naming a blob that is not what its digest says.
    """
    by_digest: dict[Digest, list[Piece]] = {}
    for piece in pieces:
        by_digest.setdefault(piece.digest, []).append(piece)
    measured: dict[Piece, Measure] = {}
    for digest, parts in by_digest.items():
        whole = new_hasher(digest.algorithm)
        with WorkThread(whole.update) as whole_lane:
            for piece in sorted(parts, key=lambda part: part.offset):
                crc32, sha256 = 0, hashlib.sha256()
                with WorkThread(sha256.update) as part_lane:
                    for chunk in stream_piece(piece, source):
                        whole_lane.put(chunk)
                        part_lane.put(chunk)
                        crc32 = zlib.crc32(chunk, crc32)
                        advance(len(chunk))
                measured[piece] = Measure(crc32, sha256.hexdigest())
        if whole.hexdigest() != digest.hex:
            raise rotten(digest)
    return measured


def hash_volume(layout: VolumeLayout, crcs: Sequence[int], source: BlobReader, advance: Advance) -> str:
    """The volume's sha256 (hex), from one read. `crcs` stand in the entries' order.

    Every entry is checked in the same pass: a whole blob against its digest, and each by its CRC-32 (a part was hashed
    when it was measured; this says that it is still the same).
    Raises FailedError naming a blob that is not what it should be.
    """
    head, tail = layout.ends(crcs)
    hasher = hashlib.sha256(head)
    checker = _Checker()
    with WorkThread(hasher.update) as volume_lane, WorkThread(checker.take) as check_lane:
        joined = Joined(volume_lane.put)
        for entry, expected in zip(layout.entries, crcs, strict=True):
            crc32 = 0
            if not entry.size:
                check_lane.put((entry, b""))
            for chunk in entry_chunks(entry, source):
                joined.add(chunk)
                check_lane.put((entry, chunk))
                crc32 = zlib.crc32(chunk, crc32)
                advance(len(chunk))
            if crc32 != expected and isinstance(entry.content, Piece):
                raise _wrong(entry.content, source)
        joined.add(tail)
        joined.flush()
    checker.finish()
    return hasher.hexdigest()


def _wrong(piece: Piece, source: BlobReader) -> FailedError:
    """What is wrong where a CRC-32 differs: the blob, or only the number that was kept of it, which the digest of a
    whole blob tells apart."""
    if piece.part is None:
        whole = new_hasher(piece.digest.algorithm)
        for chunk in stream_piece(piece, source):
            whole.update(chunk)
        if whole.hexdigest() == piece.digest.hex:
            return FailedError(
                "the CRC-32 on record of a blob is not that of its bytes, which are whole",
                thing=str(piece.digest), remedy="report it: this is a defect",
            )  # fmt: skip
    return rotten(piece.digest)


class _Checker:
    """Follows the entries and holds each whole blob against its digest."""

    def __init__(self) -> None:
        self._piece: Piece | None = None
        self._hasher: Hasher | None = None

    def take(self, item: tuple[Entry, bytes]) -> None:
        """An entry's next chunk. Raises FailedError when the entry before it turns out rotten."""
        entry, chunk = item
        if entry.content is not self._piece:
            self.finish()
            if isinstance(entry.content, Piece) and entry.content.part is None:
                self._piece = entry.content
                self._hasher = new_hasher(self._piece.digest.algorithm)
        if self._hasher is not None:
            self._hasher.update(chunk)

    def finish(self) -> None:
        """Close the last entry."""
        piece, hasher = self._piece, self._hasher
        self._piece = self._hasher = None
        if piece is not None and hasher is not None and hasher.hexdigest() != piece.digest.hex:
            raise rotten(piece.digest)
