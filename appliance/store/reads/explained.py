"""What events explain, on disk: memory does not grow with the number of bundles, or with what they hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice

from appliance.limits import store as limits

_KEY = 16
"""Bytes that stand for a repository and a digest: nobody finds two things with the same ones."""

_SORTED = 50_000
"""Things that are brought into the order of their keys together, so that each page is written a few times only."""


class Explained:
    """Things of repositories with the age of the newest event that explains them; a private database that vanishes when
    it is closed. Every method raises sqlite3.Error where the disk is full."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite: a temporary file, in memory while it is small
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(f"PRAGMA cache_size = -{limits.CHECK_PAGES // 1024}")
        self._db.execute("CREATE TABLE explained (thing BLOB PRIMARY KEY, age INTEGER NOT NULL) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def add(self, place: str, digests: Iterable[str], age: int = 0) -> None:
        """Explain digests at a place, a repository or any other text; of two ages the newer one counts."""
        prefix, every = _prefix(place), iter(digests)
        while keys := sorted(_key(prefix, digest) for digest in islice(every, _SORTED)):
            self._db.executemany(
                "INSERT INTO explained (thing, age) VALUES (?, ?)"
                " ON CONFLICT (thing) DO UPDATE SET age = min(age, excluded.age)",
                ((key, age) for key in keys),
            )

    def age(self, place: str, digest: str) -> int | None:
        """How old the newest explanation of a digest at a place is; None without one. Point read."""
        row = self._db.execute("SELECT age FROM explained WHERE thing = ?", (_key(_prefix(place), digest),)).fetchone()
        return None if row is None else int(row[0])


def _prefix(place: str) -> bytes:
    return place.encode("utf-8", "surrogatepass") + b"@"


def _key(prefix: bytes, digest: str) -> bytes:
    return blake2b(prefix + digest.encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()
