"""kill -9 of a whole station under pushes, mounts, deletes and imports: after a restart what was acknowledged is so,
imports go on, and the next collection leaves no orphan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, file_artifact
from tests.faults.test_kill import Pusher, look
from tests.intake.inside import carry, make_station
from tests.registry_server import Client

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


class Killable:
    """A station in a session of its own; leaving the block kills every process of it with SIGKILL."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> Client:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "appliance.cli.main", "serve", "-C", self._root, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=REPOSITORY_ROOT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        return Client(int(self._process.stdout.readline().rpartition(":")[2]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass
class Importer(threading.Thread):
    """Brings bundles in, one after another, until the station dies."""

    root: Path
    bundles: list[Path]
    asked: list[str] = field(default_factory=list)
    """Jobs whose submission was acknowledged."""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        with contextlib.suppress(LockgateError, OSError):
            asyncio.run(self._bring())

    async def _bring(self) -> None:
        async with ControlClient(self.root) as client:
            while self.bundles:
                job = await client.submit("import", {"paths": [str(self.bundles[0])]})
                self.asked.append(job["id"])
                self.bundles.pop(0)
                async for _ in client.watch(job["id"]):
                    pass


def make_bundles(root: Path, station: Path, count: int) -> list[Path]:
    """Bundles of a stream each, half of their content shared, in several volumes."""
    shared = os.urandom(300_000)
    folders = []
    for number in range(count):
        store = MemoryStore()
        artifacts = [
            file_artifact(store, shared, "files/shared", f"v{number}"),
            file_artifact(store, os.urandom(500_000), f"files/own-{number}"),
        ]
        made = carry(root / f"bundle-{number}", store, artifacts, volume=320_000, stream=f"a{number}.bravo")
        trust_key(StationPaths(station).trust, made.key.public, purpose="bundle", owner="E", sites=[f"a{number}"])
        folders.append(made.folder)
    return folders


def run_job(root: Path, kind: str) -> Any:
    async def run() -> Any:
        async with ControlClient(root) as client:
            job = await client.submit(kind, {})
            async for name, data in client.watch(job["id"]):
                if name == "job" and data["state"] == "done":
                    return data["result"]
        return None

    return asyncio.run(run())


def states(root: Path, jobs: list[str]) -> list[str]:
    """How jobs ended; waits for them. One that waits for its client counts as it is: nobody here resumes it."""

    async def run() -> list[str]:
        found = []
        async with ControlClient(root) as client:
            for job_id in jobs:
                state = ""
                async for name, data in client.watch(job_id):
                    if name == "job":
                        state = data["state"]
                    if state == "waiting":
                        break
                found.append(state)
        return found

    return asyncio.run(run())


def orphans(root: Path) -> list[str]:
    """Files that nothing links or pins, and rows without a file."""
    paths = StationPaths(root)
    with contextlib.closing(sqlite3.connect(f"file:{paths.database}?mode=ro", uri=True)) as db:
        kept = {digest for (digest,) in db.execute("SELECT digest FROM links UNION SELECT digest FROM pins")}
        rows = {digest for (digest,) in db.execute("SELECT digest FROM blobs")}
    files = {f"{path.parent.name}:{path.name}" for path in paths.blobs.glob("*/*")}
    for digest in files:
        parsed = Digest.parse(digest)
        assert Digest.of(paths.blob(parsed).read_bytes(), parsed.algorithm) == parsed
    return sorted((files - kept) | (rows - files) | (rows - kept))


def kill_station(tmp_path: Path, rounds: int, clients: int, seed: int) -> tuple[int, int]:
    """Kill and look, `rounds` times; returns acknowledged pushes and imports that ended well."""
    dice = random.Random(seed)
    root = tmp_path / "bravo"
    make_station(root, media_roots=[str(tmp_path)])
    bundles = make_bundles(tmp_path, root, 3 * rounds)
    pushers: list[Pusher] = []
    importers: list[Importer] = []
    for number in range(rounds):
        with Killable(root) as worker:
            importer = Importer(root, bundles[3 * number : 3 * number + 3])
            mine = [Pusher(f"{number}-{each}", [worker], dice.randrange(2**32)) for each in range(clients)]
            for thread in (importer, *mine):
                thread.start()
            begun = time.monotonic()
            while not any(pusher.pushed for pusher in mine) and time.monotonic() - begun < 60:
                time.sleep(0.05)  # a kill before the first acknowledgement shows nothing, however busy the machine is
            time.sleep(dice.uniform(0.5, 2.5))
        for thread in (importer, *mine):
            thread.join(60)
        pushers += mine
        importers.append(importer)
        with Killable(root) as worker:
            asked = [job for each in importers for job in each.asked]
            assert set(states(root, asked)) <= {"done"}, "an acknowledged import goes on after a restart"
            run_job(root, "gc")
            assert orphans(root) == []
            for pusher in pushers:
                look(worker, pusher)
    return sum(len(pusher.pushed) for pusher in pushers), len(asked)


def test_a_killed_station_comes_back_whole_and_the_next_collection_leaves_no_orphan(tmp_path: Path) -> None:
    pushed, imported = kill_station(tmp_path, rounds=1, clients=6, seed=1)
    assert pushed > 0
    assert imported > 0


@pytest.mark.long
def test_a_station_killed_under_two_hundred_clients_and_imports_comes_back_whole(tmp_path: Path) -> None:
    pushed, imported = kill_station(tmp_path, rounds=8, clients=200, seed=2)
    assert pushed > 0
    assert imported > 0
