"""A large blob of a cache, sent while it arrives: a node that waits sees bytes as they come.

Nothing that comes is trusted before all of it is there: the last bytes wait until the process that fetches has checked
the whole and shows it, and until the bytes that were sent here, hashed as they went, have the digest themselves. Else
the connection is reset, and no client takes what it has for an answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from appliance.limits import caching as limits
from appliance.registry.call import Call
from appliance.registry.conditional import etag
from appliance.registry.pull_through import Outcome
from appliance.registry.sending import TruncatedError, cut
from appliance.registry.services import BROKEN
from bundles.limits import CHUNK
from bundles.oci.digest import Digest, new_hasher

_log: Final = logging.getLogger(__name__)
_HELD_BACK: Final = 64 * 1024
"""Bytes at the end that wait for the verdict on all of them."""

_ASKS_FOR_A_PART: Final = ("Range", "If-Match", "If-None-Match", "If-Range")


async def pass_on(call: Call, digest: Digest) -> Outcome | web.StreamResponse:
    """What became of a blob that is not here, or the answer to a plain GET, once it has been sent."""
    following = call.services.pull_through.follow(call.name, digest)
    try:
        async for outcome in following:
            if outcome.state != "arriving":
                return outcome
            if not _may_pass(call, outcome):
                continue
            try:
                descriptor = await call.worker.in_thread(os.open, outcome.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # it is whole already
                continue
            try:
                return await _send(call, digest, outcome.size, descriptor, following)
            finally:
                os.close(descriptor)
    finally:
        await following.aclose()
    return Outcome(state="failed", why="nobody said what became of it", retry=5)


def _may_pass(call: Call, outcome: Outcome) -> bool:
    """Whether it is worth while, and nothing has to be asked of the whole blob first."""
    plain = call.request.method == "GET" and not any(name in call.request.headers for name in _ASKS_FOR_A_PART)
    return plain and outcome.size >= limits.CACHE_PASSED and call.services.pull_policy.is_idle()


async def _send(
    call: Call, digest: Digest, size: int, descriptor: int, following: AsyncGenerator[Outcome, None]
) -> web.StreamResponse:
    headers = {"Docker-Content-Digest": str(digest), "ETag": etag(digest), "Accept-Ranges": "bytes"}
    response = web.StreamResponse(headers=headers)
    response.content_type, response.content_length = "application/octet-stream", size
    await response.prepare(call.request)
    ending = asyncio.ensure_future(anext(following))
    try:
        await _send_as_it_comes(call, response, digest, size, descriptor, ending)
        await response.write_eof()
    except (ConnectionError, TruncatedError, OSError, asyncio.CancelledError) as error:
        cut(call.request)
        call.request[BROKEN] = "upstream" if isinstance(error, TruncatedError) else "network"
        if isinstance(error, TruncatedError):
            _log.warning("blob %s was not passed on to its end: %s", digest, error)
        elif not isinstance(error, ConnectionError):
            raise
    finally:
        ending.cancel()
        await asyncio.wait({ending})
        if not ending.cancelled():
            ending.exception()
    return response


async def _send_as_it_comes(
    call: Call, response: web.StreamResponse, digest: Digest, size: int, descriptor: int,
    ending: asyncio.Future[Outcome],
) -> None:  # fmt: skip
    """Raises TruncatedError where it did not come whole, or other bytes than the digest's were sent."""
    hasher, sent = new_hasher(digest.algorithm), 0

    def read(most: int) -> bytes:
        piece = os.pread(descriptor, most, sent)
        hasher.update(piece)
        return piece

    while True:
        is_here = ending.done()
        if is_here and (outcome := ending.result()).state not in ("brought", "kept"):
            raise TruncatedError(outcome.why or "its upstream has it no more")
        upto = min(os.fstat(descriptor).st_size, size if is_here else size - _HELD_BACK)
        begun = sent
        while sent < upto:
            piece = await call.worker.in_thread(read, min(CHUNK, upto - sent))
            sent += len(piece)
            if not piece or (sent == size and f"{digest.algorithm}:{hasher.hexdigest()}" != str(digest)):
                raise TruncatedError("other bytes came than those of its digest")
            await response.write(piece)
        if sent == size:
            return
        if is_here and sent == begun:
            raise TruncatedError("its file is shorter than it was announced")
        if not is_here:
            await asyncio.wait({ending}, timeout=limits.CACHE_LOOK)
