"""A folder that `skopeo copy … dir:DIR` wrote is one image without a name, read without trust in its names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from tests.outgoing.outside import Outside
from tests.outgoing.test_forms import source
from tests.peers.stock import Layout


def folder_of(layout: Layout, root: dict[str, object], to: Path) -> Path:
    """The blobs of a layout as such a folder, with `root` as its image."""
    to.mkdir()
    (to / "version").write_text("Directory Transport Version: 1.1\n")
    for blob in (layout.folder / "blobs/sha256").iterdir():
        raw = blob.read_bytes()
        if f"sha256:{blob.name}" == root["digest"]:
            (to / "manifest.json").write_bytes(raw)
        elif b'"schemaVersion"' in raw:
            (to / f"{blob.name}.manifest.json").write_bytes(raw)
        else:
            (to / blob.name).write_bytes(raw)
    return to


@pytest.fixture
def index(layout: Layout) -> dict[str, object]:
    return layout.index([layout.image({name: name.encode()}, name) for name in ("amd64", "arm64")])


def test_an_index_comes_with_its_images_and_its_digest(
    outside: Outside, layout: Layout, index: dict[str, object], tmp_path: Path
) -> None:
    folder = folder_of(layout, index, tmp_path / "one")
    assert outside.collect(source(folder, "dir", as_="team/app:1")) == ["team/app:1"]
    assert str(outside.shows("team/app:1")) == index["digest"]


def test_without_a_name_it_is_refused(
    outside: Outside, layout: Layout, index: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(LockgateError) as refused:
        outside.collect(source(folder_of(layout, index, tmp_path / "one"), "dir"))
    assert (refused.value.exit_status, "--as" in refused.value.remedy) == (2, True)


def _layer(folder: Path) -> Path:
    """The file of a layer."""
    platform = json.loads(next(folder.glob("*.manifest.json")).read_text())
    return folder / str(Digest.parse(platform["layers"][0]["digest"]).hex)


def _exchanged(folder: Path) -> None:
    _layer(folder).write_bytes(bytes(_layer(folder).stat().st_size))


def _linked(folder: Path) -> None:
    layer = _layer(folder)
    layer.rename(folder.parent / "elsewhere")
    layer.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), 2),
        (lambda folder: (folder / "manifest.json").write_text("{}"), 2),
        (lambda folder: (folder / "version").write_text("Directory Transport Version: 2.0"), 2),
        (lambda folder: next(folder.glob("*.manifest.json")).unlink(), 1),
        (lambda folder: next(folder.glob("*.manifest.json")).write_text("{}"), 3),
        (_exchanged, 3),
        (_linked, 3),
    ],
    ids=["no manifest", "no image", "version", "a platform missing", "a platform changed", "a layer", "a link"],
)
def test_what_is_wrong_with_it_is_told_and_nothing_of_it_is_shown(
    outside: Outside,
    layout: Layout,
    index: dict[str, object],
    tmp_path: Path,
    spoil: Callable[[Path], object],
    status: int,
) -> None:
    folder = folder_of(layout, index, tmp_path / "one")
    spoil(folder)
    with pytest.raises(LockgateError) as refused:
        outside.collect(source(folder, "dir", as_="team/app:1"))
    assert refused.value.exit_status == status
    assert outside.shows("team/app:1") is None
