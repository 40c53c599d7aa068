"""Evidence that was carried in: shown, never counted (threats: a scan result carried from the other side)."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject
from bundles.documents import Section


def inspect(subject: Subject) -> Section:
    """How many SBOMs, signatures and attestations came, and which images have no SBOM."""
    manifest = subject.opened.manifest
    described = {entry.subject for entry in manifest.sboms}
    bare = [
        f"{entry.artifact.repository}@{entry.artifact.digest}"
        for entry in subject.checked
        if entry.artifact.kind == "image" and entry.artifact.digest not in described
    ]
    return Section(
        inspector="evidence",
        outcome="note" if bare else "ok",
        summary=f"carried, not counted: {len(manifest.sboms)} SBOMs, {len(manifest.signatures)} signatures, "
        f"{len(manifest.attestations)} attestations",
        details={"images_without_sbom": bare},
    )
