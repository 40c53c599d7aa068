"""Whether the database holds every commit that somebody was told of: a number in it, and the same number beside it.

Each group of writes counts the number in the database up, in its own transaction. After the commit, and before anybody
hears of it, the file `commits` in the station's folder gets it too: eight bytes of shared memory, which outlive the
process and are never ahead of the database. A database with a smaller number than the file went back: its write-ahead
log was deleted, or an older copy took its place. After a power cut the file may be behind; that proves nothing.

A number can be raised by hand. So each start of a writer enters a mark at random in the database, and then beside the
number: a database that does not know the mark was not the one that was written last, whatever it counts
(docs/adr/0057).
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.store.engine import engine_of
from appliance.store.errors import UnavailableEngineError
from appliance.store.ports import Connection, Reader
from bundles.io.files import own_as_folder, sync_folder

_NUMBER: Final = struct.Struct("<Q")
_MARKS_KEPT: Final = 1_000
"""Starts whose marks a database knows: the file may be behind by one."""
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


def enter_start(db: Connection) -> int:
    """Enter a new mark in the transaction that is open, and return it. Raises EngineError."""
    mark = secrets.randbits(62) | 1
    db.execute("INSERT INTO writer_starts (mark) VALUES (?)", (mark,))
    db.execute("DELETE FROM writer_starts WHERE entry <= (SELECT max(entry) FROM writer_starts) - ?", (_MARKS_KEPT,))
    return mark


def enter_mark(db: Connection, mark: int) -> None:
    """Say that a database that was made anew is the one that was written last, in a transaction of the caller's."""
    if mark and not knows(db, mark):
        db.execute("INSERT INTO writer_starts (mark) VALUES (?)", (mark,))


def last_mark(db: Reader) -> int:
    """The mark of the last start that a database knows; 0 where it knows none. Raises EngineError."""
    try:
        row = db.execute("SELECT mark FROM writer_starts ORDER BY entry DESC LIMIT 1").fetchone()
    except UnavailableEngineError as error:
        if "no such table" in str(error):
            return 0
        raise
    return 0 if row is None else int(row[0])


def knows(db: Reader, mark: int) -> bool:
    """Whether a database knows the mark that stands beside it; 0 is none, and says nothing. Raises EngineError."""
    if not mark or last_mark(db) == mark:
        return True
    if not last_mark(db):
        return False
    return db.execute("SELECT 1 FROM writer_starts WHERE mark = ?", (mark,)).fetchone() is not None


def promised(database: Path) -> int:
    """The commits that were promised to somebody, 0 where nothing says. To be read before `held`. Raises OSError."""
    return _numbers(database)[0]


def promised_mark(database: Path) -> int:
    """The mark of the last start that was told of, 0 where nothing says. To be read before `knows`. Raises OSError."""
    return _numbers(database)[1]


def _numbers(database: Path) -> tuple[int, int]:
    with suppress(FileNotFoundError):
        data = commits_file(database).read_bytes()
        if len(data) >= _NUMBER.size:
            value, mark = data[: _NUMBER.size], data[_NUMBER.size : 2 * _NUMBER.size]
            return _NUMBER.unpack(value)[0], _NUMBER.unpack(mark)[0] if len(mark) == _NUMBER.size else 0
    return 0, 0


class Promised:
    """The two numbers beside a database, to be set; made where they are not there yet."""

    def __init__(self, database: Path) -> None:
        """Raises OSError."""
        path = commits_file(database)
        made = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            own_as_folder(descriptor, database.parent)
            os.ftruncate(descriptor, 2 * _NUMBER.size)
            self._map = mmap.mmap(descriptor, 2 * _NUMBER.size)
        finally:
            os.close(descriptor)
        if made:  # a file that is missing says that somebody took it away
            sync_folder(path.parent)

    def set(self, value: int) -> None:
        """After a commit, before anybody hears of it."""
        self._map[: _NUMBER.size] = _NUMBER.pack(value)

    def set_mark(self, mark: int) -> None:
        """After the commit that entered it."""
        self._map[_NUMBER.size :] = _NUMBER.pack(mark)

    def sync(self) -> None:
        """Write them to the disk. Raises OSError."""
        self._map.flush()

    def close(self) -> None:
        """Write them to the disk, if that takes writes, and let go of them: a number that is behind proves nothing."""
        with suppress(OSError):
            self.sync()
        self._map.close()


def promise(database: Path, value: int, mark: int | None = None) -> None:
    """Say of a station that does not run how many commits its database holds, and with `mark` which start was its last.
    Raises OSError."""
    said = Promised(database)
    said.set(value)
    if mark is not None:
        said.set_mark(mark)
    said.sync()
    said.close()
