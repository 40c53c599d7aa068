"""The destinations that people listed or took off the list; a site that bundles were signed for needs no row."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `listed` is 0 for a site that was removed: a build for it asks again.
    "CREATE TABLE sites (site TEXT PRIMARY KEY, listed INTEGER NOT NULL CHECK (listed IN (0, 1)), actor TEXT NOT NULL,"
    " at TEXT NOT NULL) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Create the list of sites."""
    for statement in _STATEMENTS:
        db.execute(statement)
