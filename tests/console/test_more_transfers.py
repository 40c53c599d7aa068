"""Transfers: a bundle is pushed, seen and pulled from the console, against a real sshd; what waits says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.api.jobs import Job
from appliance.api.transfers import DropFolder, DroppedBundle
from tests.console.real import Live, live
from tests.intake.inside import small_bundle
from tests.sftp.ssh_server import ssh_server
from tests.sftp.station import files_of
from tests.stage import Station
from tui.wording.transfers import carried, in_drops, on_host, rate_of, rates, sparkline

NAME = "alpha.bravo-000001"


def config_of(settings: object, drop: Path) -> str:
    lines = [f"{name} = {_toml(getattr(settings, name))}" for name in ("address", "user", "host_keys", "folder", "key")]
    return "\n[transfer_hosts.dropzone]\n" + "\n".join(lines) + f'\n\n[drop_folders.incoming]\npath = "{drop}"\n'


def _toml(value: object) -> str:
    return "[" + ", ".join(f'"{one}"' for one in value) + "]" if isinstance(value, tuple) else f'"{value}"'


async def fill(console: Live, text: str) -> None:
    await console.type(text)
    await console.press("enter")


async def ended(console: Live, kind: str, state: str = "done") -> None:
    await console.until(lambda: getattr(getattr(console.app.shown, "job", None), "kind", "") == kind, f"{kind}'s page")
    await console.until(lambda: bool(console.app.shown.job.final), "its end")  # type: ignore[union-attr]
    assert console.app.shown.job.state == state, console.screen()  # type: ignore[union-attr]


async def test_a_bundle_is_pushed_seen_and_pulled(tmp_path: Path) -> None:
    drop, into = tmp_path / "drop", tmp_path / "into"
    drop.mkdir()
    into.mkdir()
    made = small_bundle(tmp_path / "made")
    with ssh_server(tmp_path / "ssh") as server:
        station = Station(tmp_path / "bravo", "bravo", "inside")
        with (station.folder / "config.toml").open("a") as config:
            config.write(config_of(server.settings(), drop))
        pem = tmp_path / "key.pem"
        pem.write_bytes(made.key.public.to_pem())
        station.run("key", "trust", pem, "--purpose", "bundle", "--owner", "Engineering", "--from", "alpha")
        shutil.copytree(made.folder, drop / NAME, ignore=shutil.ignore_patterns("SHA256SUMS"))
        with station:
            async with live(station.folder) as console:
                console.app.show_root("transfers")
                await console.shows("dropzone")
                await console.shows(f"{NAME}")
                await console.shows("waits")
                await console.press("l")
                await console.shows("no bundle lies there")
                await console.press("p")
                await console.shows("Push which bundles to dropzone?")
                await console.press("end", "enter")
                await console.shows("Push to dropzone: Which folder?")
                await fill(console, "made")
                await console.shows("a path begins with /")
                await fill(console, str(made.folder))
                await ended(console, "sftp-push")
                assert files_of(server.drop / NAME) == files_of(made.folder)
                await console.press("escape", "l")
                await console.shows("dropzone: 1 bundle there")
                await console.press("tab", "home")
                screen = console.app.shown
                assert screen is not None
                await console.until(lambda: getattr(screen.item(), "host", False) is True, "the bundle there")
                await console.press("u")
                await console.shows(f"Pull {NAME}: Into which folder?")
                await fill(console, str(into))
                await ended(console, "sftp-pull")
                assert files_of(into / NAME) == files_of(made.folder)
                await console.press("escape")
                await console.shows("rates")
                await console.press("tab", "tab", "c")
                await console.shows("Cancel: ")  # it has ended, and that is said


def test_what_lies_on_a_host_is_whole_or_on_its_way() -> None:
    found = on_host({"host": "drop", "folder": "/in", "others": ["x", "y"], "others_more": 3, "bundles": [
        {"id": NAME, "whole": True, "volumes": 2}, {"id": "a.b-000002", "whole": False, "volumes": 1}]})  # fmt: skip
    assert [(one.where, one.id, one.state) for one in found] == [
        ("drop:/in", NAME, "whole"), ("drop:/in", "a.b-000002", "on its way"), ("drop:/in", "", "left alone"),
    ]  # fmt: skip
    assert on_host({"host": "drop", "folder": ""}) == []


def test_why_half_a_bundle_waits_is_said_and_a_folder_that_is_not_there() -> None:
    half = DroppedBundle(id=NAME, state="waits", why="it has not come yet: SHA256SUMS", job="", at="")
    folders = (
        DropFolder(name="incoming", path="/in", fault="", others=2, more=True, bundles=(half,)),
        DropFolder(name="gone", path="/gone", fault="no such folder", others=0, more=False, bundles=()),
    )
    assert [(one.where, one.state, one.why) for one in in_drops(folders)] == [
        ("incoming", "waits", "it has not come yet: SHA256SUMS"),
        ("incoming", "left alone", "2 or more names that are no bundle's"),
        ("gone", "fault", "no such folder"),
    ]


def _job(number: int, **fields: object) -> Job:
    return Job(id=str(number), kind="sftp-push", state="done", created="", **fields)  # type: ignore[arg-type]


def test_rates_are_those_of_the_transfers_that_came_to_their_end() -> None:
    jobs = [_job(3, result={"bundles": [{"bytes": 30}, {"bytes": 10}], "seconds": 2.0}),
            _job(2, result={"bytes": 10, "seconds": 1.0}), _job(1, result={"bytes": 10, "seconds": 0})]  # fmt: skip
    assert [carried(one) for one in jobs] == [40, 10, 10]
    assert [rate_of(one) for one in jobs] == [20, 10, 0]
    assert rates(jobs).startswith("▄█  last 20 B/s, fastest 20 B/s")
    assert rates([]) == ""
    for part in ({"there": 1}, {"resumed": 1}):  # only a part of the bytes was carried
        assert rate_of(_job(4, result={"bytes": 10, "seconds": 1.0, **part})) == 0
        assert rate_of(_job(4, result={"bundles": [{"bytes": 10, **part}], "seconds": 1.0})) == 0


@pytest.mark.parametrize(
    ("values", "shown"), [([], ""), ([0, 0], ""), ([1], "█"), ([0, 5, 10], "▁▄█"), ([7, 7, 7], "███")]
)
def test_a_sparkline_has_a_cell_for_each_value(values: list[int], shown: str) -> None:
    assert sparkline(values) == shown
    assert len(sparkline(values, plain=True)) == len(shown)
    assert sparkline(values, plain=True).isascii()
