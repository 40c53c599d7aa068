"""What is no regular file, in the place of a bundle's file: every command that reads a medium refuses it, at once."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.cli.main import main
from bundles.errors import EXIT_REFUSED, EXIT_USAGE, LockgateError
from bundles.format.manifest import volume_path
from bundles.format.sums import MANIFEST
from bundles.verifier.main import run
from tests.intake.inside import Inside, small_bundle


@contextlib.contextmanager
def a_socket(path: Path) -> Iterator[None]:
    before = Path.cwd()
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.chdir(path.parent)  # a socket's path is short (unix(7))
        listener.bind(path.name)
        os.chdir(before)
        listener.listen()
        yield
    finally:
        os.chdir(before)
        listener.close()


@contextlib.contextmanager
def a_pipe(path: Path) -> Iterator[None]:
    os.mkfifo(path)
    yield


@contextlib.contextmanager
def a_device(path: Path) -> Iterator[None]:
    """A link to one would be refused as a link."""
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    yield


PLACES = ("SHA256SUMS", MANIFEST, "README.txt", volume_path(1))
KINDS = (a_socket, a_pipe, a_device)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A station's folder, and a bundle that it trusts."""
    root = tmp_path_factory.mktemp("special")
    made = small_bundle(root / "medium")
    with Inside(root / "bravo") as inside:
        inside.trust(made.key.public)
    return root / "bravo", made.folder


def commands(station: Path, folder: Path) -> Iterator[tuple[Callable[[], object], list[str]]]:
    yield main, ["lockgate", "bundle", "verify", "-C", str(station), str(folder)]
    yield main, ["lockgate", "bundle", "inspect", "-C", str(station), str(folder)]
    yield run, ["lockgate-verify", str(folder), "--trust", str(station / "trust")]


@pytest.fixture
def put(ground: tuple[Path, Path]) -> Iterator[Callable[[str], Path]]:
    """Moves one of the bundle's files away, for a test."""
    moved: list[Path] = []

    def put(place: str) -> Path:
        path = ground[1] / place
        path.rename(ground[1].parent / "kept")
        moved.append(path)
        return path

    yield put
    for path in moved:
        path.unlink(missing_ok=True)  # where a device could not be made
        (ground[1].parent / "kept").rename(path)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_special_file_is_refused_at_the_command_line(
    ground: tuple[Path, Path], put: Callable[[str], Path], place: str,
    kind: Callable[[Path], contextlib.AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with kind(put(place)):
        for program, words in commands(*ground):
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                program()
            (line,) = capsys.readouterr().err.splitlines()
            assert (ended.value.code, place.rpartition("/")[2] in line) == (EXIT_REFUSED, True), line


@pytest.mark.parametrize("place", PLACES)
def test_an_import_refuses_a_socket(ground: tuple[Path, Path], put: Callable[[str], Path], place: str) -> None:
    with a_socket(put(place)), Inside(ground[0]) as inside, pytest.raises(LockgateError) as refused:
        inside.bring(ground[1])
    assert refused.value.exit_status == EXIT_REFUSED


@pytest.mark.parametrize("kind", [*KINDS, None], ids=lambda kind: kind.__name__ if kind else "a file")
def test_what_is_no_folder_is_refused_and_a_file_is_a_mistake(
    ground: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[Path], contextlib.AbstractContextManager[None]] | None,
) -> None:  # fmt: skip
    path = tmp_path / "it"
    if kind is None:
        path.touch()
    with contextlib.nullcontext() if kind is None else kind(path):
        for program, words in commands(ground[0], path):
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                program()
            assert ended.value.code == (EXIT_USAGE if kind is None else EXIT_REFUSED), words
