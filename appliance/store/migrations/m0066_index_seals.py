"""What the index has of an image is authenticated: whoever has the database's file makes no image clean."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add `listed`, the sum of the packages, and `seal` (appliance.advisories.seals); empty for a row of before."""
    db.execute("ALTER TABLE sboms ADD COLUMN listed TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE sboms ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
