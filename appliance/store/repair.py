"""Brings a damaged copy of the metadata into order for a rebuild: what is wrong goes, and the log brings it back."""

from __future__ import annotations

from appliance.store.errors import EngineError
from appliance.store.integrity import findings
from appliance.store.ports import Connection
from appliance.store.reads.blocks import keep_right_blocks
from appliance.store.writes.rows import take_wrong_rows


def repair(db: Connection) -> bool:
    """Make the indexes of a copy anew, and take rows of tags, links and manifests away that are not what was written;
    of blocks the right one of both copies is kept.

    `db` is a writer's connection (appliance.store.database.open_writer), in no transaction. Returns whether the copy is
    whole then; where it is not, it is of no use.
    """
    try:
        if findings(db).texts:
            keep_right_blocks(db)
            db.execute("PRAGMA foreign_keys = OFF")
            db.execute("REINDEX")
            take_wrong_rows(db)
            db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM metadata_check")
        db.execute("DELETE FROM wrong_rows")
        return not findings(db).texts
    except (EngineError, TypeError, ValueError, AttributeError):
        return False
