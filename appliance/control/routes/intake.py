"""/v1/intake: what came in, what people decided, and the release."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

from appliance import clock
from appliance.control.api import Control, audited, caller, page, page_of
from appliance.intake import approvals
from appliance.intake.content import to_release
from appliance.intake.ledger import Entry, approvals_of, describe, find_entry, list_entries, verified_volumes
from appliance.observe.audit import AuditEvent
from appliance.station import open_station
from appliance.store.writes.intake import Approve, Reject, Release, Released
from bundles.errors import RefusedError


def routes(control: Control) -> list[web.RouteDef]:
    """What this module serves."""
    station, reader = control.station, control.station.reader
    needed = station.config.threshold

    def entry_of(request: web.Request) -> Entry:
        return find_entry(reader, request.match_info["id"])

    async def listed(request: web.Request) -> web.Response:
        limit, after, _ = page_of(request)
        found = [
            describe(reader, entry, needed)
            for entry in list_entries(reader, limit, after, request.query.get("state", ""))
        ]
        return page(found, limit, lambda entry: str(entry["id"]))

    def whole(entry: Entry) -> dict[str, Any]:
        manifest = json.loads(entry.manifest)
        verified = verified_volumes(reader, entry.digest)
        return {
            **describe(reader, entry, needed),
            "manifest": manifest,
            "report": json.loads(entry.report) if entry.report else None,
            "report_digest": entry.report_digest,
            "decisions": [
                {"keyid": stored.keyid, "owner": stored.owner, "created": stored.created, **_decided(stored.document)}
                for stored in approvals_of(reader, entry.digest)
            ],
            "volumes": [{**volume, "verified": volume["index"] in verified} for volume in manifest["volumes"]],
        }

    async def show(request: web.Request) -> web.Response:
        return web.json_response(whole(entry_of(request)))

    async def draft(request: web.Request) -> web.Response:
        query = request.query
        payload = await asyncio.to_thread(
            approvals.draft,
            station,
            entry_of(request),
            query["keyid"],
            query.get("decision", "approve"),
            query.get("why", ""),
        )
        return web.json_response({"payload": base64.b64encode(payload).decode()})

    async def decide(request: web.Request) -> web.Response:
        entry, body, actor = entry_of(request), await request.json(), caller(request)
        payload, signature = (base64.b64decode(str(body[name]), validate=True) for name in ("payload", "signature"))
        keyid = str(body["keyid"])
        verifying = asyncio.to_thread(approvals.verify, station, entry, payload, keyid, signature)
        decision = await audited(control, request, "intake.decide", entry.id, verifying)
        approval, owner = decision.approval, decision.owner
        common = {
            "digest": entry.digest,
            "keyid": keyid,
            "owner": owner,
            "document": payload.decode(),
            "signature": signature,
        }
        write = (
            Approve(**common, report_digest=approval.report, needed=needed, actor=actor, at=clock.now())
            if approval.decision == "approve"
            else Reject(**common, why=approval.why, actor=actor, at=clock.now())
        )
        await audited(control, request, f"intake.{approval.decision}", entry.id, control.writer.submit(write))
        detail = {"keyid": keyid, "owner": owner, "why": approval.why, "report": approval.report}
        await control.record(AuditEvent(f"intake.{approval.decision}", actor, entry.id, "done", detail))
        return web.json_response(whole(entry_of(request)))

    async def release(request: web.Request) -> web.Response:
        entry, actor = entry_of(request), caller(request)
        prepared = await audited(
            control, request, "intake.release", entry.id, asyncio.to_thread(_prepare, control, entry, needed, actor)
        )
        await audited(control, request, "intake.release", entry.id, control.writer.submit(prepared))
        references = _references(prepared.artifacts)
        detail = {"approved_by": list(prepared.approved_by), "references": references}
        await control.record(AuditEvent("intake.release", actor, entry.id, "done", detail))
        return web.json_response({"id": entry.id, "released": references})

    return [
        web.get("/v1/intake", listed),
        web.get("/v1/intake/{id}", show),
        web.get("/v1/intake/{id}/approval", draft),
        web.post("/v1/intake/{id}/approval", decide),
        web.post("/v1/intake/{id}/release", release),
    ]


def _decided(document: str) -> dict[str, str]:
    fields = json.loads(document)
    return {"decision": fields["decision"], "why": fields["why"], "not_after": fields["not_after"]}


def _references(artifacts: tuple[Released, ...]) -> list[str]:
    return [f"{artifact.repository}:{tag}" for artifact in artifacts for tag in artifact.tags]


def _prepare(control: Control, entry: Entry, needed: int, actor: str) -> Release:
    """Check everything anew, off the event loop and on connections of this thread's own. Raises RefusedError."""
    station = open_station(control.station.paths.root, control.station.writer)
    try:
        stored = approvals_of(station.reader, entry.digest)
        counting, objections = approvals.still_counting(station, entry, stored)
        if entry.state == "approved" and len(counting) < needed:
            reason = objections[0] if objections else f"{len(counting)} of {needed} approvals count"
            raise RefusedError("an approval does not count any more", thing=reason, remedy="have it approved again")
        return Release(
            digest=entry.digest,
            report_digest=entry.report_digest or "",
            approved_by=tuple(counting),
            needed=needed,
            artifacts=to_release(station, entry.read_manifest()) if entry.state == "approved" else (),
            actor=actor,
            at=clock.now(),
        )
    finally:
        station.metadata.close()
        station.reader.close()
