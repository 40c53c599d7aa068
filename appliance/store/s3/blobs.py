"""Blobs in a bucket, by the port of the store (docs/adr/0077-blobs-in-s3.md).

A blob is written to a file of this machine first and hashed there, then put, then read back: what is in the bucket is
believed for its bytes alone. No metadata: who may see a blob is theirs.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Final

from appliance.limits import store as limits
from appliance.store.arriving import FileBlobWriter
from appliance.store.blobs import BlobStore
from appliance.store.files import Files
from appliance.store.reading import Attend, unattended
from appliance.store.s3.bucket import Bucket
from appliance.store.s3.faults import S3DamagedError, S3Error, S3LostError, another, not_shown
from appliance.store.s3.keys import BLOBS, LARGE, MARK, Note, blob_key, digest_of, note_key, read_mark, write_mark
from appliance.store.s3.reading import BlobStream, version_of
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest

_ROUNDS: Final = 3
"""Times that a blob is put whose PUT had no answer, or that does not appear."""


class _Held(Enum):
    """What reading a blob back said."""

    WHOLE = auto()
    OTHER = auto()
    ABSENT = auto()


class S3Blobs:
    """The blobs of the store `store_id` in its part of a bucket (appliance.store.ports.Blobs).

    `spool` is this machine's own store: what arrives is written below its `uploads`, with its room and its reserve.
    `single_put` are the bytes up to which a blob is one PUT. Safe for threads.
    """

    def __init__(self, bucket: Bucket, spool: BlobStore, store_id: str, single_put: int = limits.S3_SINGLE_PUT) -> None:
        self._bucket, self._spool, self._store_id, self._single = bucket, spool, store_id, single_put
        self.files: Files = spool.files

    def claim(self) -> None:
        """Make the bucket this store's, or find that it is. Raises S3AwayError where it is another's, or where it has
        blobs and no mark."""
        if self._mark() == self._store_id:
            return
        if all(next(self._bucket.keys(folder), None) is None for folder in (BLOBS, LARGE)):
            raw = write_mark(self._store_id)
            self._bucket.put_new(MARK, raw, len(raw))
        self.require_here()

    def require_here(self) -> None:
        """Raises S3AwayError where the bucket is not this store's, or not there. One request."""
        found = self._mark()
        if found != self._store_id:
            raise another(self._bucket.place, found)

    def _mark(self) -> str:
        return read_mark(self._bucket.read_note(MARK) or b"")

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is held. One request, three where it is not: what a server says it has not may be another
        bucket's word. Raises S3Error."""
        if self._bucket.size(blob_key(digest)) is not None:
            return True
        return self._note(digest) is not None

    def size(self, digest: Digest) -> int:
        """The blob's size in bytes as the bucket has it. Raises NotFoundError, S3Error."""
        size = self._bucket.size(blob_key(digest))
        if size is None and (note := self._note(digest)) is not None:
            size = note.size
        if size is None:
            raise NotFoundError("no such blob", thing=str(digest))
        return size

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The blob's bytes from the start, seekable, read from the bucket as the caller goes: `BlobStream` says what is
        checked. Raises NotFoundError, S3Error."""
        return io.BufferedReader(self.stream(digest), limits.S3_PIECE)

    def version(self, digest: Digest) -> int:
        """Which object the blob is (`version_of`), 0 where it is not held. Raises S3Error."""
        key = blob_key(digest)
        found = self._bucket.look(key)
        if found is None and (note := self._note(digest)) is not None:
            key = note.key(digest)
            found = self._bucket.look(key)
        return 0 if found is None else version_of(key, found)

    def stream(self, digest: Digest, asking: Callable[[], AbstractContextManager[None]] = nullcontext) -> BlobStream:
        """As `open_blob`, without its buffer; `asking` as `BlobStream`'s."""
        key = blob_key(digest)
        opened = self._bucket.open(key)
        if opened is None and (note := self._note(digest)) is not None:
            key = note.key(digest)
            opened = self._bucket.open(key)
            if opened is None:
                raise S3DamagedError(digest, self._bucket.place, "its note is there, and no bytes")
        if opened is None:
            raise NotFoundError("no such blob", thing=str(digest))
        return BlobStream(self._bucket, key, digest, opened, asking)

    def _note(self, digest: Digest) -> Note | None:
        """The note of a blob that is in parts; None where neither is there, in the station's own bucket."""
        raw = self._bucket.read_note(note_key(digest))
        if raw is None:
            self.require_here()
            return None
        try:
            return Note.read(raw)
        except MalformedError:
            raise S3DamagedError(digest, self._bucket.place, "its note is none") from None

    def is_whole(self, digest: Digest, attend: Attend = unattended) -> bool:
        """Whether the blob is held and its bytes have its digest: a read of all of it, of whose bytes `attend` is told.
        Raises S3Error where the bucket does not answer."""
        try:
            drain(self.stream(digest), attend)
        except (NotFoundError, S3DamagedError):
            return False
        return True

    def begin_blob(self, digest: Digest, size: int) -> FileBlobWriter:
        """Start writing a blob of a known digest and size (bytes). Raises FailedError, NoRoomError: its bytes are on
        this machine until it is put."""
        return FileBlobWriter(self, digest, size)

    def upload_path(self, kind: str) -> Path:
        """A fresh name for what arrives, on this machine."""
        return self._spool.upload_path(kind)

    def create(self, path: Path, size: int = 0) -> int:
        """As the spool's `create`."""
        return self._spool.create(path, size)

    def place(self, fd: int, path: Path, digest: Digest) -> None:
        """Put the checked bytes of `fd`, at `path`; durable in the bucket, and read back, on return. Closes `fd` and
        removes the file, whatever comes. Raises S3Error, S3FullError.

        The work is the same whether or not the blob was held, so that the time it takes tells nobody, and a damaged
        copy is healed.
        """
        try:
            self.require_here()
            size = os.fstat(fd).st_size
            if size > self._single:
                self._place_parts(fd, size, digest)
            else:
                self._place_whole(fd, size, digest)
            self.require_here()  # it may have been exchanged between the two
        finally:
            os.close(fd)
            self.files.remove(path)

    def _place_whole(self, fd: int, size: int, digest: Digest) -> None:
        key, data = blob_key(digest), _mapped(fd, size)
        failed: S3Error | None = None
        for _ in range(_ROUNDS):
            try:
                self._bucket.put_new(key, data, size)
                failed = None
            except S3LostError as error:
                failed = error
            held = self._read_back(key, digest, 1 if failed else limits.S3_LOOKS)
            if held is _Held.OTHER:
                self._bucket.put_over(key, data, size)
                held = self._read_back(key, digest, limits.S3_LOOKS)
            if held is _Held.WHOLE:
                return
            if held is _Held.OTHER:
                raise S3DamagedError(digest, self._bucket.place, "after it was put")
        raise failed or not_shown(digest, self._bucket.place)

    def _place_parts(self, fd: int, size: int, digest: Digest) -> None:
        """The bytes first, under a key of their own; then, once they were read back, the note that makes them the
        blob."""
        note = Note.make(size)
        failed: S3Error | None = None
        with os.fdopen(os.dup(fd), "rb") as file:
            file.seek(0)
            try:
                self._bucket.put_parts(note.key(digest), file, size)
            except S3LostError as error:
                failed = error
        held = self._read_back(note.key(digest), digest, 1 if failed else limits.S3_LOOKS)
        if held is not _Held.WHOLE:
            self._bucket.remove(note.key(digest))
            if held is _Held.OTHER:
                raise S3DamagedError(digest, self._bucket.place, "after it was put")
            raise failed or not_shown(digest, self._bucket.place)
        self._write_note(note, digest)

    def _write_note(self, note: Note, digest: Digest) -> None:
        """Let a note stand for the blob. One that stood there goes, and its bytes: nobody has read them."""
        key, raw = note_key(digest), note.write()
        before = self._bucket.read_note(key)
        if before is None:
            with contextlib.suppress(S3LostError):
                self._bucket.put_new(key, raw, len(raw))
            before = self._bucket.read_note(key)
        if before != raw:
            self._bucket.put_over(key, raw, len(raw))
        stands = self._bucket.read_note(key)
        if stands is None:
            raise not_shown(digest, self._bucket.place)
        if stands != raw:
            self._note(digest)  # another writer's, of bytes that it has read back: damage where it is none
        with contextlib.suppress(MalformedError):
            if before is not None and (other := Note.read(before)) != note:
                self._bucket.remove(other.key(digest))

    def _read_back(self, key: str, digest: Digest, looks: int) -> _Held:
        """Read an object to its end, looking `looks` times for one that is not shown. Raises S3Error."""
        pause, most = limits.S3_PAUSES
        for look in range(looks):
            if look:
                time.sleep(pause)
                pause = min(2 * pause, most)
            if (opened := self._bucket.open(key)) is not None:
                try:
                    drain(BlobStream(self._bucket, key, digest, opened))
                except S3DamagedError:
                    return _Held.OTHER
                return _Held.WHOLE
        return _Held.ABSENT

    def list_blobs(self) -> Iterator[Digest]:
        """Every blob that is held, read a page at a time as the caller goes; a blob in parts by its note. Raises
        S3Error, S3AwayError before the first one."""
        self.require_here()
        for folder in (BLOBS, LARGE):
            for key, _ in self._bucket.keys(folder):
                if (digest := digest_of(key)) is not None:
                    yield digest

    def remove(self, digest: Digest) -> None:
        """Remove the blob's bytes for good. Harmless where it is not held. Raises S3Error, S3AwayError."""
        self.require_here()
        self._bucket.remove(blob_key(digest))
        raw = self._bucket.read_note(note_key(digest))
        if raw is None:
            return
        self._bucket.remove(note_key(digest))  # first: a note without bytes would be damage
        with contextlib.suppress(MalformedError):
            self._bucket.remove(Note.read(raw).key(digest))


def _mapped(fd: int, size: int) -> bytes | memoryview:
    """A file's bytes without a copy of them in memory."""
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ)) if size else b""


def drain(stream: BlobStream, attend: Attend = unattended) -> None:
    """Read a blob to its end: its digest is compared there."""
    room = bytearray(limits.S3_PIECE)
    with stream:
        while count := stream.readinto(room):
            attend(count)
