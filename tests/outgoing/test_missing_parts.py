"""What a registry names and does not have: nothing becomes visible without a part of it."""

from __future__ import annotations

import pytest

from appliance.outgoing.collect.collector import Collector
from bundles.errors import FailedError, LockgateError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_INDEX, OCI_MANIFEST
from tests.outgoing.collecting import SMALL, run
from tests.outgoing.outside import Outside
from tests.outgoing.small_registry import SmallRegistry

pytestmark = pytest.mark.usefixtures("soon")


def test_evidence_that_shares_a_missing_layer_is_left_out_each_and_the_image_is_taken(
    outside: Outside, registry: SmallRegistry
) -> None:
    digest = registry.image("team/app", "1", SMALL)
    gone = [registry.image("team/app", "", b"gone", name, subject=digest) for name in (b"1", b"2")]
    here = registry.image("team/app", "", b"here", subject=digest)
    registry.index("team/app", f"sha256-{digest.hex}", *gone, here)
    del registry.blobs[str(Digest.of(b"gone"))]
    _, context = run(outside, registry.entry("team/app", "1"))
    assert outside.referrers("team/app", digest) == [here]
    assert len([line for line in context.lines if "which refers to" in line]) == 2


def test_a_child_that_is_not_there_makes_nothing_visible_also_where_it_is_evidence_of_its_sibling(
    outside: Outside, registry: SmallRegistry
) -> None:
    first = registry.image("team/app", "", SMALL)
    second = registry.image("team/app", "", b"gone", subject=first)
    registry.index("team/app", f"sha256-{first.hex}", second)
    registry.index("team/app", "1", first, second)
    del registry.blobs[str(Digest.of(b"gone"))]
    with pytest.raises(LockgateError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None


def test_nothing_stays_of_a_referrer_that_is_not_there_whole(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.outgoing.collect.collector._AT_ONCE", 1)  # what is there is taken first
    digest = registry.image("team/app", "1", SMALL)
    first, second = registry.image("team/app", "", b"here"), registry.image("team/app", "", b"gone")
    children = [
        {"mediaType": OCI_MANIFEST, "digest": str(one), "size": len(registry.manifests[f"team/app/{one}"][1])}
        for one in (first, second)
    ]
    subject = {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": len(registry.manifests["team/app/1"][1])}
    referrer = registry.manifest(
        "team/app", "", OCI_INDEX,
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, "subject": subject},
    )  # fmt: skip
    registry.index("team/app", f"sha256-{digest.hex}", referrer)
    del registry.blobs[str(Digest.of(b"gone"))]
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == digest
    assert outside.shows(f"team/app@{first}") is None
    assert outside.station.metadata.shown_anywhere(Digest.of(b"here")) == []


def test_nothing_becomes_visible_where_a_branch_left_a_part_to_another_that_lost_it(
    outside: Outside, registry: SmallRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.image("team/app", "1", SMALL, b"lost")
    whole = Collector._take_blob

    async def loses(collector: Collector, blob: Descriptor) -> None:
        if blob.digest != Digest.of(b"lost"):
            await whole(collector, blob)

    monkeypatch.setattr(Collector, "_take_blob", loses)
    with pytest.raises(FailedError):
        run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") is None


def test_cosigns_tags_that_lead_in_a_circle_end(outside: Outside, registry: SmallRegistry) -> None:
    first, second = registry.image("team/app", "1", b"1"), registry.image("team/app", "2", b"2")
    for subject, tagged in ((first, second), (second, first), (second, second)):
        registry.manifests[f"team/app/sha256-{subject.hex}.sig"] = registry.manifests[f"team/app/{tagged}"]
    run(outside, registry.entry("team/app", "1"))
    assert outside.shows("team/app:1") == first
    assert outside.shows(f"team/app:sha256-{first.hex}.sig") == second
