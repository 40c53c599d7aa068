"""Blobs of a bucket on their way to a client: streamed through this node, the next piece read while one is sent."""

from __future__ import annotations

import asyncio
import logging
from typing import BinaryIO, Final

from aiohttp import web

from appliance.limits import registry as limits
from appliance.limits import store as store_limits
from appliance.registry.call import Call
from appliance.registry.conditional import Span
from appliance.registry.sending import TruncatedError, cut, write
from appliance.registry.services import BROKEN
from appliance.registry.watch import phase
from appliance.store.reading import OtherBytesError
from appliance.store.reads.content import BlobFacts
from bundles.errors import LockgateError, NotFoundError

_log: Final = logging.getLogger(__name__)
_OTHER: Final = "the bucket gave other bytes"


async def send(call: Call, facts: BlobFacts, span: Span | None, headers: dict[str, str]) -> web.StreamResponse | None:
    """A blob, or a span of it; None where it is not there, has another size, or other bytes that a scrub is to judge.

    Its first piece is read before any header goes out: a bucket that does not answer is an error with its own status.
    Afterwards the connection is reset instead of ended. A whole blob was compared with its digest before its last piece
    goes out; a span of a large one was not compared with anything. Raises StoreAwayError, FailedError.
    """
    part = span or Span(0, facts.size)
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.start + span.length - 1}/{facts.size}"
    status = 200 if span is None else 206
    stream = None
    try:
        with phase(call.request, "read"):
            stream = await call.worker.in_thread(_opened, call, facts)
            if stream is None:
                return None
            if facts.size <= limits.SMALL_BLOB:
                body = await call.worker.in_thread(stream.read)
                body = body[part.start : part.start + part.length]
                return web.Response(status=status, body=body, headers=headers, content_type="application/octet-stream")
            first = await call.worker.in_thread(_first, stream, part)
    except OtherBytesError:
        await call.worker.note_unread(facts.digest, _OTHER)
        return None
    else:
        return await _stream(call, stream, first, part, facts, status, headers)
    finally:
        if stream is not None:
            stream.close()


def _opened(call: Call, facts: BlobFacts) -> BinaryIO | None:
    blobs = call.services.blobs
    try:
        stream = blobs.open_blob(facts.digest)
    except NotFoundError:
        return None
    if blobs.size_in(stream, facts.digest) == facts.size:
        return stream
    stream.close()
    return None


def _first(stream: BinaryIO, part: Span) -> bytes:
    if part.start:
        stream.seek(part.start)
    return _piece(stream, part.length)


def _piece(stream: BinaryIO, most: int) -> bytes:
    return stream.read(min(most, store_limits.S3_PIECE))


async def _stream(
    call: Call, stream: BinaryIO, piece: bytes, part: Span, facts: BlobFacts, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = "application/octet-stream"
    response.content_length = part.length
    await response.prepare(call.request)
    left = part.length
    try:
        while left and piece:
            left -= len(piece)
            coming = asyncio.ensure_future(call.worker.in_thread(_piece, stream, left))
            try:
                with phase(call.request, "send"):
                    await write(call.request, response, piece)
            finally:
                await asyncio.wait({coming})  # the thread reads the stream that the caller closes
                if not coming.cancelled():
                    coming.exception()  # where the client went, nobody else asks for it
            piece = coming.result() if left else b""
        if not left:
            await response.write_eof()
            return response
        error: BaseException = TruncatedError("the bucket ended early")
    except (ConnectionError, LockgateError, asyncio.CancelledError) as met:
        error = met
        if isinstance(met, asyncio.CancelledError):
            _cut(call, met)
            raise
    _cut(call, error)
    if isinstance(error, OtherBytesError):
        await call.worker.note_unread(facts.digest, _OTHER)
    elif not isinstance(error, ConnectionError):
        _log.error("blob %s was not served to its end, and its connection was reset: %s", facts.digest, error)
    return response


def _cut(call: Call, error: BaseException) -> None:
    cut(call.request)
    call.request[BROKEN] = "network" if isinstance(error, ConnectionError) else "damaged"
