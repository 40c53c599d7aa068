"""The store as a bundle build reads it: blobs from files, CRC-32s from metadata (bundles.ports.BlobSource)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from appliance.store.ports import Blobs
from appliance.store.reads.registry import Metadata
from appliance.store.rows import CRC_UNKNOWN, WrongRowError
from bundles.io.files import failures_named
from bundles.limits import CHUNK
from bundles.oci.digest import Digest


class StationBlobSource:
    """Reads held blobs; visibility is decided before, by whoever chose what the build carries."""

    def __init__(self, blobs: Blobs, metadata: Metadata) -> None:
        self._blobs = blobs
        self._metadata = metadata

    def open_blob(self, digest: Digest) -> BinaryIO:
        """The blob's bytes. Raises NotFoundError."""
        return self._blobs.open_blob(digest)

    def crc32(self, digest: Digest) -> int:
        """The CRC-32 kept beside the digest; where it is not known, or its row is damaged, that of the bytes, which are
        read for it. Raises NotFoundError, FailedError."""
        try:
            known = self._metadata.crc32(digest)
        except WrongRowError:
            known = CRC_UNKNOWN
        return known if known != CRC_UNKNOWN else self._counted(digest)

    def _counted(self, digest: Digest) -> int:
        counted = 0
        with self._blobs.open_blob(digest) as file, failures_named(Path(str(digest)), "a blob cannot be read"):
            while piece := file.read(CHUNK):
                counted = zlib.crc32(piece, counted)
        return counted
