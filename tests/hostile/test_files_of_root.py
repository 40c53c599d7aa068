"""Folder acts that root runs on another account's station leave nothing there that the account cannot change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from bundles.io.files import make_folder, own_as_folder, write_atomic
from bundles.processes import start
from bundles.signing.keys import create_private
from bundles.signing.pinning import revoke_key
from tests.intake.inside import make_station

NOBODY = 65534
SOCKET_GROUP = 4242  # of the folder, as socket_group sets it
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as root on the folder of another account")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[StationPaths]:
    root = tmp_path / "bravo"
    make_station(root)
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    yield StationPaths(root)
    shutil.rmtree(root)


def lockgate(station: StationPaths, *words: str | Path) -> None:
    command = start.python_module("appliance.cli.main", *map(str, words), "-C", str(station.root))
    done = start.run(command, env=start.environment())
    assert done is not None
    assert done.returncode == 0, done.stderr.decode()


def owners(station: StationPaths) -> dict[str, int]:
    """Who owns what is not the account's own, by path in the station's folder."""
    found = {str(path.relative_to(station.root)): path.lstat().st_uid for path in station.root.rglob("*")}
    return {name: uid for name, uid in found.items() if uid != NOBODY}


def test_every_folder_act_of_root_leaves_files_of_the_stations_account(station: StationPaths, tmp_path: Path) -> None:
    key = create_private().public
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.to_pem())
    lockgate(station, "key", "trust", pem, "--purpose", "bundle", "--owner", "Ada", "--from", "alpha")
    lockgate(station, "key", "policy", "--purpose", "bundle", "--signers", "1")
    lockgate(station, "key", "create", "officer", "--no-passphrase")
    lockgate(station, "restore", "--why", "the disk failed")
    assert (station.trust / ".lock").exists()
    assert owners(station) == {}
    child = os.fork()
    if child == 0:
        try:
            os.chdir(station.root)  # pytest's own folders above are closed to other accounts
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            revoke_key(Path("trust"), key.keyid, why="lost", at="2026-01-01T00:00:00Z")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_station_that_root_closes_stays_its_accounts(station: StationPaths, tmp_path: Path) -> None:
    """`origin.json` says how the station was made: the account must read and replace it."""
    password = tmp_path / "password"
    password.write_text("a password of some length\n")
    with password.open() as file:
        command = start.python_module(
            "appliance.cli.main", "close", "ada", "--name", "localhost", "--password-fd", str(file.fileno()),
            "-C", str(station.root),
        )  # fmt: skip
        done = start.run(command, env=start.environment(), pass_fds=(file.fileno(),))
    assert done is not None
    assert done.returncode == 0, done.stderr.decode()
    assert owners(station) == {}


def test_a_lock_that_root_left_before_is_given_back(station: StationPaths, tmp_path: Path) -> None:
    lock = station.trust / ".lock"
    lock.touch(mode=0o600)
    os.chown(lock, 0, 0)
    pem = tmp_path / "key.pem"
    pem.write_bytes(create_private().public.to_pem())
    lockgate(station, "key", "trust", pem, "--purpose", "bundle", "--owner", "Ada", "--from", "alpha")
    assert lock.stat().st_uid == NOBODY


def test_a_file_with_a_second_name_is_not_given_away(station: StationPaths, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    (station.trust / ".lock").hardlink_to(secret)
    with (station.trust / ".lock").open("rb") as file:
        own_as_folder(file.fileno(), station.trust)
    assert secret.stat().st_uid == 0


@pytest.mark.parametrize("owner", [0, NOBODY], ids=["root's", "another account's"])
def test_a_file_goes_to_the_owner_of_its_folder_and_never_to_its_group(tmp_path: Path, owner: int) -> None:
    folder = tmp_path / "station"
    folder.mkdir(mode=0o710)
    os.chown(folder, owner, SOCKET_GROUP)
    make_folder(folder / "audit")
    write_atomic(folder / "page", b"", 0o600, owned=True)
    for made in (folder / "audit", folder / "page"):
        assert (made.stat().st_uid, made.stat().st_gid) == (owner, os.getegid())


def test_what_root_writes_elsewhere_stays_roots(station: StationPaths) -> None:
    write_atomic(station.root / "page", b"", 0o600)
    assert (station.root / "page").stat().st_uid == 0
