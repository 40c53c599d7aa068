"""A delta of every kind of artifact: what the inside holds is required, what changed is carried, the same comes out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles.format import manifest_codec
from bundles.oci.digest import Digest
from bundles.oci.kinds import CHART_TYPE, CYCLONEDX, FILE_TYPE
from bundles.oci.reference import Reference
from tests.deltas.conftest import Road
from tests.peers.stock import OCI, Layout

BASE = os.urandom(400_000)
Described = dict[str, Any]
Make = Callable[[Layout, bytes], Described]


def artifact(layout: Layout, data: bytes, *, kind: str, config: str = f"{OCI}.empty.v1+json", **more: Any) -> Described:
    """An artifact of the base and of `data`."""
    fields = {
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "artifactType": kind,
        "config": layout.blob(b"{}", config),
        "layers": [layout.blob(blob, "application/octet-stream") for blob in (BASE, data)], **more,
    }  # fmt: skip
    return layout.blob(json.dumps(fields).encode(), f"{OCI}.manifest.v1+json")


def referrer(layout: Layout, data: bytes, *, kind: str) -> Described:
    """A thing, and what speaks of it; the latter is what changes."""
    subject = artifact(layout, b"the thing itself", kind=FILE_TYPE)
    layout.tag("subject", subject)
    return artifact(layout, data, kind=kind, subject=subject)


def index(layout: Layout, data: bytes) -> Described:
    return layout.index([artifact(layout, b"as before", kind=FILE_TYPE), artifact(layout, data, kind=FILE_TYPE)])


def image(layout: Layout, data: bytes) -> Described:
    """With its SBOM beside it, so that no scanner is in the way."""
    described = layout.image({"usr/base": BASE, "opt/own": data}, "amd64")
    layout.tag(
        "sbom",
        artifact(layout, data, kind=CYCLONEDX, subject={k: described[k] for k in ("mediaType", "digest", "size")}),
    )
    return described


KINDS: dict[str, Make] = {
    "image": image,
    "index": index,
    "chart": lambda layout, data: artifact(layout, data, kind=CHART_TYPE, config=CHART_TYPE),
    "sbom": lambda layout, data: referrer(layout, data, kind=CYCLONEDX),
    "signature": lambda layout, data: referrer(layout, data, kind="application/vnd.cncf.notary.signature"),
    "attestation": lambda layout, data: referrer(layout, data, kind="application/vnd.in-toto+json"),
    "file": lambda layout, data: artifact(layout, data, kind=FILE_TYPE),
    "artifact": lambda layout, data: artifact(layout, data, kind="application/vnd.example.model"),
}


def collected(road: Road, make: Make, number: int, data: bytes) -> list[str]:
    layout = Layout(road.root / f"version-{number}" / "things")
    layout.tag("main", make(layout, data))
    return road.outside.collect_layout(layout.folder)


def sizes(folder: Path) -> tuple[int, int]:
    """Bytes carried, and bytes required."""
    manifest = manifest_codec.decode((folder / "manifest.json").read_bytes())
    return sum(blob.size for blob in manifest.blobs), sum(entry.size for entry in manifest.requires)


@pytest.mark.parametrize("kind", KINDS)
def test_a_delta_carries_what_changed_of_a(road: Road, kind: str) -> None:
    first, second = os.urandom(2_000), os.urandom(2_000)
    road.release(road.build(*collected(road, KINDS[kind], 1, first)))
    references = collected(road, KINDS[kind], 2, second)
    folder = road.build(*references, since=str(road.receipt()))
    carried, required = sizes(folder)
    assert carried < 20_000
    assert required >= len(BASE)
    said = manifest_codec.decode((folder / "manifest.json").read_bytes())
    assert kind in {entry.kind for entry in said.artifacts}
    road.release(folder)
    for reference in references:
        parsed = Reference.parse(reference)
        facts = road.inside.station.metadata.tagged_manifest(parsed.repository, parsed.tag or "")
        assert facts is not None
        assert facts.digest == road.outside.shows(reference)
    for digest in (Digest.of(BASE), Digest.of(second)):
        assert kind == "image" or road.inside.station.blobs.has_blob(digest)
