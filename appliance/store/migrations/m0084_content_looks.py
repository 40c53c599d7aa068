"""What content rules said of each blob and manifest last: what gates ask. A row is sealed under `keys/index.key`."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Make the table."""
    db.execute(
        "CREATE TABLE content_looks (digest TEXT PRIMARY KEY, at TEXT NOT NULL, found TEXT NOT NULL,"
        " seal TEXT NOT NULL) STRICT, WITHOUT ROWID"
    )
