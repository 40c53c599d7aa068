"""/v1/scan, /v1/components and /v1/advisories: vulnerabilities, where packages are, and the advisories behind it."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.advisories.seals import index_key
from appliance.api.common import Page
from appliance.api.scanning import AdvisorySource
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, caller, delete, get, require
from appliance.control.request_fields import malformed, query_text
from appliance.control.threads import on_own_station
from appliance.control.visibility import shows
from appliance.image_verdicts import Advisories
from appliance.limits import scanning as limits
from appliance.scanning.answers import find_component, find_vulnerability, scan_of, sources
from appliance.scanning.kept_damage import KeptDamage
from appliance.scanning.new_findings import new_findings
from appliance.scanning.packages import packages_of
from appliance.scanning.sealing import removal_of
from appliance.scanning.staged import DROPS
from appliance.station import Station
from bundles.errors import NotFoundError
from bundles.oci.reference import Reference


def _sources(own: Station) -> tuple[AdvisorySource, ...]:
    return sources(Advisories(own.reader, index_key(own.paths)))


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station, damage = control.station, KeptDamage(control.station.reader)

    async def scan(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        found = await asyncio.to_thread(on_own_station, station, lambda own: scan_of(own, reference))
        control.measures.scanned(found)
        return answer(found)

    async def find(request: web.Request) -> web.Response:
        text, shown, damaged = _name(request, "id"), shows(request), damage.as_of_now()
        found = await asyncio.to_thread(
            on_own_station, station, lambda own: find_vulnerability(own, text, shown, damaged)
        )
        return answer(found)

    async def new(request: web.Request) -> web.Response:
        shown = shows(request)
        return answer(await asyncio.to_thread(on_own_station, station, lambda own: new_findings(own, shown)))

    async def components(request: web.Request) -> web.Response:
        text, shown, damaged = _name(request, "name"), shows(request), damage.as_of_now()
        found = await asyncio.to_thread(on_own_station, station, lambda own: find_component(own, text, shown, damaged))
        return answer(found)

    async def packages(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        return answer(await asyncio.to_thread(on_own_station, station, lambda own: packages_of(own, reference)))

    async def listed(_: web.Request) -> web.Response:
        found = await asyncio.to_thread(on_own_station, station, _sources)
        return answer(Page(found))

    async def remove(request: web.Request) -> web.Response:
        source = request.match_info["source"]
        event = AuditEvent(Act.ADVISORIES_REMOVE, caller(request), source)
        write = await asyncio.to_thread(
            on_own_station, station, lambda own: removal_of(own.reader, index_key(own.paths), source)
        )
        if write is None:
            raise NotFoundError("no such source of advisories", thing=source, remedy="see: lockgate advisories list")
        await act(control, event, write)
        for drop in DROPS:
            while await control.writer.submit(drop):
                pass
        return web.json_response({"source": source})

    return [
        get("/v1/scan", "pull", scan),
        get("/v1/scan/find", "pull", find),
        get("/v1/scan/new", "pull", new),
        get("/v1/components", "pull", components),
        get("/v1/packages", "pull", packages),
        get("/v1/advisories", "status", listed),
        delete("/v1/advisories/{source}", "policy", remove),
    ]


def _name(request: web.Request, field: str) -> str:
    text = query_text(request, field)
    if len(text) > limits.PACKAGE_TEXT:
        raise malformed(field, f"it is longer than {limits.PACKAGE_TEXT} characters")
    return text
