"""A clock floor per stream: what a source says of the time moves no other source's floor, and no approval's."""

from __future__ import annotations

from sqlite_utils import Database

_STATEMENTS = (
    # `stream` is empty for the station's own floor: its own clock at the last import, or what two people set.
    "ALTER TABLE clock_floors ADD COLUMN stream TEXT NOT NULL DEFAULT ''",
    # Bundles moved the one floor that there was. Those since people last set it become their streams' own.
    "UPDATE clock_floors SET stream = (SELECT l.stream FROM ledger l WHERE l.id = clock_floors.why LIMIT 1)"
    " WHERE entry > (SELECT coalesce(max(p.entry), 0) FROM clock_floors p"
    " WHERE p.why NOT IN (SELECT l.id FROM ledger l)) AND why IN (SELECT l.id FROM ledger l)",
    # The station's own follows its own clock at the last entry of the ledger, so that it does not go back either.
    "INSERT INTO clock_floors (floor, why, created, actor) SELECT min(f.floor, (SELECT max(l.created) FROM ledger l)),"
    " f.why, f.created, f.actor FROM clock_floors f WHERE f.entry = (SELECT max(entry) FROM clock_floors)"
    " AND f.stream <> ''",
    "CREATE INDEX clock_floors_by_stream ON clock_floors (stream, entry)",
)


def apply(db: Database) -> None:
    """Give each clock floor its stream."""
    for statement in _STATEMENTS:
        db.execute(statement)
