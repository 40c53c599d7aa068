"""What the demo's stations say of blocks, recalls of content, sites and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState

_DIGEST = data.digest("team/web-portal:7.0.3")


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the paths of blocks and receipts."""
    inside = station.side == "inside"
    match path.strip("/").split("/"):
        case ["v1", "blocks"] if "thing" in arguments:
            digest, why = str(arguments["thing"]), str(arguments["why"])
            station.blocked.append({"digest": digest, "why": why, "actor": station.account, "created": station.now()})
            return {"digest": digest, "why": why, "recall": None}
        case ["v1", "blocks"]:
            first = {"digest": _DIGEST, "why": "CVE-2026-1412: remote code execution", "actor": "m.okafor",
                     "created": "2026-05-02T08:14:00Z"}  # fmt: skip
            items = [*([first] if inside else []), *station.blocked]
            return {"items": [one for one in items if one["digest"] not in station.unblocked], "next": None}
        case ["v1", "blocks", digest]:
            station.unblocked.add(digest)
            return {"digest": digest}
        case ["v1", "receipts"]:
            return {"items": _receipts(inside), "next": None}
        case ["v1", "sites", site]:
            return {"site": site}
    return None


def _receipts(inside: bool) -> list[dict[str, Any]]:
    way, site = ("out", "bravo") if inside else ("in", "bravo")
    return [
        {"direction": way, "site": site, "number": number, "digest": data.digest(f"receipt {number}"),
         "created": f"2026-04-{10 + 5 * number:02d}T07:30:00Z", "at": f"2026-04-{10 + 5 * number:02d}T16:12:40Z"}
        for number in (3, 2, 1)
    ]  # fmt: skip
