"""A co-signature that joined written media is told to the station, which believes it only when it holds."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import clock
from appliance.audit.event import AuditEvent
from appliance.jobs.documents import Job
from appliance.jobs.service import Jobs
from appliance.jobs.signatures import PAYLOAD
from appliance.paths import StationPaths
from appliance.station import open_station
from appliance.store.writer import AsyncWriterService, WriterService
from appliance.store.writes.jobs import CreateJob, MoveJob
from appliance.store.writes.outgoing import SignBundle, TakeSequence
from bundles.errors import FailedError, LockgateError, NotFoundError, RefusedError, UsageError
from bundles.oci.digest import Digest
from bundles.signing.keys import PrivateKey, create_private, save_private
from tests.intake.inside import make_station
from tests.job_starter import NoStarter

SUMS = b"the bundle's SHA256SUMS\n"
JOB, BUNDLE = "job-1", "bravo.charlie-000001"


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    make_station(tmp_path / "bravo")
    key = create_private()
    save_private(tmp_path / "bravo" / "keys" / "second.pem", key, None)
    return key


@pytest.fixture
def jobs(tmp_path: Path, key: PrivateKey) -> Iterator[Jobs]:
    """The jobs of a station with a finished build that waits for `key`, and for one that nobody here has."""
    paths = StationPaths(tmp_path / "bravo")
    paths.job(JOB).mkdir(parents=True)
    (paths.job(JOB) / PAYLOAD).write_bytes(SUMS)
    digest = str(Digest.of(SUMS))
    waits = {"id": BUNDLE, "digest": digest, "signed_by": ["0" * 16], "missing_signers": [key.public.keyid, "f" * 16]}
    with WriterService(paths.database) as service:
        service.submit(CreateJob(id=JOB, kind="build", params="{}", actor="tester(0)", at=clock.now()))
        service.submit(TakeSequence(stream="bravo.charlie", job_id=JOB, at=clock.now()))
        service.submit(SignBundle(id=BUNDLE, digest=digest))
        service.submit(
            MoveJob(id=JOB, state="done", phase="write", done=1, total=1, at=clock.now(), result=json.dumps(waits))
        )
        yield Jobs(open_station(tmp_path / "bravo", service), AsyncWriterService(service), NoStarter())


async def test_a_co_signature_that_holds_is_kept_with_the_build(jobs: Jobs, key: PrivateKey) -> None:
    told = await jobs.sign(JOB, key.public.keyid, key.sign(SUMS), "tester(0)")
    assert told.result is not None
    assert told.result["missing_signers"] == ["f" * 16]
    assert told.result["signed_by"] == sorted(["0" * 16, key.public.keyid])
    assert jobs.find(JOB).result == told.result


async def test_of_two_who_tell_it_at_once_one_is_told_that_it_is_known(jobs: Jobs, key: PrivateKey) -> None:
    both = (jobs.sign(JOB, key.public.keyid, key.sign(SUMS), "tester(0)") for _ in range(2))
    ended = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(one, LockgateError) for one in ended) == 1


@pytest.mark.parametrize("keyid", ["0" * 16, "1" * 16])
async def test_a_key_that_it_does_not_wait_for_is_refused(jobs: Jobs, key: PrivateKey, keyid: str) -> None:
    with pytest.raises(RefusedError, match="does not wait for this key"):
        await jobs.sign(JOB, keyid, key.sign(SUMS), "tester(0)")


async def test_a_signature_over_other_bytes_is_refused(jobs: Jobs, key: PrivateKey) -> None:
    with pytest.raises(RefusedError, match="does not hold"):
        await jobs.sign(JOB, key.public.keyid, key.sign(SUMS + b"."), "tester(0)")


async def test_a_key_that_the_station_does_not_know_is_not_believed(jobs: Jobs, key: PrivateKey) -> None:
    with pytest.raises(UsageError, match="no such key"):
        await jobs.sign(JOB, "f" * 16, key.sign(SUMS), "tester(0)")


async def test_nothing_is_believed_once_the_signed_bytes_are_gone(jobs: Jobs, key: PrivateKey, tmp_path: Path) -> None:
    (StationPaths(tmp_path / "bravo").job(JOB) / PAYLOAD).write_bytes(b"another bundle's\n")
    with pytest.raises(NotFoundError, match="no longer holds"):
        await jobs.sign(JOB, key.public.keyid, key.sign(SUMS), "tester(0)")


class FullLog:
    """An audit log on a full disk."""

    def record(self, event: AuditEvent) -> None:
        raise FailedError("the audit log cannot be written", thing=str(event.act))


class Waiting:
    """A job's process, and its stdin."""

    def __init__(self) -> None:
        self.stdin, self.sent = self, list[bytes]()

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    async def drain(self) -> None:
        return


async def test_a_signature_that_cannot_be_recorded_is_not_taken(jobs: Jobs, key: PrivateKey, tmp_path: Path) -> None:
    """Neither a co-signature of a finished build, nor one that a running build waits for."""
    station, before = jobs._station, jobs.find(JOB)
    jobs._station = dataclasses.replace(station, audit=FullLog())
    with pytest.raises(FailedError, match="the audit log cannot be written"):
        await jobs.sign(JOB, key.public.keyid, key.sign(SUMS), "tester(0)")
    assert jobs.find(JOB).result == before.result
    live = Job("job-2", "build", {}, "to-sign", "tester(0)", clock.now())
    live.to_sign = {"keyids": [key.public.keyid]}
    station.paths.job(live.id).mkdir()
    (station.paths.job(live.id) / PAYLOAD).write_bytes(SUMS)
    process = Waiting()
    jobs._live[live.id], jobs._processes[live.id] = live, process  # type: ignore[assignment]
    with pytest.raises(FailedError, match="the audit log cannot be written"):
        await jobs.sign(live.id, key.public.keyid, key.sign(SUMS), "tester(0)")
    jobs._station = station
    await jobs.sign(live.id, key.public.keyid, key.sign(SUMS), "tester(0)")
    assert [json.loads(line)["keyid"] for line in process.sent] == [key.public.keyid], "the one recorded, once"
