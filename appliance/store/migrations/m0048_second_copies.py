"""Second copies of keys, so that a damaged one is not taken for "not there", and checksums of blocks."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.rows import add_functions

_STATEMENTS = (
    # Trees of their own, in which a name is found whose first entry is damaged (appliance.store.reads.absence). Links
    # have links_by_digest for that.
    "CREATE INDEX tags_again ON tags (tag, repository_id)",
    "CREATE INDEX repositories_again ON repositories (name, created)",
    "CREATE INDEX blocks_again ON blocks (digest, why, actor, created)",
    # Beside the rows and not in them: a block that somebody else wrote has none.
    "CREATE TABLE block_sums (digest TEXT PRIMARY KEY, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "INSERT INTO block_sums SELECT digest, block_sum(digest, why, actor, created) FROM blocks",
)


def apply(db: Database) -> None:
    """Add the indexes, and the blocks' checksums from what the rows say now."""
    add_functions(db.conn)
    for statement in _STATEMENTS:
        db.execute(statement)
