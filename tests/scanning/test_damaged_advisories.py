"""A row of what is loaded, changed, made up or taken away in the database, makes no verdict better."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.seals import index_key
from appliance.advisories.sums import Sums, bucket_of, sums_at
from appliance.scanning.answers import find_vulnerability, sources
from appliance.scanning.new_findings import new_findings
from appliance.settings.gates import Gate
from appliance.store.reads.sealed_sources import count_damaged
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  a fixture
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exploitation import kev
from tests.scanning.exports import cyclonedx, image_of, record, zipped
from tests.scanning.rows import known, removed
from tests.scanning.test_damaged_index import loaded, refused, scanned, write
from tests.scanning.vex import openvex, product, said

SEVERE = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}
REQUESTS = "pkg:pypi/requests@2.19"


@pytest.fixture
def image(outside: Outside, layout: Layout, tmp_path: Path) -> str:
    """An image with a finding that is exploited, and one that a VEX document answers; two sources of PyPI."""
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    outside.collect_layout(layout.folder, "1")
    image = str(described["digest"])
    write(outside, image, cyclonedx(REQUESTS, "pkg:pypi/flask@1.0", "pkg:pypi/bare@1"))
    loaded(outside, zipped(tmp_path / "1.zip", first()))
    loaded(outside, zipped(tmp_path / "2.zip", [record("OWN-1", "flask", "2")]), source="own")
    (tmp_path / "kev").write_bytes(kev("CVE-2024-1001"))
    loaded(outside, tmp_path / "kev")
    (tmp_path / "vex").write_bytes(openvex(said(product(image), name="CVE-2024-1002")))
    loaded(outside, tmp_path / "vex")
    return image


def first() -> list[dict[str, Any]]:
    return [
        record("PYSEC-1", aliases=["CVE-2024-1001"], **SEVERE), record("PYSEC-2", aliases=["CVE-2024-1002"]),
        record("PYSEC-9", "nothing-here"),
    ]  # fmt: skip


PYPI = "(SELECT generation FROM advisory_sources WHERE source = 'osv-pypi')"
EDITS = {
    "an entry taken away": f"DELETE FROM advisory_entries WHERE id = 'PYSEC-1' AND generation = {PYPI}",
    "and its ids": "DELETE FROM advisory_ids WHERE number IN (SELECT number FROM advisory_entries WHERE id ="
    " 'PYSEC-1');"
    " DELETE FROM advisory_entries WHERE id = 'PYSEC-1'; UPDATE advisory_sources SET entries = 2",
    "every entry": "DELETE FROM advisory_entries",
    "an entry under another name": "UPDATE advisory_entries SET name = 'other' WHERE id = 'PYSEC-1'",
    "an entry of another ecosystem": "UPDATE advisory_entries SET ecosystem = 'npm' WHERE id = 'PYSEC-1'",
    "what an entry says": "UPDATE advisory_entries SET entry = (SELECT entry FROM advisory_entries WHERE id ="
    " 'PYSEC-2')"
    " WHERE id = 'PYSEC-1'",
    "no entry": "UPDATE advisory_entries SET entry = x'00'",
    "an entry more": "INSERT INTO advisory_entries (generation, ecosystem, name, id, entry) SELECT generation,"
    " ecosystem,"
    " 'bare', id, entry FROM advisory_entries WHERE id = 'PYSEC-2'",
    "an entry twice": "INSERT INTO advisory_entries (generation, ecosystem, name, id, entry) SELECT generation,"
    " ecosystem,"
    " name, id, entry FROM advisory_entries WHERE id = 'PYSEC-2'",
    "an entry of another load": f"UPDATE advisory_entries SET generation = {PYPI} WHERE id = 'OWN-1'",
    "the sums": "DELETE FROM advisory_sums",
    "what the sums say": "UPDATE advisory_sums SET records = x''",
    "another load's sums": "UPDATE advisory_sums SET records = (SELECT records FROM advisory_sums ORDER BY"
    " generation DESC"
    " LIMIT 1), seal = (SELECT seal FROM advisory_sums ORDER BY generation DESC LIMIT 1)",
    "a source taken away": "DELETE FROM advisory_sources WHERE source = 'own'",
    "and the list": "DELETE FROM advisory_sources WHERE source = 'own'; DELETE FROM advisory_list",
    "the list's word of it": "DELETE FROM advisory_sources WHERE source = 'own'; UPDATE advisory_list SET"
    " sources = '{}'",
    "no list": "UPDATE advisory_list SET sources = 'x'",
    "a source that was made up": "INSERT INTO advisory_sources (source, generation, digest, dated, loaded,"
    " actor, records,"
    " withdrawn, malformed, entries) VALUES ('made', 99, 'x', '2099-01-01T00:00:00Z', '2099-01-01T00:00:00Z',"
    " '', 1, 0, 0, 1)",
    "a source's date": "UPDATE advisory_sources SET dated = '2099-01-01T00:00:00Z'",
    "what could not be read of it": "UPDATE advisory_sources SET malformed = malformed + 1",
    "its seal": "UPDATE advisory_sources SET seal = ''",
    "its load": "UPDATE advisory_sources SET generation = 1 WHERE source = 'own'",
    "what it is about": "INSERT INTO advisory_ecosystems SELECT generation, 'Debian:12', 1 FROM advisory_sources",
    "what it is about, less": "DELETE FROM advisory_ecosystems",
    "a statement": "UPDATE vex_statements SET status = 'fixed'",
    "a statement about more": "UPDATE vex_statements SET id = 'CVE-2024-1001'",
    "a statement that was made up": "INSERT INTO vex_statements (generation, id, key, product, subcomponent, status,"
    " justification, why, at, document) SELECT generation, 'CVE-2024-1001', key, product, subcomponent, status,"
    " justification, why, at, document FROM vex_statements",
    "a statement taken away": "DELETE FROM vex_statements",
    "what is exploited": "DELETE FROM exploitation",
    "another is exploited": "UPDATE exploitation SET id = 'CVE-1999-1'",
    "since when": "UPDATE exploitation SET since = '1999-01-01'",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_no_edit_of_what_is_loaded_makes_a_verdict_better(outside: Outside, image: str, edit: str) -> None:
    before = scanned(outside)
    assert (before.gaps, sum(before.counts.values()), before.set_aside) == ((), 2, {"not_affected": 1})
    with outside.writer_connection() as db:
        for one in edit.split("; "):
            db.execute(one)
    scan = scanned(outside)
    assert "damaged-advisories" in scan.gaps  # a source that is not sealed covers nothing, either
    assert (set(scan.gaps) <= {"damaged-advisories", "no-advisories"}, scan.complete) == (True, False)
    assert any(one.damaged for one in scan.advisories)
    for finding in scan.images[0].findings:
        answered = finding.vex is not None and finding.vex.status in ("fixed", "not_affected")
        assert not answered or "CVE-2024-1002" in finding.aliases
        assert finding.exploited is not False or "CVE-2024-1001" not in finding.aliases
    for gate in (
        Gate(repositories=["**"], max_severity="high"), Gate(repositories=["**"], advisories_days=3650),
        Gate(repositories=["**"], exploited="never"), Gate(repositories=["**"], inspected=True),
    ):  # fmt: skip
        assert refused(outside, image, gate), gate


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM advisory_ids WHERE id = 'CVE-2024-1001'",
        "UPDATE advisory_ids SET id = 'CVE-2024-1007' WHERE id = 'CVE-2024-1001'",
        "UPDATE advisory_ids SET number = (SELECT number FROM advisory_entries WHERE id = 'PYSEC-9')"
        " WHERE id = 'CVE-2024-1001'",
        "INSERT INTO advisory_ids SELECT 'CVE-2024-1001', generation, number FROM advisory_entries WHERE id ="
        " 'PYSEC-9'",
    ],
)
def test_a_search_for_a_vulnerability_is_not_complete_without_its_ids(outside: Outside, image: str, edit: str) -> None:
    assert find_vulnerability(outside.station, "CVE-2024-1001", lambda _: True).complete
    with outside.writer_connection() as db:
        db.execute(edit)
    assert not find_vulnerability(outside.station, "CVE-2024-1001", lambda _: True).complete


@pytest.mark.parametrize("table", ["advisory_news", "advisory_hits"])
def test_news_that_were_taken_away_are_missed(outside: Outside, image: str, table: str) -> None:
    assert new_findings(outside.station, lambda _: True).complete
    assert count_damaged(outside.station.reader, index_key(outside.station.paths)) == 0
    with outside.writer_connection() as db:
        assert db.execute(f"DELETE FROM {table}").rowcount
    assert not new_findings(outside.station, lambda _: True).complete


def test_the_same_export_once_more_repairs_what_was_damaged(outside: Outside, image: str, tmp_path: Path) -> None:
    assert loaded(outside, tmp_path / "1.zip")["unchanged"]
    with outside.writer_connection() as db:
        db.execute("DELETE FROM advisory_entries WHERE id = 'PYSEC-9'")  # which no image has
    assert not loaded(outside, tmp_path / "1.zip", replace=True)["unchanged"]
    assert (scanned(outside).gaps, loaded(outside, tmp_path / "1.zip")["unchanged"]) == ((), True)
    with outside.writer_connection() as db:
        db.execute("DELETE FROM advisory_sources WHERE source IN ('own', 'cisa-kev')")
        db.execute("DELETE FROM vex_statements")
    damaged = {one.source for one in sources(known(outside)) if one.damaged}
    assert damaged == {"own", "cisa-kev"}
    assert count_damaged(outside.station.reader, index_key(outside.station.paths)) == 2
    loaded(outside, tmp_path / "2.zip", source="own")
    loaded(outside, tmp_path / "vex")
    assert scanned(outside).gaps == ("damaged-advisories",)
    assert removed(outside.writer.submit, outside.station.paths, "cisa-kev")  # or it is loaded again
    assert scanned(outside).gaps == ()
    assert not removed(outside.writer.submit, outside.station.paths, "cisa-kev")


def test_a_lost_list_counts_no_source_before_it_is_loaded_again(outside: Outside, image: str, tmp_path: Path) -> None:
    """A load seals nothing that it did not read itself."""
    with outside.writer_connection() as db:
        db.execute("DELETE FROM advisory_list")
    loaded(outside, tmp_path / "1.zip", replace=True)
    assert scanned(outside).gaps == ("damaged-advisories",)
    for name, more in (("2.zip", {"source": "own"}), ("kev", {}), ("vex", {})):
        assert scanned(outside).gaps == ("damaged-advisories",)
        loaded(outside, tmp_path / name, **more)
    assert scanned(outside).gaps == ()


def test_a_load_or_removal_that_came_first_is_seen_and_another_try_takes_it_in(
    outside: Outside, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.scanning import sealing

    honest, turns = sealing.listed_with, itertools.count()

    def late(reader: Any, key: bytes, source: str, salt: str | None) -> Any:
        made = honest(reader, key, source, salt)
        if next(turns) == 0:
            monkeypatch.setattr(sealing, "listed_with", honest)
            removed(outside.writer.submit, outside.station.paths, "own")
        return made

    monkeypatch.setattr(sealing, "listed_with", late)
    loaded(outside, zipped(tmp_path / "3.zip", [*first(), record("PYSEC-10")]))
    assert {one.source for one in sources(known(outside)) if not one.damaged} >= {"osv-pypi", "cisa-kev"}
    assert scanned(outside).gaps == ()


@pytest.mark.parametrize("rows", [0, 1, 31, 33, 3_000, 40_000])
def test_sums_are_found_at_their_places_whatever_their_number(rows: int) -> None:
    sums = Sums()
    placed = [(number.to_bytes(4, "big") * 3, (number * 7).to_bytes(20, "big")) for number in range(rows)]
    spread = [(bytes([*place[2:4], *place[4:], *place[:2]]), own) for place, own in placed]
    for place, own in spread:
        sums.add(place, own)
    buckets = list(sums.buckets())
    assert len(buckets) == 1 << sums.bits
    assert sum(map(len, buckets)) == 32 * rows
    for place, own in spread[:: max(1, rows // 500)]:
        assert sums_at(buckets[bucket_of(place, sums.bits)], place) == [own]
    assert sums_at(buckets[bucket_of(b"\xff" * 12, sums.bits)], b"\xff" * 12) == []
