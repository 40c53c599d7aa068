"""Ctrl-C just as a job ends: the job's own result counts, whichever was first."""

from __future__ import annotations

from typing import Any, cast

import pytest

from appliance.cli.shared.follow import _cancelled
from appliance.control.client import ControlClient
from bundles.errors import CancelledError, FailedError, LockgateError, RefusedError, UsageError, to_wire


class Station:
    """A station whose job stands at `job` by the time it is asked to cancel it."""

    def __init__(self, job: dict[str, Any], refusal: LockgateError | None) -> None:
        self._job, self._refusal = job, refusal

    async def cancel(self, _: str) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        return self._job

    async def job(self, _: str) -> dict[str, Any]:
        return self._job


ENDED = UsageError("the job has ended", thing="j is done", remedy="nothing is left to cancel")


def job(state: str, error: LockgateError | None = None, result: object = None) -> dict[str, Any]:
    return {"id": "j", "state": state, "result": result, "error": None if error is None else to_wire(error)}


async def cancelled(station: Station) -> dict[str, Any]:
    return await _cancelled(cast(ControlClient, station), "j")


@pytest.mark.parametrize("refusal", [None, ENDED])
async def test_a_job_that_was_done_before_it_could_be_stopped_is_done(refusal: LockgateError | None) -> None:
    assert await cancelled(Station(job("done", result={"path": "/x"}), refusal)) == {"path": "/x"}


@pytest.mark.parametrize(
    ("ended", "status"), [(FailedError("full"), 1), (RefusedError("no"), 3), (CancelledError("by another"), 1)]
)
async def test_a_job_that_had_ended_otherwise_ends_the_command_as_it_did(ended: LockgateError, status: int) -> None:
    state = "cancelled" if isinstance(ended, CancelledError) else "failed"
    with pytest.raises(LockgateError) as raised:
        await cancelled(Station(job(state, ended), ENDED))
    assert raised.value.exit_status == status


async def test_a_job_that_was_stopped_and_a_station_that_is_gone_are_a_cancelled_job() -> None:
    for station in (Station(job("cancelled", CancelledError("x")), None), Station(job("running"), FailedError("gone"))):
        with pytest.raises(CancelledError) as raised:
            await cancelled(station)
        assert raised.value.exit_status == 1
