"""Files a worker knows to be whole. What it does not know it hashes while it sends: a reader never gets wrong bytes
under a right status.

Known is a file, not a digest: its inode, its size and its times of change. A file that this worker hashed as it came
in is known from the start; one that is written to, replaced, or given another owner or name is unknown again, and
hashed anew as it is served.
"""

from __future__ import annotations

import os
from collections import OrderedDict

from appliance import limits
from appliance.store.reading import Verdict, examine
from bundles.oci.digest import Digest

Identity = tuple[int, int, int, int, int]


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

    def check(self, fd: int, digest: Digest) -> Verdict:
        """Hash a file, and remember it if it is whole. Blocking; does not move the descriptor's position.

        Its digest decides alone: a change of mode, owner or links meanwhile, such as a push of the same blob makes,
        only means that the file is hashed again next time. Raises UnreadableError.
        """
        before = identity_of(fd)
        verdict = examine(fd, digest)
        if verdict is not Verdict.DAMAGED and identity_of(fd) == before:
            self.add(before, digest)
        return verdict
