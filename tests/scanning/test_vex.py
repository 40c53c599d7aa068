"""VEX documents answer findings: shown beside them, counted apart, and taken whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.seals import index_key
from appliance.api.scanning import Scan
from appliance.outgoing.sbom.index import index_write
from appliance.scanning import load
from appliance.scanning.answers import find_vulnerability, scan_of
from appliance.store.reads.advisories import sources
from appliance.store.writes.vex import DropVex
from appliance.store.writes.write import under_event
from bundles.errors import CancelledError, MalformedError, RefusedError, UsageError
from bundles.oci.reference import Reference
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  a fixture
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import cyclonedx, image_of, record, zipped
from tests.scanning.rows import removed
from tests.scanning.vex import REQUESTS, openvex, product, said


def loaded(outside: Outside, raw: bytes | Path, **params: Any) -> dict[str, Any]:
    path = raw if isinstance(raw, Path) else outside.station.paths.root.parent / "document.json"
    if isinstance(raw, bytes):
        path.write_bytes(raw)
    return outside.run(outside.context("advisories", {"path": str(path), **params}), load.run)


@pytest.fixture
def image(outside: Outside, layout: Layout, tmp_path: Path) -> str:
    """An image with requests and flask, each with a finding: its digest."""
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    outside.collect_layout(layout.folder, "1")
    document = cyclonedx(REQUESTS, "pkg:pypi/flask@1.0")
    outside.writer.submit(
        index_write(index_key(outside.station.paths), described["digest"], "sha256:" + "0" * 64, document, "own")
    )
    flaws = [record("PYSEC-1", aliases=["CVE-2024-1000"]), record("PYSEC-2", "flask", "2", aliases=["CVE-2024-1000"])]
    loaded(outside, zipped(tmp_path / "all.zip", flaws))
    return str(described["digest"])


def scanned(outside: Outside) -> Scan:
    return scan_of(outside.station, Reference.parse("tools:1"))


def statuses(outside: Outside) -> dict[str, str]:
    """What VEX says of each finding, by its id."""
    return {one.id: one.vex.status if one.vex else "" for one in scanned(outside).images[0].findings}


def test_a_finding_that_a_document_answers_is_shown_and_counts_apart(outside: Outside, image: str) -> None:
    assert (statuses(outside), scanned(outside).set_aside) == ({"PYSEC-1": "", "PYSEC-2": ""}, {})
    result = loaded(outside, openvex(said(product(image, REQUESTS)), said({"@id": "pkg:oci/app"}, status="fixed")))
    assert (result["source"][:6], result["records"], result["entries"], result["unmatched"]) == ("vex-1-", 2, 1, 1)
    scan = scanned(outside)
    assert statuses(outside) == {"PYSEC-1": "not_affected", "PYSEC-2": ""}
    assert (sum(scan.counts.values()), scan.set_aside, len(scan.images[0].findings)) == (1, {"not_affected": 1}, 2)
    (answer,) = [one.vex for one in scan.images[0].findings if one.vex is not None]
    assert (answer.justification, answer.at, answer.document, answer.source) == (
        "vulnerable_code_not_in_execute_path", "2024-03-01T00:00:00Z", "https://vendor.example/vex-1", result["source"],
    )  # fmt: skip
    found = find_vulnerability(outside.station, "CVE-2024-1000", lambda _: True)
    assert {hit.finding.id: hit.finding.vex is not None for hit in found.items} == {"PYSEC-1": True, "PYSEC-2": False}
    (event,) = [one for one in outside.events("advisories.load") if one["thing"] == result["source"]]
    assert event["detail"]["digest"] == result["digest"]


def test_another_image_package_or_vulnerability_is_not_answered(outside: Outside, image: str) -> None:
    other = "sha256:" + "b" * 64
    loaded(
        outside,
        openvex(
            said(product(other)), said(product(image, "pkg:pypi/requests@2.20")), said(product(image), name="CVE-2"),
            said({"@id": "pkg:pypi/requests@2.19.1"}), said(product(other, REQUESTS), status="fixed"),
        ),
    )  # fmt: skip
    assert statuses(outside) == {"PYSEC-1": "", "PYSEC-2": ""}


def test_a_later_document_takes_the_place_of_the_earlier_and_an_older_one_is_refused(
    outside: Outside, image: str
) -> None:
    later = {"at": "2024-04-01T00:00:00Z"}
    source = loaded(outside, openvex(said(product(image))))["source"]
    assert statuses(outside) == {"PYSEC-1": "not_affected", "PYSEC-2": "not_affected"}
    assert loaded(outside, openvex(said(product(image))))["unchanged"]
    assert loaded(outside, openvex(said(product(image), status="affected"), **later))["source"] == source
    assert statuses(outside) == {"PYSEC-1": "affected", "PYSEC-2": "affected"}
    with pytest.raises(RefusedError):
        loaded(outside, openvex(said(product(image))))
    assert [one["outcome"] for one in outside.events("advisories.load")[-2:]] == ["done", "refused"]
    loaded(outside, openvex(said(product(image)), name="https://other.example/vex-1", at="2024-05-01T00:00:00Z"))
    assert (statuses(outside)["PYSEC-1"], len(sources(outside.station.reader))) == ("affected", 3)
    (first, _) = scanned(outside).images[0].findings
    assert first.vex is not None
    assert first.vex.contradicted
    with under_event():
        removed(outside.writer.submit, outside.station.paths, source)
    assert statuses(outside)["PYSEC-1"] == "not_affected"
    while outside.writer.submit(DropVex()):
        pass
    assert outside.station.reader.execute("SELECT count(*) FROM vex_statements").fetchone() == (1,)


def test_a_set_of_documents_is_one_source_and_one_bad_one_refuses_all_of_it(
    outside: Outside, image: str, tmp_path: Path
) -> None:
    good = [openvex(said(product(image, REQUESTS)), name=f"https://vendor.example/{number}") for number in range(3)]
    path = zipped(tmp_path / "set.zip", good)
    with pytest.raises(UsageError):
        loaded(outside, path)
    for name in ("vendor", "osv-pypi", "epss"):
        with pytest.raises(UsageError):
            loaded(outside, path, source=name)
    assert loaded(outside, path, source="vex-vendor")["records"] == 3
    before = statuses(outside)
    assert before["PYSEC-1"] == "not_affected"
    later = openvex(said(product(image), status="affected"), at="2024-06-01T00:00:00Z")
    for bad in (
        good[0], b"{}", b"{", openvex(said(product(image)), at="2999-01-01T00:00:00Z", name="x"),
        openvex(said(product(image), timestamp="2999-01-01T00:00:00Z"), name="x"),
    ):  # fmt: skip
        with pytest.raises(MalformedError) as refused:
            loaded(outside, zipped(tmp_path / "bad.zip", [*good, later, bad]), source="vex-vendor")
        assert "000004.json" in (refused.value.thing or "")
        assert statuses(outside) == before
    assert outside.station.reader.execute("SELECT count(*) FROM vex_statements").fetchone() == (3,)


def test_no_other_data_is_loaded_under_a_name_of_vex(outside: Outside, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        loaded(outside, zipped(tmp_path / "all.zip", [record("PYSEC-1")]), source="vex-vendor")
    assert sources(outside.station.reader) == []


def test_a_load_of_vex_that_is_cut_off_answers_nothing(outside: Outside, image: str, tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(openvex(said(product(image))))
    context = outside.context("advisories", {"path": str(path)})

    def stop(phase: str, *_: int) -> None:
        if phase == "load":
            raise CancelledError("cancelled")

    context.on_progress = stop
    with pytest.raises(CancelledError):
        outside.run(context, load.run)
    assert statuses(outside) == {"PYSEC-1": "", "PYSEC-2": ""}
