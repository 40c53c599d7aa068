"""Files a worker knows to be whole. What it does not know it hashes while it sends: a reader never gets wrong bytes
under a right status.

Known is a file, not a digest: its inode, its size and its times of change. A file that this worker hashed as it came
in is known from the start; one that is written to, or replaced, is unknown again.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Final

from appliance import limits
from bundles.limits import MIB
from bundles.oci.digest import Digest, new_hasher

Identity = tuple[int, int, int, int, int]
_PIECE: Final = MIB


def identity_of(fd: int) -> Identity:
    """What a file is known by."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class VerifiedFiles:
    """The newest `limits.VERIFIED_FILES` files that were hashed and had their digest."""

    def __init__(self) -> None:
        self._known: OrderedDict[Identity, Digest] = OrderedDict()

    def knows(self, identity: Identity, digest: Digest) -> bool:
        """Whether the file was seen to be whole. About 1 µs."""
        return self._known.get(identity) == digest

    def add(self, identity: Identity, digest: Digest) -> None:
        """Remember a file that is whole."""
        self._known[identity] = digest
        while len(self._known) > limits.VERIFIED_FILES:
            self._known.popitem(last=False)

    def check(self, fd: int, digest: Digest) -> bool:
        """Hash a file, and remember it if it is whole. Blocking; does not move the descriptor's position."""
        before = identity_of(fd)
        hasher = new_hasher(digest.algorithm)
        position = 0
        while piece := os.pread(fd, _PIECE, position):
            hasher.update(piece)
            position += len(piece)
        whole = hasher.hexdigest() == digest.hex and identity_of(fd) == before
        if whole:
            self.add(before, digest)
        return whole
