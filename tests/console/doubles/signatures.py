"""What the demo's stations say of an artifact's signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tests.console.doubles import data
from tests.console.doubles.state import DemoState


def answer(station: DemoState, path: str, arguments: Mapping[str, Any]) -> object | None:
    """`tests.console.doubles.further_screens`'s answer to the paths of signatures."""
    if path == "/v1/signatures/subjects":
        reference = str(arguments["ref"])
        digest = data.digest(reference)
        artifact = {"digest": digest, "media_type": "application/vnd.oci.image.manifest.v1+json", "size": 1_204,
                    "kind": "image"}  # fmt: skip
        return {"reference": reference, "repository": reference.rpartition(":")[0], "digest": digest,
                "artifacts": [artifact]}  # fmt: skip
    if path == "/v1/signatures" and "signatures" in arguments:
        (one,) = arguments["signatures"]
        return {
            "repository": arguments["repository"], "keyid": "0" * 16, "fingerprint": "0" * 64, "owner": "Anna Berg",
            "signatures": [{"subject": one["subject"], "format": "sigstore", "claim": "signature",
                            "carrier": data.digest("carrier"), "is_new": True}],
        }  # fmt: skip
    return _signatures(str(arguments["ref"])) if path == "/v1/signatures" else None


def _signatures(reference: str) -> dict[str, Any]:
    """An image with a signature that counts, an attestation, and one by a key that nobody pinned."""
    fingerprint = hashlib.sha256(b"build team").hexdigest()
    counts = {"verified": True, "owner": "Build team", "keyid": fingerprint[:16], "fingerprint": fingerprint,
              "carrier": data.digest("carrier"), "format": "sigstore-bundle"}  # fmt: skip
    return {
        "reference": reference,
        "digest": data.digest(reference),
        "state": "signed",
        "images": [
            {
                "digest": data.digest(reference), "kind": "image", "platform": "linux/amd64", "state": "signed",
                "signed_by": ["Build team"],
                "signatures": [
                    counts | {"claim": "signature"},
                    counts | {"claim": "attestation", "predicate": "slsa-provenance",
                              "predicate_type": "https://slsa.dev/provenance/v1", "signed_at": "2026-04-02T06:10:00Z"},
                    {"claim": "signature", "verified": False, "carrier": data.digest("other"),
                     "format": "cosign-legacy", "refusal": "unknown-key",
                     "reason": "no key that is pinned here for images made it"},
                ],
            }
        ],
    }  # fmt: skip
