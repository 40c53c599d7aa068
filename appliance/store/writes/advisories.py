"""The transactions of the advisories: rows of a load that nothing reads yet, then one that makes all of them count."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from appliance.api.states import FINAL_STATES
from appliance.limits import scanning as limits
from appliance.store.ports import Connection
from appliance.store.writes.access import bump
from appliance.store.writes.write import Write
from bundles.errors import FailedError, RefusedError

LIST_CHANGED: Final = "advisories-changed"


class EntryRow(msgspec.Struct, frozen=True, array_like=True):
    """What a record says of one package: where it is looked up, its ids, and the encoded entry."""

    ecosystem: str
    name: str
    id: str
    ids: tuple[str, ...]
    entry: bytes


class SourceFacts(msgspec.Struct, frozen=True):
    """A source's advisories: `dated` is the newest record's time, `digest` of the export's bytes."""

    source: str
    digest: str
    dated: str
    records: int
    withdrawn: int
    malformed: int
    entries: int


class Seals(msgspec.Struct, frozen=True):
    """By what a load is known again (appliance.advisories.sums): its salt, the bits of its buckets, the sums of its
    news and of the images that have them, and the seal of its row."""

    salt: str
    bits: int
    news: str
    hits: str
    seal: str


class ListedSources(msgspec.Struct, frozen=True):
    """The list of sources with its seal, as it is to stand, in the place of the one with the seal `before` ("" for
    none)."""

    before: str
    sources: str
    seal: str

    def put(self, db: Connection) -> None:
        """Let it stand. Raises FailedError with the code LIST_CHANGED where another load or removal came first."""
        row = db.execute("SELECT seal FROM advisory_list").fetchone()
        if ("" if row is None else row[0]) != self.before:
            raise FailedError(
                "other advisories were loaded or removed meanwhile", remedy="run the same command again",
                code=LIST_CHANGED,
            )  # fmt: skip
        db.execute(
            "INSERT INTO advisory_list (id, sources, seal) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " sources = excluded.sources, seal = excluded.seal",
            (self.sources, self.seal),
        )


class SumRow(msgspec.Struct, frozen=True, array_like=True):
    """A bucket of sums."""

    bucket: int
    records: bytes
    seal: str


class AddSums(Write, frozen=True):
    """Part of a load: buckets of the sums of its rows. Raises FailedError where the load was given up."""

    generation: int
    rows: tuple[SumRow, ...]

    def apply(self, db: Connection) -> None:
        require_load(db, self.generation)
        db.executemany(
            "INSERT INTO advisory_sums (generation, bucket, records, seal) VALUES (?, ?, ?, ?)",
            [(self.generation, row.bucket, row.records, row.seal) for row in self.rows],
        )


class DropSums(Write, frozen=True):
    """Take away some buckets of loads that count no more. The result is whether there may be further ones."""

    unrecorded: ClassVar[str] = "rows that nothing reads: the load that took their place is recorded"

    def apply(self, db: Connection) -> bool:
        dropped = db.execute(
            "DELETE FROM advisory_sums WHERE (generation, bucket) IN (SELECT generation, bucket FROM advisory_sums"
            " WHERE generation NOT IN (SELECT generation FROM advisory_sources UNION SELECT generation FROM"
            " advisory_loads) LIMIT ?)",
            (limits.ADVISORY_DROP,),
        )
        return dropped.rowcount == limits.ADVISORY_DROP


class BeginAdvisories(Write, frozen=True):
    """A load begins. The result is its generation. Given up are an earlier run of the same job, and loads of jobs that
    have ended."""

    source: str
    job: str
    at: str

    def apply(self, db: Connection) -> int:
        ended = ", ".join(f"'{state}'" for state in FINAL_STATES)
        db.execute(
            "DELETE FROM advisory_loads WHERE job = ? OR job NOT IN"  # noqa: S608  constants
            f" (SELECT id FROM jobs WHERE state NOT IN ({ended}))",
            (self.job,),
        )
        row = db.execute(
            "INSERT INTO advisory_loads (source, job, started) VALUES (?, ?, ?) RETURNING generation",
            (self.source, self.job, self.at),
        ).fetchone()
        return int(row[0])


class AddAdvisories(Write, frozen=True):
    """Part of a load. Raises FailedError where the load was given up meanwhile."""

    generation: int
    rows: tuple[EntryRow, ...]

    def apply(self, db: Connection) -> None:
        require_load(db, self.generation)
        for row in self.rows:
            (number,) = db.execute(
                "INSERT INTO advisory_entries (generation, ecosystem, name, id, entry) VALUES (?, ?, ?, ?, ?)"
                " RETURNING number",
                (self.generation, row.ecosystem.partition(":")[0], row.name, row.id, row.entry),
            ).fetchone()
            db.executemany(
                "INSERT INTO advisory_ids (id, generation, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(name, self.generation, number) for name in row.ids],
            )
            db.execute(
                "INSERT INTO advisory_ecosystems (generation, ecosystem, entries) VALUES (?, ?, 1)"
                " ON CONFLICT (generation, ecosystem) DO UPDATE SET entries = advisory_ecosystems.entries + 1",
                (self.generation, row.ecosystem),
            )


class SwitchAdvisories(Write, frozen=True):
    """A load is complete: from here on it is what the source says, all of it at once, and every verdict that was found
    before is void.

    Raises FailedError where rows are missing, or with the code LIST_CHANGED; RefusedError where another load of the
    source was quicker and newer.
    """

    generation: int
    facts: SourceFacts
    seals: Seals
    listed: ListedSources
    actor: str
    at: str
    replace: bool = False

    def apply(self, db: Connection) -> None:
        require_load(db, self.generation)
        (held,) = db.execute(
            "SELECT (SELECT count(*) FROM advisory_entries WHERE generation = ?1)"
            " + (SELECT count(*) FROM exploitation WHERE generation = ?1)"
            " + (SELECT count(*) FROM vex_statements WHERE generation = ?1)",
            (self.generation,),
        ).fetchone()
        facts = self.facts
        if held != facts.entries:
            raise FailedError("rows of the advisories are missing", thing=facts.source, remedy="load them again")
        row = db.execute("SELECT dated, records FROM advisory_sources WHERE source = ?", (facts.source,)).fetchone()
        if row is not None and not self.replace:
            require_newer(facts.source, facts.dated, facts.records, row[0], row[1])
        self.listed.put(db)
        seals = self.seals
        db.execute("DELETE FROM advisory_sources WHERE source = ?", (facts.source,))
        db.execute(
            "INSERT INTO advisory_sources (source, generation, digest, dated, loaded, actor, records, withdrawn,"
            " malformed, entries, salt, bits, news, hits, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                facts.source, self.generation, facts.digest, facts.dated, self.at, self.actor, facts.records,
                facts.withdrawn, facts.malformed, facts.entries, seals.salt, seals.bits, seals.news, seals.hits,
                seals.seal,
            ),
        )  # fmt: skip
        db.execute("DELETE FROM advisory_loads WHERE generation = ?", (self.generation,))
        bump(db)


class DropAdvisories(Write, frozen=True):
    """Take away some rows of loads that count no more. The result is whether there are further ones."""

    unrecorded: ClassVar[str] = "rows that nothing reads: the load that took their place is recorded"

    def apply(self, db: Connection) -> bool:
        numbers = [
            number
            for (number,) in db.execute(
                "SELECT number FROM advisory_entries WHERE generation NOT IN (SELECT generation FROM advisory_sources"
                " UNION SELECT generation FROM advisory_loads) LIMIT ?",
                (limits.ADVISORY_DROP,),
            )
        ]
        db.executemany("DELETE FROM advisory_ids WHERE number = ?", [(one,) for one in numbers])
        db.executemany("DELETE FROM advisory_entries WHERE number = ?", [(one,) for one in numbers])
        if len(numbers) < limits.ADVISORY_DROP:
            db.execute(
                "DELETE FROM advisory_ecosystems WHERE generation NOT IN (SELECT generation FROM advisory_sources"
                " UNION SELECT generation FROM advisory_loads)"
            )
        return len(numbers) == limits.ADVISORY_DROP


class AbandonAdvisories(Write, frozen=True):
    """A load ended without being made current: nothing of it counts."""

    unrecorded: ClassVar[str] = "rows that nothing reads: the end of the load is recorded"
    generation: int

    def apply(self, db: Connection) -> None:
        db.execute("DELETE FROM advisory_loads WHERE generation = ?", (self.generation,))


class RemoveAdvisories(Write, frozen=True):
    """A source's advisories count no more, and no verdict that rests on them; `listed` is the list without it.

    Raises FailedError with the code LIST_CHANGED.
    """

    source: str
    listed: ListedSources

    def apply(self, db: Connection) -> None:
        self.listed.put(db)
        bump(db)
        db.execute("DELETE FROM advisory_sources WHERE source = ?", (self.source,))


def require_newer(source: str, dated: str, records: int, held_dated: str, held_records: int) -> None:
    """Go on only with an export that is not older than the one held, and that has not lost most of its records.

    Raises RefusedError.
    """
    if dated < held_dated:
        raise RefusedError(
            "the advisories are older than those held", thing=f"{source}: {dated}, held are those of {held_dated}",
            remedy="load a newer export, or replace what is held with: --replace",
        )  # fmt: skip
    if records * limits.ADVISORY_SHRINK < held_records:
        raise RefusedError(
            "the export has fewer than half of the records held", thing=f"{source}: {records} of {held_records}",
            remedy="get the whole export, name another source with --source, or replace what is held with: --replace",
        )  # fmt: skip


def require_load(db: Connection, generation: int) -> None:
    """Go on only with a load that was not given up. Raises FailedError."""
    if db.execute("SELECT 1 FROM advisory_loads WHERE generation = ?", (generation,)).fetchone() is None:
        raise FailedError("the load was given up", remedy="load the advisories again")
