"""/v1/retirements: what is retired, from when on, and what takes its place.

Retiring takes `delete` on the repository, as whatever takes from it: from the time on nobody promotes it, and a
collection may take its tags.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance import clock
from appliance.api.retirement import Unretired
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.control.api import Control, act, answer, audited, caller, get, may, page, page_of, post, require
from appliance.control.request_fields import body_of, malformed
from appliance.control.retired import told
from appliance.control.threads import on_own_station
from appliance.limits import intake as limits
from appliance.station import Station
from appliance.store.reads.retirements import Retirement, retired, retirements
from appliance.store.writes.retirements import Retire, Unretire
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.oci.reference import Reference, check_repository


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station = control.station

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        rows = await asyncio.to_thread(on_own_station, station, lambda own: retirements(own.reader, after))
        shown = [told(row) for row in rows if may(request, "pull", row.repository)]
        return page(shown[:limit], limit, lambda entry: str(entry.reference))

    async def retire(request: web.Request) -> web.Response:
        body = await body_of(request)
        named, successor = parse(body.text("reference")), parse(body.text("successor"))
        after, reason = body.text("after"), body.text("reason", "").strip()
        if len(reason) > limits.REASON:
            raise malformed("reason", f"it has {limits.REASON} characters at most")
        try:
            after = clock.at(clock.seconds(after))
        except ValueError:
            raise malformed("after", "it is a time, as 2027-01-31T00:00:00Z") from None
        await require(request, "delete", named[0])
        await require(request, "pull", successor[0])
        looking = asyncio.to_thread(on_own_station, station, lambda own: _checked(own, named, successor))
        digest = await audited(control, request, Act.RETIRE, _text(named), looking)
        at = clock.now()
        write = Retire(
            reference=_text(named), repository=named[0], tag=named[1], digest=digest, successor=_text(successor),
            after=after, reason=reason, actor=caller(request), at=at,
        )  # fmt: skip
        said = {
            "repository": write.repository, "tag": write.tag, "digest": digest, "successor": write.successor,
            "after": after, "reason": reason, "at": at,
        }  # fmt: skip
        await act(control, AuditEvent(Act.RETIRE, write.actor, write.reference, "done", said), write)
        row = Retirement(
            write.reference, write.repository, write.tag, digest, write.successor, after, reason, write.actor, at
        )
        return answer(told(row), status=201)

    async def undo(request: web.Request) -> web.Response:
        named = parse((await body_of(request)).text("reference"))
        await require(request, "delete", named[0])
        reference = _text(named)
        standing = await asyncio.to_thread(on_own_station, station, lambda own: retirements(own.reader))
        if not any(row.reference == reference for row in standing):
            raise NotFoundError("it is not retired", thing=reference, remedy="see: lockgate repo retired")
        await act(control, AuditEvent(Act.UNRETIRE, caller(request), reference), Unretire(reference=reference))
        return answer(Unretired(reference=reference))

    return [
        get("/v1/retirements", "pull", listed),
        post("/v1/retirements", "pull", retire),
        post("/v1/retirements/undo", "pull", undo),
    ]


Named = tuple[str, str, str]
"""A repository, a tag and a digest, each "" where it is not named."""


def parse(text: str) -> Named:
    """REPO, REPO:TAG or REPO@DIGEST. Raises MalformedError, UsageError."""
    if ":" not in text:
        return check_repository(text), "", ""
    found = Reference.parse(text)
    if found.tag is not None and found.digest is not None:
        raise UsageError(
            "a tag or a digest is retired, not both", thing=text[:280], remedy="write REPO:TAG or REPO@DIGEST"
        )
    return found.repository, found.tag or "", str(found.digest or "")


def _text(named: Named) -> str:
    repository, tag, digest = named
    return f"{repository}:{tag}" if tag else f"{repository}@{digest}" if digest else repository


def _checked(station: Station, named: Named, successor: Named) -> str:
    """The digest that is retired, "" for a repository. Blocking. Raises NotFoundError for what is not shown,
    UsageError where something is its own successor, RefusedError for a successor that is retired itself."""
    digest, next_ = _digest(station, named), _digest(station, successor)
    if _text(named) == _text(successor) or (digest and digest == next_) or (not digest and named[0] == successor[0]):
        raise UsageError(
            "nothing is its own successor", thing=_text(successor), remedy="name what is to be used in its place"
        )
    gone = retired(station.reader, [successor[0]], [next_])
    if gone:
        raise RefusedError(
            "the successor is retired itself", thing=gone[0].reference, remedy=f"name {gone[0].successor}"
        )
    return digest


def _digest(station: Station, named: Named) -> str:
    repository, tag, digest = named
    if not tag and not digest:
        if not station.metadata.repository_exists(repository):
            raise NotFoundError("no such repository", thing=repository, remedy="see: lockgate repo list")
        return ""
    reference = Reference.parse(_text(named))
    facts = (
        station.metadata.tagged_manifest(repository, tag)
        if reference.digest is None
        else station.metadata.linked_manifest(repository, reference.digest)
    )
    if facts is None:
        raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
    return str(facts.digest)
