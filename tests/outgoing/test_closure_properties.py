"""Whatever repositories hold, a closure is whole, in the manifest's order, and the same whoever is named first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.outgoing.closure import closure_of
from appliance.outgoing.plan import make_plan
from bundles.format.oci_layout import INDEX, LAYOUT, LAYOUT_FILE, index_bytes
from bundles.format.volume_frame import Entry, lay_out_volume
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from bundles.oci.manifest import parse_manifest
from bundles.oci.reference import Reference
from tests.outgoing.shown import FakeShown

MIB = 1024 * 1024
contents = st.binary(min_size=0, max_size=3)


@st.composite
def repositories(draw: st.DrawFn) -> tuple[FakeShown, list[Reference]]:
    """Images, indexes over them, and things that refer to them, in one or two repositories; some are tagged."""
    shown = FakeShown()
    references = []
    for repository in draw(st.sampled_from([["a"], ["a", "b/c"]])):
        made: list[dict[str, Any]] = []
        for number in range(draw(st.integers(1, 6))):
            kinds = ["image", "file", "index", "referrer"] if made else ["image", "file"]
            kind = draw(st.sampled_from(kinds))
            if kind == "image":
                made.append(shown.image(repository, *draw(st.lists(contents, max_size=3))))
            elif kind == "file":
                made.append(shown.manifest(repository, [(draw(contents), "application/octet-stream")]))
            elif kind == "index":
                made.append(shown.index(repository, draw(st.lists(st.sampled_from(made), max_size=4))))
            else:
                subject = draw(st.sampled_from(made))
                made.append(
                    shown.manifest(repository, [(draw(contents), CYCLONEDX)], artifactType=CYCLONEDX, subject=subject)
                )
            if number == 0 or draw(st.booleans()):
                shown.tag(repository, f"t{number}", made[-1])
                references.append(Reference(repository, tag=f"t{number}"))
    return shown, references


@given(repositories())
def test_everything_an_artifact_names_is_carried(filled: tuple[FakeShown, list[Reference]]) -> None:
    shown, references = filled
    content = closure_of(references, shown).content
    carried = dict(content.blobs)
    visible = {(artifact.repository, artifact.digest) for artifact in content.artifacts}
    for artifact in content.artifacts:
        manifest = parse_manifest(shown.content[Digest.parse(artifact.digest)])
        assert {blob.digest for blob in manifest.blobs} <= set(carried)
        assert {(artifact.repository, str(child.digest)) for child in manifest.manifests} <= visible
        referrers = shown.referrers(artifact.repository, Digest.parse(artifact.digest))
        assert {(artifact.repository, str(referrer.digest)) for referrer in referrers} <= visible
    assert all(len(shown.content[digest]) == size for digest, size in carried.items())


@given(repositories(), st.randoms())
def test_the_order_of_the_references_changes_nothing_but_the_order_of_the_blobs(
    filled: tuple[FakeShown, list[Reference]], random: Any
) -> None:
    shown, references = filled
    one = closure_of(references, shown)
    shuffled = list(references)
    random.shuffle(shuffled)
    other = closure_of(shuffled, shown)
    assert one.content.artifacts == other.content.artifacts
    assert one.content.sboms == other.content.sboms
    assert dict(one.content.blobs) == dict(other.content.blobs)
    assert set(one.undescribed) == set(other.undescribed)


@given(repositories())
def test_the_lists_are_in_the_manifests_order_and_without_doubles(filled: tuple[FakeShown, list[Reference]]) -> None:
    shown, references = filled
    content = closure_of(references, shown).content
    keys = [(artifact.repository, artifact.digest) for artifact in content.artifacts]
    assert keys == sorted(set(keys))
    evidence = [(entry.subject, entry.digest) for entry in content.sboms]
    assert evidence == sorted(set(evidence))
    assert len(content.blobs) == len(dict(content.blobs))


@given(repositories())
def test_a_plan_places_every_blob_and_its_volumes_have_the_sizes_it_says(
    filled: tuple[FakeShown, list[Reference]],
) -> None:
    shown, references = filled
    plan = make_plan(closure_of(references, shown), MIB, [])
    placed = [piece for pieces in plan.packing.volumes for piece in pieces]
    assert sorted((str(piece.digest), piece.length) for piece in placed) == sorted(
        (str(digest), size) for digest, size in plan.content.blobs
    )
    first = [Entry.literal(INDEX, index_bytes(plan.content.artifacts)), Entry.literal(LAYOUT_FILE, LAYOUT)]
    for number, (pieces, size) in enumerate(zip(plan.packing.volumes, plan.packing.sizes, strict=True)):
        assert size == lay_out_volume([*map(Entry.piece, pieces), *([] if number else first)]).size <= MIB
