"""POST /v1/plans: what a build would carry and where it would go, before anything is written."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from msgspec.structs import replace

from appliance.api.bundles import ChosenReference, Plan, PlannedArtifact, PlannedMedium, PlannedVolume
from appliance.artifact_choice import Chosen, Wish, choose
from appliance.control.api import Control, answer, post
from appliance.control.handed_paths import take
from appliance.control.request_fields import body_of
from appliance.control.threads import on_own_station
from appliance.control.visibility import require_all, shows
from appliance.handles.granted import Granted
from appliance.handles.params import take_document
from appliance.handles.path_params import PLAN_PATHS
from appliance.jobs.handed import Handed
from appliance.outgoing.build_params import BuildParams, MediumParams, PlanParams, Wanted, convert
from appliance.outgoing.closure import closure_of
from appliance.outgoing.closure_source import StationContent
from appliance.outgoing.delta_base import LAST, NONE, base_of
from appliance.outgoing.last_sent import carried_tags, nothing_changed
from appliance.outgoing.media import Medium, check_volume_size, folders_named, look_at_all, room_on
from appliance.outgoing.named_errors import naming
from appliance.outgoing.plan import check_space, make_plan
from appliance.station import Station, open_station
from appliance.store.reads.bundles_out import unfinished
from appliance.store.reads.sites import require_known
from bundles.documents.statement import StatementFiles
from bundles.format.media import capacity, disc_of
from bundles.oci.reference import Reference

_NOTHING: Final = Plan(
    artifacts=(), blobs=0, bytes=0, volume=0, volumes=(), space=dict.fromkeys(("outside", "media", "inside"), 0)
)
"""The plan of a build that has nothing to carry."""


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def plan(request: web.Request) -> web.Response:
        body = await body_of(request)
        told = take_document(body, "since", (NONE, LAST))
        plain, handed = take(request, control.handles, PLAN_PATHS, body)
        try:
            params = convert(plain, PlanParams)
            await require_all(request, params.references)
            chosen = await chosen_for(control, request, params)
            return answer(await asyncio.to_thread(_plan, control, params, told, handed, chosen))
        finally:
            handed.close()

    return [post("/v1/plans", "build", plan)]


async def chosen_for(control: Control, request: web.Request, params: BuildParams | PlanParams) -> list[Chosen] | None:
    """What the patterns of a build or plan stand for, of what the caller may pull; None where each reference is exact.

    Raises UsageError.
    """
    wanted = Wanted.read(params, control.station.config.site)
    if not wanted.changed and all(Wish.parse(text).exact is not None for text in wanted.references):
        return None

    def work() -> list[Chosen]:
        def chosen(own: Station) -> list[Chosen]:
            carried = carried_tags(own.reader, own.paths, wanted.stream) if wanted.changed else None
            return choose(wanted.references, own.metadata, shows(request), carried)

        return on_own_station(control.station, chosen)

    return await asyncio.to_thread(work)


def _plan(
    control: Control,
    params: PlanParams,
    told: StatementFiles | None,
    handed: Handed,
    chosen: list[Chosen] | None,
) -> Plan:
    """The plan document, from connections of this thread's own."""
    wanted = Wanted.read(params, control.station.config.site)
    station = open_station(control.station.paths.root, control.station.writer, control.station.config)
    granted = Granted(station.paths, station.config.media_roots, handed.grants, handed.by_root())
    try:
        require_known(station.reader, wanted.site, new=params.new_site)
        folders = [granted.path(medium.path) for medium in params.media if not medium.capacity]
        media = look_at_all(folders, station.config.media_roots)
        found = [Chosen(text) for text in wanted.references] if chosen is None else chosen
        with naming(station, [Reference.parse(one.reference) for one in found]):
            return _document(station, wanted, params.media, media, told, found)
    finally:
        granted.close()
        station.metadata.close()
        station.reader.close()


def _document(
    station: Station,
    wanted: Wanted,
    media: list[MediumParams],
    there: list[Medium],
    told: StatementFiles | None,
    chosen: list[Chosen],
) -> Plan:
    """`there`: those of the media that are folders, looked at."""
    room = _room(media, there, wanted.disc)
    base = base_of(station, wanted.stream, wanted.since, told)
    left = tuple(one.text() for one in unfinished(station.reader, wanted.stream))
    if not chosen:
        nothing = nothing_changed(station.reader, wanted)
        return replace(_NOTHING, nothing=nothing, volume=wanted.volume, unfinished=left)
    references = [Reference.parse(one.reference) for one in chosen]
    closure = closure_of(references, StationContent(station.blobs, station.metadata))
    with folders_named([medium.path or str(medium.capacity) for medium in media]):
        plan = make_plan(closure, wanted.volume, room, base)
    check_space(station, plan)
    sizes, space = plan.packing.sizes, plan.space()
    check_volume_size(there, max(sizes))
    disks = {str(medium.path): medium.disk for medium in there}
    packed = zip(plan.packing.volumes, plan.packing.media, sizes, strict=True)
    content = plan.content
    return Plan(
        artifacts=tuple(
            PlannedArtifact(repository=one.repository, tags=tuple(one.tags), digest=one.digest, kind=one.kind)
            for one in content.artifacts
        ),
        chosen=tuple(ChosenReference(reference=one.reference, before=one.before) for one in chosen),
        blobs=len(content.blobs),
        bytes=content.size,
        volume=wanted.volume,
        volumes=tuple(
            PlannedVolume(index=index, medium=medium, size=size, blobs=len(pieces))
            for index, (pieces, medium, size) in enumerate(packed, 1)
        ),
        media=tuple(
            PlannedMedium(
                path=medium.path,
                size=_taken(plan.packing.media, sizes, number),
                free=free,
                disk=disks.get(medium.path, ""),
            )
            for number, (medium, free) in enumerate(zip(media, room, strict=True), 1)
        ),
        requires=len(content.requires),
        required_bytes=sum(required.size for required in content.requires),
        base=base.origin,
        space={"outside": space.outside, "media": space.media, "inside": space.inside},
        sboms_to_make=len(plan.undescribed),
        not_carried=tuple(plan.not_carried()),
        notes=tuple(plan.said()),
        unfinished=left,
    )


def _room(media: list[MediumParams], there: list[Medium], disc: int | None) -> list[int]:
    """What each medium takes, in bytes: a folder what is free on it (a disc's at most, where it is to become one), one
    that is not there yet its capacity."""
    room = iter(room_on(there, disc))
    return [_capacity(str(medium.capacity)) if medium.capacity else next(room) for medium in media]


def _capacity(text: str) -> int:
    """A medium's bytes by a profile or a size."""
    return disc_of(text) or capacity(text)


def _taken(media: tuple[int, ...], sizes: tuple[int, ...], number: int) -> int:
    return sum(size for medium, size in zip(media, sizes, strict=True) if medium == number)
