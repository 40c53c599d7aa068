"""What an artifact weighs is everything that its manifest stands for, each digest once."""

from __future__ import annotations

import json

from appliance.control.artifact_sizes import ArtifactSizes
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from tests.bundles.small import MemoryStore


def _manifest(store: MemoryStore, *layers: int) -> Digest:
    """An image with a configuration of 100 bytes and layers of these sizes, which nobody needs to hold."""
    config = {"mediaType": OCI_CONFIG, "digest": f"sha256:{100:064x}", "size": 100}
    named = [{"mediaType": "application/octet-stream", "digest": f"sha256:{n:064x}", "size": n} for n in layers]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": named}
    return store.add(json.dumps(document).encode())


def _index(store: MemoryStore, *children: Digest) -> Digest:
    named = [{"mediaType": OCI_MANIFEST, "digest": str(one), "size": _size(store, one)} for one in children]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named}
    return store.add(json.dumps(document).encode())


def _size(store: MemoryStore, digest: Digest) -> int:
    return len(store.blobs.get(digest, b"x" * 700))


def test_an_image_weighs_its_manifest_configuration_and_layers() -> None:
    store = MemoryStore()
    image = _manifest(store, 1_000, 2_000)
    assert ArtifactSizes(store).of(image, OCI_MANIFEST, _size(store, image)) == _size(store, image) + 3_100


def test_what_platforms_share_counts_once() -> None:
    store = MemoryStore()
    one, other = _manifest(store, 1_000, 2_000), _manifest(store, 1_000, 5_000)
    index = _index(store, one, other)
    manifests = sum(_size(store, each) for each in (one, other, index))
    assert ArtifactSizes(store).of(index, OCI_INDEX, _size(store, index)) == manifests + 100 + 8_000


def test_a_platform_that_is_not_held_counts_as_its_manifest() -> None:
    store = MemoryStore()
    held, absent = _manifest(store, 1_000), Digest.of(b"elsewhere")
    index = _index(store, held, absent)
    expected = _size(store, held) + _size(store, index) + 700 + 1_100
    assert ArtifactSizes(store).of(index, OCI_INDEX, _size(store, index)) == expected


def test_what_cannot_be_read_counts_as_its_manifest() -> None:
    store = MemoryStore()
    assert ArtifactSizes(store).of(store.add(b"not JSON"), OCI_MANIFEST, 8) == 8
    assert ArtifactSizes(store).of(Digest.of(b"nowhere"), OCI_MANIFEST, 12) == 12


def test_a_weight_that_is_known_is_not_worked_out_again() -> None:
    store = MemoryStore()
    image = _manifest(store, 1_000)
    weights = ArtifactSizes(store)
    first = weights.of(image, OCI_MANIFEST, _size(store, image))
    store.blobs.clear()
    assert weights.of(image, OCI_MANIFEST, 0) == first
