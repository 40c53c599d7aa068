"""Jobs: what was asked for, how far it is, and how it ended."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE jobs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, params TEXT NOT NULL, state TEXT NOT NULL,"
    " phase TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, result TEXT, error TEXT,"
    " actor TEXT NOT NULL, created TEXT NOT NULL, started TEXT, finished TEXT) STRICT, WITHOUT ROWID",
    "CREATE INDEX jobs_by_state ON jobs (state, id)",
)


def apply(db: Database) -> None:
    """Create the jobs' table."""
    for statement in _STATEMENTS:
        db.execute(statement)
