"""The way to the writer from other processes: blocking for jobs and commands, pipelined for event loops.

Both come back by themselves when the control process restarts. A write whose request was not fully sent is sent
again; one whose answer was lost is not, since it may have happened: its sender hears exactly that.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final

from appliance.limits import store as limits
from appliance.local_socket import connect_to
from appliance.store.writer import messages
from appliance.store.writes.write import LostAnswerError, Write
from bundles.errors import FailedError, LockgateError, from_wire

_RETRY: Final = 0.05
"""Seconds between two attempts to reach a control process that is not there."""


def _gone(path: Path) -> LockgateError:
    return FailedError("the station is not running", thing=str(path), remedy="start it with `lockgate serve`")


def _lost(write: Write) -> LockgateError:
    return LostAnswerError(
        "the station stopped before it answered",
        thing=type(write).__name__,
        remedy="start it again, and look whether the change was made",
    )


class SocketWriter:
    """A blocking `Writer` over the station's socket; may be shared by threads, which then take turns."""

    def __init__(self, path: Path, wait: float = limits.WRITER_WAIT, lease: str = "") -> None:
        """`wait`: how long, in seconds, to wait for a station that is not there (yet). `lease`: of a job, the token of
        the control process that started it; no other one takes its writes."""
        self._path = path
        self._wait = wait
        self._lease = messages.encode_lease(lease) if lease else b""
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._numbers = itertools.count(1)

    def submit(self, write: Write) -> Any:
        """As Writer.submit."""
        with self._lock:
            number = next(self._numbers)
            stream = self._send(messages.encode_request(number, write))
            try:
                length = messages.body_length(_receive(stream, messages.HEADER.size))
                answer = messages.decode_answer(_receive(stream, length))
                if answer.number != number:  # the lease was refused, and the connection ends
                    self._drop()
            except OSError:
                self._drop()
                raise _lost(write) from None
        if answer.error is not None:
            raise from_wire(answer.error)
        return answer.result

    def close(self) -> None:
        """Let go of the connection. A later submit makes another."""
        with self._lock:
            self._drop()

    def _send(self, frame: bytes) -> socket.socket:
        """The whole frame, on a fresh connection where the old one has died: a torn frame is never applied."""
        deadline = time.monotonic() + self._wait
        while True:
            try:
                if self._socket is None:
                    self._socket = connect_to(self._path)
                    self._socket.sendall(self._lease)
                self._socket.sendall(frame)
                return self._socket
            except OSError:
                self._drop()
                if time.monotonic() > deadline:
                    raise _gone(self._path) from None
                time.sleep(_RETRY)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _receive(stream: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = stream.recv(size - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return bytes(data)


class AsyncSocketWriter:
    """An `AsyncWriter` over the station's socket: any number of writes under way on one connection."""

    def __init__(self, path: Path, wait: float = limits.WRITER_WAIT) -> None:
        self._path = path
        self._wait = wait
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._connecting = asyncio.Lock()
        self._stream: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def submit(self, write: Write) -> Any:
        """As AsyncWriter.submit. A cancelled caller's write may still be applied."""
        number = next(self._numbers)
        frame = messages.encode_request(number, write)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            stream = await self._connected()
            stream.write(frame)
            while stream.is_closing():  # found dead while sending: the frame is torn, and never applied
                stream = await self._connected()
                stream.write(frame)
            self._waiting[number] = answer
            return await answer
        except ConnectionError:
            raise _lost(write) from None
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        """Let go of the connection; whoever waits hears that the station is gone."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            deadline = time.monotonic() + self._wait
            while self._stream is None or self._stream.is_closing():
                try:
                    reader, self._stream = await asyncio.open_unix_connection(sock=connect_to(self._path))
                except OSError:
                    if time.monotonic() > deadline:
                        raise _gone(self._path) from None
                    await asyncio.sleep(_RETRY)
                else:
                    self._reading = asyncio.create_task(self._read(reader, self._stream))
            return self._stream

    async def _read(self, reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = messages.body_length(await reader.readexactly(messages.HEADER.size))
                answer = messages.decode_answer(await reader.readexactly(length))
                waiting = self._waiting.get(answer.number)
                if waiting is None or waiting.done():
                    continue
                if answer.error is None:
                    waiting.set_result(answer.result)
                else:
                    waiting.set_exception(from_wire(answer.error))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            stream.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError())
