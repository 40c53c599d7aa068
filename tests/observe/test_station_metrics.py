"""What the control process counts and measures moves by its event: jobs, acts, carried bundles, scans, disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.access.identity import Nobody
from appliance.api.scanning import Finding, Scan, ScannedImage
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.port import FileAudit
from appliance.control.api import Control
from appliance.control.budget_keeper import take
from appliance.control.callers import Callers
from appliance.control.log_follower import LogFollower
from appliance.control.measuring import ControlMeasures
from appliance.control.routes.gauges import counted, gauges
from appliance.jobs.documents import Job
from appliance.jobs.kinds import KINDS
from appliance.jobs.service import Jobs
from appliance.measures import catalogue
from appliance.measures.catalogue import layout
from appliance.measures.slots import Slots
from appliance.metrics import render
from appliance.paths import StationPaths
from appliance.store.reads.accounts import Accounts
from appliance.store.writer import AsyncWriterService
from tests.intake.inside import Inside, name_of, small_bundle
from tests.job_starter import NoStarter
from tests.observe.counted import parse
from tests.observe.station import act, lane, lines


def of(measures: ControlMeasures) -> dict[str, float]:
    """What is not 0, seconds left out."""
    found = parse(render({}, measures.slots).decode())
    return {name: value for name, value in found.items() if value and "_bucket{" not in name}


@pytest.fixture
def measures() -> ControlMeasures:
    return ControlMeasures(Slots(layout()))


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    with Inside(tmp_path / "bravo") as station:
        yield station


def test_jobs_are_counted_by_kind_and_end(measures: ControlMeasures) -> None:
    assert set(catalogue.JOB_KINDS) == set(KINDS)
    job = Job("job-1", "gc", {}, "refused", "ada", clock.now(), started="2026-01-01T00:00:00Z",
              finished="2026-01-01T00:01:10Z")  # fmt: skip
    measures.job_ended(job)
    measures.job_ended(Job("job-2", "of an earlier version", {}, "done", "ada", clock.now()))
    assert of(measures) == {
        'lockgate_jobs_ended_total{kind="gc",state="refused"}': 1,
        'lockgate_job_seconds_count{kind="gc"}': 1,
        'lockgate_job_seconds_sum{kind="gc"}': 70,
    }


def test_scanned_images_are_counted_by_what_was_found(measures: ControlMeasures) -> None:
    finding = Finding(id="CVE-1", state="affected", severity="high", package="a", version="1", ecosystem="PyPI",
                      purl="pkg:pypi/a@1", source="osv")  # fmt: skip
    images = (ScannedImage(digest="a", state="scanned"), ScannedImage(digest="b", state="scanned", findings=(finding,)),
              ScannedImage(digest="c", state="not-held"))  # fmt: skip
    measures.scanned(Scan(reference="a:1", digest="a", complete=False, images=images))
    name = 'lockgate_scanned_images_total{{result="{}"}}'.format
    assert of(measures) == {name("pass"): 1, name("findings"): 1, name("unknown"): 1}


async def test_acts_of_every_process_are_seen_once_in_order(paths: StationPaths, measures: ControlMeasures) -> None:
    audit = FileAudit(paths.audit)
    act(audit, 1)
    follower = LogFollower(paths)
    await follower.begin()
    assert (len(await follower.look()), follower.count) == (0, 1), "what was there before is not told"
    act(audit, 2)
    audit.record(AuditEvent(Act.BLOCK, "ada", "sha256:x", "refused"))
    code = (
        "from pathlib import Path; import sys; from appliance.audit.port import FileAudit;"
        "from tests.observe.station import act; act(FileAudit(Path(sys.argv[1])), 3)"
    )
    subprocess.run([sys.executable, "-c", code, paths.audit], check=True, cwd=Path(__file__).parents[2])
    events = await follower.look()
    assert [event["thing"] for event in events] == ["alpha.bravo-000002", "sha256:x", "alpha.bravo-000003"]
    assert (len(await follower.look()), follower.count) == (0, 4)
    measures.logged([*events, {"act": "of a later version", "outcome": "done"}])
    assert of(measures) == {
        'lockgate_acts_total{act="intake.import",outcome="done"}': 2,
        'lockgate_acts_total{act="block",outcome="refused"}': 1,
    }


async def test_what_the_station_did_not_write_is_no_event(paths: StationPaths) -> None:
    audit = FileAudit(paths.audit)
    act(audit, 1)
    follower = LogFollower(paths)
    await follower.begin()
    with lane(paths).open("ab") as file:
        file.write(lines(lane(paths))[0].replace(b'"seq":1', b'"seq":2'))
    assert await follower.look() == []


def seen(inside: Inside) -> dict[str, float]:
    writer = AsyncWriterService(inside.writer)
    callers = Callers(inside.station.config, Accounts(inside.station.reader))
    control = Control(inside.station, writer, Jobs(inside.station, writer, NoStarter()), "", callers, identity=Nobody())
    take(control)
    found = gauges(control) | counted(inside.station, control)
    return parse(render(found, control.measures.slots).decode())


def test_carried_bundles_are_measured_from_their_signature_to_their_release(inside: Inside, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "carried", created=clock.after(-100))
    inside.trust(bundle.key.public)
    before = seen(inside)
    assert before['lockgate_intake_bundles{state="quarantined"}'] == 0
    inside.bring(*bundle.folders)
    waits = seen(inside)
    stream = 'stream="alpha.bravo"'
    assert waits['lockgate_intake_bundles{state="quarantined"}'] == 1
    assert waits[f'lockgate_stream_sequence{{direction="in",{stream}}}'] == 1
    assert waits[f"lockgate_stream_waiting_seconds{{{stream}}}"] >= 100
    assert f"lockgate_stream_carried_seconds{{{stream}}}" not in waits
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())
    after = seen(inside)
    assert after['lockgate_intake_bundles{state="released"}'] == 1
    assert after[f"lockgate_stream_waiting_seconds{{{stream}}}"] == 0
    assert after[f"lockgate_stream_carried_seconds{{{stream}}}"] >= 100


def test_the_disk_and_its_use_are_measured(inside: Inside) -> None:
    found = seen(inside)
    assert 0 < found["lockgate_store_used_ratio"] < 1
    assert found["lockgate_store_disk_bytes"] >= found["lockgate_store_free_bytes"] > 0
    assert found["lockgate_uploads"] == 0
    (inside.station.paths.uploads / "session-1.2").touch()
    assert seen(inside)["lockgate_uploads"] == 1
