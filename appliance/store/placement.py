"""Whether the files of an open database are still in their place.

A file that is deleted or exchanged stays open: what is written to it is gone with the last process that has it open. A
write-ahead log and its database have the same inodes for as long as any process has the database open (SQLite, WAL).
"""

from __future__ import annotations

from pathlib import Path

from appliance.store.whereabouts import is_elsewhere


class Placement:
    """Remembers the files of a database that was just opened; one elsewhere has none here. About 3 µs a look."""

    def __init__(self, database: Path) -> None:
        self._database = database
        own = (database, database.with_name(f"{database.name}-wal"))
        self._files = () if is_elsewhere(database) else own
        self._seen = {path: found for path in self._files if (found := _identity(path)) is not None}

    def lost(self) -> str:
        """Which file is not the one that was opened, "" where all are. What cannot be looked at counts as in place."""
        try:
            for path in self._files:
                found = _identity(path)
                if path not in self._seen and found is not None:  # a write-ahead log appears with the first write
                    self._seen[path] = found
                elif found != self._seen.get(path):
                    return f"{path.name} was {'deleted' if found is None else 'exchanged'}"
        except OSError:
            return ""
        return ""

    @property
    def has_database(self) -> bool:
        """Whether the database itself is the one that was opened. Raises OSError."""
        return _identity(self._database) == self._seen.get(self._database)

    @property
    def is_free(self) -> bool:
        """Whether nothing lies where the database was. Raises OSError."""
        return _identity(self._database) is None


def _identity(path: Path) -> tuple[int, int] | None:
    """Raises OSError for any other reason than that nothing is there."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
