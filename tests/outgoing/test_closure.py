"""What a reference reaches: everything it names, everything that speaks about it, and nothing a repository hides."""

from __future__ import annotations

import pytest

from appliance.outgoing.closure import Closure, closure_of
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.format.manifest import Artifact
from bundles.limits import INDEX_DEPTH
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX
from bundles.oci.reference import Reference
from tests.outgoing.shown import LAYER, FakeShown

REPOSITORY = "tools/app"
COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"
IN_TOTO = "application/vnd.in-toto+json"


@pytest.fixture
def shown() -> FakeShown:
    return FakeShown()


def reach(shown: FakeShown, *references: str) -> Closure:
    return closure_of([Reference.parse(text) for text in references or [f"{REPOSITORY}:1"]], shown)


def by_digest(closure: Closure) -> dict[str, Artifact]:
    return {artifact.digest: artifact for artifact in closure.content.artifacts}


def test_an_image_brings_its_manifest_its_config_and_its_layers(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"one", b"two", tag="1")
    closure = reach(shown)
    assert {str(digest) for digest, _ in closure.content.blobs} == {str(digest) for digest in shown.content} - {
        str(Digest.of(b"{}"))
    }
    (artifact,) = closure.content.artifacts
    assert (artifact.digest, artifact.kind, artifact.platform) == (image["digest"], "image", "linux/amd64")
    assert (artifact.tags, artifact.size) == (["1"], image["size"])


def test_an_artifacts_blobs_follow_their_manifest(shown: FakeShown) -> None:
    images = [shown.image(REPOSITORY, name.encode(), tag=name) for name in ("a", "b")]
    order = [str(digest) for digest, _ in reach(shown, f"{REPOSITORY}:b", f"{REPOSITORY}:a").content.blobs]
    assert order.index(images[1]["digest"]) < order.index(str(Digest.of(b"b"))) < order.index(images[0]["digest"])


def test_an_index_brings_every_platform(shown: FakeShown) -> None:
    configs = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    images = [shown.image(REPOSITORY, b"shared", config=config) for config in configs]
    index = shown.index(REPOSITORY, images, tag="1")
    found = by_digest(reach(shown))
    assert found[index["digest"]].kind == "index"
    assert [found[image["digest"]].platform for image in images] == ["linux/amd64", "linux/arm64"]


def test_a_config_that_names_no_platform_leaves_it_to_the_index(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x", config={})
    shown.index(REPOSITORY, [image | {"platform": {"os": "linux", "architecture": "riscv64"}}], tag="1")
    assert by_digest(reach(shown))[image["digest"]].platform == "linux/riscv64"


@pytest.mark.parametrize("platform", ["\x1b[31mred", "a b", "[@click=app.bell]x", "x" * 200])
def test_a_platform_that_is_none_is_left_out(shown: FakeShown, platform: str) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1", config={"os": platform, "architecture": "amd64"})
    assert by_digest(reach(shown))[image["digest"]].platform == ""


@pytest.mark.parametrize("config", [{"os": 1, "architecture": []}, {"OS": "linux"}, []])
def test_a_config_that_makes_no_sense_gives_no_platform_and_is_carried(shown: FakeShown, config: object) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1", config=config)  # type: ignore[arg-type]
    assert by_digest(reach(shown))[image["digest"]].platform == ""


def test_what_is_reached_twice_is_carried_once(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    shown.tag(REPOSITORY, "2", image)
    closure = reach(shown, f"{REPOSITORY}:1", f"{REPOSITORY}:2", f"{REPOSITORY}@{image['digest']}")
    assert [artifact.tags for artifact in closure.content.artifacts] == [["1", "2"]]
    assert len(closure.content.blobs) == len({digest for digest, _ in closure.content.blobs})


def test_one_image_in_two_repositories_is_two_artifacts_over_the_same_blobs(shown: FakeShown) -> None:
    for repository in ("a", "b"):
        shown.image(repository, b"x", tag="1")
    closure = reach(shown, "a:1", "b:1")
    assert [artifact.repository for artifact in closure.content.artifacts] == ["a", "b"]
    assert len(closure.content.blobs) == 3


def test_referrers_come_along_and_so_do_theirs(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    sbom = shown.manifest(REPOSITORY, [(b"{}1", CYCLONEDX)], artifactType=CYCLONEDX, subject=image)
    signature = shown.manifest(
        REPOSITORY,
        [(b"sig", "application/jose+json")],
        subject=sbom,
        artifactType="application/vnd.cncf.notary.signature",
    )
    closure = reach(shown)
    assert [(entry.subject, entry.digest) for entry in closure.content.sboms] == [(image["digest"], sbom["digest"])]
    assert [(entry.subject, entry.digest) for entry in closure.content.signatures] == [
        (sbom["digest"], signature["digest"])
    ]
    assert by_digest(closure)[sbom["digest"]].kind == "sbom"


@pytest.mark.parametrize(
    ("suffix", "layer", "kind", "listed"),
    [
        ("sig", COSIGN, "signature", "signatures"),
        ("att", "application/vnd.dsse.envelope.v1+json", "attestation", "attestations"),
        ("sbom", "text/spdx", "sbom", "sboms"),
    ],
)
def test_what_cosign_attached_by_a_tag_comes_along_under_its_tag(
    shown: FakeShown, suffix: str, layer: str, kind: str, listed: str
) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    tag = f"{image['digest'].replace(':', '-')}.{suffix}"
    config = shown.describe(REPOSITORY, b"{ }", "application/vnd.oci.image.config.v1+json")
    attached = shown.manifest(REPOSITORY, [(b"payload", layer)], tag, config=config)
    closure = reach(shown)
    artifact = by_digest(closure)[attached["digest"]]
    assert (artifact.kind, artifact.tags, artifact.platform) == (kind, [tag], "")
    assert [entry.digest for entry in getattr(closure.content, listed)] == [attached["digest"]]
    assert [digest for _, digest in closure.undescribed] == [Digest.parse(image["digest"])]


@pytest.mark.parametrize("suffix", ["sig", "att", "sbom"])
def test_an_image_under_a_tag_of_cosigns_stays_an_image(shown: FakeShown, suffix: str) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    tag = f"{image['digest'].replace(':', '-')}.{suffix}"
    attached = shown.image(REPOSITORY, b"payload", tag=tag)
    closure = reach(shown)
    artifact = by_digest(closure)[attached["digest"]]
    assert (artifact.kind, artifact.tags) == ("image", [tag])
    content = closure.content
    assert not [*content.sboms, *content.signatures, *content.attestations]


def test_a_cosign_signature_named_by_itself_is_a_signature(shown: FakeShown) -> None:
    config = shown.describe(REPOSITORY, b"{ }", "application/vnd.oci.image.config.v1+json")
    signature = shown.manifest(REPOSITORY, [(b"payload", COSIGN)], "1", config=config)
    closure = reach(shown)
    assert by_digest(closure)[signature["digest"]].kind == "signature"
    assert not closure.undescribed


def test_a_buildkit_attestation_is_evidence_of_the_image_it_stands_beside(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x")
    config = shown.describe(REPOSITORY, b"{ }", "application/vnd.oci.image.config.v1+json")
    attestation = shown.manifest(REPOSITORY, [(b"statement", IN_TOTO)], config=config)
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image["digest"],
    }
    unknown = {"os": "unknown", "architecture": "unknown"}
    shown.index(REPOSITORY, [image, attestation | {"platform": unknown, "annotations": annotations}], tag="1")
    closure = reach(shown)
    assert by_digest(closure)[attestation["digest"]].kind == "attestation"
    (entry,) = closure.content.attestations
    assert (entry.subject, entry.digest) == (image["digest"], attestation["digest"])
    assert [digest for _, digest in closure.undescribed] == [Digest.parse(image["digest"])]


def test_evidence_of_what_is_not_carried_is_not_listed(shown: FakeShown) -> None:
    config = shown.describe(REPOSITORY, b"{ }", "application/vnd.oci.image.config.v1+json")
    attestation = shown.manifest(REPOSITORY, [(b"statement", IN_TOTO)], config=config)
    elsewhere = {"vnd.docker.reference.digest": str(Digest.of(b"elsewhere"))}
    shown.index(REPOSITORY, [attestation | {"annotations": elsewhere}], tag="1")
    assert not reach(shown).content.attestations


def test_an_image_with_a_cyclonedx_sbom_needs_none(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    assert reach(shown).undescribed == [(REPOSITORY, Digest.parse(image["digest"]))]
    shown.manifest(REPOSITORY, [(b"{}1", CYCLONEDX)], artifactType=CYCLONEDX, subject=image)
    assert reach(shown).undescribed == []


def test_an_sbom_in_another_repository_does_not_count(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x", tag="1")
    shown.image("other", b"x", tag="1")
    shown.manifest("other", [(b"{}1", CYCLONEDX)], artifactType=CYCLONEDX, subject=image)
    assert reach(shown, f"{REPOSITORY}:1", "other:1").undescribed == [(REPOSITORY, Digest.parse(image["digest"]))]


FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def test_a_foreign_layer_that_is_not_held_is_named_and_not_carried(shown: FakeShown) -> None:
    foreign = {"mediaType": FOREIGN, "digest": str(Digest.of(b"foreign")), "size": 7}
    owner = shown.manifest(REPOSITORY, [], "1", layers=[foreign])
    closure = reach(shown)
    assert Digest.of(b"foreign") not in {digest for digest, _ in closure.content.blobs}
    assert closure.not_held == [(REPOSITORY, Digest.parse(owner["digest"]), Digest.of(b"foreign"))]


def test_a_foreign_layer_that_the_repository_shows_is_carried(shown: FakeShown) -> None:
    shown.manifest(REPOSITORY, [(b"foreign", FOREIGN)], "1")
    closure = reach(shown)
    assert (Digest.of(b"foreign"), 7) in closure.content.blobs
    assert closure.not_held == []


def test_a_foreign_layer_in_another_repository_is_not_held(shown: FakeShown) -> None:
    shown.put("other", b"foreign")
    foreign = {"mediaType": FOREIGN, "digest": str(Digest.of(b"foreign")), "size": 7}
    shown.manifest(REPOSITORY, [], "1", layers=[foreign])
    assert len(reach(shown).not_held) == 1


def test_a_foreign_layer_of_another_size_is_refused(shown: FakeShown) -> None:
    foreign = shown.describe(REPOSITORY, b"foreign", FOREIGN) | {"size": 8}
    shown.manifest(REPOSITORY, [], "1", layers=[foreign])
    with pytest.raises(RefusedError, match="another size"):
        reach(shown)


def test_a_reference_that_is_not_shown_is_named(shown: FakeShown) -> None:
    with pytest.raises(NotFoundError, match="no such artifact: tools/app:1"):
        reach(shown)


def test_a_blob_that_another_repository_alone_shows_is_not_carried_along(shown: FakeShown) -> None:
    shown.image(REPOSITORY, b"secret", tag="1")
    shown.put("other", b"secret")
    shown.hide(REPOSITORY, str(Digest.of(b"secret")))
    with pytest.raises(FailedError, match=f"lacks {Digest.of(b'secret')}"):
        reach(shown)


def test_a_platform_that_is_not_there_is_named(shown: FakeShown) -> None:
    image = shown.image(REPOSITORY, b"x")
    shown.index(REPOSITORY, [image], tag="1")
    shown.hide(REPOSITORY, image["digest"])
    with pytest.raises(FailedError, match=f"lacks {image['digest']}"):
        reach(shown)


def test_what_an_index_lists_beside_manifests_is_carried_as_a_blob(shown: FakeShown) -> None:
    shown.index(REPOSITORY, [shown.describe(REPOSITORY, b"notes", "text/plain")], tag="1")
    assert Digest.of(b"notes") in {digest for digest, _ in reach(shown).content.blobs}


def test_a_manifest_that_lies_about_a_size_is_refused(shown: FakeShown) -> None:
    layer = shown.describe(REPOSITORY, b"x", LAYER)
    shown.manifest(REPOSITORY, [], "1", layers=[layer | {"size": 2}])
    with pytest.raises(RefusedError, match="another size"):
        reach(shown)


def test_an_index_nested_too_deep_is_refused(shown: FakeShown) -> None:
    inner = shown.image(REPOSITORY, b"x")
    for depth in range(INDEX_DEPTH + 1):
        inner = shown.index(REPOSITORY, [inner], tag=str(depth + 1))
    reach(shown, f"{REPOSITORY}:{INDEX_DEPTH}")
    with pytest.raises(RefusedError, match="nested too deep"):
        reach(shown, f"{REPOSITORY}:{INDEX_DEPTH + 1}")


def test_an_index_that_lists_a_deep_chain_flat_is_refused(shown: FakeShown) -> None:
    levels = [shown.image(REPOSITORY, b"x")]
    for _ in range(INDEX_DEPTH + 2):
        levels.append(shown.index(REPOSITORY, [levels[-1]]))
    shown.index(REPOSITORY, levels, tag="1")
    with pytest.raises(RefusedError, match="nested too deep"):
        reach(shown)


def test_an_artifact_that_reaches_too_much_is_refused(shown: FakeShown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bundles.limits.CLOSURE_NODES", 20)
    shown.index(REPOSITORY, [shown.image(REPOSITORY, bytes([number])) for number in range(20)], tag="1")
    with pytest.raises(RefusedError, match="reaches too much"):
        reach(shown)


def test_what_many_indexes_share_is_read_once(shown: FakeShown) -> None:
    inner = [shown.image(REPOSITORY, b"x")]
    for width in range(6):
        inner = [shown.index(REPOSITORY, [*inner, *inner], tag=f"{width}-{side}") for side in (1,)]
    reach(shown, f"{REPOSITORY}:5-1")
    assert shown.reads == 6 + 2
