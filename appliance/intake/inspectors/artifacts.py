"""Artifacts: what came, by kind."""

from __future__ import annotations

from collections import Counter

from appliance.intake.inspectors.port import Subject
from bundles.documents import Section


def inspect(subject: Subject) -> Section:
    """Each artifact with its kind, platform, size and what it consists of."""
    kinds = Counter(entry.artifact.kind for entry in subject.checked)
    listed = [
        {
            "repository": entry.artifact.repository,
            "tags": list(entry.artifact.tags),
            "digest": entry.artifact.digest,
            "kind": entry.artifact.kind,
            "platform": entry.artifact.platform,
            "bytes": entry.artifact.size + sum(blob.size for blob in entry.manifest.blobs),
        }
        for entry in subject.checked
    ]
    return Section(
        inspector="artifacts",
        outcome="ok",
        summary=", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())),
        details={"artifacts": listed},
    )
