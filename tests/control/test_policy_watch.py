"""Status says so where it is not known what the policy for images asks, since nobody pulls then who may not push."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.control import policy_watch
from appliance.control.server import application
from appliance.limits import image_signatures as limits
from tests.control.test_who_may_call import Played, a_station, served


async def test_a_policy_that_nobody_applied_is_no_healthy_station(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "POLICY_LOOKED_AT", 0.001)
    with a_station(tmp_path, Played("administrator")) as (control, _):
        folder = control.station.paths.image_policy
        file = folder / "policy.json"
        async with served(application(control), tmp_path) as client, looking(control):

            async def told() -> dict[str, Any]:
                status = await (await client.get("/v1/status")).json()
                (check,) = (one for one in status["health"]["checks"] if one["name"] == "policy")
                assert status["health"]["ok"] <= check["ok"]
                return check

            await _until(lambda: control.policy is not None)
            assert (await told())["ok"]
            folder.mkdir(exist_ok=True)
            file.write_bytes(b"{}")
            await _until(lambda: control.policy is not None and control.policy.fault)
            assert not (await told())["ok"]
            assert str(file) in (await told())["detail"]
            file.unlink()
            await _until(lambda: control.policy is not None and not control.policy.fault)
            assert (await told())["ok"]


@contextlib.asynccontextmanager
async def looking(control: Any) -> Any:
    task = asyncio.create_task(policy_watch.keep_looking(control))
    try:
        yield
    finally:
        task.cancel()


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)
