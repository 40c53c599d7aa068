"""The transactions of VEX statements: rows of a load of advisories, which count once that load is made current."""

from __future__ import annotations

from typing import ClassVar

from appliance.advisories.vex.statements import Statement
from appliance.limits import scanning as limits
from appliance.store.ports import Connection
from appliance.store.writes.advisories import require_load
from appliance.store.writes.write import Write


class AddVex(Write, frozen=True):
    """Part of a load. Raises FailedError where the load was given up."""

    generation: int
    rows: tuple[Statement, ...]

    def apply(self, db: Connection) -> None:
        require_load(db, self.generation)
        db.executemany(
            "INSERT INTO vex_statements (generation, key, id, product, subcomponent, status, justification, why, at,"
            " document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(self.generation, row.key, *row) for row in self.rows],
        )


class DropVex(Write, frozen=True):
    """Take away some statements of loads that count no more. The result is whether there may be further ones."""

    unrecorded: ClassVar[str] = "rows that nothing reads: the load that took their place is recorded"

    def apply(self, db: Connection) -> bool:
        dropped = db.execute(
            "DELETE FROM vex_statements WHERE number IN (SELECT number FROM vex_statements WHERE generation NOT IN"
            " (SELECT generation FROM advisory_sources UNION SELECT generation FROM advisory_loads) LIMIT ?)",
            (limits.NEWS_DROP,),
        )
        return dropped.rowcount == limits.NEWS_DROP
