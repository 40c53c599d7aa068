"""/v1/policy: the policy for images in force, held against an artifact, line by line."""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance import clock
from appliance.api.policy import PolicyException, PolicyLine, PolicySaid
from appliance.control.api import Control, answer, get, require
from appliance.control.request_fields import query_text
from appliance.control.threads import on_own_station
from appliance.gates.facts import Line
from appliance.image_signatures.applied import load_applied
from appliance.image_signatures.subjects import facts_of
from appliance.image_signatures.tested import SignatureLine, Tester
from appliance.settings.gates import PLACES
from appliance.settings.gates import PolicyException as Exempted
from appliance.station import Station
from bundles.image_signatures.pins import Pins
from bundles.oci.reference import Reference


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""

    async def said(request: web.Request) -> web.Response:
        reference = Reference.parse(query_text(request, "ref"))
        await require(request, "pull", reference.repository)
        return answer(await asyncio.to_thread(on_own_station, control.station, lambda own: _said(own, reference)))

    return [get("/v1/policy", "pull", said)]


def _said(station: Station, reference: Reference) -> PolicySaid:
    """Raises NotFoundError; RefusedError where the policy is not the one that was applied."""
    repository, now = reference.repository, clock.now()
    facts, applied = facts_of(station.metadata, reference), load_applied(station.paths)
    if applied is None:
        return PolicySaid(reference=str(reference), digest=str(facts.digest), repository=repository, policy=0)
    policy = applied.policy
    tester = Tester(station.blobs, station.metadata, station.reader, Pins.of(station.trust(), now))
    tested = tester.test(policy, repository, facts, tester.look(repository, facts))
    lines = (*map(_rule, tested.signatures), *map(_gate, tested.gates))
    stage = policy.stage_of(repository)
    refused = {place for one in lines if not one.met and one.mode == "enforce" for place in one.at}
    warned = {place for one in lines if not one.met and one.mode == "warn" for place in one.at} - refused
    return PolicySaid(
        reference=str(reference), digest=str(facts.digest), repository=repository, policy=policy.number,
        stage="" if stage is None else stage.name,
        refused_at=tuple(place for place in PLACES if place in refused),
        warned_at=tuple(place for place in PLACES if place in warned),
        lines=lines,
        exceptions=tuple(_exempted(one, now) for one in policy.exception if one.names(repository, [one.digest])),
    )  # fmt: skip


def _rule(line: SignatureLine) -> PolicyLine:
    """Signatures are asked for wherever content goes."""
    return PolicyLine(
        kind="rule", number=line.rule, mode=line.mode, at=PLACES, image=line.digest, platform=line.platform,
        met=line.why is None, why=line.why or "", asks=line.asks,
    )  # fmt: skip


def _gate(line: Line) -> PolicyLine:
    return PolicyLine(
        kind="gate", number=line.gate, asked=line.rule, mode=line.mode, at=tuple(line.at), image=line.digest,
        platform=line.platform, met=line.met, why=line.why, asks=line.asks, exceptions=tuple(line.exceptions),
        grace=line.grace,
    )  # fmt: skip


def _exempted(one: Exempted, now: str) -> PolicyException:
    return PolicyException(
        id=one.id, owner=one.owner, reason=one.reason, until=one.until, advisory=one.advisory, rule=one.rule,
        digest=one.digest, expired=one.is_over(now),
    )  # fmt: skip
