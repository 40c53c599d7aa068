"""What the loaded advisories say of a package, and which sources they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from appliance.advisories.exploitation import EPSS, KEV
from appliance.advisories.record import Entry
from appliance.store.ports import Reader

_DECODER: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose advisories count: `dated` is its newest record's time, `digest` of the export's bytes,
    `ecosystems` what it has entries of (`Debian:12`), each with their number."""

    source: str
    digest: str
    dated: str
    loaded: str
    actor: str
    records: int
    withdrawn: int
    malformed: int
    entries: int
    ecosystems: tuple[tuple[str, int], ...]


@contextmanager
def one_state(reader: Reader) -> Iterator[None]:
    """What is read inside is of one moment, whatever is loaded meanwhile."""
    reader.execute("BEGIN")
    try:
        yield
    finally:
        reader.execute("COMMIT")


def sources(reader: Reader) -> list[Source]:
    """The sources by name."""
    rows = reader.execute(
        "SELECT generation, source, digest, dated, loaded, actor, records, withdrawn, malformed, entries"
        " FROM advisory_sources ORDER BY source"
    ).fetchall()
    return [Source(*(*row[1:], _ecosystems(reader, row[0]))) for row in rows]


def _ecosystems(reader: Reader, generation: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        reader.execute(
            "SELECT ecosystem, entries FROM advisory_ecosystems WHERE generation = ? ORDER BY ecosystem", (generation,)
        ).fetchall()
    )


def entries_of(
    reader: Reader, ecosystem: str, name: str, pending: tuple[str, int] | None = None
) -> Sequence[tuple[str, Entry]]:
    """What each source says of a package, by its ecosystem without release and its name as it is looked up; of the
    source of `pending` what the load of that generation says."""
    source, generation = pending or ("", 0)
    rows = reader.execute(
        "SELECT s.source, e.entry FROM advisory_entries e JOIN (SELECT source, generation FROM advisory_sources"
        " WHERE source <> ?3 UNION ALL SELECT ?3, ?4) s ON s.generation = e.generation"
        " WHERE e.name = ?1 AND e.ecosystem = ?2 ORDER BY e.number",
        (name, ecosystem, source, generation),
    )
    return [(source, _DECODER.decode(raw)) for source, raw in rows]


def entries_about(reader: Reader, name: str) -> Sequence[tuple[str, Entry]]:
    """What each source says of a vulnerability, by any of its ids."""
    rows = reader.execute(
        "SELECT s.source, e.entry FROM advisory_ids i JOIN advisory_entries e ON e.number = i.number"
        " JOIN advisory_sources s ON s.generation = i.generation WHERE i.id = ? ORDER BY e.number",
        (name,),
    )
    return [(source, _DECODER.decode(raw)) for source, raw in rows]


def is_held(reader: Reader, source: str, digest: str) -> bool:
    """Whether the source's advisories are those of this export."""
    row = reader.execute("SELECT digest FROM advisory_sources WHERE source = ?", (source,)).fetchone()
    return row is not None and row[0] == digest


@dataclass(frozen=True, slots=True)
class Totals:
    """How many sources there are, the oldest one's date ("" for none), and records that could not be read."""

    sources: int
    oldest: str
    malformed: int


def totals(reader: Reader) -> Totals:
    """What is held at a glance; grows with the sources alone."""
    row = reader.execute(
        "SELECT count(*), coalesce(min(dated), ''), coalesce(sum(malformed), 0) FROM advisory_sources"
    ).fetchone()
    return Totals(*row)


def source_of(reader: Reader, digest: str) -> str | None:
    """The source whose advisories are those of this export; None where no source's are."""
    row = reader.execute("SELECT source FROM advisory_sources WHERE digest = ? ORDER BY source", (digest,)).fetchone()
    return None if row is None else str(row[0])


def held(reader: Reader, source: str) -> tuple[str, int] | None:
    """The date and the number of records of what is held of a source."""
    row = reader.execute("SELECT dated, records FROM advisory_sources WHERE source = ?", (source,)).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))


@dataclass(frozen=True, slots=True)
class Exploitation:
    """What is known of the exploitation of vulnerabilities: `exploited` is None where no catalogue is loaded, `since`
    the first day on which the catalogue had one of them, `score` the highest EPSS score of the day `dated`."""

    exploited: bool | None = None
    since: str = ""
    score: float | None = None
    dated: str = ""


def exploitation_of(reader: Reader, names: Iterable[str]) -> Exploitation:
    """What the sources say of any of these ids."""
    dates = dict(
        reader.execute("SELECT source, dated FROM advisory_sources WHERE source IN (?, ?)", (KEV, EPSS)).fetchall()
    )
    since, scores = list[str](), list[float]()
    for name in names if dates else ():
        for day, score in reader.execute(
            "SELECT x.since, x.score FROM advisory_sources s CROSS JOIN exploitation x ON x.generation = s.generation"
            " AND x.id = ? WHERE s.source IN (?, ?)",
            (name, KEV, EPSS),
        ):
            if score is None:
                since.append(day)
            else:
                scores.append(score)
    return Exploitation(
        exploited=bool(since) if KEV in dates else None, since=min(since, default=""),
        score=max(scores, default=None), dated=dates.get(EPSS, "") if scores else "",
    )  # fmt: skip
