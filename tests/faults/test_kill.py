"""kill -9 at random moments of pushes, mounts and deletes: what was acknowledged is so, what is visible is whole."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.uploads import UploadSessions
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from tests.conformance.shapes import Content, image
from tests.registry_server import Client

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


class Victim:
    """The registry in a process of its own; leaving the block kills it with SIGKILL."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> list[Client]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim", self._root],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=REPOSITORY_ROOT,
        )
        assert self._process.stdout is not None
        return [Client(int(port)) for port in self._process.stdout.readline().split()]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Pusher(threading.Thread):
    """A client that pushes, mounts and deletes until the registry dies, and remembers what it was told."""

    def __init__(self, name: str, workers: list[Client], seed: int) -> None:
        super().__init__(daemon=True)
        self.repository = f"kill/{name}"
        self.elsewhere = f"kill/{name}/mounted"
        self.pushed: dict[str, Content] = {}
        """By tag: acknowledged, and no delete asked for."""
        self.deleted: list[str] = []
        """Tags whose delete was acknowledged."""
        self.mounted: list[Digest] = []
        self._workers = workers
        self._seed = seed

    def run(self) -> None:
        dice = random.Random(self._seed)
        try:
            for number in range(10_000):
                self._act(dice, f"tag-{number}")
        except (OSError, http.client.HTTPException):
            return

    def _act(self, dice: random.Random, tag: str) -> None:
        content = image()
        for body in content.blobs:
            digest = Digest.of(body)
            self._ask(dice, "POST", f"/v2/{self.repository}/blobs/uploads/?digest={digest}", body)
        self._ask(dice, "PUT", f"/v2/{self.repository}/manifests/{tag}", content.manifest, content.media_type)
        self.pushed[tag] = content
        config = Digest.of(content.blobs[0])
        mount = f"/v2/{self.elsewhere}/blobs/uploads/?mount={config}&from={self.repository}"
        self._ask(dice, "POST", mount)
        self.mounted.append(config)
        if dice.random() < 0.3:
            victim = dice.choice(sorted(self.pushed))
            content = self.pushed.pop(victim)  # from here on nobody can say, until the answer
            self._ask(dice, "DELETE", f"/v2/{self.repository}/manifests/{content.digest}")
            self.deleted.append(victim)

    def _ask(self, dice: random.Random, method: str, path: str, body: bytes = b"", media_type: str = "") -> None:
        headers = {"Content-Type": media_type} if media_type else {}
        answer = dice.choice(self._workers).ask(method, path, body, headers)
        assert answer.status in (201, 202), answer.body


def pull_whole(worker: Client, repository: str, reference: str) -> bytes:
    """The manifest's bytes, after every blob beneath it was pulled and hashed."""
    answer = worker.ask("GET", f"/v2/{repository}/manifests/{reference}")
    assert answer.status == 200, f"{repository}:{reference} {answer.status}"
    assert str(Digest.of(answer.body)) == answer.headers["Docker-Content-Digest"]
    for blob in parse_manifest(answer.body).blobs:
        body = worker.ask("GET", f"/v2/{repository}/blobs/{blob.digest}").body
        assert Digest.of(body, blob.digest.algorithm) == blob.digest
    return answer.body


def kill_rounds(root: Path, rounds: int, clients: int, seed: int) -> int:
    """Kill, start again and look, `rounds` times over the same store; returns how many pushes were acknowledged."""
    dice = random.Random(seed)
    all_pushers: list[Pusher] = []
    for round_number in range(rounds):
        with Victim(root) as workers:
            pushers = [Pusher(f"{round_number}-{number}", workers, dice.randrange(2**32)) for number in range(clients)]
            for pusher in pushers:
                pusher.start()
            time.sleep(dice.uniform(0.3, 1.5))
            until_one_is_acknowledged(pushers)
        for pusher in pushers:
            pusher.join(30)
        all_pushers += pushers
        with Victim(root) as workers:
            for pusher in all_pushers:
                look(dice.choice(workers), pusher)
    paths = StationPaths(root)
    UploadSessions(BlobStore(paths)).sweep(older_than=-60)
    assert list(paths.uploads.iterdir()) == []
    for path in paths.blobs.glob("*/*"):
        assert Digest.of(path.read_bytes(), path.parent.name).hex == path.name
    return sum(len(pusher.pushed) for pusher in all_pushers)


def until_one_is_acknowledged(pushers: list[Pusher]) -> None:
    """Two hundred clients on a machine that is busy may all be at their first push: then a kill shows nothing."""
    deadline = time.monotonic() + 60
    while not any(pusher.pushed for pusher in pushers):
        assert time.monotonic() < deadline, "no push was acknowledged within a minute"
        time.sleep(0.01)


def look(worker: Client, pusher: Pusher) -> None:
    """Whether one client's acknowledged acts are so, and everything visible is whole."""
    for tag, content in pusher.pushed.items():
        assert pull_whole(worker, pusher.repository, tag) == content.manifest
    for tag in pusher.deleted:
        assert worker.ask("HEAD", f"/v2/{pusher.repository}/manifests/{tag}").status == 404
    for config in pusher.mounted:
        assert worker.ask("HEAD", f"/v2/{pusher.elsewhere}/blobs/{config}").status == 200
    listed = worker.ask("GET", f"/v2/{pusher.repository}/tags/list?n=10000")
    for tag in listed.json["tags"] if listed.status == 200 else []:
        pull_whole(worker, pusher.repository, tag)


def test_acknowledged_pushes_survive_kills(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path, rounds=2, clients=8, seed=int(os.environ.get("LOCKGATE_KILL_SEED", "1"))) > 0


@pytest.mark.long
def test_acknowledged_pushes_of_two_hundred_clients_survive_many_kills(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path, rounds=15, clients=200, seed=2) > 0
