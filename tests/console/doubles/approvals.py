"""The demo's people: who must approve what, what each signature will do, and what inspectors found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from appliance.api.intake import IntakeDetail
from appliance.api.states import PENDING_STATES
from bundles.errors import NotFoundError
from tests.console.doubles import changes, data, intake
from tests.console.doubles.state import DemoState

_HOURS: Final = 72
_LIST: Final = "/v1/approvals"


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """GET /v1/approvals and /v1/approvals/{id}."""
    if path == _LIST:
        text = str(arguments.get("filter") or "")
        waiting = [entry for entry in _waiting(station) if text in entry.id]
        return {"items": [_summary(entry) for entry in sorted(waiting, key=lambda entry: entry.id)], "next": None}
    if path.startswith(f"{_LIST}/"):
        name = path.removeprefix(f"{_LIST}/")
        entry = next((one for one in station.entries_now() if name in (one.id, one.digest)), None)
        if entry is None:
            raise NotFoundError("no such bundle in the intake", thing=name, remedy="look in Intake")
        return _detail(station, entry, str(arguments.get("keyid") or ""))
    return None


def _waiting(station: DemoState) -> list[IntakeDetail]:
    return [entry for entry in station.entries_now() if entry.state in PENDING_STATES]


def _sections(entry: IntakeDetail) -> list[dict[str, Any]]:
    return list((entry.report or {}).get("sections", ()))


def _summary(entry: IntakeDetail) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(intake.summary(entry))
    return fields | {
        "source": entry.stream.partition(".")[0],
        "importer": "K. Adeyemi",
        "classification": entry.manifest["classification"],
        "kinds": sorted({one["kind"] for one in entry.manifest["artifacts"]}),
        "hours": _HOURS,
        "waits_for": "release" if entry.state == "approved" else "approvals",
        "found": [
            {name: section[name] for name in ("inspector", "outcome", "summary")} for section in _sections(entry)
        ],
        "people": [
            {"keyid": one.keyid, "owner": one.owner, "created": one.created, "not_after": until(one.created)}
            for one in entry.decisions
        ],
    }


def until(created: str) -> str:
    """When an approval ends: three days on, within the demo's month."""
    day = int(created[8:10]) + _HOURS // 24
    return f"{created[:8]}{day:02d}{created[10:]}"


def _detail(station: DemoState, entry: IntakeDetail, keyid: str) -> dict[str, Any]:
    manifest = entry.manifest
    sections = {section["inspector"]: section for section in _sections(entry)}
    return _summary(entry) | {
        "purpose": manifest["purpose"],
        "authorisation": manifest["authorisation"],
        "created": manifest["created"],
        "not_after": "2026-06-04T07:45:00Z",
        "signers": [{"keyid": data.KEYIDS["engineer"], "owner": "Release Engineering, alpha"}],
        "changes": sections.get("changes"),
        "differences": sections.get("differences"),
        "report_digest": entry.report_digest,
        "account_changes": changes.unshown(station),
        "effect": _effect(station, entry, keyid) if keyid else None,
    }


def _effect(station: DemoState, entry: IntakeDetail, keyid: str) -> dict[str, Any]:
    record = next((key for key in station.trusted if key.keyid == keyid), None)
    owner = record.owner if record is not None else ""
    given = {one.keyid for one in entry.decisions if one.decision == "approve"}
    after = len(given | {keyid})
    if keyid in given:
        text = f"nothing new: {owner} has approved it already"
    elif after >= entry.needed:
        text = f"approval {after} of {entry.needed}: {entry.id} may then be released, within {_HOURS} hours"
    else:
        text = f"approval {after} of {entry.needed}: {entry.needed - after} more must follow within {_HOURS} hours"
    return {"owner": owner, "sealed": False, "hours": _HOURS, "approvals": after, "needed": entry.needed,
            "enough": after >= entry.needed, "adds": keyid not in given, "text": text}  # fmt: skip
