"""Transfer hosts that lie, links that are cut, disks that are full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paramiko import SFTPError
from paramiko.sftp import CMD_ATTRS, CMD_DATA, CMD_NAME, CMD_STATUS, CMD_VERSION

from appliance.jobs.kinds import Result
from appliance.limits import transfer as limits
from appliance.outgoing import sftp_push
from appliance.sftp.answers import check
from bundles.errors import FailedError, IncompleteError, RefusedError
from tests.peer_tools import cannot
from tests.sftp.lying_server import PASSWORD, Lies, lying_server
from tests.sftp.relay import relay
from tests.sftp.ssh_server import ssh_server
from tests.sftp.station import Carrying, carrying, files_of, with_secret

NAME = "alpha.bravo-000001"


@contextmanager
def _lying(root: Path, **lies: object) -> Iterator[tuple[Lies, Carrying, Path]]:
    """A host that lies, a station that reaches it with the password, and a bundle."""
    (root / "there").mkdir()
    told = Lies(root / "there")
    with lying_server(told) as settings, carrying(root / "bravo", drop=settings) as station:
        secret = station.inside.root / "keys" / "transfer-drop.secret"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        folder = station.bundle(root / "made")
        for name, value in lies.items():
            setattr(told, name, value)
        yield told, station, folder


def test_a_host_that_gives_less_than_it_is_asked_for_is_read_to_the_end(tmp_path: Path) -> None:
    with _lying(tmp_path, short=70_001) as (lies, station, folder):
        station.push(folder)
        assert files_of(lies.root / NAME) == files_of(folder)
        station.pull(NAME, tmp_path / "in")
        assert files_of(tmp_path / "in" / NAME) == files_of(folder)
        assert set(lies.passwords) == {PASSWORD}


def test_a_host_that_lies_about_sizes_gives_nothing_a_name(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        station.push(folder)
        whole = (folder / "volumes" / "0002.7z").stat().st_size
        lies.sizes = {"0002.7z": whole + 1}
        with pytest.raises(RefusedError, match="larger than it is signed"):
            station.pull(NAME, tmp_path / "in")
        lies.sizes = {"0002.7z": whole}
        with (lies.root / NAME / "volumes" / "0002.7z").open("r+b") as file:
            file.truncate(whole - 5)
        with pytest.raises(FailedError, match="shorter than it is signed"):
            station.pull(NAME, tmp_path / "in")
        lies.sizes = {"0002.7z": 2**63}
        with pytest.raises(RefusedError):
            station.pull(NAME, tmp_path / "in")
        assert not (tmp_path / "in" / NAME / "SHA256SUMS").exists()
        assert not (tmp_path / "in" / NAME / "volumes" / "0002.7z").exists()
        lies.sizes = {"README.txt": 1}
        lies.endless = True
        with pytest.raises(RefusedError, match="too large"):
            station.pull(NAME, tmp_path / "in")


def test_other_bytes_than_are_signed_are_found_on_both_ways(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        station.push(folder)
        lies.changed = frozenset({"0003.7z"})
        with pytest.raises(RefusedError, match="not the signed ones"):
            station.pull(NAME, tmp_path / "in")
        assert not list((tmp_path / "in" / NAME / "volumes").glob("*0003*"))
        (lies.root / NAME / "volumes" / "0001.7z").unlink()
        lies.changed = frozenset({".0001.7z.part"})
        with pytest.raises(FailedError, match="other bytes than were sent"):
            station.push(folder)
        lies.changed, lies.dropped = frozenset(), True
        (lies.root / NAME / "volumes" / "0002.7z").unlink()
        with pytest.raises(FailedError, match="did not take every byte"):
            station.push(folder)
        assert not (lies.root / NAME / "volumes" / "0002.7z").exists()


def test_names_without_end_are_not_read_to_it_and_none_is_shown_as_it_stands(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        station.push(folder)
        lies.names = ("../../etc/passwd", "x\n" * 5000, "\x1b]0;owned\x07")
        others = station.list()["others"]
        assert len(others) == 3
        assert all(name.isprintable() and len(name) <= 80 for name in others)
        assert station.pull(NAME, tmp_path / "in")["volumes"] == 3
        lies.names = tuple(f"n{number}" for number in range(limits.SFTP_NAMES + 1))
        with pytest.raises(RefusedError, match="too many names"):
            station.list()


def test_an_answer_that_says_more_than_it_holds_costs_no_more_than_it_is_long(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        station.push(folder)
        lies.boundless = frozenset({"0002.7z"})
        with pytest.raises(FailedError, match="spoke no SFTP"):
            station.pull(NAME, tmp_path / "in")
        assert station.inside.events("sftp.pull")[-1]["outcome"] == "failed"


def test_a_name_that_is_no_text_is_shown_and_stops_nothing(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        station.push(folder)
        lies.raw_names = (b"caf\xe9.txt",)
        found = station.list()
        assert [one["id"] for one in found["bundles"]] == [NAME]
        assert len(found["others"]) == 1
        assert station.pull(NAME, tmp_path / "in")["volumes"] == 3


def test_only_what_an_answer_holds_is_read_of_it() -> None:
    number, endless = (7).to_bytes(4, "big"), b"\xff" * 4
    attributes = (0xF).to_bytes(4, "big") + bytes(28)
    name = (1).to_bytes(4, "big") + b"a" + bytes(4) + attributes
    whole = {
        CMD_ATTRS: number + attributes,
        CMD_NAME: number + (2).to_bytes(4, "big") + name + name,
        CMD_DATA: number + (3).to_bytes(4, "big") + b"abc",
        CMD_STATUS: number + number,
        CMD_VERSION: (3).to_bytes(4, "big"),
    }
    for kind, content in whole.items():
        check(kind, content)
        with pytest.raises(SFTPError):
            check(kind, content[:-1])
    for kind, content in (
        (CMD_ATTRS, number + (0x80000000).to_bytes(4, "big") + endless),
        (CMD_NAME, number + endless + name),
        (CMD_NAME, number + (1).to_bytes(4, "big") + endless),
        (CMD_DATA, number + endless + b"abc"),
    ):
        with pytest.raises(SFTPError):
            check(kind, content)


def test_a_wrong_password_is_refused_and_the_one_that_came_with_the_job_counts(tmp_path: Path) -> None:
    with _lying(tmp_path) as (lies, station, folder):
        with pytest.raises(RefusedError, match="lets this account not in") as told:
            sftp_push.run(with_secret(station.pushing(folder), b"wrong"))
        assert "wrong" not in told.value.thing + told.value.remedy
        (station.inside.root / "keys" / "transfer-drop.secret").unlink()
        sent: Result = sftp_push.run(with_secret(station.pushing(folder), PASSWORD.encode()))
        assert sent["bundles"][0]["volumes"] == 3
        assert lies.passwords[0] == "wrong"
        kept = b"".join(path.read_bytes() for path in station.inside.root.rglob("*") if path.is_file())
        assert PASSWORD.encode() not in kept


def test_a_link_that_is_cut_again_and_again_brings_every_byte(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, relay(server.port, 5_000, 400_000, 900_000, 1_500_000) as way:
        settings = server.settings(address=f"127.0.0.1:{way.port}", parallel=2)
        with carrying(tmp_path / "bravo", drop=settings) as station:
            folder = station.bundle(tmp_path / "made")
            context = station.pushing(folder)
            station.push(context=context)
            assert files_of(server.drop / NAME) == files_of(folder)
            assert any("trying again" in line for line in context.lines)
            way.cuts = [700_000, 300_000]
            station.pull(NAME, tmp_path / "in")
            assert files_of(tmp_path / "in" / NAME) == files_of(folder)
            assert way.cuts == []


def test_a_host_that_is_gone_for_good_is_said_and_what_went_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SFTP_ATTEMPTS", 2)
    with ssh_server(tmp_path / "ssh") as server, relay(server.port, 900_000, 0, 0, 0) as way:
        settings = server.settings(address=f"127.0.0.1:{way.port}", parallel=1)
        with carrying(tmp_path / "bravo", drop=settings) as station:
            folder = station.bundle(tmp_path / "made")
            with pytest.raises(FailedError) as told:
                station.push(folder)
            assert "run it again" in told.value.remedy or "check its address" in told.value.remedy
            assert station.inside.events("sftp.push")[-1]["outcome"] == "failed"
            way.cuts = []
            assert station.push(folder)["bundles"][0]["resumed"] == 1


def test_a_slow_link_within_its_limit_of_bytes(tmp_path: Path) -> None:
    with ssh_server(tmp_path / "ssh") as server, relay(server.port, rate=20_000_000) as way:
        settings = server.settings(address=f"127.0.0.1:{way.port}", rate=50_000_000)
        with carrying(tmp_path / "bravo", drop=settings) as station:
            folder = station.bundle(tmp_path / "made")
            station.push(folder)
            assert files_of(server.drop / NAME) == files_of(folder)


def test_a_full_disk_on_the_other_side_is_said(tmp_path: Path) -> None:
    small = tmp_path / "ssh" / "drop"
    small.mkdir(parents=True)
    if (
        os.getuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=False).returncode
    ):
        cannot("only root mounts a small disk")
    try:
        with ssh_server(tmp_path / "ssh") as server, carrying(tmp_path / "bravo", drop=server.settings()) as station:
            folder = station.bundle(tmp_path / "made")
            with pytest.raises(FailedError) as told:
                station.push(folder)
            assert "disk may be full" in told.value.remedy
            assert not (small / NAME / "SHA256SUMS").exists()
            with pytest.raises((FailedError, IncompleteError)):
                station.pull(NAME, tmp_path / "in")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
