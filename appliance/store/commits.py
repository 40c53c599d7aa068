"""Whether the database holds every commit that somebody was told of: a number in it, and the same number beside it.

Each group of writes counts the number in the database up, in its own transaction. After the commit, and before anybody
hears of it, the file `commits` in the station's folder gets it too: eight bytes of shared memory, which outlive the
process and are never ahead of the database. A database with a smaller number than the file went back: its write-ahead
log was deleted, or an older copy took its place. After a power cut the file may be behind; that proves nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.store.engine import engine_of
from appliance.store.errors import UnavailableEngineError
from appliance.store.ports import Connection, Reader
from bundles.io.files import own_as_folder

_NUMBER: Final = struct.Struct("<Q")
_DATABASE: Final = "metadata.sqlite"


def commits_file(database: Path) -> Path:
    """The file beside a database. That of the station's own does not begin with its name: whoever takes the database's
    files away, or puts older ones back, leaves it."""
    return database.with_name("commits" if database.name == _DATABASE else f"{database.name}-commits")


def count_up(db: Connection) -> None:
    """Count the transaction that is open, where the engine does not keep its own count."""
    if engine_of(db).counts_commits():
        db.execute("UPDATE commits SET value = value + 1")


def held(db: Reader) -> int | None:
    """The commits that a database holds; None for one of an earlier version. Raises EngineError for any other
    reason."""
    try:
        row = db.execute("SELECT value FROM commits").fetchone()
    except UnavailableEngineError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if row is None else int(row[0])


def raise_to(db: Connection, value: int) -> None:
    """Say that a database that was made anew holds so many commits, in a transaction of the caller's."""
    db.execute("UPDATE commits SET value = ?", (value,))


def promised(database: Path) -> int:
    """The commits that were promised to somebody, 0 where nothing says. To be read before `held`. Raises OSError."""
    with suppress(FileNotFoundError):
        data = commits_file(database).read_bytes()
        if len(data) >= _NUMBER.size:
            return int(_NUMBER.unpack_from(data)[0])
    return 0


class Promised:
    """The eight bytes beside a database, to be set; made where they are not there yet."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        descriptor = os.open(commits_file(database), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            own_as_folder(descriptor, database.parent)
            os.ftruncate(descriptor, _NUMBER.size)
            self._map = mmap.mmap(descriptor, _NUMBER.size)
        finally:
            os.close(descriptor)

    def set(self, value: int) -> None:
        """After a commit, before anybody hears of it."""
        _NUMBER.pack_into(self._map, 0, value)

    def sync(self) -> None:
        """Write it to the disk. Raises OSError."""
        self._map.flush()

    def close(self) -> None:
        """Write it to the disk, if that takes writes, and let go of it: a number that is behind proves nothing."""
        with suppress(OSError):
            self.sync()
        self._map.close()


def promise(database: Path, value: int) -> None:
    """Say of a station that does not run how many commits its database holds. Raises OSError."""
    said = Promised(database)
    said.set(value)
    said.sync()
    said.close()
