"""What damaged rows of tags and links may stand for, where nothing proves what they were: a collection leaves it alone.

Of a row one field is taken to be damaged, or its checksum. Where a field is, the checksum tells which digests the row
may have been about; where the checksum is, the digest is right, and has a row. Nothing is removed for good as long as
such a row is there (appliance.lifecycle.graves), so that even what two damaged fields hid is in the graveyard still.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from appliance.limits import lifecycle as limits
from appliance.store.ports import Reader
from appliance.store.raw_rows import RawLink, RawRow, RawTag, sum_of
from appliance.store.reads.row_repair import repository_names

_KINDS: Final = (b"blob", b"manifest")


class DoubtfulRows:
    """Damaged rows of tags and links, of which `reader`'s station has `count` in all."""

    def __init__(self, reader: Reader, tags: Sequence[RawTag], links: Sequence[RawLink]) -> None:
        names = repository_names(reader)
        self.tags, self.links = len(tags), len(links)
        self._names = tuple(names.values())
        self._rows: tuple[RawRow, ...] = (*tags, *links)
        sums = sum(len(self._beside(row)) for row in self._rows) * len(self._names)
        self._unclear = sums > limits.DOUBTFUL_SUMS or not all(map(self._is_clear, self._rows))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def may_mean(self, digest: str) -> bool:
        """Whether one of the rows may have been about a digest."""
        if not self._rows or self._unclear:
            return bool(self._rows)
        raw = digest.encode()
        return any(
            row.checksum == sum_of(_word(row), name, *(field or raw for field in fields))
            for row in self._rows for fields in self._beside(row) for name in self._names
        )  # fmt: skip

    @staticmethod
    def _beside(row: RawRow) -> list[tuple[bytes, ...]]:
        """What may stand beside the digest, which is left empty."""
        if isinstance(row, RawTag):
            return [(row.tag, b"", row.updated)]
        return [(b"", kind, row.created) for kind in _KINDS]

    @staticmethod
    def _is_clear(row: RawRow) -> bool:
        """Whether what stands beside the digest is of the form that is written. Where it is not, more may be damaged
        than the digest."""
        try:
            datetime.fromisoformat(row.fields[-1].decode())
        except ValueError:
            return False
        return isinstance(row, RawTag) or row.kind in _KINDS


def _word(row: RawRow) -> bytes:
    return b"tag" if isinstance(row, RawTag) else b"link"
