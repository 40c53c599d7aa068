"""Files of our own are whole or not there, and a name that is taken stays its owner's, on FAT too."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bundles.errors import UsageError
from bundles.io.files import write_atomic


@pytest.fixture(params=["a file system with hard links", "FAT"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; the second time on a file system that answers link(2) as FAT does."""
    if request.param == "FAT":

        def no_links(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(Path, "hardlink_to", no_links)
    return tmp_path


def test_a_new_file_takes_its_name_and_leaves_nothing_beside_it(folder: Path) -> None:
    write_atomic(folder / "receipt.json", b"new", replace=False)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("receipt.json", b"new")]


def test_a_name_that_is_taken_is_refused_and_kept(folder: Path) -> None:
    (folder / "receipt.json").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"the file exists: .*receipt\.json"):
        write_atomic(folder / "receipt.json", b"new", replace=False)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("receipt.json", b"mine")]


def test_what_a_killed_process_of_the_same_id_left_is_in_nobodys_way(folder: Path) -> None:
    (folder / f".receipt.json.{os.getpid()}.part").write_bytes(b"half")
    write_atomic(folder / "receipt.json", b"new")
    assert [path.name for path in folder.iterdir()] == ["receipt.json"]


def test_replacing_is_whole(folder: Path) -> None:
    write_atomic(folder / "record.json", b"one", 0o600)
    write_atomic(folder / "record.json", b"two", 0o600)
    assert (folder / "record.json").read_bytes() == b"two"
    assert (folder / "record.json").stat().st_mode & 0o777 == 0o600
