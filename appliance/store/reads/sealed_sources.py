"""What is loaded of advisories, as far as it is what the station wrote (appliance.advisories.sums).

Each row that is given was sealed. Where one is missing, was changed or was added, the source is damaged, and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from appliance.advisories.exploitation import KEV, Rating
from appliance.advisories.seals import is_sealed
from appliance.advisories.sums import (
    NewsSum,
    Sums,
    bucket_of,
    bucket_seal,
    entry_place,
    entry_sum,
    id_place,
    list_seal,
    rating_place,
    rating_sum,
    read_list,
    source_seal,
    statement_place,
    statement_sum,
    sums_at,
)
from appliance.advisories.vex.statements import Statement
from appliance.store.ports import Reader
from appliance.store.reads.advisories import Source, sources

_BUCKETS: Final = 4096
"""Buckets that are kept: some 4 MiB."""
_ANEW: Final = 3
"""How often what is looked up is looked up again, where the advisories were loaded anew meanwhile."""
_Row = TypeVar("_Row")


class Load(NamedTuple):
    """A load whose rows can be known: `salt` and `bits` are of its sums, `ecosystems` those that it has entries of,
    without their releases."""

    source: str
    generation: int
    salt: str
    bits: int
    ecosystems: frozenset[str]


@dataclass(frozen=True, slots=True)
class SealedSource:
    """A source as it stands. `sealed`: its row is what the station wrote, and it is in the list; its own rows are
    looked at where they are read."""

    facts: Source
    load: Load
    news: str
    hits: str
    sealed: bool


@dataclass(frozen=True, slots=True)
class SealedSources:
    """The sources by name; `damaged` names those that are not what the station loaded, and those that are missing.
    `listed` is the list, {} where it is not what the station wrote; `seal` is what stands there as its seal."""

    sources: Sequence[SealedSource]
    damaged: frozenset[str]
    listed: dict[str, str]
    seal: str


def sealed_sources(reader: Reader, key: bytes) -> SealedSources:
    """What stands, by the station's key (`index_key`). Grows with the sources alone."""
    row = reader.execute("SELECT sources, seal FROM advisory_list").fetchone()
    text, seal = ("", "") if row is None else row
    listed = read_list(text) if row is not None and is_sealed(seal, list_seal(key, text)) else {}
    rows = reader.execute("SELECT source, generation, salt, bits, news, hits, seal FROM advisory_sources")
    seals, found = {row[0]: row[1:] for row in rows}, list[SealedSource]()
    for facts in sources(reader):
        generation, salt, bits, news, hits, own = seals[facts.source]
        expected = source_seal(key, fields_of(facts, generation, salt, bits, news, hits), facts.ecosystems)
        sealed = listed.get(facts.source) == salt and is_sealed(own, expected)
        bases = frozenset(name.partition(":")[0] for name, _ in facts.ecosystems)
        found.append(SealedSource(facts, Load(facts.source, generation, salt, bits, bases), news, hits, sealed))
    standing_by = {one.facts.source for one in found}
    damaged = {one.facts.source for one in found if not one.sealed} | (listed.keys() - standing_by)
    return SealedSources(found, frozenset(damaged), listed, seal)


def fields_of(facts: Source, generation: int, salt: str, bits: int, news: str, hits: str) -> tuple[Any, ...]:
    """What a source's seal is over, beside its ecosystems."""
    return (
        facts.source, generation, facts.digest, facts.dated, facts.loaded, facts.actor, facts.records,
        facts.withdrawn, facts.malformed, facts.entries, salt, bits, news, hits,
    )  # fmt: skip


class Sealed:
    """Looks rows up, and gives those that are what the station wrote. `damaged` are the sources of which others were
    met so far; `pending` is a load that is taken in the place of its source's."""

    def __init__(self, reader: Reader, key: bytes, pending: Load | None = None) -> None:
        self._reader, self._key, self._pending = reader, key, pending
        self._bucket = lru_cache(maxsize=_BUCKETS)(self._read_bucket)
        self.damaged = set[str]()
        self._look()

    def _look(self) -> None:
        self.standing = sealed_sources(self._reader, self._key)
        self.damaged |= self.standing.damaged
        loads = {one.load.source: one.load for one in self.standing.sources if one.sealed}
        if self._pending is not None:
            loads[self._pending.source] = self._pending
        self._loads = {load.generation: load for load in loads.values()}

    def entries(self, ecosystem: str, name: str) -> list[tuple[str, bytes]]:
        """What each source says of a package: the encoded entries."""

        def read() -> Iterator[tuple[int, bytes, bytes]]:
            rows = self._reader.execute(
                "SELECT generation, entry FROM advisory_entries WHERE name = ? AND ecosystem = ? ORDER BY number",
                (name, ecosystem),
            )
            return ((generation, raw, entry_sum(raw)) for generation, raw in rows)

        return self._sealed(entry_place(ecosystem, name), read, lambda load: ecosystem in load.ecosystems)

    def about(self, name: str) -> list[tuple[str, bytes]]:
        """What each source says of a vulnerability, by any of its ids: the encoded entries."""

        def read() -> Iterator[tuple[int, bytes, bytes]]:
            rows = self._reader.execute(
                "SELECT i.generation, e.entry FROM advisory_ids i JOIN advisory_entries e ON e.number = i.number"
                " WHERE i.id = ? ORDER BY e.number",
                (name,),
            )
            return ((generation, raw, entry_sum(raw)) for generation, raw in rows)

        return self._sealed(id_place(name), read, lambda load: bool(load.ecosystems))

    def statements(self, ids: Iterable[str], keys: Iterable[str]) -> list[tuple[str, Statement]]:
        """Each VEX statement about one of these vulnerabilities that is looked up by one of these keys."""
        found, keys = list[tuple[str, Statement]](), list(dict.fromkeys(keys))
        for name in dict.fromkeys(ids):
            for key in keys:
                found += self._statements(name, key)
        return found

    def _statements(self, name: str, key: str) -> list[tuple[str, Statement]]:
        def read() -> Iterator[tuple[int, Statement, bytes]]:
            rows = self._reader.execute(
                "SELECT generation, id, product, subcomponent, status, justification, why, at, document"
                " FROM vex_statements WHERE id = ? AND key = ? ORDER BY number",
                (name, key),
            )
            said = ((row[0], Statement(*row[1:])) for row in rows)
            return ((generation, one, statement_sum(one)) for generation, one in said)

        return self._sealed(statement_place(name, key), read, lambda load: load.source.startswith("vex-"))

    def ratings(self, source: str, name: str) -> list[Rating]:
        """What the KEV catalogue or EPSS says of a vulnerability."""

        def read() -> Iterator[tuple[int, Rating, bytes]]:
            load = next((one for one in self._loads.values() if one.source == source), None)
            rows = self._reader.execute(
                "SELECT generation, id, since, score FROM exploitation WHERE generation = ? AND id = ?",
                (-1 if load is None else load.generation, name),
            )
            said = ((row[0], Rating(*row[1:])) for row in rows)
            return ((generation, one, rating_sum(one)) for generation, one in said)

        return [one for _, one in self._sealed(rating_place(name), read, lambda load: load.source == source)]

    def exploited(self) -> frozenset[str]:
        """Every vulnerability that the KEV catalogue names."""
        for load in self._loads.values():
            if load.source == KEV:
                rows = self._reader.execute("SELECT id FROM exploitation WHERE generation = ?", (load.generation,))
                found = frozenset(str(name) for (name,) in rows)
                if not is_whole(self._reader, self._key, load):
                    self.damaged.add(KEV)
                return found
        return frozenset()

    def _sealed(
        self, place: bytes, read: Callable[[], Iterator[tuple[int, _Row, bytes]]], may: Callable[[Load], bool]
    ) -> list[tuple[str, _Row]]:
        """The rows at a place that are what was written, with their sources. `may`: whether a load can have any."""
        for last in (*(False,) * _ANEW, True):
            found, damaged, of = list[tuple[str, _Row]](), set[str](), dict[int, list[bytes]]()
            expected = {load.generation: self._expected(load, place) for load in self._loads.values() if may(load)}
            for generation, row, own in read():
                load = self._loads.get(generation)
                if load is None:
                    continue
                of.setdefault(generation, []).append(own)
                if own in (expected.get(generation) or ()):
                    found.append((load.source, row))
            for generation in expected.keys() | of.keys():
                if sorted(of.get(generation, [])) != expected.get(generation, []):
                    damaged.add(self._loads[generation].source)
            if not damaged or last or not self._moved():
                break
            self._look()
        self.damaged |= damaged
        return found

    def _expected(self, load: Load, place: bytes) -> list[bytes] | None:
        """The sums of what stands at a place; None where the bucket is not what was written."""
        bucket = self._bucket(load, bucket_of(place, load.bits))
        return None if bucket is None else sums_at(bucket, place)

    def _read_bucket(self, load: Load, number: int) -> bytes | None:
        return read_bucket(self._reader, self._key, load, number)

    def _moved(self) -> bool:
        """Whether a load or a removal came since the sources were looked at."""
        row = self._reader.execute("SELECT seal FROM advisory_list").fetchone()
        return ("" if row is None else row[0]) != self.standing.seal


def read_bucket(reader: Reader, key: bytes, load: Load, number: int) -> bytes | None:
    """A bucket's records; None where it is not what was written."""
    row = reader.execute(
        "SELECT records, seal FROM advisory_sums WHERE generation = ? AND bucket = ?", (load.generation, number)
    ).fetchone()
    if row is None or not is_sealed(row[1], bucket_seal(key, load.salt, number, row[0])):
        return None
    return bytes(row[0])


def is_whole(reader: Reader, key: bytes, load: Load) -> bool:
    """Whether every row of a load is what was written. Reads all of them."""
    sums = Sums()
    for ecosystem, name, raw in reader.execute(
        "SELECT ecosystem, name, entry FROM advisory_entries WHERE generation = ?", (load.generation,)
    ):
        sums.add(entry_place(ecosystem, name), entry_sum(raw))
    for name, raw in reader.execute(
        "SELECT i.id, e.entry FROM advisory_entries e JOIN advisory_ids i ON i.number = e.number"
        " AND i.generation = e.generation WHERE e.generation = ?",
        (load.generation,),
    ):
        sums.add(id_place(name), entry_sum(raw))
    for key_, *said in reader.execute(
        "SELECT key, id, product, subcomponent, status, justification, why, at, document FROM vex_statements"
        " WHERE generation = ?",
        (load.generation,),
    ):
        statement = Statement(*said)
        sums.add(statement_place(statement.id, key_), statement_sum(statement))
    for row in reader.execute("SELECT id, since, score FROM exploitation WHERE generation = ?", (load.generation,)):
        rating = Rating(*row)
        sums.add(rating_place(rating.id), rating_sum(rating))
    return sums.bits == load.bits and all(
        read_bucket(reader, key, load, number) == records for number, records in enumerate(sums.buckets())
    )


def has_its_news(reader: Reader, source: SealedSource) -> bool:
    """Whether the news of a source's load are what was written. Reads all of them."""
    return has_its_hits(reader, source) and source.news == _sum_of(
        reader.execute("SELECT package, id FROM advisory_news WHERE generation = ?", (source.load.generation,))
    )


def has_its_hits(reader: Reader, source: SealedSource) -> bool:
    """Whether the images that have news by a source's load are what was written."""
    rows = reader.execute("SELECT image FROM advisory_hits WHERE generation = ?", (source.load.generation,))
    return source.sealed and source.hits == _sum_of(rows)


def count_damaged(reader: Reader, key: bytes) -> int:
    """How many sources are damaged, or are gone, as far as that is seen in what is small: their rows, and the images
    that have news."""
    stands = sealed_sources(reader, key)
    hits = {one.facts.source for one in stands.sources if not has_its_hits(reader, one)}
    return len(stands.damaged | hits)


def _sum_of(rows: Iterable[Sequence[Any]]) -> str:
    found = NewsSum()
    for row in rows:
        found.add(tuple(row))
    return found.text()
