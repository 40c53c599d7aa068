"""What the control client holds and sends shows no password and no token, wherever its requests fail."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.control import client as client_module
from appliance.control.client import ControlClient
from appliance.control.local_http import Body
from appliance.paths import StationPaths
from bundles.errors import LockgateError
from tui.station.control_socket import ControlStation

TOKEN, PASSWORD = "tok3n-Of-the-Session_0123456789", "a password of some length"


@asynccontextmanager
async def answering(root: Path, *answers: bytes) -> AsyncIterator[None]:
    """A station that sends each request the next of these bytes, the last one over and over, and hangs up."""
    given = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(given.pop(0) if len(given) > 1 else given[0])
        await writer.drain()
        writer.close()

    socket = StationPaths(root).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(answer, socket):
        yield


def document(body: object) -> bytes:
    return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(body).encode()


def variables(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


async def test_no_variable_of_a_request_that_fails_shows_the_token_or_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    async with (
        answering(tmp_path, document({"session": TOKEN, "account": "olga"})), ControlClient(tmp_path) as client
    ):  # fmt: skip
        await client.log_in("olga", PASSWORD)
        assert client.session == TOKEN
        monkeypatch.setattr(asyncio.StreamWriter, "drain", broken)
        for call in (client.status(), client.log_in("olga", PASSWORD)):
            try:
                await call
            except RuntimeError as error:
                told = variables(error)
            assert "a defect" in told
            assert TOKEN not in told
            assert f"{PASSWORD!r}" not in told.replace(f"password = '{PASSWORD}'", "")  # the caller's own text
    assert TOKEN not in repr(Body(TOKEN.encode()))
    assert TOKEN not in repr(vars(client))


@pytest.mark.parametrize("broken_off", [
    b"", b"HTTP/1.0 503 x\r\n\r\n", b"HTTP/1.0 503 x\r\n\r\n<html>", b"HTTP/1.0 500 x\r\n\r\n[1]", b"garbage\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nevent: job\ndata: {\"id\": \"j1\", \"sta\n\n",
    b"HTTP/1.0 200 OK\r\n\r\nevent: job\ndata: [1]\n\n", b"HTTP/1.0 200 OK\r\n\r\nevent: job\ndata: {}\n\n",
    b"HTTP/1.0 200 OK\r\n\r\nevent: job\ndata: " + b"[" * 100_000 + b"\n\n",
    b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe\n",
])  # fmt: skip
async def test_events_that_break_off_in_any_way_are_an_error_that_the_console_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_off: bytes
) -> None:
    monkeypatch.setattr(client_module, "_ATTEMPTS", 1)
    monkeypatch.setattr(client_module, "_PAUSE", 0.001)
    who = document({"account": "root(0)", "open": True})
    async with answering(tmp_path, who, broken_off):
        station = ControlStation(tmp_path)
        with pytest.raises(LockgateError):
            async for _ in station.job_events("j1"):
                pass
        await station.close()
