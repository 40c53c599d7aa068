"""The manifest and the report of each bundle in a table of their own, so that the rows of `intake` stay small.

SQLite copies a whole row of a table WITHOUT ROWID, overflow pages too, whenever a search compares its key. Each check
of a foreign key to `intake` is such a search: with the manifest in the row, a release took time quadratic in its
artifacts. The new table has a rowid: a search for a digest reads its index alone.

The claims of releases are kept by their number from now on, so that a release appends them; one index that nothing
asks is gone.
"""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # The report comes first: lists read it, and reading a column walks over those before it.
    "CREATE TABLE intake_documents (entry INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE REFERENCES intake (digest),"
    " report TEXT, manifest TEXT NOT NULL) STRICT",
    "INSERT INTO intake_documents (digest, report, manifest) SELECT digest, report, manifest FROM intake",
    "ALTER TABLE intake DROP COLUMN manifest",
    "ALTER TABLE intake DROP COLUMN report",
    "CREATE TABLE released_numbered (entry INTEGER PRIMARY KEY, digest TEXT NOT NULL REFERENCES intake (digest),"
    " repository TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('blob', 'manifest', 'tag')), item TEXT NOT NULL,"
    " target TEXT NOT NULL, made INTEGER NOT NULL, previous TEXT, at TEXT NOT NULL,"
    " UNIQUE (digest, repository, kind, item)) STRICT",
    "INSERT INTO released_numbered (entry, digest, repository, kind, item, target, made, previous, at)"
    " SELECT row_number() OVER (ORDER BY entry, digest, repository, kind, item), digest, repository, kind, item,"
    " target, made, previous, at FROM released",
    "DROP TABLE released",
    "ALTER TABLE released_numbered RENAME TO released",
    "CREATE INDEX released_in_order ON released (repository, kind, item, entry)",
)


def apply(db: Database) -> None:
    """Move the documents, and number the claims."""
    for statement in _STATEMENTS:
        db.execute(statement)
