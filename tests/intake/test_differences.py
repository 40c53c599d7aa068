"""What changes inside a tag that moves: size, configuration, components; and which images came without a signature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from appliance.store.reads.intake import find_entry, report_text
from bundles.format.manifest import Artifact, Evidence
from bundles.io.strict_json import canonical
from bundles.oci.manifest import OCI_CONFIG, OCI_EMPTY, OCI_MANIFEST
from tests.bundles.small import MemoryStore
from tests.intake.inside import Carried, Inside, carry, name_of

CYCLONEDX = "application/vnd.cyclonedx+json"


def _artifact(store: MemoryStore, kind: str, raw: bytes, tags: list[str]) -> Artifact:
    return Artifact(
        repository="team/app", digest=str(store.add(raw)), mediaType=OCI_MANIFEST, kind=kind, size=len(raw),
        platform="", tags=tags,
    )  # fmt: skip


def _described(store: MemoryStore, media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(store.add(data)), "size": len(data)}


def app(root: Path, config: dict[str, Any], layer: bytes, components: list[tuple[str, str]], *,
        metadata: Any = None, **changes: Any) -> Carried:  # fmt: skip
    """A bundle of one image, tagged 1, and its SBOM."""
    store = MemoryStore()
    image = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _described(store, OCI_CONFIG, canonical({"os": "linux", "architecture": "amd64", "config": config})),
        "layers": [_described(store, "application/x", layer)],
    }
    raw = canonical(image)
    shown = _artifact(store, "image", raw, ["1"])
    listing = {"components": [{"name": name, "version": version} for name, version in components]}
    listing |= {} if metadata is None else {"metadata": metadata}
    sbom = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": CYCLONEDX,
        "config": _described(store, OCI_EMPTY, b"{}"),
        "layers": [_described(store, CYCLONEDX, canonical(listing))],
        "subject": {"mediaType": OCI_MANIFEST, "digest": shown.digest, "size": len(raw)},
    }
    beside = _artifact(store, "sbom", canonical(sbom), [])
    ordered = sorted([shown, beside], key=lambda one: one.digest)
    evidence = [Evidence(subject=shown.digest, digest=beside.digest)]
    return carry(root, store, ordered, sboms=evidence, **changes)


def differences(inside: Inside, name: str) -> dict[str, Any]:
    report = json.loads(report_text(inside.station.reader, find_entry(inside.station.reader, name).digest) or "")
    return next(section for section in report["sections"] if section["inspector"] == "differences")


def test_a_moved_tag_is_compared_with_what_is_served(inside: Inside, tmp_path: Path) -> None:
    first = app(tmp_path / "1", {"User": "app", "Cmd": ["/run"]}, b"one", [("zlib", "1.2"), ("curl", "8.0")])
    inside.trust(first.key.public)
    inside.bring(first.folder)
    assert differences(inside, name_of())["details"]["moved"] == []
    inside.decide(name_of(), inside.officer())
    inside.release(name_of())
    second = app(
        tmp_path / "2", {"User": "root", "Cmd": ["/run"]}, b"one more", [("zlib", "1.3"), ("curl", "8.0")],
        sequence=2, previous=first.digest,
    )  # fmt: skip
    inside.trust(second.key.public)
    inside.bring(second.folder)
    section = differences(inside, name_of(2))
    (moved,) = section["details"]["moved"]
    assert (section["outcome"], moved["reference"]) == ("note", "team/app:1")
    assert moved["configuration"] == [{"field": "User", "before": '"app"', "now": '"root"'}]
    assert (moved["added"], moved["removed"]) == (["zlib 1.3"], ["zlib 1.2"])
    assert moved["bytes"] > moved["bytes_before"]


def test_an_image_without_a_signature_is_named(inside: Inside, tmp_path: Path) -> None:
    made = app(tmp_path / "1", {}, b"one", [])
    inside.trust(made.key.public)
    inside.bring(made.folder)
    section = differences(inside, name_of())
    (bare,) = section["details"]["images_without_signature"]
    assert (section["outcome"], bare.partition("@")[0]) == ("note", "team/app")
