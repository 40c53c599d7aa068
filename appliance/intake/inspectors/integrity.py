"""Integrity: what was verified, byte for byte, who signed, and what the bundle says it is for."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject
from bundles.documents.signed import Section
from bundles.io.display import some


def inspect(subject: Subject) -> Section:
    """The signatures seen with their keys' owners, the counts of what was hashed, and the bundle's own words."""
    manifest = subject.opened.manifest
    signers = [
        {"keyid": signer.keyid, "owner": signer.owner, "algorithm": signer.key.algorithm}
        for signer in subject.opened.signers
    ]
    said = {
        name: getattr(manifest, name)
        for name in ("created", "not_after", "purpose", "authorisation", "classification", "previous", "voided")
    }
    owners = ", ".join(signer.owner for signer in subject.opened.signers)
    missing = subject.missing_volumes
    counts = f"{some(len(manifest.volumes) - len(missing), 'volume')} and {some(len(manifest.blobs), 'blob')}"
    without = (
        f"; {some(len(missing), 'volume')} did not come:"
        f" {some(subject.left_out, 'artifact is', 'artifacts are')} left out"
        if missing
        else ""
    )
    open_ = [one for one in subject.rotations if one["state"] != "accepted"]
    rotated = f"; {some(len(open_), 'key rotation')} of {manifest.source} not accepted here" if open_ else ""
    return Section(
        inspector="integrity",
        outcome="note" if missing or open_ else "ok",
        summary=f"{counts} are the signed ones{without}; signed by {owners}{rotated}",
        details={
            "signers": signers,
            "volumes": len(manifest.volumes),
            "blobs": len(manifest.blobs),
            "requires": len(manifest.requires),
            "bytes": sum(volume.size for volume in manifest.volumes),
            "says": said,
            **({"missing_volumes": list(missing), "artifacts_left_out": subject.left_out} if missing else {}),
            **({"key_rotations": open_} if open_ else {}),
        },
    )
