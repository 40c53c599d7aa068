"""POST /v1/plans: what a build would carry and where it would go, before anything is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from appliance.control.api import Control
from appliance.outgoing.build import check_medium
from appliance.outgoing.closure import closure_of
from appliance.outgoing.sbom import has_sbom
from appliance.outgoing.shown import StationShown
from appliance.station import open_station
from bundles import build as building
from bundles.media import capacity
from bundles.oci.reference import Reference, check_site


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def plan(request: web.Request) -> web.Response:
        body = await request.json()
        check_site(str(body["to"]))
        references = [Reference.parse(str(text)) for text in body["references"]]
        media = [Path(entry["path"]) for entry in body.get("media") or []]
        volume = capacity(str(body.get("volume") or "fat32"))
        return web.json_response(await asyncio.to_thread(_plan, control, references, media, volume))

    return [web.post("/v1/plans", plan)]


def _plan(control: Control, references: list[Reference], media: list[Path], volume: int) -> dict[str, Any]:
    """The plan document, from connections of this thread's own."""
    station = open_station(control.station.paths.root, control.station.writer)
    try:
        closure = closure_of(references, StationShown(station.blobs, station.metadata))
        free: list[int | None] = [check_medium(path) for path in media]
        packing = building.plan_volumes(closure.content, volume, free or [None])
        volumes = [
            {"index": index, "medium": medium, "size": sum(piece.length for piece in pieces), "blobs": len(pieces)}
            for index, (pieces, medium) in enumerate(zip(packing.volumes, packing.media, strict=True), 1)
        ]
        missing = sum(not has_sbom(station, repository, digest) for repository, digest in closure.images)
        return {
            "artifacts": [
                {"repository": entry.repository, "tags": entry.tags, "digest": entry.digest, "kind": entry.kind}
                for entry in closure.content.artifacts
            ],
            "blobs": len(closure.content.blobs),
            "bytes": closure.content.size,
            "volume": volume,
            "volumes": volumes,
            "media": [{"path": str(path), "free": bytes_} for path, bytes_ in zip(media, free, strict=True)],
            "requires": 0,
            "sboms_to_make": missing,
        }
    finally:
        station.metadata.close()
        station.reader.close()
