"""What stands in the images that are held, by the station's own SBOMs and the advisories that are loaded."""

from __future__ import annotations

import asyncio
import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from appliance.advisories.seals import index_key
from appliance.api.scanning import Scan
from appliance.control import indexing
from appliance.limits import scanning as limits
from appliance.outgoing.sbom.index import index_write, unreadable
from appliance.scanning import load, scan_job
from appliance.scanning.answers import find_component, find_vulnerability, scan_of
from appliance.scanning.packages import packages_of
from appliance.store.reads.advisories import one_state, sources
from appliance.store.reads.components import sboms_of
from appliance.store.writes.components import IndexSbom
from bundles.errors import NotFoundError, UsageError
from bundles.oci.reference import Reference
from tests.advisories.pairs import DATA
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  fixtures
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import DEBIAN, cyclonedx, dist_info, image_of, record, sbom_of, zipped
from tests.scanning.rows import known as known_rows


def advisories(outside: Outside, path: Path, **params: Any) -> dict[str, Any]:
    return outside.run(outside.context("advisories", {"path": str(path), **params}), load.run)


def known(outside: Outside, reference: str) -> Scan:
    return scan_of(outside.station, Reference.parse(reference))


def everything(_: str) -> bool:
    return True


def ids(scan: Scan) -> set[str]:
    return {finding.id for image in scan.images for finding in image.findings}


def read_straight(package: str, version: str) -> set[str]:
    """The ids that the records give for a package, read without anything of the product (OSV schema, evaluation)."""
    found = set()
    with zipfile.ZipFile(DATA / "osv-pypi.zip") as archive:
        for name in archive.namelist():
            document = json.loads(archive.read(name))
            for affected in document.get("affected", ()) if not document.get("withdrawn") else ():
                if re.sub(r"[-_.]+", "-", affected["package"]["name"]).lower() != package:
                    continue
                hit = version in affected.get("versions", ())
                for one in affected.get("ranges", ()):
                    events = [
                        (Version(value), bound) for event in one["events"] for bound, value in event.items()
                    ] if one["type"] == "ECOSYSTEM" else []  # fmt: skip
                    inside = False
                    for at, bound in sorted(events, key=lambda event: event[0]):
                        if bound == "introduced" and Version(version) >= at:
                            inside = True
                        elif (bound == "fixed" and Version(version) >= at) or (
                            bound == "last_affected" and Version(version) > at
                        ):
                            inside = False
                    hit = hit or inside
                if hit:
                    found.add(document["id"])
    return found


def test_a_debian_root_with_two_python_packages_has_exactly_what_the_records_say(
    outside: Outside, layout: Layout, tmp_path: Path
) -> None:
    files = DEBIAN | dist_info("aiohttp", "3.7.3") | dist_info("requests", "2.19")
    layout.tag("1", image_of(layout, files))
    (reference,) = outside.collect_layout(layout.folder)
    result = advisories(outside, DATA / "osv-pypi.zip")
    assert (result["source"], result["records"], result["malformed"]) == ("osv-pypi", 2661, 0)
    assert known(outside, reference).gaps == ("not-scanned",)
    context = outside.context("scan", {"references": [reference]})
    assert outside.run(context, scan_job.run) == {"images": 1, "made": 1, "failed": []}

    scan = known(outside, reference)
    expected = read_straight("aiohttp", "3.7.3") | read_straight("requests", "2.19")
    assert ids(scan) == expected
    assert len(expected) > 5
    (image,) = scan.images
    assert (image.state, image.unmatched, scan.complete) == ("scanned", {"Debian:12": 2}, False)
    assert scan.gaps == ("no-advisories",)
    assert {finding.path.rpartition("/")[2] for finding in image.findings} == {"METADATA"}
    assert scan.advisories[0].age_days > 0
    assert sum(scan.counts.values()) == len(expected)

    debian = [
        record("DEBIAN-CVE-2024-1", "openssl", "3.0.11-2", ecosystem="Debian:12", aliases=["CVE-2024-1"]),
        record("DEBIAN-CVE-2024-2", "openssl", "3.0.11-1", ecosystem="Debian:12"),
        record("DEBIAN-CVE-2024-3", "bash", "5.2.15-3", ecosystem="Debian:11"),
        record("DEBIAN-CVE-2024-4", "bash", "5.3", ecosystem="Debian:12"),
    ]
    assert advisories(outside, zipped(tmp_path / "debian.zip", debian))["affected"] == 1
    scan = known(outside, reference)
    assert ids(scan) == expected | {"DEBIAN-CVE-2024-1", "DEBIAN-CVE-2024-4"}
    assert (scan.complete, scan.gaps) == (True, ())

    found = find_vulnerability(outside.station, "CVE-2024-1", everything)
    assert [(hit.use.package, hit.use.references, hit.finding.fix) for hit in found.items] == [
        ("libssl3", (reference,), "3.0.11-2")
    ]
    assert (found.known, found.complete, found.not_scanned) == (True, True, 0)
    assert find_vulnerability(outside.station, "CVE-2024-1", lambda _: False).items == ()
    for name in ("openssl@3.0.11", "libssl3", "OpenSSL", "libssl3@3.0.11-1", "pkg:deb/debian/libssl3"):
        assert [use.references for use in find_component(outside.station, name, everything).items] == [(reference,)]
    for name in ("openssl@3.0.1", "libssl", "pkg:deb/debian/libss"):
        assert find_component(outside.station, name, everything).items == ()
    again = outside.context("scan", {"references": [reference]})
    assert outside.run(again, scan_job.run)["made"] == 0


@pytest.fixture
def image(outside: Outside, layout: Layout) -> tuple[str, dict[str, Any]]:
    """An image that nobody scans: its reference and its descriptor."""
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    (reference,) = outside.collect_layout(layout.folder, "1")
    return reference, described


def index(outside: Outside, described: dict[str, Any], *purls: str, origin: Any = "own") -> None:
    outside.writer.submit(
        index_write(
            index_key(outside.station.paths), described["digest"], "sha256:" + "0" * 64, cyclonedx(*purls), origin
        )
    )


def test_what_the_other_side_says_is_shown_and_never_counted(
    outside: Outside, layout: Layout, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    reference, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    layout.tag("sbom", sbom_of(layout, described, cyclonedx("pkg:pypi/requests@2.19")))
    outside.collect_layout(layout.folder, "sbom")
    scan = known(outside, reference)
    assert (scan.images[0].state, ids(scan)) == ("carried", {"PYSEC-1"})
    assert (sum(scan.counts.values()), scan.complete, scan.gaps) == (0, False, ("not-scanned",))
    found = find_vulnerability(outside.station, "PYSEC-1", everything)
    assert ([hit.use.origin for hit in found.items], found.not_scanned, found.complete) == (["carried"], 1, False)
    index(outside, described, "pkg:pypi/requests@2.25")
    scan = known(outside, reference)
    assert (scan.images[0].state, ids(scan), scan.complete) == ("scanned", set(), True)


def test_an_sbom_from_elsewhere_that_lists_nothing_makes_no_image_clean(
    outside: Outside, layout: Layout, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    reference, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    for number, document in enumerate((cyclonedx(), b"{}", b"\xff" * 10)):
        layout.tag(f"sbom{number}", sbom_of(layout, described, document))
        outside.collect_layout(layout.folder, f"sbom{number}")
    assert (known(outside, reference).complete, known(outside, reference).gaps) == (False, ("not-scanned",))


def test_what_an_sbom_from_elsewhere_leaves_out_is_named(
    outside: Outside, layout: Layout, image: tuple[str, dict[str, Any]]
) -> None:
    reference, described = image
    for number, document in enumerate(
        (cyclonedx("pkg:pypi/Requests@2.19?x=1"), cyclonedx("pkg:pypi/requests@2.20", "pkg:pypi/b@1"), b"\xff")
    ):
        layout.tag(f"sbom{number}", sbom_of(layout, described, document))
        outside.collect_layout(layout.folder, f"sbom{number}")
    (bare,) = packages_of(outside.station, Reference.parse(reference)).images
    assert (bare.state, sorted(one.name for one in bare.packages)) == ("carried", ["Requests", "b", "requests"])
    index(outside, described, "pkg:pypi/requests@2.19", "pkg:pypi/b@1")
    found = packages_of(outside.station, Reference.parse(reference))
    (listed,) = found.images
    assert (found.complete, listed.state, [one.name for one in listed.packages]) == (True, "scanned", ["b", "requests"])
    told = {one.packages: (one.left_out, one.left_out_count) for one in listed.carried if not one.why}
    assert told == {1: (("b@1",), 1), 2: (("requests@2.19",), 1)}
    assert [bool(one.why) for one in listed.carried].count(True) == 1


@pytest.mark.parametrize(
    ("purls", "gaps"),
    [
        (["pkg:pypi/a@1"], ()), (["pkg:npm/a@1"], ("no-advisories",)), (["pkg:generic/a@1"], ("no-advisories",)),
        (["a"], ("unnamed-packages",)), ([], ("no-packages",)), (["pkg:pypi/requests@latest"], ()),
        (["pkg:pypi/requests"], ("undecided",)), (["pkg:pypi/a@1", "pkg:npm/a@1"], ("no-advisories",)),
    ],
)  # fmt: skip
def test_an_image_is_clean_only_where_every_package_was_held_against_advisories(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path, purls: list[str], gaps: tuple[str, ...]
) -> None:
    reference, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    index(outside, described, *purls)
    assert (known(outside, reference).gaps, known(outside, reference).complete) == (gaps, not gaps)


def test_records_that_could_not_be_read_are_in_every_verdict(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    reference, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1"), b"{}"]))
    index(outside, described, "pkg:pypi/a@1")
    assert known(outside, reference).gaps == ("malformed-advisories",)


def test_an_image_that_could_not_be_described_and_an_index_that_lost_rows_are_not_scanned(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    reference, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    index(outside, described, "pkg:pypi/requests@2.19", "pkg:pypi/a@1")
    assert ids(known(outside, reference)) == {"PYSEC-1"}
    with outside.writer_connection() as db:
        db.execute("DELETE FROM image_packages WHERE package IN (SELECT number FROM packages WHERE label = 'requests')")
    scan = known(outside, reference)
    assert (scan.images[0].state, scan.gaps) == ("not-scanned", ("damaged-packages",))
    outside.writer.submit(
        unreadable(index_key(outside.station.paths), described["digest"], "none", "syft met a bound", "own")
    )
    scan = known(outside, reference)
    assert (scan.images[0].state, scan.images[0].why) == ("not-scanned", "syft met a bound")


def test_nothing_about_a_vulnerability_is_no_word_that_it_is_not_there(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    _, described = image
    index(outside, described, "pkg:pypi/requests@2.25")
    found = find_vulnerability(outside.station, "CVE-2024-9", everything)
    assert (found.known, found.complete, found.items) == (False, False, ())
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1", aliases=["CVE-2024-9"])]))
    found = find_vulnerability(outside.station, "cve-2024-9", everything)
    assert (found.known, found.complete, found.items, found.ids) == (True, True, (), ("CVE-2024-9", "PYSEC-1"))


def test_every_image_of_an_index_is_judged_and_one_that_is_not_held_is_said(
    outside: Outside, layout: Layout, tmp_path: Path
) -> None:
    images = [layout.image({"a": b"x"}, "amd64"), layout.image({"a": b"y"}, "arm64")]
    layout.tag("all", layout.index(images))
    (reference,) = outside.collect_layout(layout.folder)
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    index(outside, images[0], "pkg:pypi/requests@2.19")
    outside.writer.submit(
        index_write(
            index_key(outside.station.paths), images[1]["digest"], "own", cyclonedx("pkg:pypi/requests@2.30"), "own"
        )
    )
    scan = known(outside, reference)
    assert [(one.platform, len(one.findings)) for one in scan.images] == [("linux/amd64", 1), ("linux/arm64", 0)]
    assert (scan.complete, sum(scan.counts.values())) == (True, 1)
    with outside.writer_connection() as db:
        db.execute("DELETE FROM links WHERE digest = ?", (images[1]["digest"],))
    assert known(outside, reference).gaps == ("not-held",)


def test_only_images_are_scanned(outside: Outside, layout: Layout) -> None:
    layout.tag("model", layout.artifact({"w": b"1"}))
    (reference,) = outside.collect_layout(layout.folder)
    with pytest.raises(UsageError):
        known(outside, reference)
    with pytest.raises(NotFoundError):
        known(outside, "nothing:1")


def test_a_documents_packages_take_the_place_of_what_it_listed_before_and_the_stations_own_stay(
    outside: Outside,
) -> None:
    image = "sha256:" + "1" * 64
    for purl in ("pkg:pypi/a@1", "pkg:pypi/b@1"):
        outside.writer.submit(index_write(index_key(outside.station.paths), image, "one", cyclonedx(purl), "own"))
    outside.writer.submit(
        index_write(index_key(outside.station.paths), image, "one", cyclonedx("pkg:pypi/c@1"), "carried")
    )
    assert outside.station.reader.execute(
        "SELECT p.label, s.origin FROM image_packages i JOIN sboms s ON s.number = i.sbom"
        " JOIN packages p ON p.number = i.package"
    ).fetchall() == [("b", "own")]
    assert isinstance(index_write(b"k", image, "one", b"no sbom", "own"), IndexSbom)
    assert index_write(b"k", image, "one", b"no sbom", "own").state == "unreadable"


def test_a_verdict_is_of_one_moment_whatever_is_loaded_meanwhile(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    _, described = image
    advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    index(outside, described, "pkg:pypi/requests@2.19")
    reader = outside.station.reader
    with one_state(reader):
        before = sources(reader)
        advisories(outside, zipped(tmp_path / "2.zip", [record("PYSEC-2", modified="2024-06-01T00:00:00Z")]))
        assert sources(reader) == before
        assert [entry.id for _, entry in known_rows(outside).entries("PyPI", "requests")] == ["PYSEC-1"]
    assert [entry.id for _, entry in known_rows(outside).entries("PyPI", "requests")] == ["PYSEC-2"]


def test_an_image_that_nothing_shows_any_more_leaves_the_index_with_the_next_load(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    _, described = image
    index(outside, described, "pkg:pypi/requests@2.19", "pkg:pypi/a@1")
    other = {"digest": "sha256:" + "7" * 64}
    index(outside, other, "pkg:pypi/requests@2.19", "pkg:pypi/b@1")
    result = advisories(outside, zipped(tmp_path / "1.zip", [record("PYSEC-1")]))
    assert (result["images"], result["affected"]) == (1, 1)
    labels = outside.station.reader.execute("SELECT label FROM packages ORDER BY 1").fetchall()
    assert labels == [("a",), ("requests",)]
    assert outside.station.reader.execute("SELECT image FROM sboms").fetchall() == [(described["digest"],)]


def test_a_finding_that_a_distribution_decides_about_counts_in_no_image(
    outside: Outside, image: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    reference, described = image
    owner = "pkg:deb/debian/python3-requests@2.19-1?distro=debian-12&upstream=requests"
    document = json.loads(cyclonedx("pkg:pypi/requests@2.19", owner))
    path = {"name": "syft:location:0:path", "value": "/usr/lib/python3/dist-packages/requests.egg-info"}
    document["components"][0]["properties"] = [path]
    raw = json.dumps(document).encode()
    outside.writer.submit(
        index_write(index_key(outside.station.paths), described["digest"], "sha256:" + "0" * 64, raw, "own")
    )
    fixed = record("DEBIAN-CVE-2024-1", "requests", "2.19-1", ecosystem="Debian:12")
    upstream = record("PYSEC-1", aliases=["CVE-2024-1"])
    assert advisories(outside, zipped(tmp_path / "1.zip", [upstream]))["affected"] == 1
    assert advisories(outside, zipped(tmp_path / "2.zip", [fixed]))["affected"] == 0
    scan = known(outside, reference)
    assert (ids(scan), scan.images[0].superseded, scan.complete) == (set(), 1, True)
    assert find_vulnerability(outside.station, "CVE-2024-1", everything).items == ()


def test_sboms_that_are_shown_are_indexed_without_a_question(
    outside: Outside, layout: Layout, image: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, described = image
    for number in range(3):
        layout.tag(f"sbom{number}", sbom_of(layout, described, cyclonedx(f"pkg:pypi/a{number}@1")))
        outside.collect_layout(layout.folder, f"sbom{number}")
    monkeypatch.setattr(limits, "SCAN_INDEXED", 2)
    control = SimpleNamespace(station=outside.station)

    async def look() -> None:
        looking = asyncio.create_task(indexing.keep_looking(control))  # type: ignore[arg-type]
        while len(sboms_of(outside.station.reader, index_key(outside.station.paths), described["digest"])) < 3:
            assert not looking.done()
            await asyncio.sleep(0)
        looking.cancel()

    asyncio.run(asyncio.wait_for(look(), 30))
    found = find_component(outside.station, "a2", everything)
    assert [use.origin for use in found.items] == ["carried"]
    assert (found.complete, found.not_scanned) == (False, 1)  # SBOMs from elsewhere leave out what they like
