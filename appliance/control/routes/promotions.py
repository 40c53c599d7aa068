"""/v1/promotions and /v1/rollbacks: content moved between stages by people and robots, and a channel's history.

Neither is a client's write: `[registry] push` of config.toml does not open a stage, and does not shut it. A promotion
takes `pull` where the content is and `push` in the stage; a rollback takes `delete`, as whatever takes from a tag, and
so does a promotion with which a channel's history begins anew.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec
from aiohttp import web

from appliance.advisories.seals import index_key, is_sealed
from appliance.api.common import Page
from appliance.api.promotion import Channel, PromotedGate, Promotion, PromotionDone
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import cover, recording_async
from appliance.channel_seals import row_seal, sealed
from appliance.control.api import Control, answer, audited, caller, get, may, page, page_of, post, require
from appliance.control.request_fields import body_of, malformed, query_text
from appliance.control.threads import on_own_station
from appliance.control.waiting_turns import placing, turn
from appliance.image_signatures.applied import load_applied
from appliance.limits import intake as limits
from appliance.limits import registry as registry_limits
from appliance.promotion.channels import standing_channels
from appliance.promotion.prepare import Prepared, prepare, prepare_rollback
from appliance.promotion.summary import Summary, sign_summary, verdict_key
from appliance.settings.gates import in_stage
from appliance.station import Station
from appliance.store.reads.promotions import Promoted, channels, history
from appliance.store.writes.promotions import CHANGED, Promote
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.oci.reference import Reference, check_repository
from bundles.signing.keys import PrivateKey


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
        stage = next((one for one in stages if one.name == to), None)
        if stage is None:
            named = ", ".join(one.name for one in stages) or "the policy in force names none"
            raise UsageError("no such stage", thing=to[:80], remedy=f"stages: {named}; see: lockgate policy explain")
        return in_stage(stage, source.repository, stages)

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
        """As `_move`, measured."""
        began, result = time.monotonic(), "failed"
        try:
            done = await self._move(request, act, thing, look)
            result = "done"
        except (RefusedError, NotFoundError, UsageError):
            result = "refused"
            raise
        finally:
            self.control.measures.promoted(str(act), result, time.monotonic() - began)
        return done

    async def _move(
        self, request: web.Request, act: Act, thing: str, look: Callable[[Station], Prepared]
    ) -> web.Response:
        """Judge and move, again where something changed meanwhile. A refusal is an event."""
        for attempt in range(registry_limits.PROMOTION_TRIES):
            looking = asyncio.to_thread(on_own_station, self.control.station, look)
            prepared: Prepared = await audited(self.control, request, act, thing, looking)
            try:
                done = await self._make(request, act, prepared)
            except FailedError as error:
                if error.code != CHANGED or attempt + 1 == registry_limits.PROMOTION_TRIES:
                    raise
                continue
            return answer(done, status=201)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _make(self, request: web.Request, act: Act, prepared: Prepared) -> PromotionDone:
        """Sign the summary, record each link and the act, then make all of it in one transaction."""
        control, write = self.control, prepared.write
        key = await asyncio.to_thread(verdict_key, control.station.paths) if act is Act.PROMOTE else None
        async with placing(control.station.blobs):
            summary = None
            if key is not None:
                summary = await asyncio.to_thread(self._sign, key, prepared)
                write = msgspec.structs.replace(write, blobs=summary.blobs, manifests=(summary.manifest,))
            station_key = await asyncio.to_thread(index_key, control.station.paths)
            write = sealed(station_key, write, prepared.chain)
            async with turn(control.station.blobs, write):
                await asyncio.to_thread(self._require_same_policy, prepared)
                events = list(_events(act, write, prepared, summary, key))
                async with AsyncExitStack() as recorded:
                    for event in events:
                        await recorded.enter_async_context(recording_async(control.record, event))
                    before: str = await control.writer.submit(write)
        await asyncio.to_thread(cover, control.station.audit, events[-1])
        return _done(act, write, prepared, before, key)

    def _sign(self, key: PrivateKey, prepared: Prepared) -> Summary:
        station, write = self.control.station, prepared.write
        return sign_summary(
            station.blobs, key, station.config.site, prepared.facts, write.repository, prepared.applied, write.at
        )

    def _require_same_policy(self, prepared: Prepared) -> None:
        """Raises FailedError where another policy is in force than the one by which it was judged."""
        applied = load_applied(self.control.station.paths)
        if applied is None or applied.digest != prepared.applied.digest:
            raise FailedError(
                "another policy came into force while it was judged", thing=prepared.write.repository,
                remedy="promote it again", code=CHANGED,
            )  # fmt: skip


def _events(
    act: Act, write: Promote, prepared: Prepared, summary: Summary | None, key: PrivateKey | None
) -> Iterable[AuditEvent]:
    """An event for each link, as of a copy; for the summary, as of a signature; and the act itself, last."""
    tagged: dict[str, list[str]] = {write.digest: [write.tag]}
    for tag, digest in write.attached:
        tagged.setdefault(digest, []).append(tag)
    new = dict(write.links)
    for digest, kind in (*write.links, *((one, "manifest") for one in tagged if one not in new)):
        named = {"tags": " ".join(tagged[digest])} if digest in tagged else {}
        made = Act.MOUNT_BLOB if kind == "blob" else Act.COPY_MANIFEST
        yield AuditEvent(made, write.actor, f"{write.repository}@{digest}", "done", {"source": write.source, **named})
    if summary is not None and key is not None:
        detail = {"digest": str(summary.digest), "keyid": key.public.keyid}
        yield AuditEvent(Act.SIGNATURE_ATTACH, "station", f"{write.repository}@{write.digest}", "done", detail)
    said: dict[str, object] = {
        "digest": write.digest, "source": write.reference, "reason": write.reason, "policy": write.policy,
        "policy_digest": prepared.applied.digest, "exceptions": prepared.exceptions,
        "summary": write.summary, "before": write.stood, "at": write.at,
        **({"anew": True} if prepared.anew else {}),
    }  # fmt: skip
    yield AuditEvent(act, write.actor, f"{write.repository}:{write.tag}", "done", said)


def _done(act: Act, write: Promote, prepared: Prepared, before: str, key: PrivateKey | None) -> PromotionDone:
    gates = tuple(
        PromotedGate(gate=one.gate, rule=one.rule, image=one.digest, platform=one.platform, met=one.met, why=one.why,
                     exceptions=tuple(one.exceptions))
        for one in prepared.tested.gates
        if "promotion" in one.at
    )  # fmt: skip
    return PromotionDone(
        act=str(act), reference=f"{write.repository}:{write.tag}", digest=write.digest, before=before,
        source=write.reference, policy=write.policy, linked=len(write.links), left=tuple(prepared.left),
        summary=write.summary,
        keyid="" if key is None else key.public.keyid, fingerprint="" if key is None else key.public.fingerprint,
        gates=gates,
    )  # fmt: skip


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
