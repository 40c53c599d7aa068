"""A command that meets a control process which is being started again waits for it, and says what it waited for."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control import client
from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.errors import FailedError

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{"items": []}'


@pytest.fixture
def paths(tmp_path: Path) -> StationPaths:
    (tmp_path / "run").mkdir()
    return StationPaths(tmp_path)


@pytest.fixture
def held(paths: StationPaths) -> Iterator[None]:
    """The station's lock, as its supervisor holds it."""
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


@pytest.mark.usefixtures("held")
async def test_a_request_waits_for_a_control_process_that_is_started_again(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, sleep = [0], asyncio.sleep

    async def pausing(_: float) -> None:
        looks[0] += 1
        if looks[0] == 3:
            await asyncio.start_unix_server(_answer, paths.control_socket)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pausing)
    async with ControlClient(paths.root) as asking:
        assert await asking.get("/v1/jobs") == {"items": []}
    assert looks == [3]


@pytest.mark.usefixtures("held")
async def test_one_that_does_not_come_is_not_called_a_station_that_does_not_run(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ATTEMPTS", 0)
    async with ControlClient(paths.root) as asking:
        with pytest.raises(FailedError, match="is starting") as raised:
            await asking.get("/v1/jobs")
    assert "try again" in raised.value.remedy


async def test_a_station_that_does_not_run_is_said_at_once(
    paths: StationPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(asyncio, "sleep")
    paths.lock.touch()
    async with ControlClient(paths.root) as asking:
        with pytest.raises(FailedError, match="is not running"):
            await asking.get("/v1/jobs")
