"""Which images' rows in the index of packages are not what the station wrote, kept for as long as nobody changes the
metadata: to hold every row against its seal takes a second for a thousand images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.store.engine import revision
from appliance.store.ports import Reader
from appliance.store.reads.components import damaged_images

DamagedImages = Callable[[Reader, bytes], Sequence[str]]
"""As `damaged_images`."""


class KeptDamage:
    """The answer of `damaged_images` at one revision of the metadata. `reader` is a connection that stays open; its
    thread alone asks `as_of_now`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: tuple[int, bytes, Sequence[str]] | None = None

    def as_of_now(self) -> DamagedImages:
        """As `damaged_images`, for any thread and connection, at the metadata as it is now or later.

        The revision is asked for before the rows are read: what is committed in between is in the answer, and is
        another revision the next time.
        """
        at = revision(self._reader)

        def ask(reader: Reader, key: bytes) -> Sequence[str]:
            kept = self._kept
            if kept is not None and kept[:2] == (at, key):
                return kept[2]
            found = damaged_images(reader, key)
            self._kept = (at, key, found)
            return found

        return ask
