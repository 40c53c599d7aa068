"""Whether any tag stands on a digest is asked for each blob of a collection, and by each foreign key check."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add the index of tags by digest alone; the one there begins with the repository."""
    db.execute("CREATE INDEX tags_by_manifest ON tags (digest)")
