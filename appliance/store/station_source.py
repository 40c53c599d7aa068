"""The store as a bundle build reads it: blobs from files, CRC-32s from metadata (bundles.ports.BlobSource)."""

from __future__ import annotations

from typing import BinaryIO

from appliance.store.blobs import BlobStore
from appliance.store.metadata import Metadata
from bundles.oci.digest import Digest


class StationBlobSource:
    """Reads held blobs; visibility is decided before, by whoever chose what the build carries."""

    def __init__(self, blobs: BlobStore, metadata: Metadata) -> None:
        self._blobs = blobs
        self._metadata = metadata

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The blob's bytes. Raises NotFoundError."""
        return self._blobs.open_blob(digest)

    def crc32(self, digest: Digest) -> int:
        """The CRC-32 kept beside the digest. Raises NotFoundError."""
        return self._metadata.crc32(digest)
