"""What a load of advisories finds that was not found before it is told of, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.seals import index_key
from appliance.outgoing.sbom.index import index_write
from appliance.scanning import load
from appliance.scanning.new_findings import new_findings
from appliance.store.reads.news import hit_images
from appliance.store.writes.news import DropNews
from appliance.store.writes.write import under_event
from bundles.errors import CancelledError, RefusedError
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  a fixture
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside, PowerCut
from tests.peers.stock import Layout
from tests.scanning.exploitation import epss, kev
from tests.scanning.exports import cyclonedx, image_of, record, zipped
from tests.scanning.rows import removed

DAYS = [f"2024-0{month}-01T00:00:00Z" for month in range(1, 10)]
HIGH = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}
LOW = {"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]}


def loaded(outside: Outside, tmp_path: Path, records: list[dict[str, Any]] | bytes, **params: Any) -> dict[str, Any]:
    path = tmp_path / "export"
    path.write_bytes(records) if isinstance(records, bytes) else zipped(path, records)
    return outside.run(outside.context("advisories", {"path": str(path), **params}), load.run)


def found(outside: Outside) -> set[tuple[str, str]]:
    """Id and package of what is new."""
    return {(hit.finding.id, hit.use.package) for hit in new_findings(outside.station, lambda _: True).items}


@pytest.fixture
def served(outside: Outside, layout: Layout) -> dict[str, Any]:
    """An image with requests 2.19 and flask 1.0: its descriptor."""
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    outside.collect_layout(layout.folder, "1")
    document = cyclonedx("pkg:pypi/requests@2.19", "pkg:pypi/flask@1.0")
    outside.writer.submit(
        index_write(index_key(outside.station.paths), described["digest"], "sha256:" + "0" * 64, document, "own")
    )
    return described


@pytest.mark.usefixtures("served")
def test_what_a_load_is_the_first_to_find_is_new_until_the_next_load_of_its_source(
    outside: Outside, tmp_path: Path
) -> None:
    assert hit_images(outside.station.reader) == 0
    first = record("PYSEC-1", **HIGH)
    result = loaded(outside, tmp_path, [first, record("PYSEC-2", **LOW), record("PYSEC-3", "flask", "0.9")])
    assert (result["images"], result["affected"]) == (1, 1)
    assert (found(outside), hit_images(outside.station.reader)) == ({("PYSEC-1", "requests")}, 1)
    other = record("GHSA-1", "flask", "9", modified=DAYS[1])
    assert loaded(outside, tmp_path, [other], source="other")["affected"] == 1
    assert found(outside) == {("PYSEC-1", "requests"), ("GHSA-1", "flask")}
    later = [first | {"summary": "told better"}, record("PYSEC-2", modified=DAYS[2], **LOW), record("PYSEC-3", "flask")]
    loaded(outside, tmp_path, later)
    assert found(outside) == {("GHSA-1", "flask"), ("PYSEC-3", "flask")}, "unknown may be anything"
    assert loaded(outside, tmp_path, later)["unchanged"]
    assert len(found(outside)) == 2
    loaded(outside, tmp_path, [record("PYSEC-2", modified=DAYS[3], **HIGH), first, record("PYSEC-3", "flask")])
    assert found(outside) == {("GHSA-1", "flask"), ("PYSEC-2", "requests")}, "it became severe"


@pytest.mark.usefixtures("served")
def test_a_vulnerability_that_was_known_by_another_of_its_ids_is_not_new(outside: Outside, tmp_path: Path) -> None:
    loaded(outside, tmp_path, [record("PYSEC-1", aliases=["CVE-2024-1000"])])
    loaded(outside, tmp_path, [record("GHSA-1", aliases=["CVE-2024-1000"])], source="other")
    assert found(outside) == {("PYSEC-1", "requests")}
    with under_event():
        removed(outside.writer.submit, outside.station.paths, "osv-pypi")
    assert (found(outside), hit_images(outside.station.reader)) == (set(), 0)
    while outside.writer.submit(DropNews()):
        pass
    for table in ("advisory_news", "advisory_hits"):
        assert outside.station.reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.usefixtures("served")
def test_what_is_newly_known_to_be_exploited_is_new_whatever_was_known_of_it(outside: Outside, tmp_path: Path) -> None:
    loaded(outside, tmp_path, [record("PYSEC-1", aliases=["CVE-2024-1000"], **LOW)])
    assert found(outside) == set()
    loaded(outside, tmp_path, kev("CVE-2024-1000", "CVE-2024-2000"))
    assert (found(outside), hit_images(outside.station.reader)) == ({("PYSEC-1", "requests")}, 1)
    loaded(outside, tmp_path, epss(["CVE-2024-1000,0.5,0.5"]))
    assert len(found(outside)) == 1
    loaded(outside, tmp_path, kev("CVE-2024-1000", "CVE-2024-3000", released="2024-06-01T00:00:00Z"))
    assert found(outside) == set()
    more = record("PYSEC-2", "flask", "2", aliases=["CVE-2024-3000"], modified=DAYS[2], **LOW)
    loaded(outside, tmp_path, [record("PYSEC-1", aliases=["CVE-2024-1000"], **LOW), more])
    assert found(outside) == {("PYSEC-2", "flask")}


def test_a_finding_that_a_distribution_decides_about_hits_nothing(
    outside: Outside, served: dict[str, Any], tmp_path: Path
) -> None:
    owner = "pkg:deb/debian/python3-requests@2.19-1?distro=debian-12&upstream=requests"
    document = cyclonedx("pkg:pypi/requests@2.19", owner).replace(
        b'"version": "2.19"}', b'"version": "2.19", "properties": [{"name": "syft:location:0:path", "value":'
        b' "/usr/lib/python3/dist-packages/requests.egg-info"}]}', 1,
    )  # fmt: skip
    outside.writer.submit(
        index_write(index_key(outside.station.paths), served["digest"], "sha256:" + "1" * 64, document, "own")
    )
    fixed = record("DEBIAN-CVE-2024-1", "requests", "2.19-1", ecosystem="Debian:12", aliases=["CVE-2024-1"])
    loaded(outside, tmp_path, [fixed])
    loaded(outside, tmp_path, [record("PYSEC-1", aliases=["CVE-2024-1"]), record("PYSEC-2", "flask")])
    assert (found(outside), hit_images(outside.station.reader)) == (set(), 0)
    loaded(outside, tmp_path, [record("PYSEC-1", aliases=["CVE-2024-1"]), record("PYSEC-5", modified=DAYS[1])])
    assert (found(outside), hit_images(outside.station.reader)) == ({("PYSEC-5", "requests")}, 1)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("error", [CancelledError("cancelled"), PowerCut(), None])
def test_a_load_that_does_not_come_to_count_makes_no_news(
    outside: Outside, tmp_path: Path, error: BaseException | None
) -> None:
    loaded(outside, tmp_path, [record("PYSEC-1", modified=DAYS[5], **LOW)])
    path = zipped(tmp_path / "later", [record("PYSEC-9", modified=DAYS[6] if error else DAYS[1])])
    context = outside.context("advisories", {"path": str(path)})

    def stop(phase: str, *_: int) -> None:
        if phase == "match" and error is not None:
            raise error

    context.on_progress = stop
    with pytest.raises(type(error) if error else RefusedError):
        outside.run(context, load.run)
    assert (found(outside), hit_images(outside.station.reader)) == (set(), 0)
    events = outside.events("advisories.load")
    outcomes = [event["outcome"] for event in events if event["detail"].get("takes_back")]
    assert [one["outcome"] for one in events[2:]] == outcomes[:1], "once, by the event that takes it back"


@pytest.mark.usefixtures("served")
def test_who_may_not_pull_is_told_of_nothing_and_of_too_many_the_most_urgent_are_told(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [record(f"PYSEC-{number}", **HIGH) for number in range(3)]
    loaded(outside, tmp_path, [*names, record("PYSEC-9", "flask", aliases=["CVE-2024-1000"])])
    loaded(outside, tmp_path, kev("CVE-2024-1000"))
    monkeypatch.setattr("appliance.limits.scanning.SCAN_FOUND", 2)
    shown = new_findings(outside.station, lambda _: True)
    assert [hit.finding.id for hit in shown.items] == ["PYSEC-9", "PYSEC-0"]
    assert (shown.left_out, shown.complete) == (2, False)
    nobody = new_findings(outside.station, lambda _: False)
    assert (nobody.items, nobody.left_out) == ((), 0)
