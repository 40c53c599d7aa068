"""Overrides: whose log-in handed each word in, so that two keys in one hand are one person."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add the account to each word; a word from before has none, and those without one are one person together."""
    db.execute("ALTER TABLE overrides ADD COLUMN actor TEXT NOT NULL DEFAULT ''")
