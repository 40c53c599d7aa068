"""The packages that SBOMs list, each once, and in which images they are."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "CREATE TABLE packages (number INTEGER PRIMARY KEY, purl TEXT NOT NULL, label TEXT NOT NULL, version TEXT NOT NULL,"
    " ecosystem TEXT NOT NULL, release TEXT NOT NULL, name TEXT NOT NULL, source TEXT NOT NULL,"
    " source_version TEXT NOT NULL,"
    " UNIQUE (purl, label, version, ecosystem, release, name, source, source_version)) STRICT",
    "CREATE INDEX packages_by_label ON packages (label COLLATE NOCASE)",
    "CREATE INDEX packages_by_source ON packages (source COLLATE NOCASE)",
    "CREATE INDEX packages_by_name ON packages (name, ecosystem)",
    # `origin` is `own` where this station made the document from the image's bytes, `carried` for any other.
    "CREATE TABLE sboms (number INTEGER PRIMARY KEY, image TEXT NOT NULL, sbom TEXT NOT NULL, origin TEXT NOT NULL,"
    " state TEXT NOT NULL, why TEXT NOT NULL, at TEXT NOT NULL, packages INTEGER NOT NULL,"
    " UNIQUE (image, sbom)) STRICT",
    "CREATE TABLE image_packages (sbom INTEGER NOT NULL, package INTEGER NOT NULL, path TEXT NOT NULL,"
    " PRIMARY KEY (sbom, package)) STRICT, WITHOUT ROWID",
    "CREATE INDEX image_packages_by_package ON image_packages (package, sbom)",
)


def apply(db: Database) -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
