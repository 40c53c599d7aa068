"""What bundles carried out, with the columns of its key first and in their order.

SQLite before 3.42 reports "NULL value in carried_out.size" in `PRAGMA integrity_check` for a table WITHOUT ROWID whose
key is not its first columns, although nothing is damaged.
"""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE carried_out_ordered (stream TEXT NOT NULL, sequence INTEGER NOT NULL, digest TEXT NOT NULL,"
    " size INTEGER NOT NULL, PRIMARY KEY (stream, sequence, digest)) STRICT, WITHOUT ROWID",
    "INSERT INTO carried_out_ordered (stream, sequence, digest, size)"
    " SELECT stream, sequence, digest, size FROM carried_out",
    "DROP TABLE carried_out",
    "ALTER TABLE carried_out_ordered RENAME TO carried_out",
    "CREATE INDEX carried_out_by_digest ON carried_out (stream, digest)",
)


def apply(db: Database) -> None:
    """Make the table anew and keep what it holds."""
    for statement in _STATEMENTS:
        db.execute(statement)
