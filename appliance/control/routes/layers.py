"""GET /v1/layer/files: what is in a layer of an image, as lines that come while it is read.

What is shown decides: the layer is one of a manifest that the repository links, and nobody has blocked either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import BinaryIO

import msgspec
from aiohttp import web

from appliance.api.content import LayerFiles
from appliance.archives.listing import listed
from appliance.control.api import Control, get, require
from appliance.control.request_fields import query_text
from appliance.limits import archives as limits
from bundles import limits as format_limits
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.io.display import safe
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    at_once = asyncio.Semaphore(limits.LISTINGS)

    async def files(request: web.Request) -> web.StreamResponse:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        digest, wanted = Digest.parse(query_text(request, "layer")), request.query.get("filter", "")
        layer = await asyncio.to_thread(_layer, control, reference, digest)
        file = await asyncio.to_thread(control.station.blobs.open_blob, layer.digest)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        lines = listed(file, layer.size, wanted)
        try:
            async with at_once:
                await response.prepare(request)
                while (line := await asyncio.to_thread(next, lines, None)) is not None:
                    control.callers.still_here(request)
                    await response.write(msgspec.json.encode(line) + b"\n")
            await response.write_eof()
        except ConnectionResetError:
            pass  # who looked has gone: no error of the station's
        finally:
            await asyncio.to_thread(_close, lines, file)
        return response

    return [get("/v1/layer/files", "pull", files)]


def _close(lines: Generator[LayerFiles], file: BinaryIO) -> None:
    """Both: a generator that was never begun has not taken the file over."""
    lines.close()
    file.close()


def _layer(control: Control, reference: Reference, digest: Digest) -> Descriptor:
    """The layer of a manifest that the repository shows. Blocking. Raises NotFoundError, RefusedError, FailedError."""
    metadata = control.station.metadata
    facts = (
        metadata.linked_manifest(reference.repository, reference.digest)
        if reference.digest is not None
        else metadata.tagged_manifest(reference.repository, reference.tag or "")
    )
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    for one in (facts.digest, digest):
        if (why := metadata.blocked(one)) is not None:
            what = f"the content is blocked ({safe(why)[:120]})"
            raise RefusedError(what, thing=str(one), remedy="see: lockgate block list")
    with control.station.blobs.open_blob(facts.digest) as file:
        raw = file.read(format_limits.OCI_MANIFEST + 1)
    if Digest.of(raw, facts.digest.algorithm) != facts.digest:
        raise FailedError("a manifest is damaged on disk", thing=str(facts.digest), remedy="run: lockgate scrub")
    found = next((one for one in parse_manifest(raw, facts.media_type).layers if one.digest == digest), None)
    if found is None or metadata.linked_blob(reference.repository, digest) is None:
        raise NotFoundError("no such layer of this artifact", thing=str(digest), remedy="open the artifact anew")
    return found
