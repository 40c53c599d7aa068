"""A number for each repository that is another one after each change of its manifests and tags."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add the number (appliance.store.writes.rows)."""
    db.execute("ALTER TABLE repositories ADD COLUMN change INTEGER NOT NULL DEFAULT 0")
