"""SQLite as an engine of the metadata (appliance.store.engine). `database` and `database_file` know its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.store.ports import Connection, Reader

DATA_VERSION: Final = "PRAGMA data_version"
"""Another number once another connection has committed (SQLite)."""


class SqliteEngine:
    """As `Engine`."""

    def revision(self, reader: Reader) -> int:
        """As Engine.revision."""
        (found,) = reader.execute(DATA_VERSION).fetchone()
        return int(found)

    def keep_pages(self, reader: Reader, most: int) -> None:
        """As Engine.keep_pages."""
        reader.execute(f"PRAGMA cache_size = -{most // 1024}")

    def damage(self, reader: Reader, most: int) -> Iterator[str]:
        """As Engine.damage. `quick_check` would not compare indexes with tables (SQLite, PRAGMA integrity_check)."""
        for (text,) in reader.execute(f"PRAGMA integrity_check({most})"):
            if text != "ok":
                yield str(text)

    def orphans(self, reader: Reader, most: int) -> list[tuple[str, str]]:
        """As Engine.orphans."""
        return [(str(row[0]), str(row[2])) for row in reader.execute("PRAGMA foreign_key_check").fetchmany(most)]

    @contextmanager
    def without_triggers(self, db: Connection, table: str) -> Iterator[None]:
        """As Engine.without_triggers."""
        triggers = db.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        ).fetchall()
        for name, _ in triggers:
            db.execute(f'DROP TRIGGER "{name}"')
        yield
        for _, statement in triggers:
            db.execute(statement)

    def counts_commits(self) -> bool:
        """As Engine.counts_commits: `appliance.store.commits` holds them against a file."""
        return True

    def file_of(self, db: Reader) -> Path | None:
        """As Engine.file_of; a database in memory has none."""
        path = db.execute("PRAGMA database_list").fetchone()[2]
        return Path(path) if path else None


SQLITE: Final = SqliteEngine()
