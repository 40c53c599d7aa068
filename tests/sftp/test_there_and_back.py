"""Bundles to Debian's openssh-server and back from there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundles.errors import CancelledError, FailedError, IncompleteError, NotFoundError, RefusedError, UsageError
from tests.sftp.ssh_server import SshServer, ssh_server
from tests.sftp.station import Carrying, carrying, files_of

NAME = "alpha.bravo-000001"


@contextmanager
def _alone(root: Path) -> Iterator[tuple[SshServer, Carrying]]:
    """A server and a station that carries one file at a time."""
    with ssh_server(root / "ssh") as server, carrying(root / "bravo", drop=server.settings(parallel=1)) as station:
        yield server, station


def test_a_bundle_goes_there_and_comes_back_byte_for_byte(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        (folder / ".DS_Store").write_bytes(b"a desktop's")
        sent = station.push(folder)
        (folder / ".DS_Store").unlink()
        assert files_of(server.drop / NAME) == files_of(folder)
        assert sent["bundles"][0]["volumes"] == len(list((folder / "volumes").iterdir()))
        assert sent["compared"] is True
        assert station.list()["bundles"] == [{"id": NAME, "whole": True, "volumes": sent["bundles"][0]["volumes"]}]
        fetched = station.pull(NAME, tmp_path / "in")
        assert files_of(tmp_path / "in" / NAME) == files_of(folder)
        assert station.inside.bring(Path(fetched["path"]))["state"] == "quarantined"
        # Both again: everything is there, and found to be what was signed.
        assert station.push(folder)["bundles"][0]["there"] == len(files_of(folder))
        assert station.pull(NAME, tmp_path / "in")["there"] == fetched["volumes"]
        assert [one["outcome"] for one in station.inside.events("sftp.push")] == ["done", "done"]
        assert [one["thing"] for one in station.inside.events("sftp.pull")] == [NAME, NAME]


def test_another_host_key_is_refused_before_anything_is_said_to_it(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server:
        settings = server.settings(host_keys=("SHA256:" + "A" * 43,), password=True, key="")
        with carrying(tmp_path / "bravo", drop=settings) as station:
            folder = station.bundle(tmp_path / "made")
            secret = station.inside.root / "keys" / "transfer-drop.secret"
            secret.write_bytes(b"never sent")
            secret.chmod(0o600)
            with pytest.raises(RefusedError) as told:
                station.push(folder)
        assert told.value.code == "host-key"
        assert server.fingerprint in told.value.thing
        assert list(server.drop.iterdir()) == []
        assert "password" not in (server.folder / "log").read_text().lower()


def test_what_was_cut_off_goes_on_and_what_lies_there_wrong_is_sent_anew(tmp_path: Path) -> None:
    with _alone(tmp_path) as (server, station):
        folder = station.bundle(tmp_path / "made")
        station.push(folder)
        there = server.drop / NAME / "volumes"
        whole = (folder / "volumes" / "0001.7z").read_bytes()
        (there / "0001.7z").rename(there / ".0001.7z.part")
        with (there / ".0001.7z.part").open("r+b") as file:
            file.truncate(500_000)
        second = bytearray((there / "0002.7z").read_bytes())
        second[1000] ^= 1  # of the right size, and another's bytes
        (there / "0002.7z").unlink()
        (there / ".0002.7z.part").write_bytes(second[:400_000])
        third = bytearray((there / "0003.7z").read_bytes())
        third[-1] ^= 1
        (there / "0003.7z").write_bytes(third)
        sent = station.push(folder)["bundles"][0]
        assert files_of(server.drop / NAME) == files_of(folder)
        assert (sent["resumed"], sent["there"]) == (1, len(files_of(folder)) - 3)
        out = tmp_path / "in" / NAME / "volumes"
        out.mkdir(parents=True)
        (out / ".0001.7z.part").write_bytes(whole[:700_000])
        (out / ".0002.7z.part").write_bytes(second[:300_000])
        assert station.pull(NAME, tmp_path / "in")["resumed"] == 1
        assert files_of(tmp_path / "in" / NAME) == files_of(folder)


def test_a_job_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with (
        ssh_server(tmp_path / "ssh") as server,
        carrying(tmp_path / "bravo", drop=server.settings(parallel=1)) as station,
    ):
        folder = station.bundle(tmp_path / "made")
        killed = station.pushing(folder)

        def kill(phase: str, done: int, total: int) -> None:
            if done > 700_000:
                raise CancelledError("the job was cancelled")

        killed.on_progress = kill
        with pytest.raises(CancelledError):
            station.push(context=killed)
        assert not (server.drop / NAME / "SHA256SUMS").exists()
        assert (server.drop / NAME / "volumes" / ".0001.7z.part").stat().st_size > 0
        assert station.push(folder)["bundles"][0]["resumed"] == 1
        assert files_of(server.drop / NAME) == files_of(folder)


def test_volumes_that_are_still_to_come_are_named_and_the_others_are_kept(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        station.push(folder)
        volume = server.drop / NAME / "volumes" / "0002.7z"
        data = volume.read_bytes()
        volume.write_bytes(data[:-1])
        with pytest.raises(IncompleteError) as told:
            station.pull(NAME, tmp_path / "in")
        assert told.value.thing == "volumes/0002.7z"
        volume.write_bytes(data)
        assert station.pull(NAME, tmp_path / "in")["there"] == 2
        with pytest.raises(NotFoundError):
            station.pull("alpha.bravo-000009", tmp_path / "in")


@pytest.mark.parametrize("what", ["larger", "link", "stranger", "small"])
def test_what_is_not_as_it_was_signed_is_refused_by_name(tmp_path: Path, what: str) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        station.push(folder)
        there, out = server.drop / NAME, tmp_path / "in"
        match what:
            case "larger":
                with (there / "volumes" / "0002.7z").open("ab") as file:
                    file.write(b"x")
                named = "volumes/0002.7z"
            case "link":
                (there / "volumes" / "0002.7z").unlink()
                (there / "volumes" / "0002.7z").symlink_to("/etc/passwd")
                named = "0002.7z"
            case "stranger":
                with carrying(tmp_path / "other", drop=server.settings()) as other, pytest.raises(RefusedError):
                    other.pull(NAME, out)
                assert not (out / NAME).exists()
                return
            case _:
                (there / "README.txt").write_bytes(b"x" * 2_000_000)
                named = "README.txt"
        with pytest.raises(RefusedError) as told:
            station.pull(NAME, out)
        assert named in told.value.thing
        assert not (out / NAME / "SHA256SUMS").exists()
        assert station.inside.events("sftp.pull")[-1]["outcome"] == "refused"


def test_only_what_is_signed_is_sent(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        shutil.copytree(folder, tmp_path / "bare" / NAME)
        for path in (tmp_path / "bare" / NAME).glob("SHA256SUMS.*"):
            path.unlink()
        with pytest.raises(RefusedError, match="not signed"):
            station.push(tmp_path / "bare" / NAME)
        volume = folder / "volumes" / "0003.7z"
        volume.write_bytes(volume.read_bytes()[:-1] + b"x")
        with pytest.raises(RefusedError) as told:
            station.push(folder)
        assert "0003.7z" in told.value.thing
        assert not (server.drop / NAME / "SHA256SUMS").exists()
        assert not (server.drop / NAME / "volumes" / "0003.7z").exists()


def test_hosts_and_folders_that_are_not_there_are_said(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
        folder = station.bundle(tmp_path / "made")
        with pytest.raises(UsageError, match="no such transfer host"):
            station.push(folder, to="elsewhere")
        with pytest.raises(FailedError, match="no such folder"):
            station.push(folder, to=f"drop:{server.drop}/not/there")
        (server.drop / "a\x1b[31mb\u202e").write_bytes(b"")
        assert station.list()["others"] == ["a\\x1b[31mb\\u202e"]
