"""Since when no tag names a manifest that one named: what is collected for its age counts from there."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENT = (
    # A tag of the repository left the digest at `since`; where another tag names it, the row says nothing.
    "CREATE TABLE untagged (repository_id INTEGER NOT NULL, digest TEXT NOT NULL, since TEXT NOT NULL,"
    " PRIMARY KEY (repository_id, digest)) STRICT, WITHOUT ROWID"
)


def apply(db: Database) -> None:
    """Create the table. Of what lost its tag before, only the age of its link is known."""
    db.execute(_STATEMENT)
