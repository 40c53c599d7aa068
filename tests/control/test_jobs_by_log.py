"""A job that a start takes up again is the one that was asked for, by the audit log, or is refused."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.jobs_by_log import refuse_unexplained
from appliance.jobs import end_record
from appliance.jobs.documents import list_jobs
from appliance.jobs.end import Ended
from appliance.jobs.keeper import JobKeeper
from appliance.store.writer import AsyncWriterService
from appliance.store.writes.jobs import CreateJob
from appliance.store.writes.write import AsyncGuarded
from tests.intake.inside import Inside

PARAMS = {"paths": [], "why": "ü", "deep": {"a": [1, True, None]}}
EDITS = {
    "nothing": "",
    "another asked for it": "UPDATE jobs SET actor = 'boris'",
    "another kind": "UPDATE jobs SET kind = 'gc'",
    "something else to do": "UPDATE jobs SET params = '{}'",
    "one that nobody asked for": "UPDATE jobs SET id = 'made-up'",
    "one that had failed": "UPDATE jobs SET state = 'running'",
}


def asked(inside: Inside, job_id: str, state: str = "queued") -> None:
    """A job as the control API starts it, its row and its event."""
    event = AuditEvent(Act.IMPORT_START, "anna", job_id, "done", {"params": PARAMS})
    inside.station.audit.record(event)
    inside.writer.submit(CreateJob(id=job_id, kind="import", params=json.dumps(PARAMS), actor="anna", at=clock.now()))
    edit(inside.station.paths.database, f"UPDATE jobs SET state = '{state}'")


def edit(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as intruder:
        intruder.execute(statement)
        intruder.commit()


def states(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as reader:
        return reader.execute("SELECT state, coalesce(json_extract(error, '$.thing'), '') FROM jobs").fetchall()


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
@pytest.mark.parametrize("edited", EDITS)
async def test_what_the_log_does_not_tell_of_is_not_taken_up(tmp_path: Path, edited: str, state: str) -> None:
    with Inside(tmp_path / "bravo") as inside:
        asked(inside, "20260101t000000z-0011aa", "failed" if edited == "one that had failed" else state)
        end_record.make_folder(inside.station.paths.job("20260101t000000z-0011aa"))
        if EDITS[edited]:
            edit(inside.station.paths.database, EDITS[edited])
        await refuse_unexplained(inside.station, AsyncGuarded(AsyncWriterService(inside.writer)))
        ((now, thing),) = states(inside.station.paths.database)
        if edited in ("nothing", "one that had failed"):
            assert (now, thing) == (state if edited == "nothing" else "running", "")
            assert inside.events("job.resume") == []
        else:
            assert (now, thing) == ("refused", "made-up" if "nobody" in edited else "20260101t000000z-0011aa")
            (event,) = inside.events("job.resume")
            assert (event["outcome"], event["actor"]) == ("refused", "station")


@pytest.mark.parametrize("folder", ["without a mark", "gone"])
async def test_a_job_that_ended_in_an_earlier_version_does_not_run_again(tmp_path: Path, folder: str) -> None:
    with Inside(tmp_path / "bravo") as inside:
        job_id, writer = "20260101t000000z-0011aa", AsyncGuarded(AsyncWriterService(inside.writer))
        asked(inside, job_id, "running")
        if folder == "without a mark":
            inside.station.paths.job(job_id).mkdir(parents=True)
            inside.station.paths.job_log(job_id).write_text("the disk for the end was given back\n")
        await refuse_unexplained(inside.station, writer)
        assert states(inside.station.paths.database) == [("refused", job_id)]
        (event,) = inside.events("job.resume")
        assert (event["outcome"], event["actor"], event["thing"]) == ("refused", "station", job_id)


@pytest.mark.parametrize("state", ["queued", "running", "to-sign", "waiting"])
async def test_a_job_that_ended_does_not_run_again_whatever_its_row_says(tmp_path: Path, state: str) -> None:
    with Inside(tmp_path / "bravo") as inside:
        job_id, writer = "20260101t000000z-0011aa", AsyncGuarded(AsyncWriterService(inside.writer))
        asked(inside, job_id, "running")
        end_record.make_folder(inside.station.paths.job(job_id))
        keeper = JobKeeper(inside.station.paths, writer, lambda _: None)
        job = list_jobs(inside.station.reader, 1)[0]
        assert await keeper.end(job, Ended("done", result={}))
        assert states(inside.station.paths.database) == [("done", "")]
        edit(inside.station.paths.database, f"UPDATE jobs SET state = '{state}', finished = NULL")
        await refuse_unexplained(inside.station, writer)
        assert states(inside.station.paths.database) == [("refused", job_id)]
        (event,) = inside.events("job.resume")
        assert (event["outcome"], event["actor"], event["thing"]) == ("refused", "station", job_id)


def test_a_station_that_starts_takes_up_no_job_that_was_made_up(tmp_path: Path) -> None:
    root = tmp_path / "bravo"
    with Inside(root) as inside:
        inside.writer.submit(CreateJob(id="made-up", kind="gc", params="{}", actor="anna", at=clock.now()))
    station = subprocess.Popen(
        [sys.executable, "-m", "appliance.cli.main", "serve", "-C", root, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert station.stdout is not None
        assert station.stdout.readline()
    finally:
        station.terminate()
        station.wait(30)
        station.stdout.close()
    assert states(root / "metadata.sqlite") == [("refused", "made-up")]
