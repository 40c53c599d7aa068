"""/v1/probe: pulls the canary through every door of the registry, and tells how the last pull went."""

from __future__ import annotations

from aiohttp import web

from appliance.api.probe import ProbedDoor, ProbeResult
from appliance.control.api import Control, answer, get, post, require
from appliance.control.canary import Probed
from appliance.control.request_fields import body_of
from bundles.errors import NotFoundError
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def latest(_: web.Request) -> web.Response:
        if control.canary.latest is None:
            image, fault = control.station.config.probe.image, control.canary.fault
            return answer(ProbeResult(image=image, at="", doors=(), fault=fault))
        return answer(_result(control.canary.latest, control.canary.fault))

    async def probe(request: web.Request) -> web.Response:
        body = await body_of(request)
        image = body.text("image", "")
        reference = Reference.parse(image) if image else None
        if reference is not None:
            await require(request, "pull", reference.repository)
            _require_here(control, reference)
        return answer(_result(await control.canary.probe(reference)))

    return [get("/v1/probe", "status", latest), post("/v1/probe", "operate", probe)]


def _require_here(control: Control, reference: Reference) -> None:
    """Raises NotFoundError: of what is not here every door would say so."""
    metadata = control.station.metadata
    if reference.digest is not None:
        found = metadata.linked_manifest(reference.repository, reference.digest)
    else:
        found = metadata.tagged_manifest(reference.repository, reference.tag or "")
    if found is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")


def _result(found: Probed, fault: str = "") -> ProbeResult:
    doors = tuple(
        ProbedDoor(door=one.door, reason=one.reason, detail=one.detail, seconds=round(one.seconds, 4), bytes=one.bytes)
        for one in found.doors
    )
    return ProbeResult(image=found.image, at=found.at, doors=doors, fault=fault)
