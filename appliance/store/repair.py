"""Brings a damaged copy of the metadata into order for a rebuild: what is wrong goes, and the log brings it back."""

from __future__ import annotations

import sqlite3
from typing import Final

from appliance.store.integrity import findings

_WRONG: Final = (
    "DELETE FROM links WHERE repository_id NOT IN (SELECT id FROM repositories)"
    " OR digest NOT IN (SELECT digest FROM blobs) OR checksum <> link_sum("
    "(SELECT name FROM repositories WHERE id = repository_id), digest, kind, created)",
    "DELETE FROM manifests WHERE digest NOT IN (SELECT digest FROM blobs)"
    " OR checksum <> manifest_sum(digest, media_type, artifact_type, subject, size, annotations)",
    "DELETE FROM tags WHERE repository_id NOT IN (SELECT id FROM repositories)"
    " OR digest NOT IN (SELECT digest FROM manifests) OR checksum <> tag_sum("
    "(SELECT name FROM repositories WHERE id = repository_id), tag, digest, updated)",
    "DELETE FROM metadata_check",
    "DELETE FROM wrong_rows",
)


def repair(db: sqlite3.Connection) -> bool:
    """Make the indexes of a copy anew, and take rows of tags, links and manifests away that are not what was written.

    `db` is a writer's connection (appliance.store.database.open_writer), in no transaction. Returns whether the copy is
    whole then; where it is not, it is of no use.
    """
    try:
        if not findings(db).texts:
            db.execute("DELETE FROM metadata_check")
            db.execute("DELETE FROM wrong_rows")
        else:
            db.execute("PRAGMA foreign_keys = OFF")
            db.execute("REINDEX")
            for statement in _WRONG:
                db.execute(statement)
            db.execute("PRAGMA foreign_keys = ON")
        db.commit()
        return not findings(db).texts
    except (sqlite3.Error, TypeError, ValueError, AttributeError):
        return False
