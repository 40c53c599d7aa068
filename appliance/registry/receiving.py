"""A request's body as it arrives: gathered to about a mebibyte, written and hashed in a thread meanwhile.

While one batch is being written the next is received; there are never more than two, so a body of any size takes
two mebibytes of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from appliance.limits import registry as limits
from appliance.registry import errors
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.watch import phase
from bundles.limits import CHUNK


class InterruptedBodyError(Exception):
    """The client went, or framed its body wrongly, before the end; what arrived has been handed on."""


async def batches(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces of at least a mebibyte, but for the last.

    Raises InterruptedBodyError after the last piece of a body that broke off, RefusedRequestError (408) for a client
    that has gone silent.
    """
    gathered: list[bytes] = []
    size = 0
    while True:
        try:
            piece = await asyncio.wait_for(request.content.readany(), limits.BODY_IDLE)
        except TimeoutError:
            raise RefusedRequestError(errors.request_timeout()) from None
        except (web.RequestPayloadError, ConnectionError, EOFError) as error:
            if gathered:
                yield b"".join(gathered)
            raise InterruptedBodyError(str(error)) from error
        if not piece:
            break
        gathered.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield b"".join(gathered)


async def receive(request: web.Request, take: Callable[[bytes], None], threads: ThreadPoolExecutor) -> None:
    """Hand the whole body to `take`, in order, in threads. Raises what `batches` and `take` raise.

    When it returns or raises, no thread is in `take` any more.
    """
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] | None = None
    with phase(request, "receive"):
        try:
            async for batch in batches(request):
                if writing is not None:
                    await writing
                writing = loop.run_in_executor(threads, take, batch)
        finally:
            if writing is not None:
                await _settled(writing)


async def _settled(writing: asyncio.Future[None]) -> None:
    """Wait for the thread even if the request is cancelled meanwhile: it still uses the upload's file."""
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait({writing})
        raise


async def read_small(request: web.Request, ceiling: int, too_large: WireError) -> bytes:
    """A body that is held in memory, at most `ceiling` bytes. Raises RefusedRequestError, InterruptedBodyError."""
    if (request.content_length or 0) > ceiling:
        raise RefusedRequestError(too_large)
    body = bytearray()
    with phase(request, "receive"):
        async for batch in batches(request):
            body += batch
            if len(body) > ceiling:
                raise RefusedRequestError(too_large)
    return bytes(body)
