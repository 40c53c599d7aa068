"""Releases in their order, so that a withdrawal leaves what a later release stands for; a clock floor per stream."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # The order of releases: `at` counts seconds only, and two releases may share one.
    "ALTER TABLE released ADD COLUMN entry INTEGER NOT NULL DEFAULT 0",
    "CREATE TEMP TABLE numbered AS SELECT r.digest, r.repository, r.kind, r.item, row_number() OVER (ORDER BY r.at,"
    " (SELECT max(l.entry) FROM ledger l WHERE l.digest = r.digest AND l.state = 'released'), r.digest, r.repository,"
    " r.kind, r.item) AS entry FROM released r",
    "UPDATE released SET entry = (SELECT n.entry FROM numbered n WHERE n.digest = released.digest"
    " AND n.repository = released.repository AND n.kind = released.kind AND n.item = released.item)",
    "DROP TABLE numbered",
    # Earlier programs passed `made` on to any other release of the content; from now on the earliest one has it.
    "UPDATE released AS r SET made = (SELECT max(o.made) FROM released o WHERE o.repository = r.repository"
    " AND o.kind = r.kind AND o.item = r.item) AND NOT EXISTS (SELECT 1 FROM released e WHERE"
    " e.repository = r.repository AND e.kind = r.kind AND e.item = r.item AND e.entry < r.entry)"
    " WHERE kind <> 'tag'",
    "CREATE INDEX released_by_entry ON released (entry)",
    "CREATE INDEX released_in_order ON released (repository, kind, item, entry)",
)


def apply(db: Database) -> None:
    """Number what was released, oldest first."""
    for statement in _STATEMENTS:
        db.execute(statement)
