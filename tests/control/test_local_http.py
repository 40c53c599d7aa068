"""The client's HTTP on a Unix socket: whole answers, events line by line, and a plain error for anything else."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.control import local_http
from appliance.control.client import ControlClient
from appliance.paths import StationPaths
from bundles.errors import FailedError


@contextlib.asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    """A server that answers everything so, and what it was sent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield got
    finally:
        server.close()


async def ask(root: Path, answer: bytes, path: str = "/v1/status") -> tuple[dict[str, object], bytes]:
    async with answering(StationPaths(root).control_socket, answer) as got, ControlClient(root, 5.0) as client:
        return await client.get(path, filter="a b&c"), got[0]


async def test_a_document_comes_whole_and_the_request_is_escaped(tmp_path: Path) -> None:
    document, sent = await ask(
        tmp_path, b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}', "/v1/repositories/é ?#%2F"
    )
    assert document == {"a": 1}
    assert sent.split(b"\r\n")[0] == b"GET /v1/repositories/%C3%A9%20%3F%23%2F?filter=a+b%26c HTTP/1.0"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0 200 OK\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.0 2x0 OK\r\n\r\n{}",
        b"HTTP/1.0 \xb2\xb2\xb2 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\nnot JSON",
        b"HTTP/1.0 200 OK\r\n\r\n\xff",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.0 200 OK\r\nX: " + b"a" * (9 << 20),
    ],
    ids=[
        "nothing", "no end of headers", "another protocol", "no status", "digits of another script", "too short",
        "too long", "no JSON", "no UTF-8", "too deep", "headers without end",
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_one_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(FailedError):
        await ask(tmp_path, answer)


async def test_who_does_not_listen_is_told_from_who_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(local_http.ConnectError):
        async with local_http.request(str(tmp_path / "none"), "GET", "/", {}):
            pass


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: 1", "/\x00", "/é"])
async def test_a_target_with_a_blank_or_a_line_end_is_never_sent(tmp_path: Path, target: str) -> None:
    async with answering(tmp_path / "s", b"HTTP/1.0 200 OK\r\n\r\n") as got:
        with pytest.raises(ValueError, match="character"):
            async with local_http.request(str(tmp_path / "s"), "GET", target, {}):
                pass
        with pytest.raises(ValueError, match="character"):
            async with local_http.request(str(tmp_path / "s"), "GET", "/", {"Authorization": f"Bearer {target}\n"}):
                pass
    assert got == []


async def test_events_come_line_by_line_and_silence_ends_the_wait(tmp_path: Path) -> None:
    async with (
        answering(tmp_path / "s", b"HTTP/1.0 200 OK\r\n\r\nevent: a\ndata: 1\n\n"),
        local_http.request(str(tmp_path / "s"), "GET", "/", {}) as answer,
    ):
        assert [line async for line in answer.lines(5.0)] == ["event: a", "data: 1", ""]
    server = await asyncio.start_unix_server(_say_nothing, tmp_path / "quiet")
    try:
        async with local_http.request(str(tmp_path / "quiet"), "GET", "/", {}) as answer:
            with pytest.raises(TimeoutError):
                [line async for line in answer.lines(0.05)]
    finally:
        server.close()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
    await reader.read()


def test_a_command_that_asks_the_station_loads_no_http_library_and_no_database() -> None:
    """They take longer to load than the command takes to run."""
    heavy = "('aiohttp', 'sqlite3', 'sqlite_utils', 'cryptography', 'textual')"
    commands = (
        "station.status", "station.job", "station.audit", "intake.list_entries", "store.repo", "store.block",
        "store.media", "bundle.site",
    )  # fmt: skip
    imported = ", ".join(["appliance.control.client", *(f"appliance.cli.{name}" for name in commands)])
    script = f"import sys, {imported}; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
