"""What registries said refers to a manifest, and when: a collect does not ask again at once."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENT = (
    # `source` is host and repository there; `answer` is JSON, trusted no more than the registry is.
    "CREATE TABLE upstream_asked (source TEXT NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL,"
    " PRIMARY KEY (source, digest)) STRICT, WITHOUT ROWID"
)


def apply(db: Database) -> None:
    """Create the table."""
    db.execute(_STATEMENT)
