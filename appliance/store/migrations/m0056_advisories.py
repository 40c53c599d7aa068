"""Advisories by source. A load writes rows of a generation that nothing reads, and its last write makes it current."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE advisory_sources (source TEXT PRIMARY KEY, generation INTEGER NOT NULL, digest TEXT NOT NULL,"
    " dated TEXT NOT NULL, loaded TEXT NOT NULL, actor TEXT NOT NULL, records INTEGER NOT NULL,"
    " withdrawn INTEGER NOT NULL, malformed INTEGER NOT NULL, entries INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # AUTOINCREMENT: the number of a load that was given up never names another one's rows.
    "CREATE TABLE advisory_loads (generation INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,"
    " job TEXT NOT NULL, started TEXT NOT NULL) STRICT",
    "CREATE TABLE advisory_entries (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL, ecosystem TEXT NOT NULL,"
    " name TEXT NOT NULL, id TEXT NOT NULL, entry BLOB NOT NULL) STRICT",
    "CREATE INDEX advisory_entries_by_name ON advisory_entries (name, ecosystem, generation)",
    "CREATE INDEX advisory_entries_by_generation ON advisory_entries (generation)",
    "CREATE TABLE advisory_ids (id TEXT NOT NULL, generation INTEGER NOT NULL, number INTEGER NOT NULL,"
    " PRIMARY KEY (id, generation, number)) STRICT, WITHOUT ROWID",
    "CREATE INDEX advisory_ids_by_entry ON advisory_ids (number)",
    "CREATE TABLE advisory_ecosystems (generation INTEGER NOT NULL, ecosystem TEXT NOT NULL, entries INTEGER NOT NULL,"
    " PRIMARY KEY (generation, ecosystem)) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
