"""Integrity: what was verified, byte for byte, and who signed."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject
from bundles.documents import Section


def inspect(subject: Subject) -> Section:
    """Signers with their owners, and the counts of what was hashed."""
    manifest = subject.opened.manifest
    owners = [{"keyid": signer.keyid, "owner": signer.owner} for signer in subject.opened.signers]
    size = sum(volume.size for volume in manifest.volumes)
    return Section(
        inspector="integrity",
        outcome="ok",
        summary=f"{len(manifest.volumes)} volumes and {len(manifest.blobs)} blobs are the signed ones",
        details={"signers": owners, "volumes": len(manifest.volumes), "blobs": len(manifest.blobs), "bytes": size},
    )
