"""A station's store opened: blobs in files below its folder, or in the bucket that its note names."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.settings.blobs import BlobsSettings
from appliance.store.blobs import BlobStore
from appliance.store.bucket_note import BucketNote, note, noted, secret_of
from appliance.store.s3.place import S3Credentials, S3Place, place
from bundles.errors import FailedError, UsageError
from bundles.io.files import read_small

if TYPE_CHECKING:
    from appliance.store.s3.way import Way


def open_store(paths: StationPaths) -> BlobStore:
    """The store of the station in a folder. A bucket is asked nothing yet. Raises UsageError, FailedError."""
    found = noted(paths)
    return BlobStore(paths) if found is None else _in_bucket(paths, found)


def _in_bucket(paths: StationPaths, found: BucketNote) -> BlobStore:
    try:
        from appliance.store.s3.store import BucketStore
        from appliance.store.s3.way import Way
    except ModuleNotFoundError as error:
        raise FailedError(
            f"the blobs are in a bucket, and this installation has no client for it ({error.name})", thing=found.url,
            remedy="install Lockgate with the extra scale (docs/howto/scale-out.md)",
        ) from None  # fmt: skip

    def way(spool: BlobStore) -> Way:
        return Way.open(place_of(found.settings), S3Credentials(*secret_of(paths)), spool, found.store)

    return BucketStore(paths, place_of(found.settings), way)


def place_of(settings: BlobsSettings) -> S3Place:
    """The place that `[blobs]` names. Raises UsageError, FailedError for a CA that cannot be read."""
    ca = read_small(Path(settings.ca), limits.S3_CA) if settings.ca else b""
    if not settings.endpoint:
        raise UsageError(
            "a bucket without its server", thing=settings.url,
            remedy="name the server's address too: [blobs] endpoint, or init --blobs-endpoint",
        )  # fmt: skip
    return place(settings.url, settings.endpoint, settings.region, ca)


def make_in_bucket(paths: StationPaths, settings: BlobsSettings) -> None:
    """Make the bucket a new station's, and the note of it; its access key is in place. Raises UsageError,
    FailedError: the bucket is then as it was, but for the mark."""
    where = BucketNote(
        url=settings.url, endpoint=settings.endpoint, region=settings.region, ca=settings.ca,
        store=secrets.token_hex(16),
    )  # fmt: skip
    store = _in_bucket(paths, where)
    store.claim()
    note(paths, where)
