"""Intake: bundles on their way in, what they keep from being swept, approvals, the ledger, and receipts given."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE intake (digest TEXT PRIMARY KEY, id TEXT NOT NULL, stream TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('receiving', 'quarantined', 'approved', 'released', 'withdrawn',"
    " 'rejected')),"
    # A list shows a hundred entries, and a manifest may be of 64 MiB: what it shows stands beside it.
    " artifacts INTEGER NOT NULL, bytes INTEGER NOT NULL, manifest TEXT NOT NULL, report TEXT, report_digest TEXT,"
    # The job that began it, then the one that completed it: how a job that was cut off knows its own work again.
    " job TEXT NOT NULL, actor TEXT NOT NULL, received TEXT NOT NULL, decided TEXT) STRICT, WITHOUT ROWID",
    "CREATE INDEX intake_by_id ON intake (id, digest)",
    "CREATE TABLE intake_volumes (digest TEXT NOT NULL REFERENCES intake (digest), volume INTEGER NOT NULL,"
    " medium INTEGER NOT NULL, size INTEGER NOT NULL, verified TEXT, PRIMARY KEY (digest, volume))"
    " STRICT, WITHOUT ROWID",
    # Blobs that no link shows yet and no sweep may take; without a foreign key, since some are still to come.
    "CREATE TABLE pins (bundle TEXT NOT NULL REFERENCES intake (digest), digest TEXT NOT NULL,"
    " PRIMARY KEY (bundle, digest)) STRICT, WITHOUT ROWID",
    "CREATE INDEX pins_by_digest ON pins (digest)",
    "CREATE TABLE approvals (digest TEXT NOT NULL REFERENCES intake (digest), keyid TEXT NOT NULL, owner TEXT NOT NULL,"
    " document TEXT NOT NULL, signature BLOB NOT NULL, created TEXT NOT NULL, PRIMARY KEY (digest, keyid))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE ledger (entry INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " digest TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL, created TEXT NOT NULL,"
    " actor TEXT NOT NULL) STRICT",
    "CREATE INDEX ledger_by_stream ON ledger (stream, sequence, entry)",
    # Append-only by the database's own rule: no code path, and no slip in one, changes what was written.
    "CREATE TRIGGER ledger_is_not_updated BEFORE UPDATE ON ledger BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger BEGIN"
    " SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TABLE receipts (number INTEGER PRIMARY KEY, digest TEXT NOT NULL, document TEXT NOT NULL,"
    " created TEXT NOT NULL) STRICT",
)


def apply(db: Database) -> None:
    """Create the intake tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
