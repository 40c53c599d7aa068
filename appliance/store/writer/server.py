"""The writer's Unix socket, in the control process: takes frames from workers and jobs, answers after the commit."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.local_socket import listen_at, stop_listening
from appliance.store.writer import messages
from appliance.store.writer.messages import Answer
from appliance.store.writer.service import WriterService
from bundles.errors import FailedError, LockgateError, to_wire

_log: Final = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def serve_writer(path: Path, service: WriterService, lease: str = "") -> AsyncIterator[None]:
    """Serve `service` on a Unix socket at `path` (mode 0600: who reaches it may write anything) while the block runs.

    `lease` is this control process's own token. A connection that shows another one is a job whose control process is
    gone: it is refused before its first write.

    Raises FailedError where the socket cannot be opened.
    """
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_converse(reader, writer, service, lease))
        connections.add(task)
        task.add_done_callback(connections.discard)
        await asyncio.wait({task})

    server = await asyncio.start_unix_server(accept, sock=listen_at(path))
    try:
        yield
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        stop_listening(path)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: WriterService, lease: str
) -> None:
    """One connection until it ends. What was taken in is applied, whether or not its sender stays to hear of it."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            body = await reader.readexactly(messages.body_length(await reader.readexactly(messages.HEADER.size)))
            number, write = messages.decode_request(body)
            if isinstance(write, str):
                if secrets.compare_digest(write.encode(), lease.encode()):
                    continue
                writer.write(_answer(number, None, _outlived()))
                await writer.drain()
                return
            try:
                future = service.enqueue(write)
            except LockgateError as error:
                writer.write(_answer(number, None, error))
            else:
                future.add_done_callback(functools.partial(_settled, loop, writer, number))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    except (msgspec.DecodeError, msgspec.ValidationError, FailedError) as error:
        # A frame that is none: the sender runs another version. Its connection ends, and it says so there.
        _log.error("the writer's socket got what is no write: %s", error)
    finally:
        writer.close()


def _outlived() -> LockgateError:
    return FailedError(
        "the job's control process has ended", remedy="the job goes on by itself in the one that runs now"
    )


def _settled(loop: asyncio.AbstractEventLoop, writer: asyncio.StreamWriter, number: int, future: Future[Any]) -> None:
    error = future.exception()
    frame = _answer(number, None if error else future.result(), error)
    with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to hear it
        loop.call_soon_threadsafe(_send, writer, frame)


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    if not writer.is_closing():
        writer.write(frame)


def _answer(number: int, result: Any, error: BaseException | None) -> bytes:
    if error is None:
        return messages.encode_answer(Answer(number, result))
    known = error if isinstance(error, LockgateError) else FailedError("a write failed", thing=str(error))
    return messages.encode_answer(Answer(number, None, to_wire(known)))
