"""Disk kept for acts that matter: a file of known size that is given back, step by step, when nothing else is left.

While some of it was given back the station is in want: content is no longer taken in, refusals are only counted, and
acts such as a release, a revocation or a log-in are still recorded and done. Any process may give back; the control
process makes the reserve whole again once there is room.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance import limits
from appliance.observe.acts import Act
from bundles.files import own_as_folder

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says where no space is left, or a quota is used up."""

FILLING: Final = frozenset(
    {
        Act.PULL, Act.PUSH_BLOB, Act.PUSH_MANIFEST, Act.MOUNT_BLOB, Act.COLLECT, Act.SBOM_ATTACH,
        Act.COLLECT_START, Act.IMPORT_START, Act.BUILD_START, Act.RECUT_START,
    }
)  # fmt: skip
"""Acts that clients do in numbers, or that fill the disk: none of the reserve is for them."""

_OPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Reserve:
    """The reserve in the file at `path`. Safe for threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def in_want(self) -> bool:
        """Whether some of the reserve was given back: no space is left for anything else. A stat, about a µs."""
        try:
            return self.path.stat().st_size < limits.RESERVE
        except OSError:
            return False  # a disk that was too small for one

    def keep(self) -> bool:
        """Make the reserve, or make it whole again, where the disk has the room; whether it is whole. Blocking."""
        try:
            status = os.statvfs(self.path.parent)
            made = self.path.exists()
            missing = limits.RESERVE - (self.path.stat().st_size if made else 0)
            if missing <= 0:
                return True
            if status.f_bavail * status.f_frsize - missing < limits.RESERVE_ROOM * limits.RESERVE:
                return False
            with self._held(os.O_CREAT) as descriptor:
                os.posix_fallocate(descriptor, 0, limits.RESERVE)
                os.fsync(descriptor)
        except OSError:
            return False
        return True

    def give_back(self) -> bool:
        """Free a step of the reserve; False where nothing is left of it."""
        try:
            with self._held() as descriptor:
                size = os.fstat(descriptor).st_size
                if size <= 0:
                    return False
                os.ftruncate(descriptor, max(0, size - limits.RESERVE_STEP))
                os.fsync(descriptor)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _held(self, more: int = 0) -> Iterator[int]:
        descriptor = os.open(self.path, _OPEN | more, 0o600)
        try:
            own_as_folder(descriptor, self.path.parent)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
