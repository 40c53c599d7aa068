"""/v1/promotions and /v1/rollbacks: content moved between stages by people and robots, and a channel's history.

Neither is a client's write: `[registry] push` of config.toml does not open a stage, and does not shut it. A promotion
takes `pull` where the content is and `push` in the stage; a rollback takes `delete`, as whatever takes from a tag, and
so does a promotion with which a channel's history begins anew.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from appliance.advisories.seals import index_key, is_sealed
from appliance.api.common import Page
from appliance.api.promotion import Channel, Promotion
from appliance.audit.acts import Act
from appliance.channel_seals import row_seal
from appliance.control.api import Control, answer, audited, caller, get, may, page, page_of, post, require
from appliance.control.promoting import promote
from appliance.control.request_fields import body_of, malformed, query_text
from appliance.control.threads import on_own_station
from appliance.image_signatures.applied import load_applied
from appliance.limits import intake as limits
from appliance.promotion.channels import standing_channels
from appliance.promotion.prepare import Prepared, prepare, prepare_rollback
from appliance.settings.gates import find_stage, in_stage
from appliance.station import Station
from appliance.store.reads.promotions import Promoted, channels, history
from bundles.errors import UsageError
from bundles.oci.reference import Reference, check_repository


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    moving = _Moving(control)

    async def listed(request: web.Request) -> web.Response:
        channel, tag = _channel(query_text(request, "channel"))
        limit, after, _ = page_of(request)
        if after and not after.isdigit():
            raise malformed("after", "it is the `next` of a page before")
        rows = await asyncio.to_thread(
            on_own_station, control.station, lambda own: history(own.reader, channel, tag, limit, int(after or 0))
        )
        key = await asyncio.to_thread(index_key, control.station.paths)
        shown = [_told(key, row, behind) for row, behind in rows if may(request, "pull", row.repository)]
        return answer(Page(tuple(shown), str(rows[-1][0].number) if len(rows) == limit else None))

    async def standing(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        prefix = query_text(request, "under") if "under" in request.query else ""
        if prefix:
            check_repository(prefix.rstrip("/"))

        def look(own: Station) -> list[Channel]:
            names = channels(own.reader, prefix, after)
            seen = itertools.islice((one for one in names if may(request, "pull", one[0])), limit)
            return standing_channels(own, list(seen))

        found = await asyncio.to_thread(on_own_station, control.station, look)
        return page(found, limit, lambda entry: str(entry.reference))

    return [
        get("/v1/channels", "pull", standing),
        post("/v1/promotions", "pull", moving.promote),
        post("/v1/rollbacks", "pull", moving.roll_back),
        get("/v1/promotions", "pull", listed),
    ]


@dataclass(frozen=True, slots=True)
class _Moving:
    control: Control

    async def promote(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        source, to = Reference.parse(body.text("source")), body.text("to")
        tag, reason, anew = body.text("tag", ""), _reason(body.text("reason", "")), body.flag("anew")
        thing = f"{source} to {to}"[: limits.REASON]
        await require(request, "pull", source.repository)
        target = await audited(self.control, request, Act.PROMOTE, thing, self._target(source, to))
        await require(request, "push", target)
        if anew:
            await require(request, "delete", target)
        return await self._do(
            request, Act.PROMOTE, thing, lambda own: prepare(own, source, to, tag, caller(request), reason, anew)
        )

    async def _target(self, source: Reference, to: str) -> str:
        """The channel, for who may push there; what else is wrong is said by `prepare`. Raises UsageError."""
        applied = await asyncio.to_thread(load_applied, self.control.station.paths)
        stages = [] if applied is None else applied.policy.stage
        return in_stage(find_stage(to, stages), source.repository, stages)

    async def roll_back(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        repository, tag = _channel(body.text("channel"))
        reason = _reason(body.text("reason", ""))
        await require(request, "delete", repository)
        thing = f"{repository}:{tag}" if tag else repository
        return await self._do(
            request, Act.ROLLBACK, thing, lambda own: prepare_rollback(own, repository, tag, caller(request), reason)
        )

    async def _do(
        self, request: web.Request, act: Act, thing: str, look: Callable[[Station], Prepared]
    ) -> web.Response:
        """A refusal is an event."""

        async def judged() -> Prepared:
            looking = asyncio.to_thread(on_own_station, self.control.station, look)
            prepared: Prepared = await audited(self.control, request, act, thing, looking)
            return prepared

        return answer(await promote(self.control, act, judged), status=201)


def _told(key: bytes, row: Promoted, behind: str) -> Promotion:
    good = is_sealed(row.seal, row_seal(key, row, "" if row.place == 1 else behind))
    seal = "good" if good else "none" if not row.place and not row.seal else "damaged"
    return Promotion(
        number=row.number, act=row.act, reference=f"{row.repository}:{row.tag}", digest=row.digest, before=row.before,
        source=row.source, actor=row.actor, reason=row.reason, policy=row.policy, summary=row.summary, at=row.at,
        seal=seal,
    )  # fmt: skip


def _channel(text: str) -> tuple[str, str]:
    """The repository and tag of REPO or REPO:TAG. Raises UsageError, MalformedError."""
    if "@" in text:
        raise UsageError("a channel is a tag, and no digest", thing=text[:280], remedy="write REPO or REPO:TAG")
    if ":" in text:
        found = Reference.parse(text)
        return found.repository, found.tag or ""
    return check_repository(text), ""


def _reason(text: str) -> str:
    """Raises UsageError for one that is too long."""
    if len(text) > limits.REASON:
        raise malformed("reason", f"it has {limits.REASON} characters at most")
    return text.strip()
