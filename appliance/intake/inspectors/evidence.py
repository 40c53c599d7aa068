"""Evidence that was carried in: shown, never counted (threats: a scan result carried from the other side)."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject, listed
from bundles.documents import Section


def inspect(subject: Subject) -> Section:
    """Every SBOM, signature and attestation that came, and which images have no SBOM (`note`)."""
    manifest = subject.opened.manifest
    carried = [
        {"kind": kind, "subject": entry.subject, "digest": entry.digest}
        for kind, entries in (
            ("sbom", manifest.sboms),
            ("signature", manifest.signatures),
            ("attestation", manifest.attestations),
        )
        for entry in entries
    ]
    described = {entry.subject for entry in manifest.sboms}
    bare = [entry.name for entry in subject.checked if entry.kind == "image" and entry.artifact.digest not in described]
    return Section(
        inspector="evidence",
        outcome="note" if bare else "ok",
        summary=f"carried, not counted: {len(manifest.sboms)} SBOMs, {len(manifest.signatures)} signatures, "
        f"{len(manifest.attestations)} attestations" + (f"; {len(bare)} images without an SBOM" if bare else ""),
        details={
            "standing": "carried, not counted",
            **listed("carried", carried),
            **listed("images_without_sbom", bare),
        },
    )
