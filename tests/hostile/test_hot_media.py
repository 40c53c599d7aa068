"""A medium that changes while it is read: what was checked is what is used, and nothing is opened twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import FailedError, RefusedError
from bundles.oci.digest import Digest
from bundles.ports import Progress, no_progress
from bundles.signing.trust import TrustFolder
from bundles.unpack import unpack
from bundles.verify import verify
from tests.bundles.small import LATER, SmallBundle, trust_of
from tests.vectors.known import NOW


def at_first(act: Callable[[], object], *, after: int = 0) -> Progress:
    """A Progress that does something to the medium once, when more than `after` bytes are done."""
    acted = False

    def progress(phase: str, done: int, total: int) -> None:
        nonlocal acted
        if done >= after and not acted:
            acted = True
            act()

    return progress


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def test_small_files_are_read_once(tiny: Path, pinned: TrustFolder) -> None:
    before = (tiny / "manifest.json").read_bytes()

    def meddle() -> None:
        for name in ("manifest.json", "README.txt", "SHA256SUMS"):
            (tiny / name).write_bytes(b"[" * 1000)

    assert verify([tiny], pinned, NOW, at_first(meddle)).files.manifest == before


def test_a_volume_that_becomes_a_link_after_it_was_listed_is_not_followed(
    tiny: Path, pinned: TrustFolder, tmp_path: Path
) -> None:
    def meddle() -> None:
        (tiny / "volumes/0003.7z").rename(tmp_path / "elsewhere")
        (tiny / "volumes/0003.7z").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(RefusedError, match="not a regular file"):
        verify([tiny], pinned, NOW, at_first(meddle))


def test_a_volume_that_becomes_a_pipe_does_not_hang(tiny: Path, pinned: TrustFolder) -> None:
    def meddle() -> None:
        (tiny / "volumes/0003.7z").unlink()
        os.mkfifo(tiny / "volumes/0003.7z")

    with pytest.raises(RefusedError, match="not a regular file"):
        verify([tiny], pinned, NOW, at_first(meddle))


def test_a_medium_that_is_pulled_out_is_a_failure_and_no_verdict(tiny: Path, pinned: TrustFolder) -> None:
    with pytest.raises(FailedError, match="No such file"):
        verify([tiny], pinned, NOW, at_first((tiny / "volumes/0003.7z").unlink))


@pytest.fixture
def large(tmp_path: Path) -> SmallBundle:
    """A bundle whose volumes are larger than what is read at once."""
    return SmallBundle(tmp_path / "source", volume=3_500_000)


@pytest.fixture
def trust(large: SmallBundle, tmp_path: Path) -> TrustFolder:
    return trust_of(tmp_path / "trust", large.key)


def test_a_volume_that_changes_behind_the_reader_is_refused(large: SmallBundle, trust: TrustFolder) -> None:
    path = large.folder / "volumes/0001.7z"
    size = path.stat().st_size
    with pytest.raises(RefusedError, match=r"volumes/0001\.7z"):
        verify([large.folder], trust, LATER, at_first(lambda: flip(path, size - 1), after=1))


def test_a_volume_that_shrinks_behind_the_reader_is_refused(large: SmallBundle, trust: TrustFolder) -> None:
    path = large.folder / "volumes/0001.7z"
    with pytest.raises(RefusedError, match=r"volumes/0001\.7z"):
        verify([large.folder], trust, LATER, at_first(lambda: os.truncate(path, 1_500_000), after=1))


def test_a_volume_that_grows_behind_the_reader_is_refused(large: SmallBundle, trust: TrustFolder) -> None:
    path = large.folder / "volumes/0001.7z"

    def grow() -> None:
        os.truncate(path, 1 << 40)

    with pytest.raises(RefusedError, match=r"volumes/0001\.7z"):
        verify([large.folder], trust, LATER, at_first(grow, after=1))


def test_only_bytes_that_were_hashed_as_they_were_read_are_kept(
    large: SmallBundle, trust: TrustFolder, tmp_path: Path
) -> None:
    path = large.folder / "volumes/0001.7z"
    meddle = at_first(lambda: flip(path, path.stat().st_size // 2), after=1)
    with pytest.raises(RefusedError):
        unpack([large.folder], trust, LATER, tmp_path / "layout", meddle)
    for blob in (tmp_path / "layout").glob("blobs/*/[0-9a-f]*"):
        if not blob.suffix:
            assert Digest.of(blob.read_bytes(), blob.parent.name).hex == blob.name
    assert not (tmp_path / "layout/index.json").exists()


def test_what_was_accepted_does_not_change_with_the_medium(tiny: Path, pinned: TrustFolder) -> None:
    bundle = verify([tiny], pinned, NOW, no_progress)
    digest = bundle.opened.digest
    (tiny / "SHA256SUMS").write_bytes(b"")
    assert Digest.of(bundle.files.sums) == digest
