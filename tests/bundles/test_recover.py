"""Volumes whose manifest is lost: what they hold is recovered by its own names, and said to be unverified."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import py7zr
import pytest

from bundles import limits
from bundles.errors import RefusedError, UsageError
from bundles.format.oci_layout import LayoutFolder
from bundles.oci.digest import Digest
from bundles.ports import no_progress
from bundles.recover import Recovered, recover
from tests.bundles.docker_types import TypedBundle
from tests.bundles.packed_header import packed_header
from tests.bundles.small import SmallBundle


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> TypedBundle:
    bundle = TypedBundle(tmp_path_factory.mktemp("typed"))
    for name in ("manifest.json", "SHA256SUMS", "README.txt"):
        (bundle.folder / name).unlink()
    return bundle


def blobs_in(layout: Path) -> dict[str, bytes]:
    return {str(path.relative_to(layout / "blobs")): path.read_bytes() for path in (layout / "blobs").glob("*/*")}


@pytest.mark.parametrize("below", ["", "volumes", ".."])
def test_every_blob_comes_back_with_its_parts_joined_and_its_names(
    typed: TypedBundle, tmp_path: Path, below: str
) -> None:
    found = recover([typed.folder / below], tmp_path / "out", no_progress)
    assert blobs_in(tmp_path / "out") == {digest.path: data for digest, data in typed.store.blobs.items()}
    assert (found.lost, found.strange) == ([], [])
    assert set(typed.tagged) == set(found.names)
    assert {name for name, _ in LayoutFolder(tmp_path / "out").entries() if name} == set(typed.tagged)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"blobs", "index.json", "oci-layout"}


def test_media_are_put_together_and_a_missing_one_is_felt(tmp_path: Path) -> None:
    bundle = SmallBundle(tmp_path / "media", media=2)
    for folder in bundle.folders:
        (folder / "manifest.json").unlink()
    assert recover(bundle.folders, tmp_path / "both", no_progress).lost == []
    assert len(blobs_in(tmp_path / "both")) == len(bundle.store.blobs)
    alone = recover(bundle.folders[1:], tmp_path / "second", no_progress)
    assert blobs_in(tmp_path / "second").keys() < blobs_in(tmp_path / "both").keys()
    assert alone.lost
    listed = json.loads((tmp_path / "second/index.json").read_bytes())["manifests"]
    assert all((tmp_path / "second/blobs" / one["digest"].replace(":", "/")).exists() for one in listed)


@pytest.mark.parametrize("position", [5, 40, 5_000, -20])
def test_a_damaged_volume_gives_what_is_whole_and_is_named(typed: TypedBundle, tmp_path: Path, position: int) -> None:
    copy = Path(shutil.copytree(typed.folder, tmp_path / "copy"))
    data = bytearray((copy / "volumes/0001.7z").read_bytes())
    data[position] ^= 0xFF
    (copy / "volumes/0001.7z").write_bytes(data)
    found = recover([copy], tmp_path / "out", no_progress)
    assert found.lost
    whole = {digest.path: data for digest, data in typed.store.blobs.items()}
    assert blobs_in(tmp_path / "out").items() <= whole.items()


def test_a_name_whose_blobs_are_lost_is_not_listed_as_whole(typed: TypedBundle, tmp_path: Path) -> None:
    """index.json names artifacts; what is left of each decides whether it is one."""
    volume = tmp_path / "few"
    volume.mkdir()
    blobs = {f"blobs/{digest.path}": data for digest, data in typed.store.blobs.items()}
    recover([typed.folder], tmp_path / "all", no_progress)
    index = tmp_path / "all/index.json"
    manifest, both = typed.digest("team/docker:1"), typed.digest("team/both:1")
    layer = Digest.parse(json.loads(typed.store.blobs[typed.digest("team/app:1")])["layers"][0]["digest"])
    kept = {
        name: data for name, data in blobs.items()
        if name not in {f"blobs/{one.path}" for one in (manifest, both, layer)}
    }  # fmt: skip
    with py7zr.SevenZipFile(volume / "0001.7z", "w", filters=[{"id": py7zr.FILTER_COPY}]) as archive:
        for name, data in {**kept, "index.json": index.read_bytes()}.items():
            archive.writestr(data, name)
    found = recover([volume], tmp_path / "out", no_progress)
    broken = dict(found.broken)
    assert broken["team/docker:1"] == f"its manifest {manifest} is lost"
    assert "not here" in broken["team/app:1"]
    assert "files/thing:1" in found.names
    assert not set(found.names) & broken.keys()
    assert set(found.names) | broken.keys() == set(typed.tagged)


def test_why_a_volume_cannot_be_read_is_said_in_words(typed: TypedBundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(typed.folder, tmp_path / "copy"))
    for number, position in enumerate((5, 8, 40, 5_000, 700_000, -20, -200)):
        data = bytearray((typed.folder / "volumes/0001.7z").read_bytes())
        data[position] ^= 0xFF
        (copy / "volumes/0001.7z").write_bytes(data)
        lost = recover([copy], tmp_path / f"out-{number}", no_progress).lost
        assert lost
        for one in lost:
            assert not re.search(r"[(\[]['\"b0-9]|0x[0-9a-f]+|^$", one.rpartition("0001.7z: ")[2]), one
    (copy / "volumes/0001.7z").write_bytes(b"")
    assert "0001.7z: " in recover([copy], tmp_path / "empty", no_progress).lost[0]


def hostile(folder: Path, entries: dict[str, bytes]) -> Recovered:
    folder.mkdir()
    with py7zr.SevenZipFile(folder / "0001.7z", "w") as archive:
        for name, data in entries.items():
            archive.writestr(data, name)
    return recover([folder], folder.parent / "out", no_progress)


def test_names_lead_nowhere_and_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    wrong = f"blobs/sha256/{'0' * 64}"
    strange = {"etc/passwd": b"x", f"blobs/sha256/{'0' * 128}": b"y", f"{wrong}/below": b"z", "blobs/sha256/x": b""}
    found = hostile(tmp_path / "volumes", {wrong: b"not that", **strange})
    assert blobs_in(tmp_path / "out") == {}
    assert sorted(found.strange) == sorted(strange)
    assert found.lost == [f"{wrong}: its bytes are not its name's"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "volumes"]


@pytest.mark.parametrize("ceiling", ["VOLUME_HEADER", "VOLUME_HEADER_UNPACKED"])
def test_a_header_over_its_ceiling_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ceiling: str
) -> None:
    monkeypatch.setattr(limits, ceiling, 64)
    (tmp_path / "volumes").mkdir()
    (tmp_path / "volumes/0001.7z").write_bytes(packed_header(64 * 1024))
    with pytest.raises(RefusedError, match="header that is too large"):
        recover([tmp_path], tmp_path / "out", no_progress)


def test_a_header_may_list_no_more_entries_than_its_ceiling(tmp_path: Path) -> None:
    (tmp_path / "volumes").mkdir()
    (tmp_path / "volumes/0001.7z").write_bytes(packed_header(1 << 20, limits.SEVEN_ZIP_FILES + 1))
    found = recover([tmp_path], tmp_path / "out", no_progress)
    assert (len(found.lost), "numfiles" in found.lost[0]) == (1, True)


@pytest.mark.parametrize("below", ["volumes", "bundle/volumes"])
def test_a_linked_folder_of_volumes_is_not_followed(typed: TypedBundle, tmp_path: Path, below: str) -> None:
    link = tmp_path / "medium" / below
    link.parent.mkdir(parents=True)
    link.symlink_to(typed.folder / "volumes")
    with pytest.raises(RefusedError, match="not a folder"):
        recover([tmp_path / "medium"], tmp_path / "out", no_progress)
    assert not (tmp_path / "out").exists()


def test_no_volume_and_a_target_in_use_are_one_line(typed: TypedBundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no volume"):
        recover([tmp_path], tmp_path / "out", no_progress)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        recover([typed.folder], tmp_path / "out", no_progress)
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_two_bundles_on_one_medium_are_named_and_not_mixed(typed: TypedBundle, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(typed.folder, tmp_path / "usb" / name)
    with pytest.raises(UsageError) as refused:
        recover([tmp_path / "usb"], tmp_path / "out", no_progress)
    assert all(f"usb/{name}/volumes" in refused.value.thing for name in ("one", "two"))
