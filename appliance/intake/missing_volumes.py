"""What waits for a volume: the artifacts that cannot be taken in without it, and what is whole all the same."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import msgspec

from appliance.intake.content import read_manifest
from appliance.store.ports import Blobs
from bundles.errors import LockgateError
from bundles.format.manifest import Artifact, BundleManifest
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest, parse_manifest


def blocked(store: Blobs, manifest: BundleManifest, absent: Set[int]) -> dict[int, list[str]]:
    """By volume in `absent`, the artifacts that need it, named `repository:tag` or `repository@digest`.

    An artifact whose own manifest did not come is counted by that alone: what it names is not known yet.
    """
    graph = _Graph.of(store, manifest)
    found = {}
    for index in sorted(absent):
        needing = graph.needing({index})
        found[index] = [_name(artifact) for artifact in manifest.artifacts if _key(artifact) in needing]
    return found


def whole_without(store: Blobs, manifest: BundleManifest, absent: Set[int]) -> BundleManifest:
    """The manifest with nothing in it that needs a volume in `absent`: the artifacts that are whole without it, what
    speaks of them, and their blobs. The same for the same volumes, whatever else the store has come to hold."""
    needing, places = _Graph.of(store, manifest).needing(absent), _places(manifest)
    artifacts = [artifact for artifact in manifest.artifacts if _key(artifact) not in needing]
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


@dataclass(slots=True)
class _Graph:
    """The artifacts by repository and digest, and by each those that stand on it."""

    nodes: dict[tuple[str, str], _Node]
    above: dict[tuple[str, str], list[tuple[str, str]]]

    @classmethod
    def of(cls, store: Blobs, manifest: BundleManifest) -> _Graph:
        """Read every artifact's manifest that is held."""
        places = _places(manifest)
        nodes = {_key(artifact): _node(store, artifact, places) for artifact in manifest.artifacts}
        above: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for key, node in nodes.items():
            for named in _named(node.parsed):
                above.setdefault((key[0], named), []).append(key)
        return cls(nodes, above)

    def needing(self, volumes: Set[int]) -> set[tuple[str, str]]:
        """The artifacts that need one of the volumes: for their own bytes, or for those of what they name or refer to.

        Looks at each artifact and each of its names once.
        """
        found = {key for key, node in self.nodes.items() if node.volumes & volumes}
        waiting = list(found)
        while waiting:
            further = [key for key in self.above.get(waiting.pop(), ()) if key not in found]
            found.update(further)
            waiting += further
        return found


def _places(manifest: BundleManifest) -> dict[str, set[int]]:
    return {
        blob.digest: {part.volume for part in blob.parts} if blob.parts else {blob.volume or 0}
        for blob in manifest.blobs
    }


def _node(store: Blobs, artifact: Artifact, places: dict[str, set[int]]) -> _Node:
    volumes = set(places.get(artifact.digest, set()))
    parsed = None
    if store.has_blob(Digest.parse(artifact.digest)):
        try:
            parsed = parse_manifest(read_manifest(store, artifact), artifact.mediaType)
        except LockgateError:
            parsed = None
    if parsed is not None:
        volumes.update(
            *(places.get(str(blob.digest), set()) for blob in (*parsed.blobs, *parsed.foreign, *parsed.manifests))
        )
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
