"""A station goes on, and says so, where a job's row, its metadata's files, its settings or its folders are damaged."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys

import pytest

from appliance.audit.checkpoints import verify_log
from appliance.control.health import checks
from appliance.jobs.service import Jobs
from appliance.store.reads.jobs import stored_jobs
from appliance.store.writer import AsyncWriterService
from bundles.errors import FailedError
from bundles.oci.digest import Digest
from tests.conformance.shapes import image
from tests.job_starter import NoStarter
from tests.lifecycle.conftest import Kept
from tests.lifecycle.edited import edited, metadata_check


def test_a_job_whose_row_is_damaged_hides_no_other_and_is_not_done_with_other_params(kept: Kept) -> None:
    insert = (
        "INSERT INTO jobs (number, id, kind, params, state, phase, done, total, actor, created)"
        " VALUES (?, ?, 'gc', ?, 'queued', '', 0, 0, 'ada', '')"
    )
    with edited(kept) as database:
        for number, params in enumerate(('{"dry_run":true}', '{"dry_run"ztrue}', '["dry_run"]')):
            database.execute(insert, (1000 + number, f"job-{number}", params))
        database.execute(insert, (1003, "job-3", "{}"))
        database.execute("UPDATE jobs SET actor = CAST(x'ff' AS TEXT) WHERE id = 'job-3'")
        database.execute(insert, (1004, "job-4", "{}"))
        database.execute("UPDATE jobs SET state = 'queted' WHERE id = 'job-4'")
    found = [job for job in stored_jobs(kept.inside.station.reader, 10) if job.id.startswith("job-")]
    assert [(job.id, job.state, job.actor) for job in found[:2]] == [
        ("job-4", "failed", "ada"), ("job-3", "failed", "\\xff")
    ]  # fmt: skip
    found = found[2:]
    assert [(job.id, job.state, job.params) for job in found] == [
        ("job-2", "failed", {}), ("job-1", "failed", {}), ("job-0", "queued", {"dry_run": True}),
    ]  # fmt: skip
    assert [job.error and job.error["exit_status"] for job in found] == [1, 1, None]
    with edited(kept) as database:
        database.execute("DELETE FROM jobs WHERE id = 'job-0'")
    asyncio.run(_start_jobs(kept))
    states = kept.inside.station.reader.execute("SELECT id, state FROM jobs WHERE id LIKE 'job-%' ORDER BY id")
    assert states.fetchall() == [(f"job-{number}", "failed") for number in (1, 2, 3)] + [("job-4", "queted")]


async def _start_jobs(kept: Kept) -> None:
    """As the control process does; until the metadata calls no job live."""
    jobs = Jobs(kept.inside.station, AsyncWriterService(kept.inside.writer), NoStarter())
    await jobs.start()
    async with asyncio.timeout(10):
        while kept.inside.station.reader.execute("SELECT 1 FROM jobs WHERE state = 'queued'").fetchone():
            await asyncio.sleep(0.01)
    await jobs.stop()


def test_metadata_whose_files_are_taken_away_is_named_and_pulls_go_on(kept: Kept) -> None:
    content = image()
    content.push(kept.server, "team/app", "v1")
    kept.paths.database.with_name("metadata.sqlite-wal").unlink()
    refused = kept.server.ask("POST", f"/v2/team/app/blobs/uploads/?digest={Digest.of(b'after')}", b"after")
    assert refused.status == 503
    assert metadata_check(kept)["ok"] is False
    assert "metadata" in kept.server.ask("GET", "/readyz").json["codes"]
    assert kept.workers[1].ask("GET", "/v2/team/app/manifests/v1").body == content.manifest


def test_status_and_collections_go_on_where_files_stand_for_folders(kept: Kept) -> None:
    station = kept.inside.station
    kept.paths.damaged.write_bytes(b"")
    assert kept.gc()["blobs"] == 0
    kept.paths.store.joinpath("graveyard").write_bytes(b"")
    assert not next(each for each in checks(station) if each["name"] == "store")["ok"]
    kept.paths.store.joinpath("graveyard").unlink()
    shutil.rmtree(kept.paths.uploads)
    assert next(each for each in checks(station) if each["name"] == "store")["ok"], "the next push makes it"
    kept.paths.uploads.write_bytes(b"")
    assert not next(each for each in checks(station) if each["name"] == "store")["ok"]
    shutil.rmtree(kept.paths.audit)
    assert not next(each for each in checks(station) if each["name"] == "log")["ok"]
    with pytest.raises(FailedError, match="the folder of the audit log is gone"):
        verify_log(kept.paths, "bravo")


_ONE_JOB = (
    "import sys; from pathlib import Path; from appliance.jobs.runner import main;"
    " sys.exit(main(Path(sys.argv[1]), 'job-1', 'gc'))"
)


def test_a_job_of_a_station_whose_settings_went_says_so(kept: Kept) -> None:
    """It ended without a word, as if it had been killed."""
    kept.paths.job("job-1").mkdir()
    kept.paths.config.write_bytes(b"")
    ended = subprocess.run(
        [sys.executable, "-c", _ONE_JOB, kept.paths.root],
        input='{"params": {}, "actor": "ada"}\n', capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(ended.stdout)["error"]["exit_status"] == ended.returncode == 2
    assert ended.stderr == ""
