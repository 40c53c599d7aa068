"""What the demo's stations say of an artifact by the policy for images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the path of the policy."""
    return _said(str(arguments["ref"])) if path == "/v1/policy" else None


def _said(reference: str) -> dict[str, Any]:
    """An image that is signed, and that a gate holds back from pulls."""
    everywhere, digest = ("release", "promotion", "pull"), data.digest(reference)
    image = {"image": digest, "platform": "linux/amd64", "mode": "enforce"}
    gate = image | {"kind": "gate", "number": 1, "at": ("release", "pull")}
    return {
        "reference": reference,
        "digest": digest,
        "repository": reference.rpartition(":")[0],
        "policy": 4,
        "stage": "production",
        "refused_at": ("release", "pull"),
        "lines": [
            image | {"kind": "rule", "number": 1, "at": everywhere, "met": True, "asks": "1 of: Build team"},
            gate | {"asked": "severity", "met": False, "why": "CVE-2026-1412 in libssl3 3.0.15 is critical",
                    "asks": "libssl3 3.0.16, or an exception of two people"},
            gate | {"asked": "sbom", "met": True},
        ],
        "exceptions": [
            {"id": "openssl-in-app", "owner": "Anna Berg", "reason": "the server does not use the affected function",
             "until": "2027-01-31T00:00:00Z", "advisory": "CVE-2026-1234", "expired": False},
        ],
    }  # fmt: skip
