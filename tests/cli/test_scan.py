"""`lockgate scan`, `advisories` and `sbom find` at a station that serves: exit statuses that scripts rely on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Run
from tests.peers.stock import Layout
from tests.scanning.exploitation import epss, kev
from tests.scanning.exports import dist_info, image_of, record, zipped
from tests.scanning.vex import openvex, said
from tests.stage import Station


@pytest.fixture
def alpha(tmp_path: Path) -> Iterator[Station]:
    with Station(tmp_path / "alpha", "alpha", "outside") as station:
        yield station


def test_a_scan_ends_with_0_only_where_nothing_was_found_and_everything_was_looked_at(
    alpha: Station, tmp_path: Path, run: Run
) -> None:
    def at(*words: str | Path) -> Ended:
        return run(*words, "-C", alpha.folder)

    layout = Layout(tmp_path / "app")
    layout.tag("1", image_of(layout, dist_info("requests", "2.19")))
    assert at("collect", f"oci:{layout.folder}:1", "--as", "team/app:1").status == 0

    listed = at("sbom", "find", "requests", "--json")
    assert (listed.status, listed.document["not_scanned"], listed.document["complete"]) == (4, 1, False)
    unknown = at("scan", "team/app:1", "--known", "--json")
    assert (unknown.status, unknown.document["gaps"]) == (4, ["not-scanned"])
    assert (at("sbom", "team/app:1").status, at("sbom", "diff", "team/app:1", "team/app:1").status) == (4, 4)
    bare = at("scan", "team/app:1", "--json")
    assert (bare.status, bare.document["gaps"], bare.document["advisories"]) == (4, ["no-advisories"], [])
    assert "no advisories for PyPI: 1 package" in at("scan", "team/app:1").out
    assert at("scan", "find", "CVE-2024-1").status == 4
    assert at("scan", "new").status == 4

    old = zipped(tmp_path / "old.zip", [record("PYSEC-1", fixed="2.19", aliases=["CVE-2024-1"])])
    new = [record("PYSEC-1", fixed="2.20", aliases=["CVE-2024-1", "CVE-2024-1001"], modified="2024-02-01T00:00:00Z")]
    loaded = at("advisories", "load", zipped(tmp_path / "new.zip", new), "--json")
    assert (loaded.status, loaded.document["source"], loaded.document["affected"]) == (0, "osv-pypi", 1)
    assert (loaded.document["images"], at("status", "--json").document["advisories"]["hit"]) == (1, 1)
    assert "scan new" in at("status").out
    fresh = at("scan", "new", "--json")
    assert (fresh.status, [one["finding"]["id"] for one in fresh.document["items"]]) == (1, ["PYSEC-1"])
    found = at("scan", "team/app:1", "--json")
    (finding,) = found.document["images"][0]["findings"]
    assert (found.status, found.document["complete"]) == (1, True)
    assert (finding["id"], finding["package"], finding["version"], finding["fix"], finding["source"]) == (
        "PYSEC-1", "requests", "2.19", "2.20", "osv-pypi",
    )  # fmt: skip
    assert (finding["exploited"], finding["epss"]) == (None, None)
    catalogue = tmp_path / "kev.json"
    catalogue.write_bytes(kev("CVE-2024-1001"))
    assert at("advisories", "load", catalogue).status == 0
    scores = tmp_path / "epss.csv.gz"
    scores.write_bytes(gzip.compress(epss(["CVE-2024-1001,0.97,0.99"])))
    assert at("advisories", "load", scores).status == 0
    rated = at("scan", "team/app:1", "--json").document
    (finding,) = rated["images"][0]["findings"]
    assert (finding["exploited"], finding["exploited_since"]) == (True, "2024-04-01")
    assert (finding["epss"], finding["epss_dated"]) == (0.97, "2024-05-02T00:00:00Z")
    assert {one["source"] for one in rated["advisories"]} == {"osv-pypi", "cisa-kev", "epss"}
    assert "known since 2024-04-01, EPSS 0.97000 of 2024-05-02" in at("scan", "team/app:1").out
    assert [at("advisories", "remove", name).status for name in ("cisa-kev", "epss")] == [0, 0]
    assert at("scan", "new").status == 1
    document = tmp_path / "vex.json"
    document.write_bytes(openvex(said({"@id": "pkg:pypi/requests@2.19"}, name="CVE-2024-1")))
    answered = at("advisories", "load", document, "--json").document["source"]
    asked: tuple[tuple[str, ...], ...] = (("team/app:1",), ("find", "CVE-2024-1"), ("new",))
    assert [at("scan", *words).status for words in asked] == [0, 0, 0]
    assert at("scan", "team/app:1", "--json").document["set_aside"] == {"not_affected": 1}
    assert "not_affected (vulnerable_code_not_in_execute_path), vex-1-" in at("scan", "find", "CVE-2024-1").out
    assert [at("scan", *words, "--include-not-affected").status for words in asked] == [1, 1, 1]
    assert at("advisories", "remove", answered).status == 0
    for form, key in (("sarif", "runs"), ("cyclonedx-vex", "vulnerabilities"), ("intoto", "predicate")):
        report = at("scan", "team/app:1", "--format", form)
        assert (report.status, key in json.loads(report.out)) == (1, True)
    assert [at("scan", *words).status for words in (("new", "--format", "sarif"), ("a:1", "--format", "x"))] == [2, 2]
    where = at("scan", "find", "CVE-2024-1", "--json")
    assert (where.status, where.document["items"][0]["use"]["references"]) == (1, ["team/app:1"])
    assert "team/app:1" in at("sbom", "find", "requests@2.19").out
    listed = at("sbom", "team/app:1", "--json")
    assert (listed.status, [one["name"] for one in listed.document["images"][0]["packages"]]) == (0, ["requests"])
    for form, key in (("cyclonedx", "components"), ("spdx", "packages")):
        assert key in json.loads(at("sbom", "show", "team/app:1", "--format", form).out)
    same = at("sbom", "diff", "team/app:1", "team/app:1", "--json")
    assert (same.status, same.document["same"], same.document["added"]) == (0, 1, [])
    assert [at("sbom", *words).status for words in (("team/app:9",), ("requests@2.19",), ("pkg:pypi/a",))] == [1, 2, 2]
    absent = at("sbom", "find", "requests@2.20", "--json")
    assert (absent.status, absent.document["items"], absent.document["complete"]) == (0, [], True)

    refused = at("advisories", "load", old)
    assert (refused.status, "--replace" in refused.err) == (3, True)
    assert at("advisories", "load", old, "--replace").status == 0
    assert at("scan", "new", "--json").status == 0
    clean = at("scan", "team/app:1")
    assert (clean.status, "[ok] nothing was found" in clean.out) == (0, True)
    assert "osv-pypi: 2024-01-01T00:00:00Z" in clean.out
    assert at("status", "--json").document["advisories"] == {
        "sources": 1, "oldest": "2024-01-01T00:00:00Z", "malformed": 0, "damaged": 0, "hit": 0,
    }  # fmt: skip
    assert "advisories   1 source, the oldest of 2024-01-01T00:00:00Z" in at("status").out
    assert at("scan", "find", "PYSEC-1").status == 0
    assert at("scan", "find", "PYSEC-2").status == 4

    assert at("collect", f"file:{old}", "--as", "advisories/pypi:1").status == 0
    assert at("advisories", "load", "advisories/pypi:1", "--source", "carried").status == 0
    assert [one["source"] for one in at("advisories", "list", "--json").document["items"]] == ["carried", "osv-pypi"]
    assert (at("advisories", "remove", "carried").status, at("advisories", "remove", "carried").status) == (0, 1)
    assert [at("scan", *words).status for words in (("team/app:9",), ("a", "b"), ("advisories/pypi:1",))] == [1, 2, 2]
    assert [at("advisories", "load", word).status for word in (tmp_path / "none.zip", "team/app:1")] == [2, 2]
