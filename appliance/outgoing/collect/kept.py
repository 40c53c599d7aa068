"""Manifests that are kept in memory until somebody asks for them; whatever was thrown away is fetched again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class KeptBytes:
    """Bytes by key, at most `most` of them together: the oldest go first. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def keep(self, key: Hashable, raw: bytes) -> None:
        """Keep bytes, in the place of what was under the key."""
        self.take(key)
        self._kept[key] = raw
        self._size += len(raw)
        while self._size > self._most:
            self._size -= len(self._kept.popitem(last=False)[1])

    def get(self, key: Hashable) -> bytes | None:
        """The bytes, where they are still here."""
        return self._kept.get(key)

    def take(self, key: Hashable) -> bytes | None:
        """As `get`, and let go of them."""
        raw = self._kept.pop(key, None)
        if raw is not None:
            self._size -= len(raw)
        return raw
