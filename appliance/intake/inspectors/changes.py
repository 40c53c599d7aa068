"""Changes: what the release would change in what this station serves."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject
from bundles.documents import Section


def inspect(subject: Subject) -> Section:
    """Each tag as new, moved (with the digest it leaves) or unchanged. A moved tag is worth a look: `note`."""
    metadata = subject.station.metadata
    new, moved, unchanged = [], [], []
    for entry in subject.checked:
        for tag in entry.artifact.tags:
            reference = f"{entry.artifact.repository}:{tag}"
            served = metadata.tagged_manifest(entry.artifact.repository, tag)
            if served is None:
                new.append({"reference": reference, "digest": entry.artifact.digest})
            elif str(served.digest) == entry.artifact.digest:
                unchanged.append({"reference": reference, "digest": entry.artifact.digest})
            else:
                moved.append({"reference": reference, "from": str(served.digest), "to": entry.artifact.digest})
    return Section(
        inspector="changes",
        outcome="note" if moved else "ok",
        summary=f"{len(new)} new, {len(moved)} moved, {len(unchanged)} unchanged tags",
        details={"new": new, "moved": moved, "unchanged": unchanged},
    )
