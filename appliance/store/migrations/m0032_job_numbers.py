"""Jobs are listed in the order in which they were made. Their ids begin with the time, and a clock may be wrong: a job
that was made under a future clock stood before all later ones."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN number INTEGER NOT NULL DEFAULT 0",
    "UPDATE jobs SET number = ordered.number FROM (SELECT id, row_number() OVER (ORDER BY id) AS number FROM jobs)"
    " AS ordered WHERE ordered.id = jobs.id",
    "CREATE UNIQUE INDEX jobs_by_number ON jobs (number)",
    "CREATE INDEX jobs_by_state_and_number ON jobs (state, number)",
)


def apply(db: Database) -> None:
    """Number the jobs by their ids, since nothing else says in which order they were made."""
    for statement in _STATEMENTS:
        db.execute(statement)
