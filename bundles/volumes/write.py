"""Hashing a volume before it exists, and cutting it onto a medium.

Both stream the stored blobs through the layout; nothing is staged. While it is hashed for the first time every blob is
checked against its digest in a second lane, so that nothing rotten is ever signed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bundles import limits
from bundles.errors import FailedError, LockgateError
from bundles.files import failures_named, os_failure, sync_folder
from bundles.lanes import Lane
from bundles.oci.digest import new_hasher
from bundles.ports import BlobReader
from bundles.volumes.frame import Entry, Piece, VolumeLayout

_SYNC_EVERY: Final = 32 * limits.MIB
"""Progress counts synced bytes: a write that only reached the page cache is minutes away from a slow USB stick."""

Advance = Callable[[int], object]
"""Told how many bytes more are done."""


def stream_piece(piece: Piece, source: BlobReader) -> Iterator[bytes]:
    """A piece's bytes in chunks. Raises FailedError where the store has fewer than it should."""
    left = piece.length
    with source.open_blob(piece.digest) as file:
        file.seek(piece.offset)
        while left:
            chunk = file.read(min(limits.CHUNK, left))
            if not chunk:
                raise FailedError("a stored blob is too short", thing=str(piece.digest), remedy="run: lockgate scrub")
            left -= len(chunk)
            yield chunk


def hash_volume(layout: VolumeLayout, source: BlobReader, advance: Advance) -> str:
    """The volume's sha256 (hex), from one read; every entry is checked on the way, a whole blob against its digest and
    a part against the CRC-32 it was laid out with. Raises FailedError naming a blob that is not what it should be."""
    hasher = hashlib.sha256(layout.head)
    with Lane(hasher.update) as volume_lane, _Checker() as checker:
        for entry in layout.entries:
            checker.begin(entry)
            for chunk in entry_chunks(entry, source):
                volume_lane.put(chunk)
                checker.put(chunk)
                advance(len(chunk))
            checker.end()
        volume_lane.put(layout.tail)
    return hasher.hexdigest()


def entry_chunks(entry: Entry, source: BlobReader) -> Iterator[bytes]:
    """An entry's bytes in chunks."""
    if isinstance(entry.content, bytes):
        yield entry.content
    else:
        yield from stream_piece(entry.content, source)


class _Checker:
    """A lane that checks each entry's bytes against what it was laid out from."""

    def __init__(self) -> None:
        self._lane: Lane[Entry | bytes | None] = Lane(self._take)

    def __enter__(self) -> _Checker:
        self._lane.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._lane.__exit__(*exc)  # type: ignore[arg-type]

    def begin(self, entry: Entry) -> None:
        self._lane.put(entry)

    def put(self, chunk: bytes) -> None:
        self._lane.put(chunk)

    def end(self) -> None:
        self._lane.put(None)

    def _take(self, item: Entry | bytes | None) -> None:
        if isinstance(item, Entry):
            self._entry, self._crc = item, 0
            piece = item.content
            self._hasher = (
                new_hasher(piece.digest.algorithm) if isinstance(piece, Piece) and piece.part is None else None
            )
        elif item is None:
            self._finish()
        elif self._hasher is not None:
            self._hasher.update(item)
        else:
            self._crc = zlib.crc32(item, self._crc)

    def _finish(self) -> None:
        piece = self._entry.content
        if self._hasher is None:
            good = self._crc == self._entry.crc32
        else:
            good = isinstance(piece, Piece) and self._hasher.hexdigest() == piece.digest.hex
        if not good:
            raise FailedError(
                "a stored blob has rotted", thing=self._entry.name, remedy="collect it again, then build again"
            )


def cut_volume(layout: VolumeLayout, sha256: str, source: BlobReader, path: Path, advance: Advance) -> None:
    """Write the volume to `path` beside which it grows as `.part`, sync it, read it back past the page cache, and
    compare with the signed sha256. A volume that is there already and compares is kept.

    `advance` counts each byte once when it is synced and once when it is compared. Raises FailedError naming the file
    when the medium is full, read-only, pulled out, or gives back other bytes.
    """
    if path.exists() and not path.is_symlink() and path.stat().st_size == layout.size:
        with contextlib.suppress(FailedError):
            compare_volume(path, layout.size, sha256, lambda _: None)
            advance(2 * layout.size)
            return
    partial = path.with_name(path.name + ".part")
    with failures_named(path, "the volume cannot be written"):
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            try:
                _write(descriptor, layout, source, advance)
            finally:
                os.close(descriptor)
            compare_volume(partial, layout.size, sha256, advance)
            partial.rename(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


def _write(descriptor: int, layout: VolumeLayout, source: BlobReader, advance: Advance) -> None:
    unsynced = 0

    def take(chunk: bytes) -> None:
        nonlocal unsynced
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]
        unsynced += len(chunk)
        if unsynced >= _SYNC_EVERY:
            os.fdatasync(descriptor)
            advance(unsynced)
            unsynced = 0

    with Lane(take) as lane:
        lane.put(layout.head)
        for entry in layout.entries:
            for chunk in entry_chunks(entry, source):
                lane.put(chunk)
        lane.put(layout.tail)
    os.fsync(descriptor)
    advance(unsynced)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def compare_volume(path: Path, size: int, sha256: str, advance: Advance) -> None:
    """Read a written volume back from its medium and compare it with the signed sha256.

    Its pages were dropped after the sync, so the bytes come from the medium (a tmpfs has none to go back to).
    Raises FailedError naming the file.
    """
    hasher = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file, Lane(hasher.update) as lane:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            seen = 0
            while chunk := file.read(limits.CHUNK):
                lane.put(chunk)
                seen += len(chunk)
                advance(len(chunk))
    except LockgateError:
        raise
    except OSError as error:
        raise os_failure(error, path, "the volume cannot be read back") from None
    if seen != size or hasher.hexdigest() != sha256:
        raise FailedError(
            "the medium gives back other bytes than were written",
            thing=str(path),
            remedy="the medium is faulty: take another and run it again",
        )
