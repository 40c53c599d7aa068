"""end-4, end-5, end-6, end-11, end-13 and end-14: blobs pushed, in one request or many, mounted, or given up
(specification: Pushing blobs, Mounting a blob from another repository, Cancel a blob upload)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from appliance.audit.acts import Act
from appliance.limits import registry as limits
from appliance.registry import errors
from appliance.registry.blobs import is_held
from appliance.registry.call import Call, parse_digest
from appliance.registry.errors import RefusedRequestError, WireError
from appliance.registry.receiving import InterruptedBodyError, receive
from appliance.registry.verified_files import identity_of
from appliance.registry.watch import phase
from appliance.store.arriving import Tally
from appliance.store.uploads import BusyError, UploadSession
from appliance.store.writes.content import BlobRow
from appliance.store.writes.registry import LinkBlob, MountBlob
from bundles.errors import FailedError, MalformedError, NotFoundError
from bundles.limits import CHUNK
from bundles.oci.digest import ALGORITHMS, Digest
from bundles.oci.reference import check_repository

_CONTENT_RANGE: Final = re.compile(r"(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})\Z")
_BUSY_POLL: Final = 0.05


async def start_upload(call: Call) -> web.StreamResponse | WireError:
    """POST: 202 with a session; with `digest` and a body 201 at once; with `mount` 201 where that succeeds.

    A mount that is not possible becomes a session, as the specification asks.
    """
    await call.require_write("push")
    query = call.request.query
    if "mount" in query:
        mounted = await _mount(call, parse_digest(query["mount"]))
        if mounted is not None:
            return mounted
    digest = parse_digest(query["digest"]) if "digest" in query else None
    algorithm = digest.algorithm if digest else query.get("digest-algorithm", "sha256")
    if algorithm not in ALGORITHMS:
        return errors.digest_invalid(MalformedError("unsupported digest algorithm", thing=algorithm))
    session = await call.worker.in_thread(call.services.uploads.start, call.name, algorithm)
    if digest is None:
        session.close()
        return _progress(call, session, 202)
    try:
        return await _finish(call, session, digest)
    finally:
        await call.worker.in_thread(session.cancel)


async def upload_status(call: Call) -> web.StreamResponse:
    """GET: 204 with how far the upload is."""
    call.require("push")
    async with _held(call) as session:
        return _progress(call, session, 204)


async def patch_upload(call: Call) -> web.StreamResponse | WireError:
    """PATCH: 202. A chunk (with Content-Range) must begin where the upload stands, else 416; a stream (without)
    is appended. What arrived before a connection broke stays, and the client goes on from there."""
    call.require("push")
    async with _held(call) as session:
        refusal = await _append(call, session)
        return refusal or _progress(call, session, 202)


async def put_upload(call: Call) -> web.StreamResponse | WireError:
    """PUT with `digest`: the last bytes, if any, and the end: 201. 400 DIGEST_INVALID for other content."""
    await call.require_write("push")
    if "digest" not in call.request.query:
        return errors.digest_invalid(MalformedError("the digest parameter is missing"))
    digest = parse_digest(call.request.query["digest"])
    async with _held(call) as session:
        return await _finish(call, session, digest)


async def cancel_upload(call: Call) -> web.StreamResponse:
    """DELETE: 204, and the bytes are gone."""
    call.require("push")
    async with _held(call) as session:
        await call.worker.in_thread(session.cancel)
        return web.Response(status=204)


async def _mount(call: Call, digest: Digest) -> web.StreamResponse | None:
    """The answer to a mount, or None where the blob is not shown in a repository the caller may read."""
    metadata = call.services.metadata
    if "from" in call.request.query:
        try:
            sources = [check_repository(call.request.query["from"])]
        except MalformedError:
            raise RefusedRequestError(errors.name_invalid(call.request.query["from"])) from None
    else:
        sources = metadata.shown_anywhere(digest, limit=limits.MOUNT_SOURCES)
    for source in sources:
        facts = await call.worker.linked_blob(source, digest) if call.may("pull", source) else None
        if facts is None or not await is_held(call, facts):
            continue
        objection = await call.held_back(source, digest, "blob")
        if objection is not None and objection.enforced:
            continue
        call.refuse_blocked(digest)  # who may not see the blob learns nothing of a block either
        await call.worker.in_thread(call.services.blobs.require_room)
        write = MountBlob(
            repository=call.name, source=source, digest=str(digest), at=call.services.now(),
            keeps_released=call.keeps_released,
        )  # fmt: skip
        if await call.write(write, Act.MOUNT_BLOB, f"{call.name}@{digest}", source=source):
            return _created(call, digest)
    return None


@asynccontextmanager
async def _held(call: Call) -> AsyncIterator[UploadSession]:
    """The session the path names, held for this request. Raises RefusedRequestError with 404 or 409."""
    upload_id = call.target.reference
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.UPLOAD_BUSY
    while True:
        try:
            session = await call.worker.in_thread(call.services.uploads.resume, call.name, upload_id)
            break
        except NotFoundError:
            raise RefusedRequestError(errors.upload_unknown(upload_id)) from None
        except BusyError:
            if loop.time() > deadline:
                raise RefusedRequestError(errors.upload_busy(upload_id)) from None
            await asyncio.sleep(_BUSY_POLL)
    try:
        yield session
    finally:
        session.close()


async def _append(call: Call, session: UploadSession) -> WireError | None:
    """The request's body, appended; None, or why not (and then the upload stands where it stood)."""
    before = session.offset
    header = call.request.headers.get("Content-Range")
    length = None
    if header is not None:
        found = _CONTENT_RANGE.match(header.strip())
        if found is None or int(found["last"]) < int(found["first"]):
            return errors.upload_invalid("malformed Content-Range", header)
        length = int(found["last"]) - int(found["first"]) + 1
        if int(found["first"]) != before:
            return errors.out_of_order(before, int(found["first"])).with_headers(**_where(call, session))
        if call.request.content_length not in (None, length):
            return errors.size_invalid("Content-Length is not the length of Content-Range")
    announced = call.request.content_length or length or 0
    if announced > CHUNK:  # what is smaller is asked for as it is written
        await call.worker.in_thread(call.services.blobs.require_room, announced)
    try:
        await receive(call.request, session.append, call.worker.threads)
    except InterruptedBodyError:
        return errors.upload_invalid("the body broke off").with_headers(**_where(call, session))
    if length is not None and session.offset - before != length:
        await call.worker.in_thread(session.revert, before)
        return errors.size_invalid("the body is not as long as its Content-Range")
    return None


async def _finish(call: Call, session: UploadSession, digest: Digest) -> web.StreamResponse | WireError:
    """The last bytes of an upload, its digest checked, its link made."""
    refusal = await _append(call, session)
    if refusal is not None:
        return refusal
    try:
        with phase(call.request, "store"):
            await call.worker.in_thread(session.check, digest)
    except MalformedError as error:
        return errors.digest_invalid(error)
    call.refuse_blocked(digest)
    async with call.placing():
        with phase(call.request, "store"):
            tally = await call.worker.in_thread(_commit, call, session, digest)
        blob = BlobRow(digest=str(digest), size=tally.size, crc32=tally.crc32)
        link = LinkBlob(repository=call.name, blob=blob, at=call.services.now(), keeps_released=call.keeps_released)
        await call.write(link, Act.PUSH_BLOB, f"{call.name}@{digest}", size=str(tally.size))
    return _created(call, digest)


def _commit(call: Call, session: UploadSession, digest: Digest) -> Tally:
    """Make it a blob that this worker knows to be whole. Blocking."""
    tally = session.commit(digest)
    if call.services.blobs.is_remote:
        return tally  # it was read back, and each pull compares it anew
    with contextlib.suppress(NotFoundError, FailedError), call.services.blobs.open_blob(digest) as file:
        call.worker.verified.add(identity_of(file.fileno()), digest)
    return tally


def _where(call: Call, session: UploadSession) -> dict[str, str]:
    """How far an upload is. A range cannot be empty, so one without bytes says `0-0`, as registries do."""
    return {
        "Location": f"/v2/{call.name}/blobs/uploads/{session.upload_id}",
        "Range": f"0-{max(session.offset - 1, 0)}",
        "Docker-Upload-UUID": session.upload_id,
    }


def _progress(call: Call, session: UploadSession, status: int) -> web.Response:
    headers = _where(call, session)
    if status == 202 and call.services.settings.chunk_minimum:
        headers["OCI-Chunk-Min-Length"] = str(call.services.settings.chunk_minimum)
    return web.Response(status=status, headers=headers)


def _created(call: Call, digest: Digest) -> web.Response:
    headers = {"Location": f"/v2/{call.name}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
    return web.Response(status=201, headers=headers)
