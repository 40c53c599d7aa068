"""The verifier writes nothing into a station, a trust folder or onto the medium, whichever way a path leads there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundles.errors import RefusedError
from bundles.verifier import main as program
from bundles.verifier import places
from tests.bundles.small import SmallBundle
from tests.intake.inside import make_station


def verify(bundle: SmallBundle, trust: Path, report: Path) -> int:
    return program.main([str(bundle.folder), "--trust", str(trust), "--report", str(report)])


@pytest.fixture
def folders(tmp_path: Path, bundle: SmallBundle) -> dict[str, Path]:
    """Where nothing may be written, by what it is."""
    make_station(tmp_path / "bravo")
    (tmp_path / "link").symlink_to(tmp_path / "bravo")
    (tmp_path / "deep").mkdir()
    return {
        "a station": tmp_path / "bravo",
        "its keys": tmp_path / "bravo/keys",
        "its trust folder": tmp_path / "bravo/trust",
        "the trust folder": tmp_path / "trust",
        "the bundle": bundle.folder,
        "its volumes": bundle.folder / "volumes",
        "a link to a station": tmp_path / "link",
        "a way up": tmp_path / "deep/../bravo/audit",
    }


@pytest.mark.parametrize(
    "where",
    ["a station", "its keys", "its trust folder", "the trust folder", "the bundle", "its volumes",
     "a link to a station", "a way up"],
)  # fmt: skip
def test_no_report_is_written_there(
    bundle: SmallBundle, tmp_path: Path, folders: dict[str, Path], where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folders[where] / "page.txt"
    before = sorted(target.parent.iterdir())
    assert verify(bundle, tmp_path / "trust", target) == 3
    assert sorted(target.parent.iterdir()) == before
    out, err = capsys.readouterr()
    assert (out, str(target) in err) == ("", True)


def test_a_folder_of_ones_own_takes_the_report(bundle: SmallBundle, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    assert verify(bundle, tmp_path / "trust", tmp_path / "pages/page.txt") == 0
    assert (tmp_path / "pages/page.txt").read_text()


def test_nothing_is_written_anywhere_on_the_medium(
    bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = bundle.folder.parent
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) in (medium, Path("/")))
    (medium / "aside").mkdir()
    for folder in (medium, medium / "aside"):
        with pytest.raises(RefusedError):
            places.require_place(folder / "page.txt", [bundle.folder], tmp_path / "trust", off_medium=True)
    places.require_place(medium / "aside/000001.approval", [bundle.folder], tmp_path / "trust", off_medium=False)


def test_a_bundle_that_was_copied_to_the_disk_leaves_the_disk_to_its_reader(
    bundle: SmallBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) in (tmp_path.parent, Path("/")))
    places.require_place(tmp_path / "page.txt", [bundle.folder / "volumes"], tmp_path / "trust", off_medium=True)
