"""/v1/intake: what came in, what people decided, and the release."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from typing import Final

import msgspec
from aiohttp import web

from appliance import clock
from appliance.api.common import Page, Payload, widened
from appliance.api.intake import CarriedVolume, IntakeDecision, IntakeDetail, IntakeEntry, ReleaseAnswer, Step
from appliance.api.states import ENTRY_STATES
from appliance.audit.acts import Act, decided
from appliance.audit.event import AuditEvent
from appliance.control import duties
from appliance.control.api import Control, act, answer, audited, caller, get, page_of, post, require
from appliance.control.request_fields import Body, body_of, query_text
from appliance.control.routes.accounts import check_holder
from appliance.control.threads import on_own_station
from appliance.intake import approvals, release
from appliance.intake.approval_rules import demand_of
from appliance.intake.outcome import came_to
from appliance.settings.approvals import is_sealed
from appliance.store.reads.intake import (
    Entry,
    StoredDecision,
    cursor,
    decisions_of,
    describe,
    find_entry,
    list_entries,
    manifest_bytes,
    report_text,
    steps_of,
    volumes_of,
)
from appliance.store.writes.decisions import Approve, Reject, SignedDecision
from appliance.store.writes.duties import ShowChanges
from appliance.store.writes.write import Write
from bundles.errors import LockgateError, RefusedError, UsageError
from bundles.oci.digest import Digest

_log: Final = logging.getLogger(__name__)


def routes(control: Control) -> list[web.RouteDef]:  # noqa: PLR0915  a function a route
    """What this module serves."""
    station, reader = control.station, control.station.reader

    def needed(entry: Entry) -> int:
        return demand_of(station, station.policy(), entry).people

    def line(entry: Entry) -> IntakeEntry:
        """An entry in a list. One whose manifest cannot be read is named, and hides no other; what it takes to release
        it cannot be told, and the station's own number stands there: nothing of it can be approved or released."""
        try:
            return widened(describe(reader, entry, needed(entry)), IntakeEntry, came_to(reader, entry))
        except LockgateError as error:
            shown, damaged = describe(reader, entry, station.config.threshold), error.diagnostics()
            return widened(shown, IntakeEntry, came_to(reader, entry), damaged=damaged)

    def entry_of(request: web.Request) -> Entry:
        return find_entry(reader, request.match_info["id"])

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        entries = list_entries(reader, limit, after, _state(request))
        after = cursor(entries[-1]) if len(entries) == limit else ""
        return answer(Page(tuple(line(entry) for entry in entries), after or None))

    async def whole(name: str) -> web.Response:
        """An entry with its documents. They are JSON already, and large: they go out as they were stored."""
        entry = find_entry(reader, name)
        report = report_text(reader, entry.digest)
        shown = widened(
            describe(reader, entry, needed(entry)),
            IntakeDetail,
            came_to(reader, entry),
            steps=tuple(Step(**step) for step in steps_of(reader, entry.digest)),
            report_digest=entry.report_digest,
            decisions=tuple(map(_decision, decisions_of(reader, entry.digest))),
            account_changes=duties.unshown(control),
            volumes=tuple(
                CarriedVolume(index=one.index, medium=one.medium, size=one.size, verified=one.verified)
                for one in volumes_of(reader, entry.digest)
            ),
            manifest=msgspec.Raw(manifest_bytes(reader, entry.digest)),
            report=None if report is None else msgspec.Raw(report.encode()),
        )
        return web.Response(body=msgspec.json.encode(shown), content_type="application/json")

    async def show(request: web.Request) -> web.Response:
        return await whole(request.match_info["id"])

    async def draft(request: web.Request) -> web.Response:
        query = request.query
        keyid, decision, why = query_text(request, "keyid"), query.get("decision", "approve"), query.get("why", "")
        await require(request, "reject" if decision == "reject" else "approve")
        payload = await asyncio.to_thread(approvals.draft, station, entry_of(request), keyid, decision, why)
        return answer(Payload(payload=base64.b64encode(payload).decode()))

    async def decide(request: web.Request) -> web.Response:
        entry, body, actor = entry_of(request), await body_of(request), caller(request)
        payload, signature = (body.raw(name) for name in ("payload", "signature"))
        keyid = body.text("keyid")
        holder = await audited(control, request, Act.INTAKE_DECIDE, entry.id, _holder(control, keyid, actor))
        verifying = asyncio.to_thread(approvals.verify_new, station, entry, payload, keyid, signature)
        verified = await audited(control, request, Act.INTAKE_DECIDE, entry.id, verifying)
        approval = verified.approval
        await require(request, "reject" if approval.decision == "reject" else "approve")
        detail = {
            "digest": entry.digest, "report": entry.report_digest, "keyid": keyid, "owner": verified.owner,
            "why": approval.why, "document": str(Digest.of(payload)),
        }  # fmt: skip
        kept = SignedDecision(
            keyid=keyid, owner=holder or verified.owner, document=payload.decode(), signature=signature,
            sealed=verified.sealed,
        )  # fmt: skip
        event = AuditEvent(decided(approval.decision), actor, entry.id, "done", detail)
        broken = station.policy().break_glass
        takes = broken.people if verified.sealed and broken is not None else needed(entry)
        opening = AuditEvent(Act.BREAK_GLASS_OPEN, actor, entry.id, "done", detail) if verified.sealed else None
        await act(control, event, _write(entry, verified, kept, takes, actor), first=opening)
        await _note_kept(control, entry, keyid, str(detail["document"]))
        return await whole(entry.digest)

    async def let_out(request: web.Request) -> web.Response:
        entry, actor = entry_of(request), caller(request)
        body = await body_of(request) if request.body_exists else Body()
        only = body.get("only", [])
        if not isinstance(only, list) or not all(isinstance(name, str) for name in only):
            raise UsageError("`only` is a list of references")
        preparing = asyncio.to_thread(_prepare, control, entry, actor, only)
        prepared = await audited(control, request, Act.INTAKE_RELEASE, entry.id, preparing)
        detail = {
            "digest": entry.digest, "approved_by": list(prepared.write.approved_by), "references": prepared.references,
            "whole": prepared.write.whole, "report": entry.report_digest,
        }  # fmt: skip
        if prepared.artifacts is not None:  # what the links follow from (appliance.release_check.unexplained)
            detail["artifacts"] = prepared.artifacts
        changes = duties.unshown(control)
        if changes:
            detail["account_changes"] = [change.id for change in changes]
        event = AuditEvent(Act.INTAKE_RELEASE, actor, entry.id, "done", detail)
        breaking = (
            AuditEvent(Act.BREAK_GLASS_RELEASE, actor, entry.id, "done", detail) if prepared.write.sealed else None
        )
        async with control.station.blobs.turns.alone():
            await act(control, event, prepared.write, first=breaking)
        await control.writer.submit(ShowChanges(ids=tuple(change.id for change in changes), bundle=entry.id))
        return answer(
            ReleaseAnswer(
                id=entry.id,
                released=tuple(prepared.references),
                whole=prepared.write.whole,
                account_changes=changes,
            )
        )

    return [
        get("/v1/intake", "quarantine", listed),
        get("/v1/intake/{id}", "quarantine", show),
        get("/v1/intake/{id}/approval", "quarantine", draft),
        post("/v1/intake/{id}/approval", "quarantine", decide),
        post("/v1/intake/{id}/release", "release", let_out),
    ]


async def _note_kept(control: Control, entry: Entry, keyid: str, document: str) -> None:
    """Say in the log that a decision is kept: else nobody could tell one that somebody deleted from one that a kill
    undid between its event and its row. Where that fails the decision stands all the same."""
    detail = {"digest": entry.digest, "keyid": keyid, "document": document}
    try:
        await control.record(AuditEvent(Act.INTAKE_KEPT, "station", entry.digest, "done", detail))
    except LockgateError as error:
        _log.warning("%s: that a decision was kept is not recorded: %s", entry.id, error.diagnostics())


async def _holder(control: Control, keyid: str, actor: str) -> str | None:
    """The account a key stands for. A sealed key is used by its own holder, logged in: who holds two envelopes is
    still one person. Raises RefusedError."""
    holder = await check_holder(control, keyid)
    if holder not in (None, actor) and is_sealed(control.station.policy(), keyid):
        raise RefusedError(
            "a sealed key is used by whom it stands for", thing=f"{keyid} is {holder}'s", remedy="have them log in"
        )
    return holder


def _state(request: web.Request) -> str:
    """The state that is asked for, "" for every one. Raises UsageError for a word that is none: an empty list would
    hide the slip."""
    state = request.query.get("state", "")
    if state and state not in ENTRY_STATES:
        raise UsageError("no such state", thing=repr(state)[:40], remedy=f"use one of {', '.join(ENTRY_STATES)}")
    return state


def _decision(kept: StoredDecision) -> IntakeDecision:
    fields = json.loads(kept.document)
    return IntakeDecision(
        keyid=kept.keyid,
        owner=kept.owner,
        created=kept.created,
        decision=fields["decision"],
        why=fields["why"],
        not_after=fields["not_after"],
    )


def _write(entry: Entry, verified: approvals.VerifiedDecision, kept: SignedDecision, needed: int, actor: str) -> Write:
    report, at = verified.approval.report, clock.now()
    if verified.approval.decision == "approve":
        return Approve(
            digest=entry.digest, report_digest=report, decision=kept, needed=needed, actor=actor, at=at
        )  # fmt: skip
    return Reject(
        digest=entry.digest, report_digest=report, decision=kept, why=verified.approval.why, actor=actor, at=at
    )


def _prepare(control: Control, entry: Entry, actor: str, only: list[str]) -> release.Prepared:
    """`release.prepare` off the event loop."""
    return on_own_station(control.station, lambda own: release.prepare(own, entry, actor, only))
