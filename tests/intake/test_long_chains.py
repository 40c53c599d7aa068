"""What stands on what, in a bundle whose artifacts refer to one another in a long chain: each is looked at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.archives.findings import FAILING, RuleFindings, Tally
from appliance.intake.missing_volumes import blocked, whole_without
from appliance.limits.archives import FINDINGS
from appliance.store.blobs import BlobStore
from bundles.format.manifest import Artifact, Blob, BundleManifest
from bundles.io.strict_json import canonical
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST
from tests.intake.inside import Inside, small_bundle
from tests.meter import steps


def chain(store: BlobStore, template: BundleManifest, length: int) -> BundleManifest:
    """Each artifact refers to the one before it; the first alone lies in volume 2."""
    artifacts, blobs, subject = list[Artifact](), list[Blob](), None
    for number in range(length):
        empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(Digest.of(b"{}")), "size": 2}
        document: dict[str, Any] = {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": f"application/x.{number}", "config": empty,
            "layers": [],
        }  # fmt: skip
        if subject is not None:
            document["subject"] = subject
        raw = canonical(document)
        digest = Digest.of(raw)
        store.put(raw, digest)
        subject = {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": len(raw)}
        artifacts.append(msgspec.structs.replace(
            template.artifacts[0], repository="team/chain", digest=str(digest), mediaType=OCI_MANIFEST, size=len(raw),
            tags=[],
        ))  # fmt: skip
        blobs.append(msgspec.structs.replace(
            template.blobs[0], digest=str(digest), size=len(raw), parts=None, volume=1 if number else 2
        ))  # fmt: skip
    # The last one first: who goes through the list in its order learns one link of the chain at a time.
    return msgspec.structs.replace(template, artifacts=artifacts[::-1], blobs=blobs, sboms=[])


def test_a_chain_waits_for_the_volume_of_its_first_and_eight_times_as_long_takes_eight_times_as_much(
    tmp_path: Path,
) -> None:
    template = small_bundle(tmp_path / "carried").signed.manifest
    with Inside(tmp_path / "bravo") as inside:
        store, work = inside.station.blobs, []
        for length in (20, 160):
            manifest = chain(store, template, length)
            assert len(blocked(store, manifest, {2})[2]) == length
            assert whole_without(store, manifest, {2}).artifacts == []
            assert len(whole_without(store, manifest, {3}).artifacts) == length
            work.append(steps(lambda manifest=manifest: blocked(store, manifest, {2})))
        assert work[1] < 12 * work[0]


def test_the_first_findings_by_the_order_of_the_blobs_are_listed_and_the_rest_are_counted() -> None:
    rule, tally = FAILING[0], Tally()
    for order in reversed(range(3 * FINDINGS)):
        found = RuleFindings()
        found.add(path=str(order))
        tally.add(order, rule, found)
    details = tally.details()
    listed = [int(one["path"]) for one in details[rule]]
    assert listed == list(range(len(listed)))
    assert len(listed) <= FINDINGS
    assert details[f"{rule}_left_out"] == 3 * FINDINGS - len(listed)
