"""A number for each repository that is another one after each change of its manifests and tags.

Triggers count, so that no way of writing can forget it, and each count is in the transaction of its change. One
sequence gives all the numbers: a repository that went and came again has a number that it never had.
"""

from __future__ import annotations

from sqlite_utils import Database

_NEXT = "UPDATE change_sequence SET value = value + 1;"
_COUNT = " UPDATE repositories SET change = (SELECT value FROM change_sequence)"
_STATEMENTS = (
    "CREATE TABLE change_sequence (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL) STRICT",
    "INSERT INTO change_sequence (id, value) VALUES (1, 1)",
    "ALTER TABLE repositories ADD COLUMN change INTEGER NOT NULL DEFAULT 0",
    "CREATE TRIGGER manifest_linked AFTER INSERT ON links WHEN NEW.kind = 'manifest'"
    f" BEGIN {_NEXT}{_COUNT} WHERE id = NEW.repository_id; END",
    "CREATE TRIGGER manifest_unlinked AFTER DELETE ON links WHEN OLD.kind = 'manifest'"
    f" BEGIN {_NEXT}{_COUNT} WHERE id = OLD.repository_id; END",
    f"CREATE TRIGGER tag_put AFTER INSERT ON tags BEGIN {_NEXT}{_COUNT} WHERE id = NEW.repository_id; END",
    "CREATE TRIGGER tag_moved AFTER UPDATE ON tags WHEN (NEW.repository_id, NEW.tag, NEW.digest)"
    " IS NOT (OLD.repository_id, OLD.tag, OLD.digest)"
    f" BEGIN {_NEXT}{_COUNT} WHERE id IN (OLD.repository_id, NEW.repository_id); END",
    f"CREATE TRIGGER tag_taken AFTER DELETE ON tags BEGIN {_NEXT}{_COUNT} WHERE id = OLD.repository_id; END",
    # A row that is made anew from a manifest's bytes may refer to something else than before.
    "CREATE TRIGGER manifest_corrected AFTER UPDATE ON manifests"  # noqa: S608  constants
    " WHEN (NEW.media_type, NEW.artifact_type, NEW.subject) IS NOT (OLD.media_type, OLD.artifact_type, OLD.subject)"
    f" BEGIN {_NEXT}{_COUNT} WHERE id IN"
    " (SELECT repository_id FROM links WHERE digest = NEW.digest AND kind = 'manifest'); END",
)


def apply(db: Database) -> None:
    """Add the number, and what counts it."""
    for statement in _STATEMENTS:
        db.execute(statement)
