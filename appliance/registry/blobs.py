"""end-2 and end-10: blobs read, whole or in part, and taken away (specification: Pulling blobs, Deleting Blobs)."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import BinaryIO, Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.limits import registry as limits
from appliance.registry import cached, errors, remote_blobs
from appliance.registry.call import Call
from appliance.registry.conditional import Span, UnsatisfiableError, etag, matches, parse_range
from appliance.registry.errors import WireError
from appliance.registry.sending import BrokenFileError, TruncatedError, cut, send_file
from appliance.registry.services import BROKEN
from appliance.registry.verified_files import Identity, identity_of
from appliance.registry.watch import phase
from appliance.store.reading import UnreadableError, Verdict
from appliance.store.reads.content import BlobFacts
from appliance.store.rows import WrongRowError
from appliance.store.writes.registry import DeleteBlob
from bundles.errors import LockgateError, NotFoundError
from bundles.oci.digest import Digest

_log: Final = logging.getLogger(__name__)
_HELD_BACK: Final = 64 * 1024
"""Bytes at the end of an answer that wait for the verdict on the whole file."""


async def get_blob(call: Call) -> web.StreamResponse | WireError:
    """GET: 200, 206 for a range, 304 for a known one; 404 where the repository does not show it; 416."""
    call.require("pull")
    digest = call.digest
    facts = await call.worker.linked_blob(call.name, digest)
    found = await cached.blob(call, digest, facts) if call.is_cached else facts
    return found if isinstance(found, web.StreamResponse) else await _answer(call, digest, found)


async def _answer(call: Call, digest: Digest, facts: BlobFacts | None) -> web.StreamResponse | WireError:
    if facts is None:
        return await call.unknown(digest, "blob") or errors.blob_unknown(digest)
    call.refuse_blocked(digest)
    await call.refuse_unsigned(digest, "blob")
    headers = _headers(digest)
    if call.request.headers.get("If-Match") and not matches(call.request.headers["If-Match"], digest):
        return errors.precondition_failed(str(digest))
    if matches(call.request.headers.get("If-None-Match"), digest):
        return web.Response(status=304, headers=headers)
    try:
        span = parse_range(call.request.headers.get("Range"), call.request.headers.get("If-Range"), digest, facts.size)
    except UnsatisfiableError:
        return errors.range_unsatisfiable(facts.size)
    if call.services.blobs.is_remote:
        return await remote_blobs.send(call, facts, span, headers) or await damaged(call, facts)
    return await _of_file(call, span, facts, headers)


async def _of_file(
    call: Call, span: Span | None, facts: BlobFacts, headers: dict[str, str]
) -> web.StreamResponse | WireError:
    with phase(call.request, "read"):
        stream = await call.worker.in_thread(_open_whole, call, facts)
    if stream is None:
        return await damaged(call, facts)
    try:
        return await _send(call, stream, span, facts, headers)
    finally:
        stream.close()


async def head_blob(call: Call) -> web.StreamResponse | WireError:
    """HEAD: 200 with the headers of a GET, 404 where the repository does not show it."""
    call.require("pull")
    digest = call.digest
    try:
        facts = await call.worker.linked_blob(call.name, digest)
    except WrongRowError as error:
        return await call.hurt(error, digest, "blob")
    if call.is_cached:
        found = await cached.blob(call, digest, facts)
        facts = None if isinstance(found, web.StreamResponse) else found
    if facts is None:
        return errors.blob_unknown(digest)
    if not await is_held(call, facts):
        return await damaged(call, facts)
    call.refuse_blocked(digest)
    await call.refuse_unsigned(digest, "blob")
    if matches(call.request.headers.get("If-None-Match"), digest):
        return web.Response(status=304, headers=_headers(digest))
    headers = _headers(digest) | {"Content-Length": str(facts.size)}
    return web.Response(headers=headers, content_type="application/octet-stream")


async def delete_blob(call: Call) -> web.StreamResponse | WireError:
    """DELETE: 202, and 404 in the very next request; the bytes stay for other repositories, or for collection."""
    await call.require_write("delete")
    digest = call.digest
    try:
        if await call.worker.linked_blob(call.name, digest) is None:
            return errors.blob_unknown(digest)
    except WrongRowError as error:
        if error.rows == "database":
            raise
        # Taking a damaged row away is what puts it right.
    write = DeleteBlob(repository=call.name, digest=str(digest), keeps_released=call.keeps_released)
    if not await call.write(write, Act.DELETE_BLOB, f"{call.name}@{digest}"):
        return errors.blob_unknown(digest)
    return web.Response(status=202)


def _headers(digest: Digest) -> dict[str, str]:
    return {"Docker-Content-Digest": str(digest), "ETag": etag(digest), "Accept-Ranges": "bytes"}


async def is_held(call: Call, facts: BlobFacts) -> bool:
    """Whether the blob is there with the size metadata knows. Raises UnreadableError, StoreAwayError."""
    if call.services.blobs.is_remote:
        return await call.worker.in_thread(_is_held, call, facts)
    return _is_held(call, facts)


def _is_held(call: Call, facts: BlobFacts) -> bool:
    try:
        return call.services.blobs.size(facts.digest) == facts.size
    except NotFoundError:
        return False


async def damaged(call: Call, facts: BlobFacts) -> WireError:
    """The answer for a blob whose file is gone or has another size. It is on record from here on, and a scrub is to
    look at it: that decides."""
    await call.worker.note_unread(facts.digest, "its file is missing or has another size")
    return call.damaged(facts.digest, "blob")


def _open_whole(call: Call, facts: BlobFacts) -> BinaryIO | None:
    try:
        stream = call.services.blobs.open_blob(facts.digest)
    except NotFoundError:
        return None
    try:
        if os.fstat(stream.fileno()).st_size == facts.size:
            return stream
    except OSError as error:
        stream.close()
        raise UnreadableError(facts.digest, error) from None
    stream.close()
    return None


async def _send(
    call: Call, stream: BinaryIO, span: Span | None, facts: BlobFacts, headers: dict[str, str]
) -> web.StreamResponse | WireError:
    status = 200 if span is None else 206
    if span is None:
        span = Span(0, facts.size)
    else:
        headers["Content-Range"] = f"bytes {span.start}-{span.start + span.length - 1}/{facts.size}"
    if span.length <= limits.SMALL_BLOB:
        with phase(call.request, "read"):
            verified = await call.worker.in_thread(_verified, call, stream, facts.digest)
        if not verified:
            await _withdraw(call, stream, facts.digest)
            return call.damaged(facts.digest, "blob")
        with phase(call.request, "read"):
            body = await call.worker.in_thread(_piece, stream, span, facts.digest)
        if len(body) != span.length:
            return await damaged(call, facts)
        if span.length == facts.size:
            await _keep(call, stream, facts.digest, body)
        return web.Response(status=status, body=body, headers=headers, content_type="application/octet-stream")
    response = web.StreamResponse(status=status, headers=headers)
    response.content_type = "application/octet-stream"
    response.content_length = span.length
    await response.prepare(call.request)
    try:
        await _send_verified(call, response, stream, span, facts.digest)
        await response.write_eof()
    except (ConnectionError, TruncatedError, BrokenFileError, UnreadableError, asyncio.CancelledError) as error:
        cut(call.request)
        call.request[BROKEN] = "network" if isinstance(error, ConnectionError) else "damaged"
        if isinstance(error, asyncio.CancelledError):
            raise
        if isinstance(error, BrokenFileError):
            error = UnreadableError(facts.digest, error.cause)
        if isinstance(error, UnreadableError) and error.concerns_file:
            await call.worker.note_unread(facts.digest, error.reason)
        elif not isinstance(error, ConnectionError):
            _log.error("blob %s was not served to its end, and its connection was reset: %s", facts.digest, error)
    return response


def _piece(stream: BinaryIO, span: Span, digest: Digest) -> bytes:
    """A span in memory. Blocking. Raises UnreadableError."""
    try:
        return os.pread(stream.fileno(), span.length, span.start)
    except OSError as error:
        raise UnreadableError(digest, error) from None


async def _keep(call: Call, stream: BinaryIO, digest: Digest, body: bytes) -> None:
    """Have a small blob at hand for the next that asks: bytes that were hashed here, of a file that is known."""
    identity = await call.worker.in_thread(_identity_with, stream, digest, body)
    if identity is not None:
        call.worker.small.add(digest, call.services.blobs.path_of(digest), identity, body)


def _identity_with(stream: BinaryIO, digest: Digest, body: bytes) -> Identity | None:
    return identity_of(stream.fileno()) if Digest.of(body, digest.algorithm) == digest else None


def _verified(call: Call, stream: BinaryIO, digest: Digest) -> bool:
    """Whether the file is whole: known to be, or hashed now. Blocking. Raises UnreadableError."""
    verified = call.worker.verified
    if verified.knows(identity_of(stream.fileno()), digest):
        return True
    return verified.check(stream.fileno(), digest) is not Verdict.DAMAGED


async def _withdraw(call: Call, stream: BinaryIO, digest: Digest) -> None:
    """What was found damaged is shown no more, so that clients which ask before they push send it again."""
    try:
        await call.worker.withdraw(digest, os.fstat(stream.fileno()).st_ino)
    except LockgateError as error:
        _log.error("blob %s is damaged and could not be withdrawn: %s", digest, error)


async def _send_verified(
    call: Call, response: web.StreamResponse, stream: BinaryIO, span: Span, digest: Digest
) -> None:
    """Send a span; of a file that is not known to be whole, the last bytes only once it was hashed. Both at once: the
    second read comes from memory. Raises TruncatedError where it is not whole, or only the disk has it whole and the
    page cache had not: the connection is cut before the end, so that no client takes it for an answer. Raises
    UnreadableError, BrokenFileError."""
    fd, threads = stream.fileno(), call.worker.threads
    if call.worker.verified.knows(identity_of(fd), digest):
        await send_file(call.request, response, fd, span, threads)
        return
    checking = asyncio.ensure_future(call.worker.in_thread(call.worker.verified.check, fd, digest))
    try:
        held = min(_HELD_BACK, span.length)
        if span.length > held:
            await send_file(call.request, response, fd, Span(span.start, span.length - held), threads)
        verdict = await asyncio.shield(checking)
        if verdict is Verdict.DAMAGED:
            await _withdraw(call, stream, digest)
        if verdict is not Verdict.WHOLE:
            raise TruncatedError(f"its bytes are not its digest's ({verdict.name.lower()})")
        await send_file(call.request, response, fd, Span(span.start + span.length - held, held), threads)
    finally:
        await asyncio.wait({checking})  # the thread still reads the file that the caller is about to close
        if not checking.cancelled():
            checking.exception()  # the sending met the same error, and has said so
