"""Evidence that was carried in: shown, never counted (threats: a scan result carried from the other side)."""

from __future__ import annotations

from appliance.intake.inspectors.port import Subject, listed
from appliance.limits import intake as limits
from appliance.limits import sbom as sbom_limits
from appliance.sbom_tools import tools_in
from bundles.documents.signed import Section
from bundles.io.display import some


def inspect(subject: Subject) -> Section:
    """Every SBOM, signature and attestation that came, the programs that the SBOMs say they were made by, and which
    images have no SBOM (`note`)."""
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
    tools = _tools(subject)
    made_by = f", by {', '.join(tools[:3])}" if tools else ""
    return Section(
        inspector="evidence",
        outcome="note" if bare else "ok",
        summary=f"carried, not counted: {some(len(manifest.sboms), 'SBOM')}{made_by},"
        f" {some(len(manifest.signatures), 'signature')}, "
        f"{some(len(manifest.attestations), 'attestation')}"
        + (f"; {some(len(bare), 'image')} without an SBOM" if bare else ""),
        details={
            "standing": "carried, not counted",
            **listed("carried", carried),
            **listed("sbom_tools", tools),
            **listed("images_without_sbom", bare),
            **(listed("why_without_sbom", said) if (said := manifest.undescribed()) else {}),
        },
    )


def _tools(subject: Subject) -> list[str]:
    """`name version` of the programs that made the SBOMs, as these say; of the first few hundred documents."""
    named = {entry.digest for entry in subject.opened.manifest.sboms}
    layers = {layer.digest: layer.size for one in subject.checked if one.artifact.digest in named
              for layer in one.manifest.layers if layer.size <= sbom_limits.SBOM_DOCUMENT}  # fmt: skip
    found, left = set[str](), limits.SBOM_TOOLS_SIZE
    for digest, size in list(layers.items())[: limits.SBOM_TOOLS]:
        left -= size
        if left < 0:
            break
        with subject.blobs.open_blob(digest) as file:
            found.update(tools_in(file.read(sbom_limits.SBOM_DOCUMENT)))
    return sorted(found)
