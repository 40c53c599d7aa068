"""SBOMs that came along are held against the station's own, whatever form they came in."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from appliance.api.scanning import CarriedSbom
from appliance.scanning import scan_job
from appliance.scanning.packages import packages_of
from bundles.oci.reference import Reference
from tests.outgoing.conftest import layout as layout  # noqa: PLC0414  fixtures
from tests.outgoing.conftest import outside as outside  # noqa: PLC0414
from tests.outgoing.outside import Outside
from tests.peers.stock import Layout
from tests.scanning.exports import cyclonedx, dist_info, image_of

OCI = "application/vnd.oci.image"
IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "packages": [{"name": "b", "versionInfo": "2", "externalRefs": [
        {"referenceType": "purl", "referenceLocator": "pkg:pypi/b@2"}]}],
}  # fmt: skip


def statement(image: Mapping[str, Any], predicate: Any, kind: str = "https://spdx.dev/Document/v2.3") -> bytes:
    algorithm, _, hexadecimal = image["digest"].partition(":")
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {algorithm: hexadecimal}}],
        "predicateType": kind, "predicate": predicate,
    }).encode()  # fmt: skip


def envelope(payload: bytes) -> dict[str, Any]:
    return {"payloadType": IN_TOTO, "payload": base64.b64encode(payload).decode(), "signatures": [{"sig": "eA=="}]}


def evidence(
    layout: Layout, document: bytes, media_type: str, subject: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A manifest with one document; with a `subject` it refers to that."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json",
        "config": layout.blob(b"{}", f"{OCI}.config.v1+json"), "layers": [layout.blob(document, media_type)],
    }  # fmt: skip
    if subject is not None:
        manifest |= {"artifactType": media_type, "subject": {k: subject[k] for k in ("mediaType", "digest", "size")}}
        manifest["config"] = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    return layout.blob(json.dumps(manifest).encode(), f"{OCI}.manifest.v1+json")


@pytest.fixture
def image(layout: Layout) -> dict[str, Any]:
    found = image_of(layout, dist_info("a", "1") | dist_info("b", "2"))
    layout.tag("1", found)
    return found


def carried(outside: Outside, layout: Layout, tag: str = "1") -> list[CarriedSbom]:
    """What is said of SBOMs from elsewhere, once the station has its own."""
    listed = json.loads((layout.folder / "index.json").read_bytes())["manifests"]
    for name in [one["annotations"]["org.opencontainers.image.ref.name"] for one in listed]:
        outside.collect_layout(layout.folder, name, f"team/app:{name}")
    reference = f"team/app:{tag}"
    outside.run(outside.context("scan", {"references": [reference]}), scan_job.run)
    (shown, *_) = packages_of(outside.station, Reference.parse(reference)).images
    assert shown.state == "scanned"
    return list(shown.carried)


@pytest.mark.parametrize(
    "form", ["sbom tag", "att tag", "dsse referrer", "bundle referrer", "bare referrer", "old cosign"]
)
def test_each_form_is_compared_and_what_it_leaves_out_is_named(
    outside: Outside, layout: Layout, image: dict[str, Any], form: str
) -> None:
    name = image["digest"].replace(":", "-")
    said = statement(image, SPDX)
    if form == "sbom tag":
        layout.tag(f"{name}.sbom", evidence(layout, cyclonedx("pkg:pypi/b@2"), "application/vnd.cyclonedx+json"))
    elif form == "att tag":
        layout.tag(f"{name}.att", evidence(layout, json.dumps(envelope(said)).encode(), DSSE))
    elif form == "dsse referrer":
        layout.tag("ref", evidence(layout, json.dumps(envelope(said)).encode(), DSSE, image))
    elif form == "bundle referrer":
        layout.tag("ref", evidence(layout, json.dumps({"dsseEnvelope": envelope(said)}).encode(), BUNDLE, image))
    elif form == "bare referrer":
        layout.tag("ref", evidence(layout, said, IN_TOTO, image))
    else:
        old = statement(image, {"Data": json.dumps(SPDX), "Timestamp": "x"}, "https://spdx.dev/Document")
        layout.tag(f"{name}.att", evidence(layout, json.dumps(envelope(old)).encode(), DSSE))
    (found,) = carried(outside, layout)
    assert (found.packages, found.left_out, found.why) == (1, ("a@1",), "")
    assert carried(outside, layout) == [found]


def test_what_buildkit_puts_beside_an_image_is_compared(
    outside: Outside, layout: Layout, image: dict[str, Any]
) -> None:
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image["digest"]}
    beside = evidence(layout, statement(image, SPDX), IN_TOTO)
    index = {
        "schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json",
        "manifests": [
            image | {"platform": {"os": "linux", "architecture": "amd64"}},
            beside | {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": notes},
        ],
    }  # fmt: skip
    layout.tag("all", layout.blob(json.dumps(index).encode(), f"{OCI}.index.v1+json"))
    (found,) = carried(outside, layout, "all")
    assert found.left_out == ("a@1",)


@pytest.mark.parametrize(
    ("document", "media_type", "why"),
    [
        (b"SPDXVersion: SPDX-2.3\n", "text/spdx", "not read here"),
        (b"[]", "application/vnd.cyclonedx+json", "neither"),
        (b"\xff", "application/spdx+json", "an SBOM"),
        (b'{"payloadType": "application/vnd.in-toto+json", "payload": "!"}', DSSE, "base64"),
        (b'{"payloadType": "application/vnd.in-toto+json", "payload": "W10="}', DSSE, None),
        (b'{"predicateType": "https://slsa.dev/provenance/v1", "predicate": {}}', IN_TOTO, None),
        (
            b'{"predicateType": "https://spdx.dev/Document", "predicate": {"spdxVersion": "x"}}',
            IN_TOTO,
            "another image",
        ),
        (b'{"predicateType": 7, "predicate": 7}', IN_TOTO, None),
        (b"7", BUNDLE, None),
    ],
)
def test_what_cannot_be_read_is_said_and_what_is_no_sbom_is_none(
    outside: Outside, layout: Layout, image: dict[str, Any], document: bytes, media_type: str, why: str | None
) -> None:
    layout.tag(f"{image['digest'].replace(':', '-')}.att", evidence(layout, document, media_type))
    found = carried(outside, layout)
    assert [why is not None and why in one.why for one in found] == ([] if why is None else [True])
