"""What VEX documents say of vulnerabilities in products, by the generation of the load that brought it."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `key` is what a finding is looked up by: its package without version, or the digest of its image.
    "CREATE TABLE vex_statements (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL, id TEXT NOT NULL,"
    " key TEXT NOT NULL, product TEXT NOT NULL, subcomponent TEXT NOT NULL, status TEXT NOT NULL,"
    " justification TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, document TEXT NOT NULL) STRICT",
    "CREATE INDEX vex_statements_by_id ON vex_statements (id, key, generation)",
    "CREATE INDEX vex_statements_by_generation ON vex_statements (generation)",
)


def apply(db: Database) -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        db.execute(statement)
