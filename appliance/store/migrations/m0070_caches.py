"""Repositories that hold what caches brought, and when their tags were last asked for upstream."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # The mark stays when the cache is taken out of config.toml: a pattern of a build never takes what has it.
    "CREATE TABLE cached_repositories (repository TEXT PRIMARY KEY, upstream TEXT NOT NULL, at TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
    # `asked` is when the upstream last said where the tag stands, in seconds since 1970.
    "CREATE TABLE cached_tags (repository TEXT NOT NULL, tag TEXT NOT NULL, asked INTEGER NOT NULL,"
    " PRIMARY KEY (repository, tag)) STRICT, WITHOUT ROWID",
)


def apply(db: Database) -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
