"""What the double's stations say of stations that they follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the path of replicas."""
    return {"items": _replicas(), "next": None} if path == "/v1/replicas" else None


def _replicas() -> list[dict[str, Any]]:
    base = {
        "account": "replica", "every": 10, "hours": [], "rate": 0, "deletes": False, "follow": True,
        "began": "2026-05-04T14:11:55Z", "ended": "2026-05-04T14:11:57Z", "whole": "2026-05-04T14:11:55Z", "lag": 12,
        "fault": "",
    }  # fmt: skip
    repository = {
        "equal": "2026-05-04T14:11:55Z", "lag": 12, "behind": 0, "gone": 0, "conflicts": 0, "stuck": [], "withheld": 0,
        "fault": "",
    }  # fmt: skip
    return [
        base | {"name": "north", "url": "https://registry.north.example", "patterns": ["team/**"], "job": "31",
                "repositories": [repository | {"name": "team/web-portal", "tags": 42},
                                 repository | {"name": "team/batch", "tags": 7, "gone": 1}]},
        base | {"name": "south", "url": "https://registry.south.example:8443", "patterns": ["**"], "job": "32",
                "hours": ["20:00-06:00"], "rate": 4_000_000, "lag": 8_100, "whole": "2026-05-04T11:56:00Z",
                "repositories": [
                    repository | {"name": "base/postgres", "tags": 12, "behind": 3, "lag": 8_100},
                    repository | {"name": "base/redis", "tags": 4, "conflicts": 1, "lag": 8_100, "stuck": [
                        {"tag": "7", "why": "moved-both", "here": data.digest("here"), "there": data.digest("there")}]},
                ]},
        base | {"name": "west", "url": "https://registry.west.example", "patterns": ["lib/*"], "job": "", "lag": None,
                "whole": "", "ended": "", "fault": "the primary does not answer", "repositories": []},
    ]  # fmt: skip
