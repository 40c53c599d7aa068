"""What kind of artifact a manifest is, in the design's words. The one place where a kind is derived: a build outside
and the inspection inside use the same function."""

from __future__ import annotations

from typing import Final

from bundles.oci.manifest import DOCKER_CONFIG, DOCKER_MANIFEST, INDEX_TYPES, OCI_CONFIG, OCI_EMPTY, Manifest

FILE_TYPE: Final = "application/vnd.lockgate.file.v1"
"""The artifactType of a file that `collect` packed."""

CYCLONEDX: Final = "application/vnd.cyclonedx+json"
SPDX: Final = "application/spdx+json"
SBOM_TYPES: Final = frozenset({CYCLONEDX, SPDX, "text/spdx+json"})
SIGNATURE_TYPES: Final = frozenset(
    {
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.cosign.simplesigning.v1+json",
        "application/vnd.cncf.notary.signature",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
)
ATTESTATION_TYPES: Final = frozenset({"application/vnd.in-toto+json", "application/vnd.dsse.envelope.v1+json"})
CHART_TYPE: Final = "application/vnd.cncf.helm.config.v1+json"


_BY_ARTIFACT_TYPE: Final = {
    **dict.fromkeys(SBOM_TYPES, "sbom"),
    **dict.fromkeys(SIGNATURE_TYPES, "signature"),
    **dict.fromkeys(ATTESTATION_TYPES, "attestation"),
    CHART_TYPE: "chart",
    FILE_TYPE: "file",
}
_BY_LAYER: Final = {
    **dict.fromkeys(SBOM_TYPES, "sbom"),
    **dict.fromkeys(("text/spdx", "application/vnd.cyclonedx+xml", "application/vnd.syft+json"), "sbom"),
    **dict.fromkeys(SIGNATURE_TYPES, "signature"),
    **dict.fromkeys(ATTESTATION_TYPES, "attestation"),
}
_BY_DOCUMENT: Final = {
    **_BY_LAYER,
    **dict.fromkeys(("application/jose+json", "application/cose"), "signature"),
}
"""Evidence by the type of its documents; Notation's envelopes have types that say nothing of signatures."""
EVIDENCE: Final = frozenset({"sbom", "signature", "attestation"})
"""Kinds that speak of another artifact and hold documents."""

IMAGE_CONFIGS: Final = frozenset(
    {OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json", "text/html"}
)
"""Configuration types that clients run a manifest by. Podman and containerd want one of the first two; Docker takes
the others as images too (moby, distribution/registry: ImageTypes)."""


_BESIDE_EVIDENCE: Final = {
    **dict.fromkeys((*IMAGE_CONFIGS, OCI_EMPTY, "application/vnd.unknown.config.v1+json", ""), ""),
    **{name: kind for name, kind in _BY_ARTIFACT_TYPE.items() if kind in EVIDENCE},
    "application/vnd.dev.cosign.artifact.sbom.v1+json": "sbom",
    "application/vnd.dev.cosign.artifact.att.v1+json": "attestation",
}
"""What the configuration's type and the `artifactType` of evidence may be, each with the kind that it says, "" for
none. ORAS writes the unknown configuration, cosign its own types."""


def kind_of(media_type: str, artifact_type: str) -> str:
    """index, image, chart, sbom, signature, attestation, file or artifact, where only these two types are known (a
    list of referrers). What decides anything is `kind_of_manifest`."""
    if media_type in INDEX_TYPES:
        return "index"
    if artifact_type in _BY_ARTIFACT_TYPE:
        return _BY_ARTIFACT_TYPE[artifact_type]
    return "image" if artifact_type in (OCI_CONFIG, DOCKER_CONFIG) else "artifact"


def kind_of_manifest(manifest: Manifest) -> str:
    """The kind of a checked manifest: index, image, chart, sbom, signature, attestation, file or artifact.

    What a client would do with it decides, before what it calls itself: an index is an index whatever its
    `artifactType`, and what clients run (`is_runnable`) is an image. Cosign and BuildKit attach evidence as images
    whose layers are all of one evidence type; that is evidence.
    """
    if manifest.is_index:
        return "index"
    by_layer = {_BY_LAYER.get(layer.media_type, "") for layer in manifest.layers}
    evidence = by_layer.pop() if len(by_layer) == 1 else ""
    if is_runnable(manifest):
        return evidence or "image"
    if manifest.config is not None and manifest.config.media_type == CHART_TYPE:
        return "chart"
    return _BY_ARTIFACT_TYPE.get(manifest.artifact_type, evidence or "artifact")


def is_runnable(manifest: Manifest) -> bool:
    """Whether clients take a manifest for an image: by its configuration's type, or by Docker's own manifest type."""
    config = manifest.config
    return config is not None and (config.media_type in IMAGE_CONFIGS or manifest.media_type == DOCKER_MANIFEST)


def evidence_of(manifest: Manifest) -> str:
    """The kind of evidence that a manifest is by every type in it: sbom, signature or attestation, else "".

    All layers are documents of one kind, and neither the `artifactType` nor the configuration's type says anything
    else. What calls itself evidence alone, over layers of another type, is none.
    """
    kinds = {_BY_DOCUMENT.get(layer.media_type, "") for layer in manifest.layers}
    kind = kinds.pop() if len(kinds) == 1 and not manifest.is_index else ""
    config = "" if manifest.config is None else manifest.config.media_type
    said = (manifest.artifact_type, config)
    return kind if all(_BESIDE_EVIDENCE.get(name, "other") in ("", kind) for name in said) else ""
