"""A release of 500 artifacts is one transaction: a process killed at any moment of it has shown all or nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bundles.small import MemoryStore, file_artifact
from tests.intake.inside import Inside, carry, name_of

REPOSITORY = Path(__file__).parents[2]
COUNT = 500
RELEASING = """
import sys
from pathlib import Path
from tests.intake.inside import Inside, name_of
with Inside(Path(sys.argv[1])) as station:
    print("ready", flush=True)
    sys.stdin.readline()
    station.release(name_of())
    print("released", flush=True)
"""


@pytest.fixture
def approved(tmp_path: Path) -> Path:
    """A station with 500 artifacts approved by two people."""
    with Inside(tmp_path / "bravo", open_=False) as station:
        store = MemoryStore()
        artifacts = [file_artifact(store, b"content %d" % n, repository=f"files/f{n:03}") for n in range(COUNT)]
        made = carry(tmp_path / "carried", store, sorted(artifacts, key=lambda one: (one.repository, one.digest)))
        station.trust(made.key.public)
        station.bring(made.folder)
        for owner in ("Anna", "Boris"):
            station.decide(name_of(), station.officer(owner))
    return tmp_path / "bravo"


def shown(root: Path) -> tuple[int, int, str]:
    with Inside(root) as station:
        read = station.station.reader.execute
        tags, manifests = (read(f"SELECT count(*) FROM {what}").fetchone()[0] for what in (
            "tags", "links WHERE kind = 'manifest'"))  # fmt: skip
        return tags, manifests, station.state(name_of())


def test_a_release_killed_at_any_moment_showed_all_or_nothing(approved: Path) -> None:
    chance, killed = random.Random(3), 0
    for _ in range(12):
        command = [sys.executable, "-c", RELEASING, str(approved)]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(chance.random() * 0.5)
        os.kill(process.pid, signal.SIGKILL)
        told = process.stdout.read()
        process.wait()
        found = shown(approved)
        assert found in {(0, 0, "approved"), (COUNT, COUNT, "released")}
        if told:
            assert found[0] == COUNT
        killed += 1
        if found[0]:
            break
    if not found[0]:
        with Inside(approved) as station:
            station.release(name_of())
    assert shown(approved) == (COUNT, COUNT, "released")
    assert killed


def test_no_reader_sees_half_of_it(approved: Path) -> None:
    with Inside(approved) as station:
        watching = sqlite3.connect(f"file:{station.station.paths.database}?mode=ro", uri=True)
        seen = set()
        station.release(name_of())
        seen.add(watching.execute("SELECT count(*) FROM tags").fetchone()[0])
        watching.close()
        assert seen == {COUNT}
