"""What waits for a volume: the artifacts that cannot be taken in without it."""

from __future__ import annotations

from collections.abc import Set

from appliance.intake.content import read_manifest
from appliance.store.blobs import BlobStore
from bundles.errors import LockgateError
from bundles.manifest import Artifact, BundleManifest
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest


def blocked(store: BlobStore, manifest: BundleManifest, absent: Set[int]) -> dict[int, list[str]]:
    """By volume in `absent`, the artifacts that need it, named `repository:tag` or `repository@digest`.

    An artifact whose own manifest did not come is counted by that alone: what it names is not known yet.
    """
    places = {
        blob.digest: {part.volume for part in blob.parts} if blob.parts else {blob.volume or 0}
        for blob in manifest.blobs
    }
    found: dict[int, list[str]] = {index: [] for index in sorted(absent)}
    for artifact in manifest.artifacts:
        needed = set[int]().union(*(places.get(digest, set()) for digest in _needs(store, artifact)))
        for index in needed & absent:
            found[index].append(_name(artifact))
    return found


def _needs(store: BlobStore, artifact: Artifact) -> list[str]:
    """The digests that an artifact is made of, as far as they are known."""
    if not store.has_blob(Digest.parse(artifact.digest)):
        return [artifact.digest]
    try:
        parsed = parse_manifest(read_manifest(store, artifact), artifact.mediaType)
    except LockgateError:
        return [artifact.digest]
    return [artifact.digest, *(str(entry.digest) for entry in (*parsed.blobs, *parsed.manifests))]


def _name(artifact: Artifact) -> str:
    return f"{artifact.repository}:{artifact.tags[0]}" if artifact.tags else f"{artifact.repository}@{artifact.digest}"
