"""Bytes into a worker's connection and out of it, piece by piece, without a network between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from appliance.registry.lane import Lane
from tests.registry_server import Server

_DATE = re.compile(rb"\r\nDate: [^\r]*\r\n")
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)
_PATIENCE = 20.0
"""Seconds for an answer: beyond it the worker hangs."""

HOST = "127.0.0.1"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and says that its peer is 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__({"peername": (HOST, 4711)})
        self.sent = bytearray()
        self.is_closed = False
        self.moved = asyncio.Event()

    def write(self, data: Any) -> None:
        self.sent += data
        self.moved.set()

    def writelines(self, parts: Any) -> None:
        for part in parts:
            self.write(part)

    def close(self) -> None:
        self.is_closed = True
        self.moved.set()

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        return None

    resume_reading = pause_reading


def head(method: str, target: str, **fields: str) -> bytes:
    """A request without a body; underscores of names become hyphens."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(server: Server, pieces: Sequence[bytes], methods: Sequence[str] = ("GET",)) -> tuple[bytes, ...]:
    """The answers to requests with these methods that came in these pieces, each without its date; b"closed" behind
    them where the worker closed the connection. What it sends beyond so many answers is one more."""
    return asyncio.run_coroutine_threadsafe(_exchange(server, pieces, methods), server.loop).result(60)


async def _exchange(server: Server, pieces: Sequence[bytes], methods: Sequence[str]) -> tuple[bytes, ...]:
    wire = Wire()
    runner_server = server.runner.server
    assert runner_server is not None
    protocol = runner_server()
    protocol.connection_made(wire)
    for _ in range(2):
        await asyncio.sleep(0)  # aiohttp begins to wait
    for piece in pieces:
        protocol.data_received(piece)
        await asyncio.sleep(0)
    async with asyncio.timeout(_PATIENCE):
        while not wire.is_closed and len(_answers(bytes(wire.sent), methods)) < len(methods):
            wire.moved.clear()
            await wire.moved.wait()
    for _ in range(4):
        await asyncio.sleep(0)
    found = _answers(bytes(wire.sent), methods)
    if wire.is_closed:
        found.append(b"closed")
    protocol.connection_lost(None)
    return tuple(found)


def _answers(sent: bytes, methods: Sequence[str]) -> list[bytes]:
    """The whole answers in what was sent, and what lies behind them."""
    found, asked = [], iter(methods)
    while sent:
        end = sent.find(b"\r\n\r\n") + 4
        method = next(asked, None)
        if end < 4 or method is None:
            return [*found, sent] if method is None else found
        length = _LENGTH.search(sent[:end])
        status = sent[9:12]
        has_body = method != "HEAD" and status not in (b"304", b"204")
        end += int(length[1]) if length is not None and has_body else 0
        if len(sent) < end:
            return found
        found.append(_DATE.sub(b"\r\nDate: then\r\n", sent[:end], count=1))
        sent = sent[end:]
    return found


class Seen:
    """How often the pull lane answered since the last look."""

    def __init__(self) -> None:
        self.answered = 0

    def take(self) -> int:
        found, self.answered = self.answered, 0
        return found


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Counts what the pull lane answers, in all workers."""
    seen, real = Seen(), Lane.answer

    def answer(self: Lane, *arguments: Any, **more: Any) -> bytes | None:
        found = real(self, *arguments, **more)
        seen.answered += found is not None
        return found

    monkeypatch.setattr(Lane, "answer", answer)
    return seen
