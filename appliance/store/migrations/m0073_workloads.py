"""Which workloads of which clusters were admitted with which digest, and when last: what a recall names."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE workloads (cluster TEXT NOT NULL, namespace TEXT NOT NULL, workload TEXT NOT NULL,"
    " repository TEXT NOT NULL, digest TEXT NOT NULL, at TEXT NOT NULL,"
    " PRIMARY KEY (cluster, namespace, workload, repository, digest)) STRICT, WITHOUT ROWID",
    "CREATE INDEX workloads_by_digest ON workloads (digest)",
    "CREATE INDEX workloads_by_time ON workloads (at)",
)


def apply(db: Database) -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        db.execute(statement)
