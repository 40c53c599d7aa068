"""One process's way to a station's bucket: its blobs, its graveyard, and what was withdrawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from appliance.limits import store as limits
from appliance.store.blobs import BlobStore
from appliance.store.s3.blobs import S3Blobs
from appliance.store.s3.bucket import Bucket
from appliance.store.s3.graveyard import BucketGraveyard
from appliance.store.s3.keys import DAMAGED, Note, aside_key, blob_key, note_key, withdrawn_of
from appliance.store.s3.place import S3Credentials, S3Place
from appliance.store.s3.reading import BlobStream
from bundles.errors import MalformedError, NotFoundError
from bundles.oci.digest import Digest


class Withdrawn:
    """Damaged blobs that were moved to `damaged/` in a bucket; of a blob in parts its note. The caller holds the
    store's gate alone where it moves one. Each call blocks and raises S3Error."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def set_aside(self, digest: Digest) -> None:
        """Move a blob there."""
        for key in (blob_key(digest), note_key(digest)):
            self._bucket.move(key, aside_key(key))

    def put_back(self, digest: Digest) -> None:
        """Give it its place again."""
        for key in (blob_key(digest), note_key(digest)):
            self._bucket.move(aside_key(key), key)

    def open(self, digest: Digest) -> BinaryIO:
        """Its bytes, compared with its digest where they are read to their end. Raises NotFoundError."""
        key = aside_key(blob_key(digest))
        opened = self._bucket.open(key)
        if opened is None and (raw := self._bucket.read_note(aside_key(note_key(digest)))) is not None:
            try:
                key = Note.read(raw).key(digest)
            except MalformedError:
                raise NotFoundError("no such blob", thing=str(digest)) from None
            opened = self._bucket.open(key)
        if opened is None:
            raise NotFoundError("no such blob", thing=str(digest))
        return io.BufferedReader(BlobStream(self._bucket, key, digest, opened), limits.S3_PIECE)

    def every(self) -> Iterator[Digest]:
        """Those that lie there, in no order."""
        for key, _ in self._bucket.keys(DAMAGED):
            if (digest := withdrawn_of(key)) is not None:
                yield digest

    def remove(self, digest: Digest) -> None:
        """Remove one for good. Harmless where there is none. Parts that no note names are swept by the graveyard."""
        for key in (blob_key(digest), note_key(digest)):
            self._bucket.remove(aside_key(key))


@dataclass(frozen=True, slots=True)
class Way:
    """What a process opened. Not for a process that was forked from it."""

    bucket: Bucket
    blobs: S3Blobs
    yard: BucketGraveyard
    aside: Withdrawn

    @classmethod
    def open(cls, place: S3Place, credentials: S3Credentials, spool: BlobStore, store_id: str) -> Way:
        """The way to the blobs of the store `store_id`, whose arrivals are below `spool`. Asks nothing. Raises
        UsageError, FailedError."""
        bucket = Bucket(place, credentials)
        return cls(bucket, S3Blobs(bucket, spool, store_id), BucketGraveyard(bucket), Withdrawn(bucket))
