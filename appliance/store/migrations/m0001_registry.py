"""Repositories, blobs, manifests, links, tags and the epoch.

A row in `blobs` says that the bytes are held; a row in `links` says that a repository shows them. Nothing else does:
content in quarantine has the first and not the second.
"""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL) STRICT",
    "CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, crc32 INTEGER NOT NULL, created TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
    # `subject` without a foreign key: what a manifest refers to may arrive later, or never.
    "CREATE TABLE manifests (digest TEXT PRIMARY KEY REFERENCES blobs (digest), media_type TEXT NOT NULL,"
    " artifact_type TEXT NOT NULL, subject TEXT, size INTEGER NOT NULL, annotations TEXT NOT NULL,"
    " created TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE INDEX manifests_by_subject ON manifests (subject, digest) WHERE subject IS NOT NULL",
    # The same bytes may be shown as a blob and as a manifest; deleting one does not take the other away.
    "CREATE TABLE links (repository_id INTEGER NOT NULL REFERENCES repositories (id),"
    " digest TEXT NOT NULL REFERENCES blobs (digest), kind TEXT NOT NULL CHECK (kind IN ('blob', 'manifest')),"
    " created TEXT NOT NULL, PRIMARY KEY (repository_id, digest, kind)) STRICT, WITHOUT ROWID",
    "CREATE INDEX links_by_digest ON links (digest, kind, repository_id)",
    "CREATE TABLE tags (repository_id INTEGER NOT NULL REFERENCES repositories (id), tag TEXT NOT NULL,"
    " digest TEXT NOT NULL REFERENCES manifests (digest), updated TEXT NOT NULL,"
    " PRIMARY KEY (repository_id, tag)) STRICT, WITHOUT ROWID",
    "CREATE INDEX tags_by_digest ON tags (repository_id, digest)",
    "CREATE TABLE epoch (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT",
    "INSERT INTO epoch (id, value) VALUES (1, 1)",
)


def apply(db: Database) -> None:
    """Create the registry's tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
