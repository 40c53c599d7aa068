"""What became of each bundle that was made here, and when; and which tags each one carried."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `places` is a JSON list: the folders that it was written to. `why` may be empty.
    "CREATE TABLE bundle_steps (entry INTEGER PRIMARY KEY, bundle TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL,"
    " why TEXT NOT NULL, places TEXT NOT NULL) STRICT",
    "CREATE INDEX bundle_steps_by_bundle ON bundle_steps (bundle, entry)",
    "CREATE TABLE tags_out (stream TEXT NOT NULL, repository TEXT NOT NULL, tag TEXT NOT NULL,"
    " sequence INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (stream, repository, tag, sequence))"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX tags_out_by_sequence ON tags_out (stream, sequence)",
)


def apply(db: Database) -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        db.execute(statement)
