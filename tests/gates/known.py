"""Content that a station knows: an SBOM of its own in the index, and advisories, without a scanner or an export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from appliance import clock
from appliance.advisories.exploitation import KEV, Rating
from appliance.advisories.record import lookup_of, read_record
from appliance.advisories.seals import index_key
from appliance.outgoing.sbom.index import index_write
from appliance.paths import StationPaths
from appliance.store.writes.advisories import AddAdvisories, BeginAdvisories, EntryRow, SourceFacts
from appliance.store.writes.exploitation import AddExploitation
from appliance.store.writes.write import Write
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from tests.scanning.exports import cyclonedx, record
from tests.scanning.rows import switched

Submit = Callable[[Write], Any]
PURL = "pkg:pypi/requests@2.19"
CRITICAL = {"database_specific": {"severity": "CRITICAL"}}


def scan(submit: Submit, paths: StationPaths, digest: Digest | str, *purls: str) -> None:
    """As the `scan` job does with what syft found."""
    document = cyclonedx(*(purls or (PURL,)))
    submit(index_write(index_key(paths), str(digest), str(Digest.of(document)), document, "own"))


def load(
    submit: Submit, paths: StationPaths, *records: dict[str, Any], source: str = "osv-pypi", dated: str = ""
) -> None:
    """As the `advisories` job does with an export."""
    entries = [entry for one in records for entry in read_record(canonical(one)).entries]
    rows = tuple(
        EntryRow(*lookup_of(entry), entry.id, tuple(sorted(entry.ids)), msgspec.msgpack.encode(entry))
        for entry in entries
    )
    generation = submit(BeginAdvisories(source, f"job-{source}", clock.now()))
    submit(AddAdvisories(generation, rows))
    facts = SourceFacts(
        source, str(Digest.of(repr(records).encode())), dated or clock.now(), len(records), 0, 0, len(rows)
    )
    switched(submit, paths, generation, facts, "PyPI", rows)


def harmless(name: str = "PYSEC-2026-0") -> dict[str, Any]:
    """A record about something that no image has."""
    return record(name, "nothing-that-is-used")


def critical(name: str = "PYSEC-2026-1", **more: Any) -> dict[str, Any]:
    return record(name, "requests", "2.20", **CRITICAL, **more)


def catalogue(submit: Submit, paths: StationPaths, *names: str) -> None:
    """CISA's catalogue with these CVEs."""
    generation = submit(BeginAdvisories(KEV, "job-kev", clock.now()))
    ratings = tuple(Rating(name, "2026-01-01", None) for name in names)
    submit(AddExploitation(generation, ratings))
    facts = SourceFacts(KEV, str(Digest.of(repr(names).encode())), clock.now(), len(names), 0, 0, len(names))
    switched(submit, paths, generation, facts, ratings=ratings)
