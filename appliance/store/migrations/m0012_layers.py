"""Layers that this station has looked through, so that a delta's inspection takes the time of what is new."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Create the table: `look` is the version of the looking, `found` what it found, as JSON."""
    db.execute(
        "CREATE TABLE layers_inspected (digest TEXT NOT NULL, media_type TEXT NOT NULL, look INTEGER NOT NULL,"
        " found TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (digest, media_type, look)) STRICT, WITHOUT ROWID"
    )
