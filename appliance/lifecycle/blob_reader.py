"""Looks at a blob's file, patiently: an error of reading is tried again before it is reported, and is no damage."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Literal

from appliance.limits import lifecycle as limits
from appliance.store.blobs import BlobStore
from appliance.store.presence import StoreAwayError
from appliance.store.reading import Attend, UnreadableError, Verdict
from bundles.errors import NotFoundError
from bundles.oci.digest import Digest

Why = Literal["missing", "truncated", "rotted"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: nothing wrong, damage (`why`, and which file it was), or an error of reading (`unread`)."""

    why: Why | None = None
    version: int = 0
    unread: str = ""

    @property
    def whole(self) -> bool:
        return self.why is None and not self.unread


class BlobExaminer:
    """Reads blobs from the disk, one after another. `wait` is time.sleep, or what else lets time pass."""

    def __init__(self, blobs: BlobStore, wait: Callable[[float], object] = time.sleep) -> None:
        self._blobs, self._wait = blobs, wait
        self._in_a_row = 0

    def look(self, digest: Digest, size: int, attend: Attend) -> Looked:
        """Look at a blob's file; `size` is what the metadata says, in bytes. `attend` is also told of 0 before each
        wait. Blocking. Raises StoreAwayError."""
        return self._patiently(lambda: self._once(self._blobs.open_blob(digest), digest, size, attend), attend)

    def look_aside(self, digest: Digest, size: int, attend: Attend) -> Looked:
        """The same for the file that was withdrawn."""
        return self._patiently(lambda: self._once(self._blobs.open_aside(digest), digest, size, attend), attend)

    def _patiently(self, look: Callable[[], Looked], attend: Attend) -> Looked:
        waits = limits.UNREADABLE_WAITS if self._in_a_row < limits.UNREADABLE_IN_A_ROW else ()
        for pause in (*waits, None):
            try:
                looked = look()
            except NotFoundError:
                looked = Looked("missing")
            except (UnreadableError, StoreAwayError) as error:
                if pause is not None:
                    attend(0)
                    self._wait(pause)
                    continue
                if isinstance(error, StoreAwayError):
                    raise  # of each blob the same would be found
                self._in_a_row += 1
                return Looked(unread=error.reason)
            self._in_a_row = 0
            return looked
        raise AssertionError("the last attempt returns")

    def _once(self, file: BinaryIO, digest: Digest, size: int, attend: Attend) -> Looked:
        with file:
            version, length = self._blobs.version_in(file, digest), self._blobs.size_in(file, digest)
            if self._blobs.examine(file, digest, attend, fresh=True) is not Verdict.DAMAGED:
                return Looked(version=version)
            return Looked("rotted" if length == size else "truncated", version)
