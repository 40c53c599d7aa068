"""Promotions and rollbacks of each tag, in their order: what a rollback goes back to, and a channel's history."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE promotions (number INTEGER PRIMARY KEY AUTOINCREMENT, act TEXT NOT NULL, repository TEXT NOT NULL,"
    " tag TEXT NOT NULL, digest TEXT NOT NULL, before TEXT NOT NULL, source TEXT NOT NULL, actor TEXT NOT NULL,"
    " reason TEXT NOT NULL, policy INTEGER NOT NULL, summary TEXT NOT NULL, at TEXT NOT NULL) STRICT",
    "CREATE INDEX promotions_by_tag ON promotions (repository, tag, number)",
)


def apply(db: Database) -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        db.execute(statement)
