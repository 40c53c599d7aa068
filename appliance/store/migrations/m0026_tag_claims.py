"""Of a released tag `made` now says that nobody but releases has moved or deleted it since."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Earlier programs kept no such mark: every claim on a tag counts, as it did for them."""
    db.execute("UPDATE released SET made = 1 WHERE kind = 'tag'")
