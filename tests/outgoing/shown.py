"""Repositories in memory, as the closure sees them; and short ways to fill them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bundles.errors import NotFoundError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import (
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    parse_manifest,
)
from bundles.oci.reference import Reference

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class FakeShown:
    """`appliance.outgoing.closure.RepositoryContent` over dictionaries."""

    def __init__(self) -> None:
        self.content: dict[Digest, bytes] = {}
        self.links: set[tuple[str, Digest]] = set()
        self.tags: dict[tuple[str, str], Digest] = {}
        self.reads = 0

    # The port

    def resolve(self, reference: Reference) -> Descriptor | None:
        digest = reference.digest or self.tags.get((reference.repository, reference.tag or ""))
        if digest is None or (reference.repository, digest) not in self.links:
            return None
        return self._descriptor(digest)

    def sizes(self, repository: str, digests: Sequence[Digest]) -> list[int | None]:
        return [len(self.content[digest]) if (repository, digest) in self.links else None for digest in digests]

    def referrers(self, repository: str, digest: Digest) -> list[Descriptor]:
        manifests = [found for name, found in sorted(self.links) if name == repository and self._is_manifest(found)]
        return [self._descriptor(found) for found in manifests if self._refers(found, digest)]

    def read(self, digest: Digest, most: int) -> bytes:
        self.reads += 1
        if digest not in self.content:
            raise NotFoundError("no such blob", thing=str(digest))
        return self.content[digest]

    # Filling it

    def put(self, repository: str, data: bytes) -> Digest:
        digest = Digest.of(data)
        self.content[digest] = data
        self.links.add((repository, digest))
        return digest

    def describe(self, repository: str, data: bytes, media_type: str) -> dict[str, Any]:
        """Stored, with its descriptor."""
        return {"mediaType": media_type, "digest": str(self.put(repository, data)), "size": len(data)}

    def manifest(
        self, repository: str, contents: Sequence[tuple[bytes, str]], tag: str = "", **fields: Any
    ) -> dict[str, Any]:
        """An artifact of layers with `contents` (bytes, media type), and its other `fields`. Its descriptor."""
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.describe(repository, EMPTY_JSON, OCI_EMPTY),
            "layers": [self.describe(repository, data, media_type) for data, media_type in contents],
            **fields,
        }
        return self._named(repository, self.describe(repository, json.dumps(document).encode(), OCI_MANIFEST), tag)

    def image(
        self, repository: str, *layers: bytes, tag: str = "", config: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """An image of tar layers, for linux/amd64 where `config` does not say."""
        raw = json.dumps({"os": "linux", "architecture": "amd64"} if config is None else config).encode()
        return self.manifest(
            repository,
            [(layer, LAYER) for layer in layers],
            tag,
            config=self.describe(repository, raw, OCI_CONFIG),
        )

    def index(self, repository: str, children: Sequence[Mapping[str, Any]], tag: str = "") -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children)}
        return self._named(repository, self.describe(repository, json.dumps(document).encode(), OCI_INDEX), tag)

    def tag(self, repository: str, tag: str, described: Mapping[str, Any]) -> None:
        self.tags[repository, tag] = Digest.parse(described["digest"])

    def hide(self, repository: str, digest: str) -> None:
        """Take a link away; the bytes stay."""
        self.links.discard((repository, Digest.parse(digest)))

    def _named(self, repository: str, described: dict[str, Any], tag: str) -> dict[str, Any]:
        if tag:
            self.tag(repository, tag, described)
        return described

    def _is_manifest(self, digest: Digest) -> bool:
        return b'"schemaVersion"' in self.content[digest]

    def _refers(self, digest: Digest, subject: Digest) -> bool:
        found = parse_manifest(self.content[digest]).subject
        return found is not None and found.digest == subject

    def _descriptor(self, digest: Digest) -> Descriptor:
        manifest = parse_manifest(self.content[digest])
        return Descriptor(manifest.media_type, digest, len(self.content[digest]), artifact_type=manifest.artifact_type)
