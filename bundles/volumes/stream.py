"""A volume's bytes as they come from the store, in chunks worth handing from thread to thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from bundles import limits
from bundles.errors import FailedError
from bundles.format.volume_frame import Entry, Piece
from bundles.io.files import os_failure
from bundles.oci.digest import Digest, new_hasher
from bundles.ports import BlobReader

Advance = Callable[[int], object]
"""Told how many bytes more are done."""

_LARGE: Final = 64 * limits.MIB
"""A blob of this size does not stay in the page cache for having been read once."""

_UNREADABLE: Final = "a stored blob cannot be read"
_WORTH: Final = 256 * limits.KIB
"""Chunks below this are joined before they change threads: a queue costs more than the copy."""


def stream_piece(piece: Piece, source: BlobReader, *, last: bool = False) -> Iterator[bytes]:
    """A piece's bytes in chunks of at most `limits.CHUNK`; the `last` reader of a large one lets its pages go.

    Raises NotFoundError where the store lacks the blob, FailedError where it cannot be read or has fewer bytes than it
    should.
    """
    left = piece.length
    with source.open_blob(piece.digest) as file:
        try:
            file.seek(piece.offset)
            advised = _advise(file, piece)
            while left and (chunk := file.read(min(limits.CHUNK, left))):
                left -= len(chunk)
                yield chunk
            if last and advised is not None and piece.length >= _LARGE:
                os.posix_fadvise(advised, piece.offset, piece.length, os.POSIX_FADV_DONTNEED)
            longer = piece.part is None and file.read(1)
        except OSError as error:
            raise os_failure(error, str(piece.digest), _UNREADABLE) from None
    if left or longer:
        raise rotten(piece.digest)


def _advise(file: BinaryIO, piece: Piece) -> int | None:
    """Say that a piece is read in order, which doubles what the kernel reads ahead; the file's descriptor.

    None for what is small, or lies in memory.
    """
    if piece.length < limits.CHUNK:
        return None
    try:
        descriptor = file.fileno()
    except OSError:
        return None
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return descriptor


def entry_chunks(entry: Entry, source: BlobReader, *, last: bool = False) -> Iterator[bytes]:
    """An entry's bytes in chunks; as `stream_piece`."""
    if isinstance(entry.content, bytes):
        yield entry.content
    else:
        yield from stream_piece(entry.content, source, last=last)


def check_blob(digest: Digest, source: BlobReader) -> None:
    """Read a whole blob and hold it against its digest. Raises FailedError naming it."""
    hasher = new_hasher(digest.algorithm)
    try:
        with source.open_blob(digest) as file:
            while chunk := file.read(limits.CHUNK):
                hasher.update(chunk)
    except OSError as error:
        raise os_failure(error, str(digest), _UNREADABLE) from None
    if hasher.hexdigest() != digest.hex:
        raise rotten(digest)


def rotten(digest: Digest) -> FailedError:
    """The error about a stored blob whose bytes are no longer those of its digest."""
    return FailedError("a stored blob has rotted", thing=str(digest), remedy="collect it again, then build again")


class Joined:
    """Hands chunks on in order, small ones joined."""

    def __init__(self, put: Callable[[bytes], object]) -> None:
        self._put = put
        self._waiting: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Take a chunk; it is handed on now or with the next ones."""
        if not self._waiting and len(chunk) >= _WORTH:
            self._put(chunk)
            return
        self._waiting.append(chunk)
        self._size += len(chunk)
        if self._size >= _WORTH:
            self.flush()

    def flush(self) -> None:
        """Hand on what still waits."""
        if self._waiting:
            self._put(b"".join(self._waiting))
            self._waiting, self._size = [], 0
