"""The digest of a stream's last bundle inside, by the latest receipt: it proves which bundle came in."""

from __future__ import annotations

from sqlite_utils import Database

_HEADS = "ALTER TABLE receipt_heads ADD COLUMN digest TEXT NOT NULL DEFAULT ''"
"""It stays "" where people set the floor, and for a receipt that was taken before this step."""


def apply(db: Database) -> None:
    """Add the column."""
    db.execute(_HEADS)
