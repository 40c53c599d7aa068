"""The demo's audit log and custody records: what its intake went through, act by act, chained by real digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from appliance.api.intake import IntakeDetail
from bundles.io import strict_json
from tests.console.doubles import data
from tests.console.doubles.state import DemoState

_OWNERS: Final = {"officer": "M. Okafor, security officer", "deputy": "T. Lindqvist, deputy officer"}
_CUSTODY: Final = "/v1/custody"
_PULLS: Final = (("node-04", 12), ("node-05", 9), ("builder", 31), ("node-07", 2))


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """GET /v1/audit, its head and check, the list of custody records, and one; POST enters a hand-over."""
    if path == "/v1/audit":
        return _page(events(station), arguments)
    if path == "/v1/audit/head":
        log = events(station)
        return {"head": _head(log), "created": log[-1]["time"], "events": len(log)}
    if path == "/v1/audit/check":
        return _check(station, str(arguments.get("expect_head") or ""))
    if path == _CUSTODY:
        return {"items": _listed(station, str(arguments.get("filter") or "")), "next": None}
    if path.startswith("/v1/bundles/") and path.endswith("/custody"):
        bundle = path.removeprefix("/v1/bundles/").removesuffix("/custody")
        if "giver" in arguments:
            said = {name: str(value) for name, value in arguments.items()}
            station.handovers.setdefault(bundle, []).append({"at": station.now(), **said, "actor": "courier(1003)"})
        return _record(station, bundle)
    return None


def events(station: DemoState) -> list[dict[str, Any]]:
    """The whole log, oldest first, as one chained lane."""
    made = [event for entry in station.entries for event in _of(entry)]
    made += [
        _event(
            data.day(number, "03:00:00"), "gc", "station(0)", "bravo", {"blobs": 40 + number, "bytes": number * 10**7}
        )
        for number in range(22, 60, 4)
    ]
    made += [
        _event(f"2026-05-04T{11 + number % 3:02d}:{7 * number:02d}:12Z", "pull", f"{who}(token)", "base/debian@"
               + data.digest("base/debian:12.7"), {"count": count, "from": f"10.20.0.{number + 4}"})
        for number, (who, count) in enumerate(_PULLS)
    ]  # fmt: skip
    made += [
        _event(
            one["at"],
            "custody.hand-over",
            one["actor"],
            bundle,
            {name: one[name] for name in ("giver", "taker", "medium")},
        )
        for bundle, hands in station.handovers.items()
        for one in hands
    ]
    made.append(
        _event("2026-05-04T12:53:20Z", "intake.import", "importer(1001)", "alpha.bravo-000008",
               {"reason": "a volume's bytes are not what was signed"}, "refused")
    )  # fmt: skip
    made.append(
        _event("2026-05-04T13:20:00Z", "log-in", "ada", "control socket", {"reason": "a wrong password"}, "refused")
    )
    before = "0" * 64
    log = []
    for number, event in enumerate(sorted(made, key=lambda event: str(event["time"])), 1):
        line = event | {"lane": 1, "seq": number, "prev": before}
        before = hashlib.sha256(strict_json.canonical(line)).hexdigest()
        log.append(line)
    return log


def _event(
    time: str, act: str, actor: str, thing: str, detail: dict[str, Any], outcome: str = "done"
) -> dict[str, Any]:
    return {"time": time, "act": act, "actor": actor, "thing": thing, "outcome": outcome, "detail": detail}


def _of(entry: IntakeDetail) -> list[dict[str, Any]]:
    """What a bundle of the intake went through."""
    detail = {"digest": entry.digest}
    made = [_event(entry.received, "intake.import", "importer(1001)", entry.id, detail | {"state": "quarantined"})]
    for place, decision in enumerate(entry.decisions):
        time = f"{entry.received[:11]}{min(int(entry.received[11:13]) + 1 + place, 23):02d}{entry.received[13:]}"
        name = next((one for one, owner in _OWNERS.items() if owner == decision.owner), "officer")
        more = detail | {"keyid": decision.keyid, "owner": decision.owner, "why": decision.why}
        made.append(_event(time, f"intake.{decision.decision}", f"{name}(1002)", entry.id, more))
    if entry.state == "released":
        time = f"{entry.received[:11]}{min(int(entry.received[11:13]) + 3, 23):02d}:30:00Z"
        made.append(_event(time, "intake.release", "officer(1002)", entry.id, detail | {"whole": True}))
    return made


def _head(log: list[dict[str, Any]]) -> str:
    return hashlib.sha256(strict_json.canonical(log[-1])).hexdigest()


def _page(log: list[dict[str, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    def takes(event: dict[str, Any]) -> bool:
        wanted = {
            name: str(arguments.get(name) or "") for name in ("act", "actor", "thing", "outcome", "since", "until")
        }
        return (
            event["act"].startswith(wanted["act"])
            and all(wanted[name] in ("", event[name]) for name in ("actor", "thing", "outcome"))
            and event["time"] >= wanted["since"]
            and (not wanted["until"] or event["time"] < wanted["until"])
            and str(arguments.get("filter") or "") in str(event)
        )

    after = int(str(arguments.get("after") or len(log) + 1))
    limit = min(int(str(arguments.get("limit") or 100)), _MOST)
    found = [event for event in log if event["seq"] < after and takes(event)]
    part = found[-limit:]
    return {"items": part, "next": str(part[0]["seq"]) if len(found) > limit else None}


_MOST: Final = 40
"""Events of a page: the demo's log has two of them, so that paging is seen."""


def _check(station: DemoState, expected: str) -> dict[str, Any]:
    log = events(station)
    heads = {hashlib.sha256(strict_json.canonical(event)).hexdigest() for event in log}
    lost = bool(expected) and expected not in heads
    findings = [
        {"file": "lanes/01.000001.jsonl", "line": len(log), "what": "the log does not hold the head that was given"}
    ]
    return {
        "ok": not lost, "events": len(log), "lanes": 1, "checkpoints": 9, "covered": len(log), "head": _head(log),
        "head_expected": expected or None, "first": log[0]["time"], "last": log[-1]["time"],
        "findings": findings if lost else [],
    }  # fmt: skip


def _listed(station: DemoState, text: str) -> list[dict[str, Any]]:
    kept = {
        entry.id: {"id": entry.id, "direction": "in", "state": entry.state, "at": entry.received}
        for entry in station.entries_now()
    }
    kept |= {
        one.id: {"id": one.id, "direction": "out", "state": one.state, "at": one.created} for one in station.outgoing
    }
    for bundle, hands in station.handovers.items():
        kept.setdefault(bundle, {"id": bundle, "direction": "", "state": "", "at": hands[-1]["at"]})
    return [kept[name] | {"handovers": len(station.handovers.get(name, ()))} for name in sorted(kept) if text in name]


def _record(station: DemoState, bundle: str) -> dict[str, Any]:
    log = events(station)
    entry = next((one for one in station.entries if one.id == bundle), None)
    steps = []
    if entry is not None:
        for state in dict.fromkeys(("received", "verified", "quarantined", "inspected", entry.state)):
            steps.append({"at": entry.received, "state": state, "actor": "importer(1001)", "note": ""})
    hands = station.handovers.get(bundle, [])
    told = [
        {"at": one["at"], "site": station.site, "what": one["state"], "who": one["actor"], "note": ""} for one in steps
    ]
    told += [
        {"at": one["at"], "site": station.site, "what": "hand-over", "who": f"{one['giver']} to {one['taker']}",
         "note": f"{one['medium']}, seal {one['seal']}"}
        for one in hands
    ]  # fmt: skip
    return {
        "made": _made(entry) if entry is not None else None,
        "other": None,
        "timeline": sorted(told, key=lambda one: one["at"]),
        "id": bundle,
        "site": station.site,
        "head": _head(log),
        "digest": entry.digest if entry else "",
        "state": entry.state if entry else "",
        "steps": steps,
        "signatures": [{"keyid": data.KEYIDS["engineer"], "owner": "Release Engineering, alpha", "note": ""}]
        if entry
        else [],
        "decisions": [
            {"keyid": one.keyid, "owner": one.owner, "at": one.created, "decision": one.decision, "why": one.why}
            for one in (entry.decisions if entry else ())
        ],
        "handovers": hands,
        "events": [event for event in log if event["thing"] == bundle],
    }


def _made(entry: IntakeDetail) -> dict[str, str]:
    said = {name: str(entry.manifest[name]) for name in ("created", "purpose", "authorisation", "classification")}
    return {
        "source": entry.stream.partition(".")[0],
        "not_after": "2026-06-04T07:45:00Z",
        "tool": "lockgate 0.1.0",
        **said,
    }


def handovers() -> dict[str, list[dict[str, str]]]:
    """What was written down before the demo starts."""

    def hand(at: str, giver: str, taker: str, medium: str, seal: str) -> dict[str, str]:
        return {"at": at, "giver": giver, "taker": taker, "medium": medium, "serial": "4C530001", "seal": seal,
                "note": "", "actor": "courier(1003)"}  # fmt: skip

    return {
        "alpha.bravo-000006": [
            hand("2026-05-03T13:05:00Z", "R. Sato, alpha", "J. Moreau, courier", "COURIER-07", "B-20417"),
            hand("2026-05-03T15:02:00Z", "J. Moreau, courier", "K. Adeyemi, bravo", "COURIER-07", "B-20417"),
        ],
        "alpha.bravo-000007": [
            hand("2026-05-04T11:40:00Z", "R. Sato, alpha", "J. Moreau, courier", "COURIER-07", "B-20431"),
            hand("2026-05-04T13:30:00Z", "J. Moreau, courier", "K. Adeyemi, bravo", "COURIER-07", "B-20431"),
        ],
    }
