"""An import that was killed goes on from what is durable, and writes nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bundles.format.manifest import volume_path
from bundles.signing.keys import PrivateKey
from bundles.signing.pinning import trust_key
from tests.bundles.small import MemoryStore, SmallBundle, counting, file_artifact
from tests.intake.inside import VISIBLE, Inside, carry, dump, make_station, name_of, small_bundle

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_station(tmp_path / "bravo")
    return tmp_path / "bravo"


def importing(root: Path, job: str, moment: str, folders: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.intake.importing", str(root), job, moment, *map(str, folders)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def killed(root: Path, moment: str, *folders: Path, job: str = "job") -> None:
    ended = importing(root, job, moment, folders)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def finished(root: Path, *folders: Path, job: str = "job") -> Any:
    ended = importing(root, job, "never", folders)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def trusted(root: Path, key: PrivateKey) -> None:
    trust_key(root / "trust", key.public, purpose="bundle", owner="Engineering", sites=["alpha"])


@pytest.fixture
def bundle(root: Path, tmp_path: Path) -> SmallBundle:
    made = small_bundle(tmp_path / "carried")
    trusted(root, made.key)
    return made


@pytest.mark.parametrize("moment", ["1", "3", "5", "8", "11", "RecordVolume", "BeginIntake"])
def test_a_killed_import_goes_on(root: Path, bundle: SmallBundle, moment: str) -> None:
    killed(root, moment, bundle.folder)
    assert finished(root, bundle.folder)["result"]["state"] == "quarantined"
    with Inside(root) as inside:
        assert inside.state(name_of()) == "quarantined"
        assert dump(inside.station.reader, VISIBLE) == {table: [] for table in VISIBLE}
        for digest, data in bundle.store.blobs.items():
            with inside.station.blobs.open_blob(digest) as file:
                assert file.read() == data


def test_a_volume_that_was_recorded_is_not_read_again(root: Path, bundle: SmallBundle) -> None:
    killed(root, "RecordVolume", bundle.folder)
    log = finished(root, bundle.folder)["log"]
    assert not any(line.startswith(volume_path(1)) for line in log)
    assert any(line.startswith(volume_path(2)) for line in log)


def test_a_job_killed_after_its_last_transaction_answers_when_it_runs_again(root: Path, bundle: SmallBundle) -> None:
    killed(root, "Quarantine", bundle.folder)
    assert finished(root, bundle.folder)["result"]["state"] == "quarantined"


def test_another_job_finishes_what_a_killed_one_began(root: Path, bundle: SmallBundle) -> None:
    killed(root, "RecordVolume", bundle.folder, job="first")
    assert finished(root, bundle.folder, job="second")["result"]["state"] == "quarantined"


def test_an_import_writes_each_byte_once(root: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    large = counting(12_000_000)
    made = carry(tmp_path / "large", store, [file_artifact(store, large)], volume=8_000_000)
    trusted(root, made.key)
    assert any(blob.parts for blob in made.signed.manifest.blobs)
    ended = finished(root, made.folder)
    assert ended["written"] < 1.05 * ended["result"]["bytes"]
