"""What a blob's file is: whole, damaged, or not read at all. The only place that may call a file damaged.

Damaged is a file that was read to its end twice, the second time after its pages were dropped from the page cache, and
whose bytes had another digest both times. A read that fails says nothing about the bytes: the cause may be a cable, a
mount, a permission or a full table of descriptors.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final
from zlib import crc32

from bundles.errors import FailedError
from bundles.limits import MIB
from bundles.oci.digest import Digest, new_hasher
from bundles.volumes.cache import drop_pages

_PIECE: Final = MIB

_OF_THE_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
"""Errors that a process meets with any file: they are no reason to look at this one again."""


class UnreadableError(FailedError):
    """A file could not be read: nothing is known about its bytes. `number` is the errno."""

    def __init__(self, digest: Digest, error: OSError) -> None:
        self.digest = digest
        self.number = error.errno or 0
        self.reason = error.strerror or type(error).__name__
        super().__init__("a blob cannot be read", thing=f"{digest} ({self.reason})", remedy="check the disk")

    @property
    def concerns_file(self) -> bool:
        """Whether the file or its disk is the cause, rather than the limits of the process."""
        return self.number not in _OF_THE_PROCESS


class OtherBytesError(FailedError):
    """A store that compares a blob as it is read gave other bytes than its digest's, once."""


class Verdict(Enum):
    """What two reads say of a file."""

    WHOLE = auto()
    """It has its digest."""
    REREAD = auto()
    """It has its digest on the disk; the page cache had other bytes, and whoever read those got wrong ones."""
    DAMAGED = auto()
    """It was read in full twice and has another digest."""


Attend = Callable[[int], object]
"""Told of the bytes of each piece read; what it raises ends the reading."""


def unattended(_: int) -> None:
    """Nobody is told."""


def examine(fd: int, digest: Digest, attend: Attend = unattended, *, fresh: bool = False) -> Verdict:
    """Read the open file `fd` to its end, and once more from the disk where its digest differs.

    `attend` is told of the bytes of each piece (of the first read alone) and may raise; what it raises is passed on.
    `fresh`: drop its pages before the first read, too. Blocking; leaves the descriptor's position alone. Raises
    UnreadableError.
    """
    if fresh:
        with named(digest):
            drop_pages(fd)
    if _has(fd, digest, attend):
        return Verdict.WHOLE
    with named(digest):
        os.fsync(fd)  # dirty pages are not dropped
        drop_pages(fd)
    return Verdict.REREAD if _has(fd, digest, unattended) else Verdict.DAMAGED


def facts_of(fd: int, digest: Digest) -> tuple[int, int] | None:
    """Size and CRC-32 of an open file whose bytes have the digest, None where they have not: what the row of a blob
    says, from the blob itself. One read; leaves the descriptor's position alone. Blocking. Raises UnreadableError."""
    hasher, size, counted = new_hasher(digest.algorithm), 0, 0
    while True:
        with named(digest):
            piece = os.pread(fd, _PIECE, size)
        if not piece:
            return (size, counted) if hasher.hexdigest() == digest.hex else None
        hasher.update(piece)
        counted = crc32(piece, counted)
        size += len(piece)


@contextmanager
def named(digest: Digest) -> Iterator[None]:
    """The system's errors as UnreadableError of a blob."""
    try:
        yield
    except OSError as error:
        raise UnreadableError(digest, error) from None


def _has(fd: int, digest: Digest, attend: Attend) -> bool:
    """Whether one read gives the digest. An error of `attend` is no error of reading: it passes as it is."""
    hasher, position = new_hasher(digest.algorithm), 0
    while True:
        with named(digest):
            piece = os.pread(fd, _PIECE, position)
        if not piece:
            return hasher.hexdigest() == digest.hex
        hasher.update(piece)
        position += len(piece)
        attend(len(piece))
