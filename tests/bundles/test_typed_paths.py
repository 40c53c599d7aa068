"""Paths as people type them, and folders that are gone: told, and no fault of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles.errors import UsageError
from bundles.io.files import require_file
from bundles.io.typed_paths import exists, folder_here, is_file, typed_path, usage_of
from tests import forked
from tui.station.keyring import FolderKeyring

LONG = "a" * 5000
NOBODY = "~no-such-account/key.pem"


@pytest.fixture
def gone(tmp_path: Path) -> Path:
    """A medium that a loop of links lies on, and a file."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("x")
    return tmp_path


def test_what_no_system_takes_is_not_there(gone: Path) -> None:
    for path in (Path(LONG), gone / "loop", gone / "loop" / "x", gone / "file" / "x", Path("a\0b")):
        assert not is_file(path)
        assert not exists(path)
        with pytest.raises(UsageError):
            require_file(path)
    assert is_file(gone / "file")
    assert typed_path(NOBODY) == Path(NOBODY)
    assert typed_path("~") == Path.home()


@pytest.mark.parametrize("typed", [LONG, NOBODY])
def test_a_key_that_cannot_be_there_is_no_key(tmp_path: Path, typed: str) -> None:
    with pytest.raises(UsageError):
        FolderKeyring(tmp_path).about(typed)


@pytest.mark.parametrize("wrong", [LONG, "file/x", "loop", "loop/x"])
def test_an_error_of_the_system_about_a_path_is_the_callers(gone: Path, wrong: str) -> None:
    try:
        (gone / wrong).stat()
    except OSError as error:
        told = usage_of(error)
    assert told is not None
    assert len(told.thing) < 400


def test_other_errors_are_not() -> None:
    assert usage_of(FileNotFoundError(2, "x", "some file")) is None
    assert usage_of(OSError(5, "x", "some file")) is None
    assert usage_of(RuntimeError("x")) is None


def test_commands_say_what_is_wrong_with_a_path(gone: Path) -> None:
    for words in (
        ["status", "-C", LONG], ["collect", f"file:{LONG}", "-C", gone],
        ["init", gone / "loop", "--site", "a", "--side", "inside"],
        ["config", "check", "-C", LONG],
    ):  # fmt: skip
        done = forked.run(words)
        assert done.returncode == 2, (words, done.stderr[:300])
        assert "internal error" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_shell_whose_folder_went_with_its_medium_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "medium"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    with pytest.raises(FileNotFoundError) as told:
        Path("station").absolute()
    found = usage_of(told.value)
    assert found is not None
    assert "is gone" in found.what
    assert folder_here() == Path.home()
