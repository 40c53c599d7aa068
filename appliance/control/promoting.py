"""A promotion or a rollback that was judged is made: the station's summary, an event for each link, one transaction.
Asked for by a person or a robot (appliance.control.routes.promotions), or by a rule of the policy
(appliance.control.promotion_rules)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

import msgspec

from appliance.advisories.seals import index_key
from appliance.api.promotion import PromotedGate, PromotionDone
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import cover, recording_async
from appliance.channel_seals import sealed
from appliance.control.api import Control
from appliance.control.waiting_turns import placing, turn
from appliance.image_signatures.applied import load_applied
from appliance.limits import registry as limits
from appliance.promotion.prepare import Prepared
from appliance.promotion.summary import Summary, sign_summary, verdict_key
from appliance.store.writes.promotions import CHANGED, Promote
from bundles.errors import FailedError, NotFoundError, RefusedError, UsageError
from bundles.signing.keys import PrivateKey


async def promote(control: Control, act: Act, judged: Callable[[], Awaitable[Prepared]]) -> PromotionDone:
    """Judge (`judged`, appliance.promotion.prepare) and move, again where something changed meanwhile. Measured.
    Raises what `judged` raises, FailedError."""
    began, result = time.monotonic(), "failed"
    try:
        done = await _moved(control, act, judged)
        result = "done"
    except (RefusedError, NotFoundError, UsageError):
        result = "refused"
        raise
    finally:
        control.measures.promoted(str(act), result, time.monotonic() - began)
    return done


async def _moved(control: Control, act: Act, judged: Callable[[], Awaitable[Prepared]]) -> PromotionDone:
    for attempt in range(limits.PROMOTION_TRIES):
        prepared = await judged()
        try:
            return await _make(control, act, prepared)
        except FailedError as error:
            if error.code != CHANGED or attempt + 1 == limits.PROMOTION_TRIES:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


async def _make(control: Control, act: Act, prepared: Prepared) -> PromotionDone:
    """Sign the summary, record each link and the act, then make all of it in one transaction."""
    write = prepared.write
    key = await asyncio.to_thread(verdict_key, control.station.paths) if act is Act.PROMOTE else None
    async with placing(control.station.blobs):
        summary = None
        if key is not None:
            summary = await asyncio.to_thread(_sign, control, key, prepared)
            write = msgspec.structs.replace(write, blobs=summary.blobs, manifests=(summary.manifest,))
        station_key = await asyncio.to_thread(index_key, control.station.paths)
        write = sealed(station_key, write, prepared.chain)
        async with turn(control.station.blobs, write):
            await asyncio.to_thread(_require_same_policy, control, prepared)
            events = list(_events(act, write, prepared, summary, key))
            async with AsyncExitStack() as recorded:
                for event in events:
                    await recorded.enter_async_context(recording_async(control.record, event))
                before: str = await control.writer.submit(write)
    await asyncio.to_thread(cover, control.station.audit, events[-1])
    return _done(act, write, prepared, before, key)


def _sign(control: Control, key: PrivateKey, prepared: Prepared) -> Summary:
    station, write = control.station, prepared.write
    return sign_summary(
        station.blobs, key, station.config.site, prepared.facts, write.repository, prepared.applied, write.at
    )


def _require_same_policy(control: Control, prepared: Prepared) -> None:
    """Raises FailedError where another policy is in force than the one by which it was judged."""
    applied = load_applied(control.station.paths)
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
