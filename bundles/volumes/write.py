"""Cutting a volume onto a medium: streamed from the store, synced, read back past the page cache, compared.

Nothing is staged. The start header depends on the CRC-32 of every entry, so it is written last, when they have passed;
the comparison is with the signed sha256, so a volume is the signed one or it is not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from bundles import limits
from bundles.errors import FailedError, RefusedError
from bundles.files import failures_named, open_regular, sync_folder
from bundles.lanes import Lane
from bundles.ports import BlobReader
from bundles.volumes.cache import drop_pages, is_cached
from bundles.volumes.frame import START, Piece, VolumeLayout
from bundles.volumes.stream import Advance, Joined, check_blob, entry_chunks

PARTIAL: Final = ".part"
"""What a volume's name ends in while it grows."""

_SYNC_EVERY: Final = 32 * limits.MIB
"""Progress counts synced bytes: a write that only reached the page cache is minutes away from a slow USB stick."""

_SYNC_QUEUE: Final = 2
"""Syncs that may wait: writing goes on meanwhile, and what is dirty stays within three of `_SYNC_EVERY`."""

Note = Callable[[str], object]
"""Told a line for the record."""


def cut_volume(
    layout: VolumeLayout,
    sha256: str,
    source: BlobReader,
    path: Path,
    advance: Advance,
    note: Note = lambda _: None,
) -> None:
    """Write the volume to `path`, beside which it grows as `.part`; a volume that is there and compares is kept.

    `advance` counts each byte once when it is synced and once when it is compared; `note` is told where the comparison
    could not come from the medium. Raises FailedError naming the file when the medium is full, read-only, pulled out or
    gives back other bytes, or naming the blob when the store no longer has the signed ones.
    """
    if _is_there(path, layout.size, sha256, advance):
        advance(2 * layout.size)
        return
    partial = path.with_name(path.name + PARTIAL)
    with failures_named(path, "the volume cannot be written"):
        for stale in (path, partial):  # both first: a full medium has no room for a second copy
            stale.unlink(missing_ok=True)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                _write(descriptor, layout, source, advance)
            finally:
                os.close(descriptor)
            if not _compare(partial, layout.size, sha256, advance, note):
                _blame(layout, source, path)
            partial.rename(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def _is_there(path: Path, size: int, sha256: str, advance: Advance) -> bool:
    """Whether an earlier run left the volume whole. What is there and damaged, or cannot be read, is cut again."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("not a regular file", thing=str(path), remedy="move it off the medium")
    if status.st_size != size:
        return False
    with contextlib.suppress(FailedError):
        return _compare(path, size, sha256, lambda _: advance(0), lambda _: None)
    return False


def _write(descriptor: int, layout: VolumeLayout, source: BlobReader, advance: Advance) -> None:
    """Reading, writing and syncing overlap, each in a thread of its own."""

    def sync(count: int) -> None:
        os.fdatasync(descriptor)
        advance(count)

    unsynced = 0

    def take(chunk: bytes) -> None:
        nonlocal unsynced
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]
        unsynced += len(chunk)
        if unsynced >= _SYNC_EVERY:
            syncs.put(unsynced)
            unsynced = 0

    crcs = []
    with Lane(sync, _SYNC_QUEUE) as syncs, Lane(take) as writes:
        joined = Joined(writes.put)
        joined.add(bytes(START))
        for entry in layout.entries:
            crc32 = 0
            for chunk in entry_chunks(entry, source):
                crc32 = zlib.crc32(chunk, crc32)
                joined.add(chunk)
            crcs.append(crc32)
        head, tail = layout.ends(crcs)
        joined.add(tail)
        joined.flush()
    os.pwrite(descriptor, head, 0)
    os.fsync(descriptor)
    advance(unsynced)


def _compare(path: Path, size: int, sha256: str, advance: Advance, note: Note) -> bool:
    """Whether the file, read back from its medium, is the signed volume. Raises FailedError where it cannot be read."""
    hasher = hashlib.sha256()
    descriptor = open_regular(path)
    with (
        failures_named(path, "the volume cannot be read back"),
        os.fdopen(descriptor, "rb", buffering=0) as file,
        Lane(hasher.update) as lane,
    ):
        drop_pages(descriptor)
        if is_cached(descriptor, size):
            note(f"{path} was compared from the page cache: its file system has nothing behind it to read back from")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        seen = 0
        while chunk := file.read(limits.CHUNK):
            lane.put(chunk)
            seen += len(chunk)
            advance(len(chunk))
        drop_pages(descriptor)
    return seen == size and hasher.hexdigest() == sha256


def _blame(layout: VolumeLayout, source: BlobReader, path: Path) -> NoReturn:
    """Say whose fault it is that a volume does not compare: a stored blob's, where one has rotted, else the medium's."""
    for entry in layout.entries:
        if isinstance(entry.content, Piece):
            check_blob(entry.content.digest, source)
    raise FailedError(
        "the medium gives back other bytes than were written",
        thing=str(path),
        remedy="the medium is faulty: take another and run it again",
    )
