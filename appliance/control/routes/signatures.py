"""/v1/signatures: who signed an image, by the keys and roots that are pinned here."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance import clock
from appliance.api.signatures import ImageSignature, Signatures, SignedImage
from appliance.control.api import Control, answer, get, require
from appliance.control.request_fields import query_text
from appliance.control.threads import on_own_station
from appliance.image_signatures.search import Search
from appliance.image_signatures.states import Found, worst
from appliance.station import Station
from bundles.errors import NotFoundError
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Verdict
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def signatures(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        return answer(await asyncio.to_thread(on_own_station, control.station, lambda own: _look(own, reference)))

    return [get("/v1/signatures", "pull", signatures)]


def _look(station: Station, reference: Reference) -> Signatures:
    metadata = station.metadata
    if reference.digest is not None:
        facts = metadata.linked_manifest(reference.repository, reference.digest)
    else:
        facts = metadata.tagged_manifest(reference.repository, reference.tag or "")
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    pins = Pins.of(station.trust(), clock.now())
    found = Search(station.blobs, metadata, reference.repository, pins).all_of(facts)
    return Signatures(
        reference=str(reference),
        digest=str(facts.digest),
        state=worst(found),
        images=tuple(map(_image, found)),
    )


def _image(found: Found) -> SignedImage:
    return SignedImage(
        digest=str(found.digest),
        kind=found.kind,
        platform=found.platform,
        state=found.state,
        signed_by=tuple(found.signed_by),
        through="" if found.through is None else str(found.through),
        signatures=tuple(map(_signature, found.verdicts)),
    )


def _signature(verdict: Verdict) -> ImageSignature:
    return ImageSignature(
        format=verdict.format.value,
        claim=verdict.claim.value,
        carrier=str(verdict.carrier),
        tag=verdict.tag,
        verified=verdict.verified,
        owner=verdict.owner,
        keyid=verdict.keyid,
        fingerprint=verdict.fingerprint,
        identity=verdict.identity,
        predicate_type=verdict.predicate_type,
        predicate=verdict.predicate,
        signed_at=verdict.signed_at,
        annotations=dict(verdict.annotations),
        refusal="" if verdict.refusal is None else verdict.refusal.value,
        reason=verdict.reason,
    )
