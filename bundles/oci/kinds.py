"""What kind of artifact a manifest is, in the design's words, from its types alone."""

from __future__ import annotations

from typing import Final

from bundles.oci.manifest import DOCKER_CONFIG, INDEX_TYPES, OCI_CONFIG

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


def kind_of(media_type: str, artifact_type: str) -> str:
    """index, image, chart, sbom, signature, attestation, file or artifact."""
    if artifact_type in _BY_ARTIFACT_TYPE:
        return _BY_ARTIFACT_TYPE[artifact_type]
    if media_type in INDEX_TYPES:
        return "index"
    return "image" if artifact_type in (OCI_CONFIG, DOCKER_CONFIG) else "artifact"
