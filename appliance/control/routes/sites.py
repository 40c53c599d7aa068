"""/v1/sites: the known destinations of bundles; /v1/destination: whether a build may name one."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from appliance import clock
from appliance.api.bundles import Destination, Site, SiteChange
from appliance.api.common import Page
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, delete, get, post
from appliance.control.request_fields import body_of, query_text
from appliance.outgoing.build_params import check_destination
from appliance.store.reads.bundles_out import unfinished
from appliance.store.reads.sites import known_sites, require_known
from appliance.store.writes.sites import ListSite, RemoveSite
from bundles.errors import NotFoundError, UsageError
from bundles.oci.reference import check_site


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    reader = control.station.reader

    async def listed(_: web.Request) -> web.Response:
        return answer(Page(tuple(Site(**asdict(site)) for site in known_sites(reader))))

    async def destination(request: web.Request) -> web.Response:
        site = query_text(request, "to")
        check_destination(site, control.station.config.site)
        require_known(reader, site, new=request.query.get("new") == "yes")
        left = unfinished(reader, f"{control.station.config.site}.{site}")
        return answer(Destination(site=site, unfinished=tuple(one.text() for one in left)))

    async def add(request: web.Request) -> web.Response:
        site = (await body_of(request)).text("site")
        await audited(control, request, Act.SITE_ADD, site, _check(site))
        actor = caller(request)
        write = ListSite(site=site, actor=actor, at=clock.now())
        new = await act(control, AuditEvent(Act.SITE_ADD, actor, site), write)
        return answer(SiteChange(site=site, new=new), status=201 if new else 200)

    async def remove(request: web.Request) -> web.Response:
        site, actor = request.match_info["site"], caller(request)
        await audited(control, request, Act.SITE_REMOVE, site, _require(site))
        write = RemoveSite(site=site, actor=actor, at=clock.now())
        await act(control, AuditEvent(Act.SITE_REMOVE, actor, site), write)
        return answer(SiteChange(site=site))

    async def _check(site: str) -> None:
        if check_site(site) == control.station.config.site:
            raise UsageError("this is the station's own site", thing=site, remedy="name the inside's site")

    async def _require(site: str) -> None:
        if site not in {one.site for one in known_sites(reader)}:
            raise NotFoundError("no such site is known", thing=site, remedy="see: lockgate site list")

    return [
        get("/v1/sites", "custody", listed),
        get("/v1/destination", "build", destination),
        post("/v1/sites", "build", add),
        delete("/v1/sites/{site}", "build", remove),
    ]
