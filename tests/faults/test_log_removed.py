"""The audit log is removed, or exchanged for an older one, under a running station: it says so by itself, until
somebody says which copy was put back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.audit.acts import Act
from appliance.audit.checkpoints import keep_signing, last_checkpoint
from appliance.audit.event import AuditEvent
from appliance.audit.noted_head import forget_head, lost_head, note_head, noted_head
from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.documents.audit_log import CHECKPOINTS, LANES, head_name
from tests.conformance.shapes import image
from tests.control.powered import wait_for
from tests.intake.inside import Inside
from tests.registry_server import Client
from tests.stage import Station, lockgate


def remove_content(paths: StationPaths) -> None:
    shutil.rmtree(paths.audit / LANES)
    for path in paths.audit.iterdir():
        path.unlink()


def client_of(station: Station) -> Client:
    return Client(int(station.base.rpartition(":")[2]))


def ready(client: Client) -> tuple[str, list[str]]:
    answer = client.ask("GET", "/readyz").json
    return answer["status"], answer["codes"]


async def log_is_well(paths: StationPaths) -> bool:
    async with ControlClient(paths.root) as control:
        checks = (await control.status())["health"]["checks"]
    return next(bool(check["ok"]) for check in checks if check["name"] == "log")


async def test_a_log_that_is_removed_under_a_running_station_is_noticed_until_somebody_says_so(tmp_path: Path) -> None:
    station = Station(tmp_path / "alpha", "alpha", "outside")
    paths, content = StationPaths(tmp_path / "alpha"), image()
    with station:
        client = client_of(station)
        content.push(client, "team/app")
        assert await log_is_well(paths)
        shutil.copytree(paths.audit, tmp_path / "copy")
        async with ControlClient(paths.root) as control:
            await control.get("/v1/audit/check")  # signs where the log stands
        remove_content(paths)

        wait_for(lambda: ready(client) == ("degraded", ["log"]), "readyz")
        assert not await log_is_well(paths)
        image().push(client, "team/other")
        assert client.ask("GET", f"/v2/team/app/manifests/{content.digest}").status == 200
    found = lockgate("audit", "verify", "-C", paths.root, expect=3)
    assert noted_head(paths) in found.stdout, "a log that begins anew, and was signed, is not the station's"
    assert "lockgate restore" in lockgate("rebuild", "--yes", "-C", paths.root, expect=3).stderr

    shutil.rmtree(paths.audit)
    shutil.copytree(tmp_path / "copy", paths.audit)
    assert lost_head(paths), "an older copy lacks what was signed since"
    lockgate("restore", "--why", "the disk of the log died; a copy of this morning", "-C", paths.root)
    with station:
        assert ready(client_of(station)) == ("ready", [])
        assert await log_is_well(paths)
    lockgate("audit", "verify", "-C", paths.root)


async def test_a_lane_that_goes_under_a_running_station_is_told_of_at_its_next_look(tmp_path: Path) -> None:
    with Inside(tmp_path / "bravo") as inside:
        paths = inside.station.paths
        inside.station.audit.record(AuditEvent(Act.GC, "station", "store", "done", {}))
        signing = asyncio.create_task(keep_signing(paths))
        try:
            await until(lambda: last_checkpoint(paths.audit)["events"] > 0)
            assert last_checkpoint(paths.audit)["refused"] == []
            for path in (paths.audit / LANES).glob("*.jsonl"):
                path.unlink()
            await until(lambda: last_checkpoint(paths.audit)["refused"] != [])
        finally:
            signing.cancel()
            await asyncio.wait([signing])


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.05)


def line(number: int, text: str = "") -> bytes:
    return b'{"checkpoint":{"number":%d,"text":"%s"}}\n' % (number, text.encode())


@pytest.fixture
def log(tmp_path: Path) -> StationPaths:
    paths = StationPaths(tmp_path)
    paths.audit.mkdir()
    (paths.audit / CHECKPOINTS).write_bytes(b"".join(line(number) for number in range(1, 6)))
    return paths


@pytest.mark.parametrize("number", range(1, 6))
def test_a_note_stands_for_any_checkpoint_that_the_log_still_holds(log: StationPaths, number: int) -> None:
    note_head(log, head_name(number, line(number)))
    assert lost_head(log) == ""
    note_head(log, head_name(5, line(5)))
    assert noted_head(log) == head_name(5, line(5)), "the note goes on"


@pytest.mark.parametrize(
    "hurt",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(line(1) + line(2)),
        lambda file: file.write_bytes(b"".join(line(number, "another") for number in range(1, 9))),
        lambda file: file.write_bytes(b"rubbish\n\n[]\n" * 3),
    ],
    ids=["gone", "empty", "older", "another", "rubbish"],
)
def test_a_log_without_the_noted_checkpoint_is_lost_until_somebody_says_so(
    log: StationPaths, hurt: Callable[[Path], object]
) -> None:
    noted = head_name(4, line(4))
    note_head(log, noted)
    hurt(log.audit / CHECKPOINTS)
    assert lost_head(log) == noted
    note_head(log, head_name(1, line(1)))
    assert noted_head(log) == noted, "what begins anew does not take its place"
    forget_head(log)
    assert lost_head(log) == ""


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"4-abc", b"x" * 100_000])
def test_a_note_that_says_nothing_accuses_nobody(log: StationPaths, text: bytes) -> None:
    log.audit_head.write_bytes(text)
    assert (noted_head(log), lost_head(log)) == ("", "")
