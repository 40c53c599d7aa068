"""Small blobs in memory, so that a hot pull reads no file. The file is looked at each time: what is answered is what
reading it would give."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass

from appliance.limits import registry as limits
from appliance.registry.verified_files import Identity, VerifiedFiles, identity_in
from bundles.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class _Small:
    path: str
    identity: Identity
    body: bytes


def _taken(kept: _Small) -> int:
    return len(kept.body) + limits.SMALL_BLOB_ENTRY


class SmallBlobs:
    """The most recently read ones, in up to `ceiling` bytes of memory. For the event loop's thread alone."""

    def __init__(self, verified: VerifiedFiles, ceiling: int) -> None:
        self._verified, self._ceiling, self._size = verified, ceiling, 0
        self._kept: OrderedDict[Digest, _Small] = OrderedDict()

    def get(self, digest: Digest) -> bytes | None:
        """The bytes, where they are at hand, the file is as it was when they were read, and it is known to be whole
        (VerifiedFiles.knows). One stat."""
        kept = self._kept.get(digest)
        if kept is None:
            return None
        try:
            status = os.lstat(kept.path)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or identity_in(status) != kept.identity:
            return None
        if not self._verified.knows(kept.identity, digest):
            return None
        self._kept.move_to_end(digest)
        return kept.body

    def add(self, digest: Digest, path: str, identity: Identity, body: bytes) -> None:
        """Keep a file's bytes that were hashed and have this digest; `identity` is the file's as they were read."""
        before = self._kept.pop(digest, None)
        if before is not None:
            self._size -= _taken(before)
        self._kept[digest] = kept = _Small(path, identity, body)
        self._size += _taken(kept)
        while self._size > self._ceiling:
            _, dropped = self._kept.popitem(last=False)
            self._size -= _taken(dropped)
