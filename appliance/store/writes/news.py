"""The transactions of news: what a load of advisories found that was not found before, by the load's generation."""

from __future__ import annotations

from typing import ClassVar

from appliance.limits import scanning as limits
from appliance.store.ports import Connection
from appliance.store.writes.advisories import require_load
from appliance.store.writes.write import Write


class AddNews(Write, frozen=True):
    """Part of a load: `findings` are packages by number, each with the id of a record; `images` those that have them.

    Raises FailedError where the load was given up.
    """

    generation: int
    findings: tuple[tuple[int, str], ...] = ()
    images: tuple[str, ...] = ()

    def apply(self, db: Connection) -> None:
        require_load(db, self.generation)
        db.executemany(
            "INSERT INTO advisory_news (generation, package, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(self.generation, *one) for one in self.findings],
        )
        db.executemany(
            "INSERT INTO advisory_hits (generation, image) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(self.generation, one) for one in self.images],
        )


class DropNews(Write, frozen=True):
    """Take away some news of loads that count no more. The result is whether there may be further ones."""

    unrecorded: ClassVar[str] = "rows that nothing reads: the load that took their place is recorded"

    def apply(self, db: Connection) -> bool:
        dropped = 0
        for table, key in (("advisory_news", "generation, package, id"), ("advisory_hits", "generation, image")):
            dropped += db.execute(
                f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table}"  # noqa: S608  constants
                " WHERE generation NOT IN (SELECT generation FROM advisory_sources UNION SELECT generation FROM"
                " advisory_loads) LIMIT ?)",
                (limits.NEWS_DROP,),
            ).rowcount
        return dropped >= limits.NEWS_DROP
