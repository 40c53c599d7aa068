"""The inspection report: what this station itself found, typed, canonical, and named by its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.intake import inspectors
from appliance.intake.content import check_content
from appliance.intake.inspectors.port import Named, Subject, listed
from appliance.limits import intake as limits
from appliance.store.reads.intake import find_entry, report_text
from bundles.decide.bundle import Opened
from bundles.documents import signed
from bundles.documents.signed import Report, Section
from bundles.format.manifest import Artifact, Evidence
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from tests.bundles.small import MemoryStore, SmallBundle, file_artifact
from tests.intake.inside import Carried, Inside, carry, name_of


def image(store: MemoryStore, architecture: str, announced: str, repository: str = "images/app") -> Artifact:
    """An image whose configuration says one platform, and the bundle another."""
    config = store.add(canonical({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers"}}))
    layer = store.add(b"layer of " + architecture.encode())
    raw = canonical(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": str(config), "size": len(store.blobs[config])},
            "layers": [{"mediaType": "application/x", "digest": str(layer), "size": len(store.blobs[layer])}],
        }
    )
    return Artifact(
        repository=repository, digest=str(store.add(raw)), mediaType=OCI_MANIFEST, kind="image", size=len(raw),
        platform=announced, tags=["1"],
    )  # fmt: skip


def report_of(inside: Inside, name: str = name_of()) -> Report:
    entry = find_entry(inside.station.reader, name)
    raw = (report_text(inside.station.reader, entry.digest) or "").encode()
    assert entry.report_digest == str(Digest.of(raw))
    return signed.decode(raw, Report)


def section(report: Report, inspector: str) -> Section:
    return next(found for found in report.sections if found.inspector == inspector)


def brought(inside: Inside, tmp_path: Path, store: MemoryStore, artifacts: list[Artifact], **changes: Any) -> Carried:
    made = carry(tmp_path / "carried", store, artifacts, **changes)
    inside.trust(made.key.public)
    inside.bring(made.folder)
    return made


def test_a_report_is_about_one_bundle_at_one_site(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    report = report_of(inside)
    assert (report.site, report.bundle) == ("bravo", name_of())
    assert report.digest == str(Digest.of(bundle.signed.sums))
    assert [found.inspector for found in report.sections] == [
        "integrity",
        "artifacts",
        "changes",
        "differences",
        "evidence",
        "signatures",
        "layers",
        "malware",
        "content",
    ]


def test_integrity_names_who_signed(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    found = section(report_of(inside), "integrity")
    assert [signer["owner"] for signer in found.details["signers"]] == ["Engineering"]
    assert found.details["volumes"] == len(bundle.manifest.volumes)
    assert found.details["bytes"] == sum(volume.size for volume in bundle.manifest.volumes)


def test_artifacts_are_listed_with_their_kinds_and_sizes(inside: Inside, bundle: SmallBundle) -> None:
    inside.bring(bundle.folder)
    found = section(report_of(inside), "artifacts")
    assert found.details["kinds"] == {"file": 4}
    big = next(entry for entry in found.details["artifacts"] if entry["repository"] == "files/big")
    assert big["bytes"] == 3_000_000 + 2 + next(a.size for a in bundle.artifacts if a.repository == "files/big")


def test_an_image_of_another_platform_than_announced_is_noted(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    brought(inside, tmp_path, store, [image(store, "arm64", "linux/amd64")])
    found = section(report_of(inside), "artifacts")
    assert found.outcome == "note"
    assert "linux/arm64, announced as linux/amd64" in found.details["platforms_differ"][0]


def test_a_variant_that_the_configuration_leaves_out_is_no_difference(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    brought(inside, tmp_path, store, [image(store, "arm64", "linux/arm64/v8")])
    assert section(report_of(inside), "artifacts").outcome == "ok"


@pytest.mark.parametrize("said", ["arm\x1b[2J64", "../../x", "..", "amd64\0", "a/b", "\u202e46dma"])
def test_a_configuration_that_says_a_platform_that_is_none_fails_and_is_not_repeated(
    inside: Inside, tmp_path: Path, said: str
) -> None:
    store = MemoryStore()
    brought(inside, tmp_path, store, [image(store, said, "linux/amd64")])
    found = section(report_of(inside), "artifacts")
    (entry,) = found.details["artifacts"]
    assert (found.outcome, entry["platform"]) == ("fail", "linux/amd64")
    assert found.details["platforms_malformed"] == [f"images/app@{entry['digest']}"]


def test_carried_evidence_is_listed_and_not_counted(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    app = image(store, "amd64", "linux/amd64")
    sbom = file_artifact(store, b"an SBOM", "images/app", "sbom")
    brought(inside, tmp_path, store, [app, sbom], sboms=[Evidence(subject=app.digest, digest=sbom.digest)])
    found = section(report_of(inside), "evidence")
    assert found.summary.startswith("carried, not counted: 1 SBOM")
    assert found.details["carried"] == [{"kind": "sbom", "subject": app.digest, "digest": sbom.digest}]
    assert found.outcome == "ok"


def test_an_image_without_an_sbom_is_noted(inside: Inside, tmp_path: Path) -> None:
    store = MemoryStore()
    app = image(store, "amd64", "linux/amd64")
    brought(inside, tmp_path, store, [app])
    found = section(report_of(inside), "evidence")
    assert (found.outcome, found.details["images_without_sbom"]) == ("note", [f"images/app@{app.digest}"])


def test_a_further_inspector_is_a_further_section(inside: Inside, tmp_path: Path) -> None:
    def names(subject: Subject) -> Section:
        return Section(inspector="names", outcome="ok", summary=subject.opened.manifest.id, details={})

    store = MemoryStore()
    made = brought(inside, tmp_path, store, [file_artifact(store, b"data")])
    station, manifest = inside.station, made.signed.manifest
    opened = Opened(manifest, made.signed.manifest_bytes, Digest.parse(made.digest), (), ())
    checked = check_content(station.blobs, manifest)
    subject = Subject(opened, checked, station.blobs, station.metadata, None, lambda *_: [])
    report = inspectors.inspect(subject, "bravo", "2026-06-01T00:00:00Z", (), [Named("names", names)])
    assert [found.summary for found in report.sections] == [name_of()]


def test_a_long_list_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPORT_LIST", 2)
    assert listed("new", [1, 2, 3]) == {"new": [1, 2], "new_left_out": 1}
    assert listed("new", [1, 2]) == {"new": [1, 2]}
