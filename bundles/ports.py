"""One-verb protocols between the format and whoever holds the bytes; in-memory ones serve unit tests."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from bundles.oci.digest import Digest


class BlobReader(Protocol):
    """Reads stored blobs. Raises NotFoundError where the blob is not held."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The blob's bytes from the start, seekable; the caller closes it."""
        ...


class Crc32Source(Protocol):
    """Knows the CRC-32 of stored blobs, kept beside their digests so that a 7z header needs no read."""

    def crc32(self, digest: Digest) -> int:
        """The CRC-32 (ISO-HDLC, as 7z and zlib count it). Raises NotFoundError."""
        ...


class BlobSource(BlobReader, Crc32Source, Protocol):
    """What a build reads from."""


class BlobWriter(Protocol):
    """A blob on its way in: written, then committed or cancelled."""

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, which stay as they are until the end: they may still be hashed when this returns. Raises
        FailedError naming the disk when it is full."""
        ...

    def commit(self) -> None:
        """Check the digest, fsync, and make it a blob; then it is durable. Raises RefusedError on another digest."""
        ...

    def cancel(self) -> None:
        """Throw it away. Harmless after commit."""
        ...


class BlobSink(Protocol):
    """Takes blobs in."""

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is already held, whole."""
        ...

    def begin_blob(self, digest: Digest, size: int) -> BlobWriter:
        """Start writing a blob of a known digest and size (bytes)."""
        ...


class Progress(Protocol):
    """Told how far a long work is; the same counters feed metrics, the CLI and the console."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` bytes of `phase` are durable. Raises CancelledError when the work is to stop."""
        ...


def no_progress(phase: str, done: int, total: int) -> None:
    """The Progress of who does not watch."""
