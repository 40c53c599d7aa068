"""What the loaded advisories say of a package, and which sources they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.store.ports import Reader


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
