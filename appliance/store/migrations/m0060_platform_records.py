"""Whether a manifest was left out of an index is asked where somebody asks for it by its digest and it is not here."""

from __future__ import annotations

from sqlite_utils import Database


def apply(db: Database) -> None:
    """Add the index of the records of it (bundles.oci.left_out), which are few."""
    db.execute(
        "CREATE INDEX platform_records ON manifests (digest)"
        " WHERE artifact_type = 'application/vnd.lockgate.platforms.v1'"
    )
