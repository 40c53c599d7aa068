"""Cutting a volume onto a medium: streamed from the store, synced, read back past the page cache, compared.

Nothing is staged. The start header depends on the CRC-32 of every entry, so it is written last, when they have passed;
the comparison is with the signed sha256, so a volume is the signed one or it is not there under its name.
Writing and comparing are two steps: a stick that claims more room than it has writes over what came before, and only a
comparison after the last write finds it.
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
from bundles.format.volume_frame import START, Piece, VolumeLayout
from bundles.io.files import create_new, failures_named, open_regular, sync_folder
from bundles.io.work_threads import WorkThread
from bundles.ports import BlobReader
from bundles.volumes.cache import Trail, drop_pages, is_cached
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
    """Write one volume to `path` and compare it; one that is there and compares is kept. Raises as the two steps."""
    if not is_whole(path, layout.size, sha256, advance):
        write_volume(layout, source, path, advance)
        confirm_volume(layout, sha256, source, path, advance, note)


def is_whole(path: Path, size: int, sha256: str, advance: Advance) -> bool:
    """Whether an earlier run left the whole volume at `path`, or beside it, written and not yet compared.

    `advance` then counts it twice, as written and as compared. Raises RefusedError for what is no regular file.
    """
    for place in (path, _partial(path)):
        with contextlib.suppress(FileNotFoundError, FailedError):
            status = place.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("not a regular file", thing=str(place), remedy="move it off the medium")
            if status.st_size == size and _compare(place, size, sha256, lambda _: advance(0), lambda _: None):
                if place != path:
                    _name(place, path)
                advance(2 * size)
                return True
    return False


def write_volume(layout: VolumeLayout, source: BlobReader, path: Path, advance: Advance) -> None:
    """Write the volume beside `path`, as `.part`, and sync it; `advance` counts synced bytes.

    Raises FailedError naming the file when the medium is full, read-only or pulled out, or naming a blob that cannot be
    read; then no part of it stays.
    """
    partial = _partial(path)
    with failures_named(path, "the volume cannot be written"):
        for stale in (path, partial):  # both first: a full medium has no room for a second copy
            stale.unlink(missing_ok=True)
        descriptor = create_new(partial, 0o644)
        try:
            _write(descriptor, layout, source, advance)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
        finally:
            os.close(descriptor)


def confirm_volume(
    layout: VolumeLayout, sha256: str, source: BlobReader, path: Path, advance: Advance, note: Note
) -> None:
    """Read what `write_volume` wrote back from the medium, compare, and give it its name.

    `note` is told where the bytes could not come from the medium. Raises FailedError naming the file when the medium
    gives back other bytes, or naming the blob when the store no longer has the signed ones; the file is then removed.
    """
    partial = _partial(path)
    if not _compare(partial, layout.size, sha256, advance, note):
        with contextlib.suppress(OSError):
            partial.unlink()
        _blame(layout, source, path)
    with failures_named(path, "the volume cannot be written"):
        _name(partial, path)


def _partial(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _name(partial: Path, path: Path) -> None:
    partial.rename(path)
    sync_folder(path.parent)


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
    with WorkThread(sync, _SYNC_QUEUE) as syncs, WorkThread(take) as writes:
        joined = Joined(writes.put)
        joined.add(bytes(START))
        for entry in layout.entries:
            crc32 = 0
            for chunk in entry_chunks(entry, source, last=True):
                crc32 = zlib.crc32(chunk, crc32)
                joined.add(chunk)
            crcs.append(crc32)
        head, tail = layout.ends(crcs)
        joined.add(tail)
        joined.flush()
    os.pwrite(descriptor, head, 0)
    os.fsync(descriptor)
    drop_pages(descriptor)
    advance(unsynced)


def _compare(path: Path, size: int, sha256: str, advance: Advance, note: Note) -> bool:
    """Whether the file, read back from its medium, is the signed volume. Raises FailedError where it cannot be read."""
    hasher = hashlib.sha256()
    descriptor = open_regular(path)
    with (
        failures_named(path, "the volume cannot be read back"),
        os.fdopen(descriptor, "rb", buffering=0) as file,
        WorkThread(hasher.update) as thread,
    ):
        drop_pages(descriptor)
        if is_cached(descriptor, size):
            note(f"{path} was compared from the page cache: its file system has nothing behind it to read back from")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        seen = 0
        trail = Trail(descriptor, written=False)
        while chunk := file.read(limits.CHUNK):
            thread.put(chunk)
            seen += len(chunk)
            trail.advance(len(chunk))
            advance(len(chunk))
        drop_pages(descriptor)
    return seen == size and hasher.hexdigest() == sha256


def _blame(layout: VolumeLayout, source: BlobReader, path: Path) -> NoReturn:
    """Say why a volume does not compare: a stored blob has rotted since it was signed, or the medium is at fault."""
    for entry in layout.entries:
        if isinstance(entry.content, Piece):
            check_blob(entry.content.digest, source)
    raise FailedError(
        "the medium gives back other bytes than were written",
        thing=str(path),
        remedy="the medium is faulty: take another and run it again",
    )
