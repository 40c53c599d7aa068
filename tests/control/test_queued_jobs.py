"""Jobs that have not ended are bounded, by account and in all; no account keeps the others waiting for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from appliance.control.server import application
from appliance.jobs.documents import Job
from appliance.jobs.queue import JobQueue
from appliance.jobs.service import Jobs
from appliance.limits import jobs as limits
from appliance.permissions import Caller
from bundles.errors import FailedError, UsageError
from tests.control.test_who_may_call import Played, a_station, served


class Named(Played):
    """Whoever the header says, with every right."""

    def identify(self, request: web.Request) -> Caller:
        return Caller(request.headers["X-Name"], everything=True)


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_schedule", lambda _: None)


async def ask(client: aiohttp.ClientSession, name: str, kind: str = "inspect") -> tuple[int, Any]:
    params = {"id": "alpha.bravo-000001"} if kind == "inspect" else {}
    sending = client.post("/v1/jobs", json={"kind": kind, "params": params}, headers={"X-Name": name})
    async with sending as answer:
        return answer.status, await answer.json()


async def test_an_accounts_jobs_are_capped_and_the_refusal_is_an_event(tmp_path: Path) -> None:
    with a_station(tmp_path, Named()) as (control, audit):
        async with served(application(control), tmp_path) as client:
            answers = await asyncio.gather(*(ask(client, "mallory") for _ in range(limits.JOBS_ACCOUNT + 8)))
            assert Counter(status for status, _ in answers) == {201: limits.JOBS_ACCOUNT, 409: 8}
            refused = next(document for status, document in answers if status == 409)
            assert refused["error"] == "FailedError"
            assert "lockgate job cancel" in refused["remedy"]
            events = [event for event in audit.events if event.outcome == "failed"]
            assert {(event.act, event.actor) for event in events} == {("inspect.start", "mallory")}
            assert len(events) == 8
            assert len(list(control.station.paths.jobs.iterdir())) == limits.JOBS_ACCOUNT, (
                "a refused job leaves nothing"
            )

            assert (await ask(client, "alice"))[0] == 201
            ended = next(document for status, document in answers if status == 201)
            headers = {"X-Name": "mallory"}
            assert (await client.post(f"/v1/jobs/{ended['id']}/cancel", json={}, headers=headers)).status == 200
            assert (await ask(client, "mallory"))[0] == 201
            assert (await ask(client, "mallory"))[0] == 409


async def test_all_jobs_are_capped_and_upkeep_has_places_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "JOBS_LIVE", 8)
    monkeypatch.setattr(limits, "JOBS_UPKEEP", 2)
    with a_station(tmp_path, Named()) as (control, _):
        async with served(application(control), tmp_path) as client:
            answers = [(await ask(client, f"robot-{number}"))[0] for number in range(9)]
            assert answers == [201] * 8 + [409]
            upkeep = [(await ask(client, name, "gc"))[0] for name in ("robot-1", "owner(0)", "owner(0)")]
            assert upkeep == [201, 201, 409]
            assert (await ask(client, "robot-9"))[0] == 409


def job(number: int, actor: str, kind: str = "inspect") -> Job:
    return Job(f"job-{number:03d}", kind, {}, "queued", actor, "2026-01-01T00:00:00Z")


def test_accounts_take_turns_and_so_does_upkeep() -> None:
    jobs = [*(job(number, "mallory") for number in range(20)), job(20, "alice"), job(21, "bob", "gc"), job(22, "alice")]
    queue = JobQueue({one.id: one for one in jobs}, [one.id for one in jobs])
    taken = [queue.take() for _ in range(6)]
    assert [one and one.id for one in taken] == ["job-000", "job-020", "job-021", "job-001", "job-022", "job-002"]


def test_slow_hosts_and_links_keep_no_import_out_and_no_import_keeps_them_out() -> None:
    kinds = ["sftp-pull", "sftp-list", "diode-receive", "sftp-push", "import", "gc", "inspect", "import"]
    jobs = [job(number, f"one-{number}", kind) for number, kind in enumerate(kinds)]
    queue = JobQueue({one.id: one for one in jobs}, [one.id for one in jobs])
    running: list[Job] = []
    while (taken := queue.take(running)) is not None:
        running.append(taken)
    assert [one.kind for one in running] == ["sftp-pull", "sftp-list", "import", "gc"]
    assert len(queue.waiting) == 4
    running.pop(0)
    assert [one and one.kind for one in (queue.take(running), queue.take(running))] == ["diode-receive", "sftp-push"]
    assert queue.take(jobs[:2] + jobs[4:6]) is None


def test_whoever_sends_one_job_after_another_waits_for_the_others() -> None:
    live = {one.id: one for one in (job(number, "alice") for number in range(3))}
    queue = JobQueue(live, list(live))
    turns = []
    for number in range(10, 16):
        live[f"job-{number:03d}"] = job(number, "mallory")
        queue.waiting.append(f"job-{number:03d}")
        turns += [one.actor for one in (queue.take(),) if one is not None]
    assert turns == ["alice", "mallory"] * 3


def test_a_place_is_given_back_where_the_job_was_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOBS_ACCOUNT", 1)
    queue = JobQueue({})
    for _ in range(3):
        with pytest.raises(KeyError), queue.place("inspect", "alice"):
            raise KeyError
    with queue.place("inspect", "alice"), pytest.raises(FailedError), queue.place("inspect", "alice"):
        pass
    with pytest.raises(UsageError), queue.place("no-such-kind", "alice"):
        pass
