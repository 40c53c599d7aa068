"""The policy for images in the repositories of a cache: what is fetched is held against it as what is pushed is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from appliance.image_signatures.applied import sign
from appliance.image_signatures.pulls import StationPulls
from appliance.registry.errors import WireError
from appliance.registry.services import OpenAccess
from appliance.settings.image_policy import ImageRule, PolicyRules
from appliance.store.reads.registry import Metadata
from appliance.trust_acts import pin, revoke
from bundles import limits
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, parse_manifest
from bundles.signing.keys import create_private
from tests.caching.site import HERE, THERE, CacheSite
from tests.image_signatures.signer import Image
from tests.intake.inside import make_station
from tests.outgoing.small_registry import SmallRegistry
from tests.registry_server import Store

SIGNER, STRANGER = create_private(), create_private()


class Node(OpenAccess):
    """Who asks may pull and nothing else."""

    def check(self, request: web.Request, action: str, repository: str) -> WireError | None:
        return None if action == "pull" else WireError(403, "DENIED", "it may not push")


@pytest.fixture
def held(tmp_path: Path, upstream: SmallRegistry) -> Iterator[CacheSite]:
    """A cache whose repositories ask for a signature of the Build team."""
    root = tmp_path / "bravo"
    make_station(root, open_=False)
    pin(root, SIGNER.public, purpose="image", owner="Build team", sites=())
    for owner in ("Anna", "Boris"):
        key = create_private()
        pin(root, key.public, purpose="release", owner=owner, sites=())
        sign(root, PolicyRules(image=[ImageRule(repositories=["cache/**"])]), key)
    with Store(root) as store:
        pulls = StationPulls(store.paths, store.blobs, Metadata(store.paths.database))
        store.on_close(pulls.close)
        yield CacheSite(store, upstream, access=Node(), pull_policy=pulls)


def put(upstream: SmallRegistry, image: Image, tag: str) -> None:
    """An image upstream, with what is attached to it below cosign's tags."""
    upstream.blobs |= {str(digest): raw for digest, raw in image.store.blobs.items()}
    for name, digest in ((tag, image.subject.digest), *((one.tag, one.digest) for one in image.carriers)):
        raw = image.store.blobs[digest]
        for reference in (name, str(digest)):
            upstream.manifests[f"{THERE}/{reference}"] = (OCI_MANIFEST, raw)


def layer_of(image: Image) -> Digest:
    return parse_manifest(image.subject.raw).layers[0].digest


def refused(held: CacheSite, *names: object) -> set[int]:
    return {held.manifest(name, method).status for name in names for method in ("GET", "HEAD")}


def test_what_is_fetched_and_not_signed_is_given_to_no_node(held: CacheSite) -> None:
    image = Image()
    image.cosign_by(STRANGER)
    put(held.upstream, image, "1")
    for _ in range(2):  # fetched, and then from the store
        assert refused(held, "1", image.subject.digest) == {403}
        for sent in ({}, {"Range": "bytes=0-1"}, {"If-None-Match": f'"{layer_of(image)}"'}):
            asked = held.server.ask("GET", f"/v2/{HERE}/blobs/{layer_of(image)}", headers=sent)
            assert asked.status == 403
        assert held.blob(layer_of(image), "HEAD").status == 403
    assert held.manifest(image.sig).status == 200  # who verifies elsewhere sees why
    assert held.blob(image.carriers[0].manifest.layers[0].digest).status == 200
    told = held.upstream.counted("GET", image.sig)
    assert refused(held, "1") == {403}
    assert held.upstream.counted("GET", image.sig) == told  # once: it is here


def test_a_signature_is_fetched_counts_and_ends_with_its_key(held: CacheSite) -> None:
    image = Image()
    image.cosign_by(SIGNER)
    put(held.upstream, image, "1")
    assert held.manifest("1").status == 200
    assert held.manifest(image.subject.digest, "HEAD").status == 200
    assert held.blob(layer_of(image)).status == 200
    revoke(held.store.paths.root, SIGNER.public.keyid, "lost")
    assert refused(held, "1", image.subject.digest) == {403}


def test_a_signature_that_is_asked_for_first_is_given_out_with_its_document(held: CacheSite) -> None:
    image = Image()
    image.cosign_by(SIGNER)
    put(held.upstream, image, "1")
    assert held.manifest(image.sig).status == 200
    assert held.blob(image.carriers[0].manifest.layers[0].digest).status == 200
    assert held.manifest("1").status == 200


def test_another_images_signature_and_an_image_at_its_tag_open_nothing(held: CacheSite) -> None:
    image, other = Image(), Image(text="another")
    other.cosign_by(SIGNER)
    put(held.upstream, image, "1")
    put(held.upstream, other, "2")
    theirs = held.upstream.manifests[f"{THERE}/{other.sig}"]
    held.upstream.manifests[f"{THERE}/{image.sig}"] = theirs
    assert refused(held, "1") == {403}
    third = Image(text="a third")
    put(held.upstream, third, "3")
    held.upstream.manifests[f"{THERE}/{third.sig}"] = held.upstream.manifests[f"{THERE}/3"]
    assert refused(held, "3", third.sig, third.subject.digest) == {403}


def test_documents_beyond_what_is_looked_at_are_not_fetched(held: CacheSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_SIGNATURES_SIZE", 10)
    image = Image()
    image.cosign_by(SIGNER)
    put(held.upstream, image, "1")
    assert refused(held, "1", image.sig) == {403}
    assert held.upstream.counted("GET", "blobs") == 0
