"""The page cache between us and a medium: writing back early, dropping a file's pages, and whether they went.

A bundle of a hundred gigabytes passes through once: without these, it would push out everything that is in use.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from typing import Any, Final

from bundles import limits

_SYNC_FILE_RANGE_WRITE: Final = 2
_SYNC_FILE_RANGE_ALL: Final = 1 | 2 | 4
"""Linux, include/uapi/linux/fs.h: WAIT_BEFORE, WRITE, WAIT_AFTER."""


def drop_pages(descriptor: int) -> None:
    """Drop a file's clean pages, so that the next read comes from the medium."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def start_writing(descriptor: int, offset: int, length: int) -> None:
    """Start writing a file's dirty pages back without waiting (sync_file_range(2)), so that an fsync later finds
    little to do. A hint: a file system that cannot is left to itself."""
    _libc().sync_file_range(
        descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE)
    )


def let_go(descriptor: int, offset: int, length: int) -> None:
    """Wait until a stretch of a file is written back, and drop its pages. A hint as well."""
    _libc().sync_file_range(
        descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), ctypes.c_uint(_SYNC_FILE_RANGE_ALL)
    )
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


class Trail:
    """Lets the pages of a long file go as they are written or read: the last `UNDER_WAY` bytes may still be on their
    way to the disk, what lies before them is dropped. Small files are left in memory: they are soon read again."""

    STEP: Final = 32 * limits.MIB
    UNDER_WAY: Final = 2 * STEP
    """Enough that a disk which falls behind for a moment holds up nobody, little enough to stay in few pages."""

    def __init__(self, descriptor: int, *, written: bool, start: int = 0) -> None:
        self._descriptor, self._written = descriptor, written
        self._position = self._begun = self._dropped = start

    def advance(self, count: int) -> None:
        """`count` bytes more were written, or read, in order."""
        self._position += count
        if self._position - self._begun < self.STEP:
            return
        if self._written:
            start_writing(self._descriptor, self._begun, self._position - self._begun)
        self._begun = self._position
        behind = self._begun - self.UNDER_WAY
        if behind > self._dropped:
            drop = let_go if self._written else _forget
            drop(self._descriptor, self._dropped, behind - self._dropped)
            self._dropped = behind


def _forget(descriptor: int, offset: int, length: int) -> None:
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def is_cached(descriptor: int, size: int) -> bool:
    """Whether the middle of a file of `size` bytes is still in memory (mincore(2)).

    So it is, whatever was dropped, on a file system that has nothing behind it, such as tmpfs.
    """
    page = size // 2 // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    length = min(mmap.PAGESIZE, size - page)
    if length <= 0:
        return False
    try:
        with mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY, offset=page) as mapped:
            address = (ctypes.c_char * length).from_buffer(mapped)
            resident = ctypes.c_ubyte()
            failed = _libc().mincore(ctypes.byref(address), ctypes.c_size_t(length), ctypes.byref(resident))
            del address  # it holds the mapping open
    except OSError:
        return False
    return not failed and bool(resident.value & 1)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
