"""Jobs of real stations that are cancelled, or lose their station in the middle: what is left, and how they go on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from appliance.control.client import ControlClient
from appliance.mounts import bundles_on
from appliance.paths import StationPaths
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, create_private, save_private
from bundles.signing.pinning import trust_key
from bundles.volumes.write import PARTIAL
from tests.bundles.small import MemoryStore, file_artifact
from tests.control.powered import Powered, stamp, wait_for
from tests.intake.inside import carry, make_station
from tests.main_job.gap import random_file
from tests.stage import lockgate

VOLUME = 100_000
FILES = 150
LARGE = 40 << 20
"""What is built: in volumes of the smallest size there is."""

VERIFIED = "SELECT volume FROM intake_volumes WHERE verified IS NOT NULL"
PINNED = "SELECT digest FROM pins"


@pytest.fixture
def bravo(tmp_path: Path) -> Path:
    make_station(tmp_path / "bravo", media_roots=[str(tmp_path)])
    return tmp_path / "bravo"


@pytest.fixture
def bundle(bravo: Path, tmp_path: Path) -> Path:
    """A bundle of many small files in many small volumes: long in coming, and light."""
    store = MemoryStore()
    artifacts = [file_artifact(store, os.urandom(VOLUME - 9_000), f"files/number-{n}") for n in range(FILES)]
    made = carry(tmp_path / "medium", store, artifacts, volume=VOLUME)
    trust_key(bravo / "trust", made.key.public, purpose="bundle", owner="Engineering", sites=["alpha"])
    return made.folder


@pytest.fixture
def alpha(tmp_path: Path) -> tuple[Path, PrivateKey]:
    """An outside station with a file to carry and the key that signs."""
    root = tmp_path / "alpha"
    lockgate("init", root, "--site", "alpha", "--side", "outside", "--open")
    media_below(root, tmp_path)
    key = create_private()
    save_private(root / "keys" / "engineer.pem", key, None)
    return root, key


def media_below(root: Path, folder: Path | None) -> None:
    """Say in config.toml that media are mounted below a folder, or nowhere."""
    config = StationPaths(root).config
    roots = "[]" if folder is None else f'["{folder}"]'
    text = re.sub(r"(?m)^media_roots = .*$", f"media_roots = {roots}", config.read_text())
    config.write_text(text)


async def _end(root: Path, job_id: str) -> dict[str, Any]:
    """Watch a job to its end, across whatever happens to the station."""
    async with ControlClient(root) as client:
        async for name, data in client.watch(job_id):
            if name == "job":
                job: dict[str, Any] = data
    return job


async def _log(root: Path, job_id: str) -> str:
    async with ControlClient(root) as client:
        return str((await client.get(f"/v1/jobs/{job_id}/log"))["text"])


async def _in_the_middle(station: Powered, bundle: Path, least: int = 3) -> str:
    """Begin an import, and come back when some volumes are in, others are not, and its log has begun: lines of a job
    are written a moment after what they tell of."""
    async with ControlClient(station.root) as client:
        job = await client.submit("import", {"paths": [str(bundle)]})
    log = station.paths.job_log(str(job["id"]))
    wait_for(lambda: len(station.rows(VERIFIED)) >= least and log.exists(), "some volumes, and the log")
    return str(job["id"])


async def test_an_import_goes_on_after_a_power_cut_and_reads_no_volume_twice(bravo: Path, bundle: Path) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        station.cut()
        volumes, digests = station.rows(VERIFIED), station.rows(PINNED)
        there = [digest for (digest,) in digests if station.paths.blob(Digest.parse(digest)).exists()]
        kept = {digest: stamp(station.paths.blob(Digest.parse(digest))) for digest in there}
        assert 3 <= len(volumes) < len(list((bundle / "volumes").iterdir())), "it was caught in the middle"
        before = station.paths.job_log(job_id).read_text()
    with Powered(bravo) as station:
        watchers = await asyncio.gather(*(_end(bravo, job_id) for _ in range(3)))
        assert [job["state"] for job in watchers] == ["done"] * 3
        assert watchers[0] == watchers[1] == watchers[2]
        assert watchers[0]["result"]["state"] == "quarantined"
        assert {digest: stamp(station.paths.blob(Digest.parse(digest))) for digest in kept} == kept
        log = await _log(bravo, job_id)
        assert log.startswith(before), "what was logged before the cut is kept"
        read_again = [volume for (volume,) in volumes if f"volumes/{volume:04d}.7z: every" in log[len(before) :]]
        assert read_again == []
        assert station.rows("SELECT count(*) FROM links") == [(0,)]


async def test_a_job_whose_medium_is_nowhere_to_be_found_waits_for_its_client_and_holds_nobody_up(
    bravo: Path, bundle: Path
) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        station.cut()
    media_below(bravo, None)
    with Powered(bravo):
        async with ControlClient(bravo) as client:
            async for name, data in client.watch(job_id):
                if name == "job" and data["state"] == "waiting":
                    break
            assert data["waits_for"] == [{"path": str(bundle), "root": str(bundle), "writes": False}]
            assert f"lockgate job resume {job_id}" in data["phase"]
            assert (await client.status())["jobs"] == {"running": 0, "queued": 0, "waiting": 1}
            other = await client.submit("gc", {"dry_run": True})
            assert (await _end(bravo, other["id"]))["state"] == "done"
            assert [job["id"] for job in (await client.get("/v1/jobs", state="waiting"))["items"]] == [job_id]
            await client.resume(job_id)
        assert (await _end(bravo, job_id))["state"] == "done"


async def test_a_job_that_waits_for_its_client_can_be_cancelled(bravo: Path, bundle: Path) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        station.cut()
    media_below(bravo, None)
    with Powered(bravo):
        async with ControlClient(bravo) as client:
            async for name, data in client.watch(job_id):
                if name == "job" and data["state"] == "waiting":
                    break
            assert (await client.cancel(job_id))["state"] == "cancelled"


async def test_an_import_goes_on_after_its_station_alone_was_killed_under_those_who_watch(
    bravo: Path, bundle: Path
) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        watching = [asyncio.ensure_future(_end(bravo, job_id)) for _ in range(3)]
        await asyncio.sleep(0)
        station.kill()
    with Powered(bravo):
        watchers = await asyncio.gather(*watching)
        assert [job["state"] for job in watchers] == ["done"] * 3
        assert watchers[0] == watchers[1] == watchers[2]


async def test_a_job_that_is_submitted_while_the_control_process_is_started_again_is_taken(
    bravo: Path, bundle: Path
) -> None:
    with Powered(bravo) as station:
        killed = station.control_process()
        os.kill(killed, signal.SIGKILL)
        async with ControlClient(bravo) as client:
            job = await client.submit("import", {"paths": [str(bundle)]})
            assert station.control_process() != killed
            assert (await client.cancel(job["id"]))["state"] == "cancelled"


async def test_a_cancelled_import_leaves_nothing_that_anybody_sees(bravo: Path, bundle: Path) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        async with ControlClient(bravo) as client:
            job = await client.cancel(job_id)
            assert job["state"] == "cancelled"
            assert not station.job_processes()
            assert (await client.get("/v1/intake", state="quarantined"))["items"] == []
            assert (await client.get("/v1/repositories"))["items"] == []
            assert (await client.status())["quarantine"] == 0
        assert station.rows("SELECT count(*) FROM ledger") == [(0,)]
        assert station.rows("SELECT count(*) FROM links") == [(0,)]
        assert "memory at most" in await _log(bravo, job_id), "its log is kept"


async def test_a_job_stands_back_for_its_station(bravo: Path, bundle: Path) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        processes = station.job_processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert [os.getpriority(os.PRIO_PROCESS, process) > own for process in processes] == [True]
        async with ControlClient(bravo) as client:
            await client.cancel(job_id)


async def test_a_job_that_does_not_react_is_cancelled_all_the_same(bravo: Path, bundle: Path) -> None:
    with Powered(bravo) as station:
        job_id = await _in_the_middle(station, bundle)
        for process in station.job_processes():
            os.kill(process, signal.SIGSTOP)
        async with ControlClient(bravo) as client:
            assert (await client.cancel(job_id))["state"] == "cancelled"
        assert not station.job_processes()


async def _building(station: Powered, key: PrivateKey, out: Path) -> str:
    """Begin a build, sign it, and come back when it writes: some volumes are there, and others are not."""
    async with ControlClient(station.root) as client:
        params = {"to": "bravo", "out": [str(out)], "volume": "1MiB", "sign_with": key.public.keyid}
        job = await client.submit("build", params | {"references": ["files/large:1"]})
        async for name, data in client.watch(job["id"]):
            if name == "job" and data["state"] == "to-sign":
                payload, _, _ = await client.to_sign(job["id"])
                await client.sign(job["id"], key.public.keyid, key.sign(payload))
                break
            assert name != "job" or data["error"] is None, data
    wait_for(lambda: len(_whole(out)) >= 3, "some volumes")
    return str(job["id"])


def _whole(medium: Path) -> list[Path]:
    """The volumes that are under their own names."""
    return [path for path in medium.glob("*/volumes/*") if not path.name.endswith(PARTIAL)]


async def _collect(station: Powered) -> None:
    file = random_file(station.root.parent / "large.bin", LARGE)
    async with ControlClient(station.root) as client:
        sources = [{"kind": "file", "path": str(file), "as": "files/large:1"}]
        job = await client.submit("collect", {"sources": sources})
    assert (await _end(station.root, job["id"]))["state"] == "done"


async def test_a_cancelled_build_leaves_nothing_that_looks_like_a_bundle(
    alpha: tuple[Path, PrivateKey], tmp_path: Path
) -> None:
    root, key = alpha
    medium = tmp_path / "medium"
    medium.mkdir()
    with Powered(root) as station:
        await _collect(station)
        job_id = await _building(station, key, medium)
        async with ControlClient(root) as client:
            assert (await client.cancel(job_id))["state"] == "cancelled"
            assert not station.job_processes()
            assert bundles_on(medium) == []
            assert [bundle["state"] for bundle in (await client.get("/v1/bundles"))["items"]] == ["signed"]
        lockgate("bundle", "verify", medium, "--trust", root / "trust", expect=3)


async def test_a_build_goes_on_after_a_power_cut_and_writes_no_volume_twice(
    alpha: tuple[Path, PrivateKey], tmp_path: Path
) -> None:
    root, key = alpha
    medium = tmp_path / "medium"
    medium.mkdir()
    trust_key(root / "trust", key.public, purpose="bundle", owner="Engineering", sites=["alpha"])
    with Powered(root) as station:
        await _collect(station)
        job_id = await _building(station, key, medium)
        station.cut()
        whole = {path: stamp(path) for path in _whole(medium)}
        assert 3 <= len(whole) < LARGE >> 20, "it was caught in the middle"
        assert bundles_on(medium) == []
    with Powered(root):
        job = await _end(root, job_id)
        assert job["state"] == "done", job
        assert {path: stamp(path) for path in whole} == whole
        assert bundles_on(medium) == ["alpha.bravo-000001"]
