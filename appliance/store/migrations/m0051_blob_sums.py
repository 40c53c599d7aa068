"""Checksums of the rows of blobs, which follow from the bytes and can be made anew from them."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.rows import add_functions

_STATEMENTS = (
    "ALTER TABLE blobs ADD COLUMN checksum INTEGER",
    "UPDATE blobs SET checksum = blob_sum(digest, size, crc32)",
)


def apply(db: Database) -> None:
    """Add the column and fill it from what the rows say now."""
    add_functions(db.conn)
    for statement in _STATEMENTS:
        db.execute(statement)
