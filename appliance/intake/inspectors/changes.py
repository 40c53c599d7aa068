"""Changes: what the release would change in what this station serves, and what is new since the last bundle."""

from __future__ import annotations

from appliance.intake.inspectors.port import Listing, Subject, listed
from bundles.documents import Section
from bundles.manifest import BundleManifest


def inspect(subject: Subject) -> Section:
    """Each tag as new, moved (with the digest it leaves) or unchanged. A moved tag is worth a look: `note`."""
    new, moved, unchanged = (Listing[dict[str, str]](name) for name in ("new", "moved", "unchanged"))
    for entry in subject.checked:
        artifact = entry.artifact
        for tag in artifact.tags:
            reference = f"{artifact.repository}:{tag}"
            served = subject.metadata.tagged_manifest(artifact.repository, tag)
            if served is None:
                new.add({"reference": reference, "digest": artifact.digest})
            elif str(served.digest) == artifact.digest:
                unchanged.add({"reference": reference, "digest": artifact.digest})
            else:
                moved.add({"reference": reference, "from": str(served.digest), "to": artifact.digest})
    details = new.details() | moved.details() | unchanged.details()
    summary = f"{len(new)} new, {len(moved)} moved, {len(unchanged)} unchanged tags"
    if subject.previous is not None:
        before, now = _names(subject.previous), _names(subject.opened.manifest)
        added, gone = sorted(now - before), sorted(before - now)
        details["since"] = {"bundle": subject.previous.id, **listed("added", added), **listed("not_carried", gone)}
        summary += f"; {len(added)} artifacts that {subject.previous.id} did not have"
    return Section(inspector="changes", outcome="note" if moved else "ok", summary=summary, details=details)


def _names(manifest: BundleManifest) -> set[str]:
    return {f"{artifact.repository}@{artifact.digest}" for artifact in manifest.artifacts}
