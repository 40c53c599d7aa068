"""/v1/file: a file that was collected, or a Helm chart's archive, given back to whoever may pull it.

What is shown decides, as in the registry: a repository's link, and blocks. Whoever takes the bytes checks them.
"""

from __future__ import annotations

import asyncio
from typing import BinaryIO, Final

from aiohttp import web

from appliance.api.content import File
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, answer, caller, get, require
from appliance.control.request_fields import query_text
from appliance.outgoing.collect.names import MODE, TITLE
from appliance.outgoing.collected_file import collected_file
from bundles import limits
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.reference import Reference, moved_tag

_FROM: Final = "control socket"


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def describe(request: web.Request) -> web.Response:
        reference = await _asked(request)
        return answer(await asyncio.to_thread(_described, control, reference))

    async def content(request: web.Request) -> web.StreamResponse:
        reference = await _asked(request)
        digest, layer, _ = await asyncio.to_thread(_layer, control, reference)
        detail = {"from": _FROM, "reference": str(reference), "count": 1}
        thing = f"{reference.repository}@{digest}"
        file = await asyncio.to_thread(control.station.blobs.open_blob, layer.digest)
        with file:
            await control.record(AuditEvent(Act.PULL, caller(request), thing, "done", detail))
            return await _send(request, file, layer.size)

    return [get("/v1/file", "pull", describe), get("/v1/file/content", "pull", content)]


async def _asked(request: web.Request) -> Reference:
    """The reference that is asked for, by somebody who may pull it."""
    reference = Reference.parse(query_text(request, "ref"))
    await require(request, "pull", reference.repository)
    return reference


def _described(control: Control, reference: Reference) -> File:
    digest, layer, note = _layer(control, reference)
    return File(
        reference=str(reference), repository=reference.repository, digest=str(digest), note=note,
        name=layer.annotations.get(TITLE, ""), mode=layer.annotations.get(MODE, ""),
        content=str(layer.digest), size=layer.size,
    )  # fmt: skip


def _layer(control: Control, reference: Reference) -> tuple[Digest, Descriptor, str]:
    """The manifest's digest, the one layer of a file, and what is to be said of the tag. Blocking.

    Raises NotFoundError, UsageError for what is no file, RefusedError for what people have blocked.
    """
    metadata, note = control.station.metadata, ""
    if reference.tag is not None and reference.digest is not None:
        there = metadata.tagged_manifest(reference.repository, reference.tag)
        note = moved_tag(reference, None if there is None else there.digest)
    digest, layer = collected_file(control.station, reference, charts=True)
    return digest, layer, note


async def _send(request: web.Request, file: BinaryIO, size: int) -> web.StreamResponse:
    """The bytes as they stand on the disk, `size` of them at most: the caller checks length and digest."""
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)})
    await answer.prepare(request)
    left = size
    while left and (chunk := await asyncio.to_thread(file.read, min(left, limits.CHUNK))):
        left -= len(chunk)
        await answer.write(chunk)
    if not left:
        await answer.write_eof()
    elif request.transport is not None:
        request.transport.abort()  # cut off, and so known to be incomplete
    return answer
