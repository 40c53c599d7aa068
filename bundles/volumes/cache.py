"""The page cache between us and a medium: dropping a file's pages, and whether they went."""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from typing import Any


def drop_pages(descriptor: int) -> None:
    """Drop a file's clean pages, so that the next read comes from the medium."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


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
