"""The graveyard of a station whose blobs are in a bucket, by the calls of the one in files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from appliance import clock
from appliance.limits import store as limits
from appliance.paths import StationPaths
from appliance.store.files import Files
from appliance.store.graveyard import GRAVE_OPEN, Buried, Graveyard, Totals, made
from appliance.store.s3.graveyard import BucketGraveyard
from appliance.store.s3.way import Way
from bundles.errors import NotFoundError
from bundles.oci.digest import Digest


class BucketYard(Graveyard):
    """As `Graveyard`; how long each grave has waited is known on this machine. Each call is a request or more, blocks
    and raises S3Error. `way` gives this process's to
    the bucket."""

    def __init__(self, paths: StationPaths, files: Files, way: Callable[[], Way]) -> None:
        super().__init__(paths, files)
        self._way = way
        self._totals = (0.0, Totals())

    def bury(self, digests: Iterable[Digest]) -> None:
        before = self._open
        grave = self._grave()
        self._yard().bury(digests, grave)
        if self._open != before:
            self.waited()  # from now on, whatever becomes of the clock before the next look

    def open_buried(self, digest: Digest) -> tuple[BinaryIO, str]:
        """The newest copy of a collected blob and its grave. Raises NotFoundError."""
        return self._yard().open_buried(digest)

    def holds(self, grave: str, digest: Digest) -> bool:
        try:
            file, found = self.open_buried(digest)
        except NotFoundError:
            return False
        file.close()
        return found == grave

    def give_back(self, grave: str, digest: Digest) -> None:
        self._yard().give_back(digest, grave)

    def graves(self) -> list[str]:
        return self._yard().graves()

    def buried(self, grave: str) -> Iterator[Buried]:
        return self._yard().buried(grave)

    def remove(self, buried: Buried) -> None:
        self._yard().remove(buried)

    def close(self, grave: str) -> None:
        if grave == self._open:
            self._open = ""

    def totals(self) -> Totals:
        """What lies in all graves, counted anew after `limits.S3_COUNTED` seconds: a request for each thousand."""
        counted, totals = self._totals
        if not counted or time.monotonic() - counted > limits.S3_COUNTED:
            count, size, oldest = 0, 0, ""
            for grave in self.graves():
                for buried in self.buried(grave):
                    count, size, oldest = count + 1, size + buried.size, oldest or made(grave)
            totals = Totals(count, size, oldest)
            self._totals = (time.monotonic(), totals)
        return totals

    def _yard(self) -> BucketGraveyard:
        return self._way().yard

    def _grave(self) -> str:
        now = clock.now()
        if not self._open or not 0 <= clock.seconds(now) - clock.seconds(made(self._open)) < GRAVE_OPEN:
            self._open = now.replace(":", "")
        return self._open
