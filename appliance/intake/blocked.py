"""What waits for a volume: the artifacts that cannot be taken in without it, and what is whole all the same."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import msgspec

from appliance.intake.content import read_manifest
from appliance.store.blobs import BlobStore
from bundles.errors import LockgateError
from bundles.manifest import Artifact, BundleManifest
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest, parse_manifest


def blocked(store: BlobStore, manifest: BundleManifest, absent: Set[int]) -> dict[int, list[str]]:
    """By volume in `absent`, the artifacts that need it, named `repository:tag` or `repository@digest`.

    An artifact whose own manifest did not come is counted by that alone: what it names is not known yet.
    """
    needs = _needs(store, manifest)
    return {
        index: [_name(artifact) for artifact in manifest.artifacts if index in needs[_key(artifact)]]
        for index in sorted(absent)
    }


def whole_without(store: BlobStore, manifest: BundleManifest, absent: Set[int]) -> BundleManifest:
    """The manifest with nothing in it that needs a volume in `absent`: the artifacts that are whole without it, what
    speaks of them, and their blobs. The same for the same volumes, whatever else the store has come to hold."""
    needs, places = _needs(store, manifest), _places(manifest)
    artifacts = [artifact for artifact in manifest.artifacts if not needs[_key(artifact)] & absent]
    digests = {artifact.digest for artifact in artifacts}
    evidence = {
        name: [one for one in getattr(manifest, name) if {one.subject, one.digest} <= digests]
        for name in ("sboms", "signatures", "attestations")
    }
    blobs = [blob for blob in manifest.blobs if not places[blob.digest] & absent]
    return msgspec.structs.replace(manifest, artifacts=artifacts, blobs=blobs, **evidence)


@dataclass(slots=True)
class _Node:
    """An artifact, what it is made of as far as that is known, and the volumes that it needs."""

    artifact: Artifact
    parsed: Manifest | None
    volumes: set[int]


def _needs(store: BlobStore, manifest: BundleManifest) -> dict[tuple[str, str], set[int]]:
    """By artifact, the volumes that it needs: for its own bytes, and for those of what it names or refers to."""
    places = _places(manifest)
    nodes = {_key(artifact): _node(store, artifact, places) for artifact in manifest.artifacts}
    growing = True
    while growing:
        growing = False
        for (repository, _), node in nodes.items():
            for named in _named(node.parsed):
                further = nodes.get((repository, named))
                if further is not None and not further.volumes <= node.volumes:
                    node.volumes |= further.volumes
                    growing = True
    return {key: node.volumes for key, node in nodes.items()}


def _places(manifest: BundleManifest) -> dict[str, set[int]]:
    return {
        blob.digest: {part.volume for part in blob.parts} if blob.parts else {blob.volume or 0}
        for blob in manifest.blobs
    }


def _node(store: BlobStore, artifact: Artifact, places: dict[str, set[int]]) -> _Node:
    volumes = set(places.get(artifact.digest, set()))
    parsed = None
    if store.has_blob(Digest.parse(artifact.digest)):
        try:
            parsed = parse_manifest(read_manifest(store, artifact), artifact.mediaType)
        except LockgateError:
            parsed = None
    if parsed is not None:
        volumes.update(*(places.get(str(blob.digest), set()) for blob in (*parsed.blobs, *parsed.manifests)))
    return _Node(artifact, parsed, volumes)


def _named(parsed: Manifest | None) -> list[str]:
    """The digests of the manifests that one stands on: an index's children, and what it refers to."""
    if parsed is None:
        return []
    subject = [parsed.subject] if parsed.subject is not None else []
    return [str(entry.digest) for entry in (*parsed.manifests, *subject)]


def _key(artifact: Artifact) -> tuple[str, str]:
    return artifact.repository, artifact.digest


def _name(artifact: Artifact) -> str:
    return f"{artifact.repository}:{artifact.tags[0]}" if artifact.tags else f"{artifact.repository}@{artifact.digest}"
