"""Checksums of rows, what a check of the metadata found, and what a collection took from whom."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.rows import add_functions

_NAME = "(SELECT name FROM repositories WHERE id = repository_id)"

_STATEMENTS = (
    "ALTER TABLE tags ADD COLUMN checksum INTEGER",
    "ALTER TABLE links ADD COLUMN checksum INTEGER",
    "ALTER TABLE manifests ADD COLUMN checksum INTEGER",
    f"UPDATE tags SET checksum = tag_sum({_NAME}, tag, digest, updated)",  # noqa: S608  a constant
    f"UPDATE links SET checksum = link_sum({_NAME}, digest, kind, created)",  # noqa: S608
    "UPDATE manifests SET checksum = manifest_sum(digest, media_type, artifact_type, subject, size, annotations)",
    # `state` is checking, ok or damaged; `found` is JSON, the first findings.
    "CREATE TABLE metadata_check (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL, at TEXT NOT NULL,"
    " found TEXT NOT NULL) STRICT",
    # Rows that a reader met whose checksum is another one; the next check lists them anew.
    "CREATE TABLE wrong_rows (rows TEXT NOT NULL, repository TEXT NOT NULL, item TEXT NOT NULL, found TEXT NOT NULL,"
    " PRIMARY KEY (rows, repository, item)) STRICT, WITHOUT ROWID",
    # A link that went, and why; `taken` and `job` once a collection took the blob, `asked` how often it was asked for.
    "CREATE TABLE tombstones (digest TEXT NOT NULL, repository TEXT NOT NULL, kind TEXT NOT NULL,"
    " unlinked TEXT NOT NULL, why TEXT NOT NULL, taken TEXT, job TEXT NOT NULL, asked INTEGER NOT NULL,"
    " PRIMARY KEY (digest, repository, kind)) STRICT, WITHOUT ROWID",
    "CREATE INDEX tombstones_taken ON tombstones (taken) WHERE taken IS NOT NULL",
    "CREATE INDEX tombstones_asked ON tombstones (asked) WHERE asked > 0",
)


def apply(db: Database) -> None:
    """Add the columns and fill them from what the rows say now; create the tables."""
    add_functions(db.conn)
    for statement in _STATEMENTS:
        db.execute(statement)
