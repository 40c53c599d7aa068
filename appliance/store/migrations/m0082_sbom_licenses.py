"""What an SBOM says of the licenses of its packages, for gates. A row is sealed under `keys/index.key`."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Make the table."""
    db.execute(
        "CREATE TABLE sbom_licenses (sbom INTEGER PRIMARY KEY, licenses TEXT NOT NULL, seal TEXT NOT NULL) STRICT"
    )
