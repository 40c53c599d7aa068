"""Media as other programs make and read them: a disc's Joliet names, a stick's FAT, byte for byte the same bundle.

The kernel may know neither file system; xorriso, mtools and fusefat read them for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.ports import no_progress
from bundles.signing.pinning import init_trust, trust_key
from bundles.signing.trust import TrustFolder
from bundles.verify import verify
from tests.bundles.small import NOW, SmallBundle
from tests.intake.inside import Inside, small_bundle
from tests.peer_tools import require

LONGEST = f"{'a' * 32}.{'b' * 32}"
JOLIET_CHARACTERS = 64
JOLIET_FORBIDDEN = set("*/:;?\\")


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def longest(tmp_path_factory: pytest.TempPathFactory) -> SmallBundle:
    """A bundle between the two sites of the longest names."""
    return SmallBundle(tmp_path_factory.mktemp("long"), stream=LONGEST)


def test_every_name_below_the_bundle_s_folder_fits_joliet(longest: SmallBundle) -> None:
    names = [path.name for path in longest.folder.rglob("*")]
    assert {"volumes", "README.txt", "SHA256SUMS", "manifest.json"} < set(names)
    assert all(len(name) <= JOLIET_CHARACTERS and not JOLIET_FORBIDDEN & set(name) for name in names)


def test_a_disc_with_joliet_names_alone_gives_the_bundle_back(longest: SmallBundle, tmp_path: Path) -> None:
    require("xorriso")
    image, back, trust = tmp_path / "disc.iso", tmp_path / "back", tmp_path / "trust"
    run(
        "xorriso", "-outdev", image, "-rockridge", "off", "-joliet", "on", "-map", longest.folder.parent, "/", "-commit"
    )
    run("xorriso", "-read_fs", "norock", "-indev", image, "-osirrox", "on", "-extract", "/", back)
    run("chmod", "-R", "u+w", back)
    (folder,) = back.iterdir()  # its name may be cut to what Joliet takes: nothing believes it
    assert contents(folder) == contents(longest.folder)
    source, destination = LONGEST.split(".")
    init_trust(trust, destination)
    trust_key(trust, longest.key.public, purpose="bundle", owner="Engineering", sites=[source])
    assert verify([back], TrustFolder.load(trust), NOW, no_progress).opened.manifest.stream == LONGEST


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """The image of a FAT32 stick."""
    require("mkfs.vfat", "mcopy")
    image = tmp_path / "stick.img"
    with image.open("wb") as file:
        file.truncate(48 * 1024 * 1024)
    run("mkfs.vfat", "-F", "32", "-n", "LOCKGATE", image)
    return image


def test_a_bundle_carried_on_a_fat_stick_comes_back_the_same(stick: Path, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "carried")
    run("mcopy", "-s", "-i", stick, bundle.folder, "::")
    back = tmp_path / "back"
    back.mkdir()
    run("mcopy", "-s", "-n", "-i", stick, f"::{bundle.folder.name}", back)
    assert contents(back / bundle.folder.name) == contents(bundle.folder)


@pytest.fixture
def mounted(stick: Path, tmp_path: Path) -> Iterator[tuple[Path, SmallBundle]]:
    """The stick with a bundle on it, mounted through FUSE, read-only."""
    require("fusefat")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/fuse")
    bundle = small_bundle(tmp_path / "carried")
    run("mcopy", "-s", "-i", stick, bundle.folder, "::")
    place = tmp_path / "mounted"
    place.mkdir()
    run("fusefat", "-o", "ro", stick, place)
    yield place, bundle
    subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def test_a_bundle_is_imported_from_a_mounted_fat_stick(mounted: tuple[Path, SmallBundle], tmp_path: Path) -> None:
    place, bundle = mounted
    with Inside(tmp_path / "bravo") as inside:
        inside.trust(bundle.key.public)
        assert inside.bring(place)["state"] == "quarantined"
        for digest, data in bundle.store.blobs.items():
            with inside.station.blobs.open_blob(digest) as file:
                assert file.read() == data
