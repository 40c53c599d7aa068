"""What an artifact weighs: its manifest, and everything that the manifest stands for."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from bundles import limits
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.ports import BlobReader

_KEPT: Final = 10_000
"""Sizes kept: a page of tags that is looked at again costs nothing. They never change, since content does not."""

_MOST: Final = 256
"""Manifests read for one weight: no index of platforms comes near it, and a hostile one costs no more."""


class ArtifactSizes:
    """Bytes by manifest. Reads manifests that it does not know yet: call it in a thread."""

    def __init__(self, blobs: BlobReader) -> None:
        self._blobs = blobs
        self._known: OrderedDict[Digest, int] = OrderedDict()

    def of(self, digest: Digest, media_type: str, size: int) -> int:
        """The manifest's `size` and the bytes of its configuration, layers and, for an index, platforms, each digest
        once. What cannot be read counts as its manifest alone."""
        known = self._known.get(digest)
        if known is None:
            sizes, waiting, read = {digest: size}, [(digest, media_type)], 0
            while waiting and read < _MOST:
                read += 1
                for found, found_type, found_size, has_more in self._within(*waiting.pop()):
                    if has_more and found not in sizes:
                        waiting.append((found, found_type))
                    sizes.setdefault(found, found_size)
            known = self._known[digest] = sum(sizes.values())
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known

    def _within(self, digest: Digest, media_type: str) -> list[tuple[Digest, str, int, bool]]:
        """Digest, media type and size of what a manifest names, and whether that is a manifest in its turn."""
        try:
            with self._blobs.open_blob(digest) as file:
                manifest = parse_manifest(file.read(limits.OCI_MANIFEST), media_type)
        except LockgateError:
            return []
        children = [(child.digest, child.media_type, child.size, True) for child in manifest.manifests]
        return children + [(blob.digest, blob.media_type, blob.size, False) for blob in manifest.blobs]
