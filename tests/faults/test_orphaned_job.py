"""A job does nothing once its control process is gone: not by the writer, and not on its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.paths import StationPaths
from appliance.store.blobs import BlobStore
from appliance.store.database import open_reader
from appliance.store.writer import WriterService
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import LinkBlob
from bundles.oci.digest import Digest
from bundles.processes import start
from tests.intake.inside import make_station
from tests.store.test_writer import Socket

BODY = os.urandom(100_000)
DIGEST = Digest.of(BODY)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[StationPaths]:
    """A station with one blob that has rotted, whose writer serves the control process `now`."""
    make_station(tmp_path / "bravo")
    paths = StationPaths(tmp_path / "bravo")
    with WriterService(paths.database) as service:
        BlobStore(paths).put(BODY, DIGEST)
        row = BlobRow(digest=str(DIGEST), size=len(BODY), crc32=0)
        service.submit(LinkBlob(repository="team/app", blob=row, at="2026-01-01T00:00:00Z"))
        paths.blob(DIGEST).write_bytes(os.urandom(len(BODY)))
        with Socket(paths.writer_socket, service, "now"):
            yield paths


SCRUB = """
import pathlib, sys
from appliance.jobs import runner
sys.exit(runner.main(pathlib.Path(sys.argv[1]), "job-1", "scrub"))
"""


def scrub(paths: StationPaths, lease: str, stdout: int) -> int:
    """Run a scrub's own process as a control process with that lease started it."""
    folder = paths.job("job-1")
    folder.mkdir(exist_ok=True)
    first = {"params": {}, "actor": "tester", "handed": [], "lease": lease}
    process = subprocess.run(
        [sys.executable, "-c", SCRUB, paths.root],
        input=json.dumps(first).encode() + b"\n",
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=start.environment(),
        cwd=Path(__file__).resolve().parents[2],
        timeout=60,
        check=False,
    )
    return process.returncode


def withdrawn(paths: StationPaths) -> bool:
    with contextlib.closing(open_reader(paths.database)) as reader:
        rows = reader.execute("SELECT count(*) FROM damage").fetchone()[0]
        rows += reader.execute("SELECT count(*) FROM unread").fetchone()[0]
    assert bool(rows) != paths.blob(DIGEST).exists(), "the record and the file say the same"
    return bool(rows)


def test_the_writer_refuses_the_acts_of_a_job_whose_control_process_is_dead(station: StationPaths) -> None:
    assert scrub(station, "before", subprocess.DEVNULL) == 1
    assert not withdrawn(station)
    assert scrub(station, "now", subprocess.DEVNULL) == 0
    assert withdrawn(station), "the same job of a control process that lives"


def test_a_job_that_nobody_hears_ends_at_once(station: StationPaths) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert scrub(station, "now", writing) == 1
    finally:
        os.close(writing)
    assert not withdrawn(station)
