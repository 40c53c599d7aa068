"""A file's bytes to a client: os.sendfile on plain sockets, reads and writes under TLS. Neither holds the loop.

sendfile runs in a thread on a duplicate of the socket's descriptor: reading a cold file blocks, and the event loop
must not. It works alike on asyncio's loop and on uvloop, which has no sendfile of its own (docs/adr/0004).
A client that takes its time holds no thread: the loop waits for its socket, up to a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from aiohttp import web

from appliance.limits import registry as limits
from appliance.registry.conditional import Span
from appliance.registry.watch import phase
from bundles.limits import CHUNK, KIB, MIB

_QUANTUM: Final = 8 * MIB
"""What a thread sends before others get their turn."""

_PATIENCE: Final = 20
"""Milliseconds a thread waits for the socket to take more before it leaves the waiting to the loop."""

_PIECE: Final = 256 * KIB
"""Of an answer that is in memory: what a connection's buffers hold, more or less."""

_FEW: Final = 4
"""Files sent under TLS at the same time, up to which each is read 1 MiB at a time; beyond, in pieces of `_PIECE`. One
client is fastest with large pieces; many at once held three times the memory, and were no faster."""

_FLUSH_POLL: Final = 0.002

_RESET: Final = struct.pack("ii", 1, 0)
"""A struct linger: on, no seconds."""

_under_tls = 0
"""Files that this process sends under TLS at this moment."""


_OF_THE_SOCKET: Final = frozenset(
    {
        errno.ENOTCONN, errno.ESHUTDOWN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN,
        errno.ENETRESET, errno.ENETUNREACH, errno.ENOBUFS, errno.EBADF,
    }
)  # fmt: skip
"""Errors of sendfile(2) that the connection is the cause of; every other is the file's."""


class BrokenFileError(Exception):
    """The file could not be read on: the connection is cut. `cause` is the system's error."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class TruncatedError(Exception):
    """The file ended before what was promised: the connection is cut, so that no client takes it for whole."""


async def send_file(
    request: web.Request, response: web.StreamResponse, fd: int, span: Span, threads: ThreadPoolExecutor
) -> None:
    """Send `span` of the file `fd` as the body of a prepared response. The caller keeps `fd` open meanwhile.

    Raises ConnectionError when the client goes or takes nothing for `limits.SEND_IDLE`, TruncatedError when the file
    is shorter than it was, BrokenFileError when it cannot be read.
    """
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    with phase(request, "send"):
        if transport.get_extra_info("ssl_object") is not None:
            await _copy(request, response, fd, span, threads)
            return
        try:
            await asyncio.wait_for(_flushed(transport), limits.SEND_IDLE)
            await _sendfile(_duplicate(transport), os.dup(fd), span, threads)
        except TimeoutError:
            raise ConnectionResetError from None


def cut(request: web.Request) -> None:
    """Reset the connection at once (tcp(7), SO_LINGER): after the headers went out, this is the only way to say that
    the answer is none. What its client has not taken yet is dropped. Harmless twice."""
    transport = request.transport
    if transport is None:
        return
    handle = transport.get_extra_info("socket")
    if handle is not None:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(handle.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


async def in_pieces(request: web.Request, whole: web.StreamResponse) -> web.StreamResponse:
    """An answer of some MiB (a manifest, a list), sent in pieces so that its client is waited for only so long; any
    other as it is.

    aiohttp hands a whole body to the transport at once, where it stays for as long as nobody takes it. Raises
    ConnectionError when the client takes nothing for `limits.SEND_IDLE`.
    """
    if not isinstance(whole, web.Response) or not isinstance(whole.body, bytes) or len(whole.body) <= _PIECE:
        return whole
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(whole.body)
    await response.prepare(request)
    with phase(request, "send"):
        for start in range(0, len(whole.body), _PIECE):
            await write(request, response, whole.body[start : start + _PIECE])
    return response


async def write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Send a piece of a prepared response. Raises ConnectionError as `send_file`."""
    try:
        await asyncio.wait_for(response.write(piece), limits.SEND_IDLE)
    except TimeoutError:
        cut(request)  # a close would wait until what was written before has been taken
        raise ConnectionResetError from None


def _duplicate(transport: asyncio.WriteTransport) -> int:
    """A second descriptor of the connection's socket. Raises ConnectionResetError where the client went meanwhile: the
    transport has closed its own by then."""
    number = transport.get_extra_info("socket").fileno()
    if number < 0:
        raise ConnectionResetError
    return os.dup(number)


async def _flushed(transport: asyncio.WriteTransport) -> None:
    """Until the headers have gone to the kernel: nearly always at once. A transport has no event for it."""
    while transport.get_write_buffer_size():  # noqa: ASYNC110
        await asyncio.sleep(_FLUSH_POLL)


async def _copy(
    request: web.Request, response: web.StreamResponse, fd: int, span: Span, threads: ThreadPoolExecutor
) -> None:
    global _under_tls  # noqa: PLW0603 - one event loop sends in a process
    loop = asyncio.get_running_loop()
    position, end = span.start, span.start + span.length
    _under_tls += 1
    try:
        while position < end:
            size = min(CHUNK if _under_tls <= _FEW else _PIECE, end - position)
            try:
                piece = await loop.run_in_executor(threads, os.pread, fd, size, position)
            except OSError as error:
                raise BrokenFileError(error) from None
            if not piece:
                raise TruncatedError("the file ended early")
            await write(request, response, piece)
            position += len(piece)
    finally:
        _under_tls -= 1


async def _sendfile(out: int, source: int, span: Span, threads: ThreadPoolExecutor) -> None:
    """Owns both descriptors: they are closed once no thread uses them, even if the request is cancelled."""
    loop = asyncio.get_running_loop()
    position, end = span.start, span.start + span.length
    turn: Future[int] | None = None
    try:
        while position < end:
            turn = threads.submit(_send_some, out, source, position, min(_QUANTUM, end - position))
            sent = await asyncio.wrap_future(turn)
            position += sent
            if sent == 0:
                await asyncio.wait_for(_writable(loop, out), limits.SEND_IDLE)
    finally:
        if turn is None or turn.done() or turn.cancel():
            _close(out, source)
        else:
            turn.add_done_callback(lambda _: _close(out, source))


def _send_some(out: int, source: int, position: int, count: int) -> int:
    """Send up to `count` bytes; returns how many the socket took before it stayed full."""
    sent = 0
    while sent < count:
        try:
            taken = os.sendfile(out, source, position + sent, count - sent)
        except BlockingIOError:
            poll = select.poll()
            poll.register(out, select.POLLOUT)
            if not poll.poll(_PATIENCE):
                break
            continue
        except OSError as error:
            if isinstance(error, ConnectionError) or error.errno in _OF_THE_SOCKET:
                raise ConnectionResetError from None
            raise BrokenFileError(error) from None
        if taken == 0:
            raise TruncatedError("the file ended early")
        sent += taken
    return sent


async def _writable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    ready = loop.create_future()
    loop.add_writer(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _close(*descriptors: int) -> None:
    for fd in descriptors:
        with contextlib.suppress(OSError):
            os.close(fd)
