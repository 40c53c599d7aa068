"""Files a worker knows to be whole. What it does not know it hashes while it sends: a reader never gets wrong bytes
under a right status.

Known is a file, not a digest: its inode, its size and its times of change. A file that this worker hashed as it came
in is known from the start; one that is written to, replaced, or given another owner or name is unknown again, and
hashed anew as it is served.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable

from appliance.limits import registry as limits
from appliance.store.reading import Verdict, examine
from bundles.oci.digest import Digest

Identity = tuple[int, int, int, int, int]


def identity_of(fd: int) -> Identity:
    """What a file is known by."""
    return identity_in(os.fstat(fd))


def identity_in(found: os.stat_result) -> Identity:
    """As `identity_of`, from what the system says of the file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _now() -> float:
    """Seconds that go on while the machine sleeps (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class VerifiedFiles:
    """The newest `limits.VERIFIED_FILES` files that were hashed and had their digest within `age` seconds.

    Bits that rot beneath the file system change nothing of a file's identity: knowledge of a file must end by itself.
    """

    def __init__(self, age: float, now: Callable[[], float] = _now) -> None:
        self._age, self._now = age, now
        self._known: OrderedDict[Identity, tuple[Digest, float]] = OrderedDict()

    def knows(self, identity: Identity, digest: Digest) -> bool:
        """Whether the file was seen to be whole, lately. About 1 µs."""
        known = self._known.get(identity)
        return known is not None and known[0] == digest and self._now() - known[1] < self._age

    def add(self, identity: Identity, digest: Digest) -> None:
        """Remember a file that is whole."""
        self._known[identity] = digest, self._now()
        while len(self._known) > limits.VERIFIED_FILES:
            self._known.popitem(last=False)

    def check(self, fd: int, digest: Digest) -> Verdict:
        """Hash a file, and remember it if it is whole. Blocking; does not move the descriptor's position.

        Its digest decides alone: a change of mode, owner or links meanwhile, such as a push of the same blob makes,
        only means that the file is hashed again next time. One that was known, and is for too long, is read from the
        disk: its pages in memory say nothing about that. Raises UnreadableError.
        """
        before = identity_of(fd)
        verdict = examine(fd, digest, fresh=before in self._known)
        if verdict is not Verdict.DAMAGED and identity_of(fd) == before:
            self.add(before, digest)
        return verdict
