"""What is retired, from when on, and what takes its place."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `digest` is "" where a whole repository is retired, `tag` "" where a digest or a repository is.
    "CREATE TABLE retirements (reference TEXT PRIMARY KEY, repository TEXT NOT NULL, tag TEXT NOT NULL,"
    " digest TEXT NOT NULL, successor TEXT NOT NULL, after TEXT NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,"
    " at TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX retirements_by_repository ON retirements (repository)",
    "CREATE INDEX retirements_by_digest ON retirements (digest)",
)


def apply(db: Database) -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        db.execute(statement)
