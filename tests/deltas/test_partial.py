"""Volumes that are lost for good: where the station allows it, what is whole without them comes in, and nothing else;
the rest comes with the next bundle that is built on a receipt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.intake import import_job, inspectors
from appliance.store.reads.intake import find_entry, report_text
from bundles.documents.signed import Report, decode
from bundles.errors import FailedError, IncompleteError, LockgateError, RefusedError
from bundles.format import manifest_codec
from bundles.format.manifest import BundleManifest
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road
from tests.intake.inside import Inside
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout

NAME = "alpha.bravo-000001"


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """As ever, to an inside that takes alpha's bundles without volumes that are lost."""
    with (
        Outside(tmp_path / "alpha") as outside,
        Inside(tmp_path / "bravo", partial_imports=["alpha.*"]) as inside,
    ):
        yield Road(tmp_path, outside, inside)


class Lost:
    """A bundle of `one`, `two`, and `both` (an index of them), whose volume with the layer of `two` is lost."""

    def __init__(self, road: Road) -> None:
        layout = Layout(road.root / "source" / "tools")
        self.data = {name: os.urandom(900_000) for name in ("one", "two")}
        made = {name: layout.artifact({"layer": data}) for name, data in self.data.items()}
        for name, described in (*made.items(), ("both", layout.index(list(made.values())))):
            layout.tag(name, described)
        self.references = road.outside.collect_layout(layout.folder)
        self.folder = road.build(*self.references)
        self.manifest: BundleManifest = manifest_codec.decode((self.folder / "manifest.json").read_bytes())
        digest = str(Digest.of(self.data["two"]))
        (blob,) = [blob for blob in self.manifest.blobs if blob.digest == digest]
        assert blob.volume is not None
        self.volume = blob.volume
        self.path = self.folder / f"volumes/{self.volume:04d}.7z"
        self.path.rename(road.root / "lost.7z")


@pytest.fixture
def lost(road: Road) -> Lost:
    return Lost(road)


def shown(road: Road) -> set[str]:
    rows = road.inside.station.reader.execute(
        "SELECT r.name || ':' || t.tag FROM tags t JOIN repositories r ON r.id = t.repository_id"
    )
    return {name for (name,) in rows}


def bring(road: Road, folder: Path, *, partial: bool = True) -> dict[str, Any]:
    return dict(import_job.run(road.inside.context(paths=[str(folder)], partial=partial)))


def integrity(road: Road) -> dict[str, Any]:
    report = report_text(road.inside.station.reader, find_entry(road.inside.station.reader, NAME).digest)
    assert report is not None
    section = next(one for one in decode(report.encode(), Report).sections if one.inspector == "integrity")
    return {"outcome": section.outcome, "summary": section.summary, **section.details}


def release(road: Road) -> set[str]:
    road.inside.decide(NAME, road.officer)
    return {name.rpartition(":")[2] for name in road.inside.release(NAME)}


def test_without_being_asked_for_a_bundle_waits_for_its_volume(road: Road, lost: Lost) -> None:
    with pytest.raises(IncompleteError):
        bring(road, lost.folder, partial=False)
    assert road.inside.state(NAME) == "receiving"


def test_what_is_whole_comes_in_and_the_report_says_what_does_not(road: Road, lost: Lost) -> None:
    result = bring(road, lost.folder)
    assert (result["state"], result["missing_volumes"]) == ("quarantined", [lost.volume])
    found = integrity(road)
    assert found["outcome"] == "note"
    assert "did not come: 2 artifacts are left out" in found["summary"]
    assert found["missing_volumes"] == [lost.volume]
    (step,) = road.inside.station.reader.execute("SELECT why FROM ledger WHERE state = 'quarantined'").fetchall()
    assert step == (f"without volumes/{lost.volume:04d}.7z",)


def test_only_what_is_whole_is_released_and_an_index_over_something_lost_is_not(road: Road, lost: Lost) -> None:
    bring(road, lost.folder)
    assert release(road) == {"one"}
    assert {name.rpartition(":")[2] for name in shown(road)} == {"one"}
    assert road.inside.state(NAME) == "released"


def test_what_the_store_came_to_hold_since_is_not_released_without_having_been_inspected(
    road: Road, lost: Lost
) -> None:
    bring(road, lost.folder)
    with road.inside.station.blobs.open_blob(Digest.of(lost.data["one"])) as file:
        assert file.read() == lost.data["one"]
    road.inside.station.blobs.put(lost.data["two"], Digest.of(lost.data["two"]))
    assert release(road) == {"one"}


def test_the_next_bundle_on_a_receipt_brings_what_was_lost_and_nothing_twice(road: Road, lost: Lost) -> None:
    bring(road, lost.folder)
    release(road)
    folder = road.build(*lost.references, since=str(road.receipt()))
    manifest = manifest_codec.decode((folder / "manifest.json").read_bytes())
    carried = {blob.digest for blob in manifest.blobs}
    assert str(Digest.of(lost.data["two"])) in carried
    assert str(Digest.of(lost.data["one"])) not in carried
    road.release(folder)
    for reference in lost.references:
        parsed = Reference.parse(reference)
        facts = road.inside.station.metadata.tagged_manifest(parsed.repository, parsed.tag or "")
        assert facts is not None
        assert facts.digest == road.outside.shows(reference)


def test_by_sequence_what_was_lost_is_found_missing_and_named(road: Road, lost: Lost) -> None:
    bring(road, lost.folder)
    release(road)
    with pytest.raises(FailedError, match="stands on blobs that are not here"):
        road.bring(road.build(*lost.references, since="last"))


def test_a_volume_that_comes_late_is_told_what_became_of_its_bundle(road: Road, lost: Lost) -> None:
    bring(road, lost.folder)
    shutil.move(road.root / "lost.7z", lost.path)
    before = road.inside.everything()
    with pytest.raises(RefusedError, match=f"taken in without volumes/{lost.volume:04d}.*carry a receipt to alpha"):
        bring(road, lost.folder)
    assert road.inside.everything() == before


def test_a_damaged_volume_is_refused_and_left_out_once_it_is_taken_away(road: Road, lost: Lost) -> None:
    data = bytearray((road.root / "lost.7z").read_bytes())
    data[5_000] ^= 1
    lost.path.write_bytes(data)
    with pytest.raises(RefusedError, match=f"{lost.volume:04d}"):
        bring(road, lost.folder)
    lost.path.unlink()
    assert bring(road, lost.folder)["missing_volumes"] == [lost.volume]


def test_where_nothing_is_whole_the_bundle_waits(road: Road) -> None:
    folder = road.build(road.make("1", data=os.urandom(2_500_000)))
    (folder / "volumes/0002.7z").unlink()
    with pytest.raises(IncompleteError, match="insert medium 1 of 1"):
        bring(road, folder)


def test_an_import_that_was_cut_off_before_its_inspection_goes_on_with_the_same_volumes(
    road: Road, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> Report:
        raise FailedError("an inspector is down")

    with monkeypatch.context() as patched:
        patched.setattr(inspectors, "inspect", down)
        with pytest.raises(FailedError, match="inspector is down"):
            bring(road, lost.folder)
    assert bring(road, lost.folder)["missing_volumes"] == [lost.volume]
    assert integrity(road)["missing_volumes"] == [lost.volume]


def test_a_station_that_does_not_name_the_stream_takes_bundles_whole(tmp_path: Path) -> None:
    with Outside(tmp_path / "alpha") as outside, Inside(tmp_path / "bravo") as inside:
        road = Road(tmp_path, outside, inside)
        lost = Lost(road)
        before = inside.everything()
        with pytest.raises(LockgateError, match="partial_imports"):
            bring(road, lost.folder)
        assert inside.everything() == before
