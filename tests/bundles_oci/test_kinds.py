"""The kind of a manifest follows from what clients do with it, before what it calls itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bundles.oci.digest import Digest
from bundles.oci.kinds import CHART_TYPE, CYCLONEDX, FILE_TYPE, is_runnable, kind_of, kind_of_manifest
from bundles.oci.manifest import (
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    parse_manifest,
)

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"


def described(media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(media_type.encode())), "size": 2}


def manifest(config: str, *layers: str, artifact_type: str = "", media_type: str = OCI_MANIFEST) -> Manifest:
    fields: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, "config": described(config)}
    fields |= {"layers": [described(layer) for layer in layers]}
    if artifact_type:
        fields["artifactType"] = artifact_type
    return parse_manifest(json.dumps(fields).encode(), media_type)


@pytest.mark.parametrize("artifact_type", ["", FILE_TYPE, CHART_TYPE, CYCLONEDX, IN_TOTO, COSIGN, "application/x"])
@pytest.mark.parametrize(
    "config", [OCI_CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json", "text/html"]
)
@pytest.mark.parametrize("layers", [(LAYER,), ("application/octet-stream",), (LAYER, IN_TOTO), ()])
def test_what_clients_run_is_an_image_whatever_it_calls_itself(
    artifact_type: str, config: str, layers: tuple[str, ...]
) -> None:
    found = manifest(config, *layers, artifact_type=artifact_type)
    assert (kind_of_manifest(found), is_runnable(found)) == ("image", True)


def test_dockers_own_type_of_manifest_is_an_image_whatever_its_configuration() -> None:
    assert kind_of_manifest(manifest(CHART_TYPE, LAYER, media_type=DOCKER_MANIFEST)) == "image"


@pytest.mark.parametrize("artifact_type", ["", FILE_TYPE, OCI_CONFIG, CYCLONEDX])
def test_an_index_is_an_index_whatever_it_calls_itself(artifact_type: str) -> None:
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "artifactType": artifact_type})
    assert kind_of_manifest(parse_manifest(raw.encode())) == "index"
    assert kind_of(OCI_INDEX, artifact_type) == "index"


@pytest.mark.parametrize(
    ("layer", "kind"), [(IN_TOTO, "attestation"), (COSIGN, "signature"), (CYCLONEDX, "sbom"), ("text/spdx", "sbom")]
)
def test_evidence_dressed_as_an_image_is_known_by_all_its_layers(layer: str, kind: str) -> None:
    assert kind_of_manifest(manifest(OCI_CONFIG, layer, layer)) == kind
    assert kind_of_manifest(manifest(OCI_CONFIG, layer, LAYER)) == "image"


@pytest.mark.parametrize(
    ("config", "artifact_type", "kind"),
    [
        (CHART_TYPE, "", "chart"),
        (CHART_TYPE, FILE_TYPE, "chart"),
        (OCI_EMPTY, FILE_TYPE, "file"),
        (OCI_EMPTY, CYCLONEDX, "sbom"),
        (OCI_EMPTY, IN_TOTO, "attestation"),
        (OCI_EMPTY, "application/x", "artifact"),
        ("application/x", "", "artifact"),
    ],
)
def test_other_artifacts_are_what_their_types_say(config: str, artifact_type: str, kind: str) -> None:
    assert kind_of_manifest(manifest(config, "application/octet-stream", artifact_type=artifact_type)) == kind
