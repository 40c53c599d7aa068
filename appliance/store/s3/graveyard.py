"""Where collected blobs of a bucket wait before they are removed for good: `graveyard/<time>/…`, copied on the server's
side. Of a blob in parts its note goes there, and the parts stay where they are.

Buckets know no rename: a blob is copied, the copy is looked for, and the first one is removed. A crash between leaves
both, which the next call for the same grave ends.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import BinaryIO

from appliance.limits import store as limits
from appliance.store.graveyard import Buried
from appliance.store.s3.bucket import Bucket
from appliance.store.s3.faults import S3DamagedError
from appliance.store.s3.keys import (
    GRAVEYARD,
    PARTS,
    Note,
    aside_key,
    blob_key,
    buried_as,
    digest_of,
    grave_key,
    is_grave,
    note_key,
    parts_of,
)
from appliance.store.s3.reading import BlobStream
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest


class BucketGraveyard:
    """The graveyard in a station's part of a bucket. The caller knows that the bucket is the station's
    (`S3Blobs.require_here`) and holds the store's gate. A grave is a time like 2026-11-30T220400Z.

    Every call blocks and raises S3Error.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def bury(self, digests: Iterable[Digest], grave: str) -> None:
        """Move blobs that no row names any more into a grave; durable on return. A blob that is not held is passed
        over."""
        for digest in digests:
            for key in (blob_key(digest), note_key(digest)):
                self._bucket.move(key, grave_key(grave, key))

    def graves(self) -> list[str]:
        """The graves' names, oldest first."""
        return sorted(filter(is_grave, self._bucket.folders(GRAVEYARD)))

    def buried(self, grave: str) -> Iterator[Buried]:
        """What lies in a grave, in no order; a blob in parts with the size of its parts."""
        for key, size in self._bucket.keys(f"{GRAVEYARD}/{grave}"):
            found = buried_as(key)
            digest = digest_of(found[1]) if found else None
            if found is None or digest is None:
                continue
            note = self._note(key) if found[1] == note_key(digest) else None
            yield Buried(grave, digest, note.size if note else size)

    def open_buried(self, digest: Digest) -> tuple[BinaryIO, str]:
        """The newest copy of a collected blob, compared with its digest as it is read to its end, and the grave that
        it lies in. Raises NotFoundError."""
        for grave in reversed(self.graves()):
            key = grave_key(grave, blob_key(digest))
            opened = self._bucket.open(key)
            if opened is None and (note := self._note(grave_key(grave, note_key(digest)))) is not None:
                key = note.key(digest)
                opened = self._bucket.open(key)
                if opened is None:
                    raise S3DamagedError(digest, self._bucket.place, "its note is there, and no bytes")
            if opened is not None:
                stream = BlobStream(self._bucket, key, digest, opened)
                return io.BufferedReader(stream, limits.S3_PIECE), grave
        raise NotFoundError("no such blob", thing=str(digest))

    def give_back(self, digest: Digest, grave: str) -> None:
        """Give a collected blob, which `open_buried` found there and the caller has read, its place again; durable on
        return. Harmless where it is not in the grave."""
        for key in (blob_key(digest), note_key(digest)):
            self._bucket.move(grave_key(grave, key), key)

    def remove(self, buried: Buried) -> None:
        """Remove a collected blob for good, and its parts, unless they are a blob's again. Harmless where it was given
        back."""
        digest = buried.digest
        key = grave_key(buried.grave, note_key(digest))
        note = self._note(key)
        self._bucket.remove(grave_key(buried.grave, blob_key(digest)))
        self._bucket.remove(key)
        if note is not None and not any(note == other for other in self._named(digest)):
            self._bucket.remove(note.key(digest))

    def sweep_parts(self, before: datetime) -> int:
        """Remove parts that were put before a time and that no note names, of a blob or of a buried one: what a killed
        process left, or a note that was replaced. Returns how many. `before` leaves the time that a large blob takes
        from its parts to its note; the gate is held alone."""
        removed = 0
        for key, _, put in self._bucket.dated(PARTS):
            found = parts_of(key)
            if found is None or put >= before:
                continue
            digest, name = found
            if not any(note is not None and note.name == name for note in self._named(digest)):
                self._bucket.remove(key)
                removed += 1
        return removed

    def _named(self, digest: Digest) -> Iterator[Note | None]:
        """The notes of a blob that is left: its own, one that was withdrawn, and those of other graves."""
        yield self._note(note_key(digest))
        yield self._note(aside_key(note_key(digest)))
        for grave in self.graves():
            yield self._note(grave_key(grave, note_key(digest)))

    def _note(self, key: str) -> Note | None:
        """The note at a key; None where there is none, or something else."""
        raw = self._bucket.read_note(key)
        try:
            return None if raw is None else Note.read(raw)
        except MalformedError:
            return None
