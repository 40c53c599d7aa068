"""A row of the index that somebody changed, made up or took away in the database makes no image clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.advisories.seals import DAMAGED, index_key
from appliance.api.scanning import Scan
from appliance.gates.evaluate import evaluate
from appliance.gates.looking import Looking
from appliance.outgoing.sbom.index import index_write
from appliance.scanning import kept_damage, load, scan_job
from appliance.scanning.answers import find_component, find_vulnerability, scan_of
from appliance.scanning.kept_damage import KeptDamage
from appliance.scanning.new_findings import new_findings
from appliance.scanning.packages import packages_of
from appliance.settings.gates import Gate
from appliance.store.ports import Reader
from appliance.store.reads import components
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  a fixture
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414  a fixture
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import cyclonedx, image_of, record, zipped

TAG = "tools:1"


@pytest.fixture
def image(outside: Outside, layout: Layout, tmp_path: Path) -> str:
    """An image with requests, which has a finding, and flask, which has none: its digest."""
    described = image_of(layout, {"etc/motd": "x"})
    layout.tag("1", described)
    outside.collect_layout(layout.folder, "1")
    image = str(described["digest"])
    write(outside, image, cyclonedx("pkg:pypi/requests@2.19", "pkg:pypi/flask@1.0"))
    export = zipped(tmp_path / "all.zip", [record("PYSEC-1"), record("PYSEC-2", "flask", "0.9")])
    assert loaded(outside, export)["affected"] == 1
    return image


def write(outside: Outside, image: str, document: bytes, origin: Any = "own") -> None:
    key = index_key(outside.station.paths)
    outside.writer.submit(index_write(key, image, str(Digest.of(document)), document, origin))


def loaded(outside: Outside, path: Path, **params: Any) -> dict[str, Any]:
    return outside.run(outside.context("advisories", {"path": str(path), **params}), load.run)


def scanned(outside: Outside) -> Scan:
    return scan_of(outside.station, Reference.parse(TAG))


def refused(outside: Outside, image: str, gate: Gate) -> list[str]:
    """The rules of a gate that the image does not meet."""
    with outside.station.blobs.open_blob(Digest.parse(image)) as file:
        manifest = parse_manifest(file.read())
    looking = Looking(outside.station.reader, index_key(outside.station.paths))
    content = looking.content(Digest.parse(image), manifest)
    lines = evaluate(1, gate, "tools", content, looking.knowledge, (), "2026-11-30T00:00:00Z")
    return [line.rule for line in lines if not line.met]


GATE = Gate(repositories=["**"], max_severity="high", sbom="own", inspected=True)
EDITS = {
    "a package taken away": "DELETE FROM image_packages WHERE package IN (SELECT number FROM packages WHERE"
    " label = 'requests')",
    "and the count made to fit": "DELETE FROM image_packages WHERE package IN (SELECT number FROM packages WHERE"
    " label = 'requests'); UPDATE sboms SET packages = 1",
    "a version": "UPDATE packages SET version = '2.99' WHERE label = 'requests'",
    "a name": "UPDATE packages SET name = 'requests-not' WHERE label = 'requests'",
    "a path": "UPDATE image_packages SET path = '/usr/lib/python3/x'",
    "an ecosystem": "UPDATE packages SET ecosystem = 'npm' WHERE label = 'requests'",
    "the packages' rows": "DELETE FROM packages",
    "all that it lists": "DELETE FROM image_packages; UPDATE sboms SET packages = 0",
    "the sum": "UPDATE sboms SET listed = ''",
    "the seal": "UPDATE sboms SET seal = ''",
    "the time": "UPDATE sboms SET at = '2099-01-01T00:00:00Z'",
    "what was not looked into": "UPDATE sboms SET why = 'x'",
    "the document": "UPDATE sboms SET sbom = 'sha256:' || '2'",
    "the state": "UPDATE sboms SET state = 'unreadable'",
    "the origin": "UPDATE sboms SET origin = 'carried'",
    "a package more": "INSERT INTO packages VALUES (99, 'pkg:pypi/z@1', 'z', '1', 'PyPI', '', 'z', '', '');"
    " INSERT INTO image_packages SELECT number, 99, '' FROM sboms",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_image_whose_rows_were_changed_is_damaged_and_never_clean(
    outside: Outside, image: str, edit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = scanned(outside)
    assert (scan.gaps, sum(scan.counts.values())) == ((), 1)
    with outside.writer_connection() as db:
        for one in edit.split("; "):
            db.execute(one)
    scan = scanned(outside)
    assert (scan.gaps, scan.complete, scan.images[0].state, scan.images[0].why) == (
        ("damaged-packages",), False, "not-scanned", DAMAGED,
    )  # fmt: skip
    assert {"severity", "inspected"} <= set(refused(outside, image, GATE))
    allowed = ["not-an-image", "unread-layers", "no-packages", "no-advisories", "unnamed-packages", "undecided",
               "malformed-advisories"]  # fmt: skip
    lax = Gate(repositories=["**"], max_severity="high", allow_gaps=allowed)  # type: ignore[arg-type]
    assert "severity" in refused(outside, image, lax)
    (listed,) = packages_of(outside.station, Reference.parse(TAG)).images
    assert (listed.state, listed.packages) == ("not-scanned", ())
    for most in (0, 200_000):  # image by image, and each package once
        monkeypatch.setattr(components, "_TOGETHER", most)
        assert components.damaged_images(outside.station.reader, index_key(outside.station.paths)) == (
            [] if "origin = " in edit or "state = " in edit else [image]
        )
    for found in (
        find_component(outside.station, "requests", lambda _: True),
        find_vulnerability(outside.station, "PYSEC-1", lambda _: True),
        new_findings(outside.station, lambda _: True),
    ):
        assert not found.complete
    assert not find_component(outside.station, "requests", lambda _: False).not_scanned


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE sbom_licenses SET licenses = replace(licenses, 'GPL-3.0-only', 'MIT')",
        "UPDATE sbom_licenses SET licenses = '[]'",
        "UPDATE sbom_licenses SET seal = ''",
        "DELETE FROM sbom_licenses",  # as of an SBOM that an earlier version indexed
    ],
)
def test_licenses_count_as_they_were_written_and_of_the_stations_own_sbom_alone(
    outside: Outside, image: str, edit: str
) -> None:
    def document(license_id: str) -> bytes:
        found = json.loads(cyclonedx("pkg:pypi/flask@1.0"))
        found["components"][0]["licenses"] = [{"license": {"id": license_id}}]
        return json.dumps(found).encode()

    gate = Gate(repositories=["**"], allow_licenses=["MIT"], unknown_licenses="allow")
    write(outside, image, document("GPL-3.0-only"))
    write(outside, image, document("MIT"), "carried")
    assert refused(outside, image, gate) == ["licenses"]
    write(outside, image, document("MIT"))
    assert refused(outside, image, gate) == []
    write(outside, image, document("GPL-3.0-only"))
    with outside.writer_connection() as db:
        db.execute(edit)
    assert refused(outside, image, gate) == ["licenses"]
    write(outside, image, document("MIT"))
    assert refused(outside, image, gate) == []
    with outside.writer_connection() as db:
        assert db.execute("SELECT count(*) FROM sbom_licenses").fetchone() == (1,)


def test_that_nothing_is_damaged_counts_for_as_long_as_nobody_changes_the_metadata(
    outside: Outside, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[bytes]()

    def counted(reader: Reader, key: bytes) -> list[str]:
        asked.append(key)
        return components.damaged_images(reader, key)

    monkeypatch.setattr(kept_damage, "damaged_images", counted)
    damage, key = KeptDamage(outside.station.reader), index_key(outside.station.paths)

    def complete() -> bool:
        found = find_component(outside.station, "flask", lambda _: True, damage.as_of_now())
        return (
            found.complete
            and find_vulnerability(outside.station, "PYSEC-1", lambda _: True, damage.as_of_now()).complete
        )

    assert complete()
    assert complete()
    assert asked == [key]
    early = damage.as_of_now()
    with outside.writer_connection() as db:
        db.execute("UPDATE image_packages SET path = '/x'")
    assert not complete()
    assert early(outside.station.reader, key) == [image]  # rows that are read later may be later ones
    assert damage.as_of_now()(outside.station.reader, b"another key" * 3) == [image]
    assert len(asked) > 1


def test_a_row_that_was_taken_away_is_an_image_that_nobody_scanned(outside: Outside, image: str) -> None:
    with outside.writer_connection() as db:
        db.execute("DELETE FROM sboms")
    assert scanned(outside).gaps == ("not-scanned",)
    assert "severity" in refused(outside, image, GATE)


def test_an_sbom_that_was_made_up_is_none(outside: Outside, image: str) -> None:
    """Neither a clean one of the station's own, beside the true one or in its place, nor one from elsewhere."""
    with outside.writer_connection() as db:
        db.execute(
            "INSERT INTO sboms (number, image, sbom, origin, state, why, at, packages, listed, seal)"
            " SELECT 0, image, 'made-up', origin, state, why, at, 0, listed, seal FROM sboms"
        )
    assert scanned(outside).gaps == ("damaged-packages",)
    with outside.writer_connection() as db:
        db.execute("DELETE FROM sboms WHERE number > 0")
        db.execute("UPDATE sboms SET origin = 'carried'")
    assert scanned(outside).gaps == ("damaged-packages",)
    assert refused(outside, image, Gate(repositories=["**"], sbom="any")) == ["sbom"]


def test_rows_of_another_image_are_not_taken_for_it(outside: Outside, image: str, layout: Layout) -> None:
    other = str(image_of(layout, {"etc/motd": "y"})["digest"])
    write(outside, other, cyclonedx("pkg:pypi/clean@1"))
    with outside.writer_connection() as db:
        db.execute("DELETE FROM sboms WHERE image = ?", (image,))
        db.execute("UPDATE sboms SET image = ?", (image,))
    assert scanned(outside).gaps == ("damaged-packages",)


def test_a_load_counts_no_image_whose_rows_were_changed(outside: Outside, image: str, tmp_path: Path) -> None:
    with outside.writer_connection() as db:
        db.execute("UPDATE packages SET version = '2.99' WHERE label = 'requests'")
    again = [record("PYSEC-1"), record("PYSEC-2", "flask", "0.9"), record("PYSEC-3", "x", "1")]
    result = loaded(outside, zipped(tmp_path / "2.zip", again))
    assert (result["images"], result["affected"]) == (0, 0)


def test_a_scan_makes_damaged_rows_anew(outside: Outside, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --again; a carried one as well, from the document that is shown."""
    write(outside, image, cyclonedx("pkg:pypi/z@1"), "carried")
    with outside.writer_connection() as db:
        db.execute("UPDATE sboms SET why = 'x'")
    made = list[Digest]()
    monkeypatch.setattr(scan_job, "describe", lambda _, images, __: made.extend(images))
    context = outside.context("scan", {"references": [TAG]})
    outside.run(context, scan_job.run)
    assert made == [Digest.parse(image)]
    assert outside.station.reader.execute("SELECT count(*) FROM sboms").fetchone() == (0,)


def test_a_station_without_its_key_knows_nothing_of_what_was_indexed_before(outside: Outside, image: str) -> None:
    outside.station.paths.index_key.unlink()
    assert scanned(outside).gaps == ("damaged-packages",)
    assert outside.station.paths.index_key.stat().st_mode & 0o777 == 0o600
