"""What a bundle carries: everything the references reach, and everything that speaks about it. Pure over one port."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bundles import limits
from bundles.build import Content
from bundles.errors import NotFoundError, RefusedError, UsageError
from bundles.manifest import Artifact, Evidence
from bundles.manifest_check import is_platform
from bundles.oci.descriptor import Descriptor, Platform
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference

_COSIGN: Final = {"sig": "signature", "att": "attestation", "sbom": "sbom"}
"""Suffixes of the tags by which cosign attaches things where there is no referrers API (SIGNATURE_SPEC)."""

_CONFIG_MOST: Final = limits.MIB


class Shown(Protocol):
    """What a repository shows."""

    def resolve(self, reference: Reference) -> Descriptor | None:
        """The manifest behind a tag or digest, or None."""
        ...

    def referrers(self, repository: str, digest: Digest) -> Sequence[Descriptor]:
        """The manifests that refer to one; `artifact_type` set."""
        ...

    def read(self, digest: Digest, most: int) -> bytes:
        """A small blob's or manifest's bytes. Raises NotFoundError."""
        ...


@dataclass(slots=True)
class _Node:
    """A manifest that was reached, in one repository."""

    descriptor: Descriptor
    manifest: Manifest
    kind: str
    platform: str
    tags: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Closure:
    """What was reached. `images` are the image manifests that an SBOM is owed for: (repository, digest)."""

    content: Content
    images: list[tuple[str, Digest]]


def closure_of(references: Sequence[Reference], shown: Shown) -> Closure:
    """Follow every reference. Raises UsageError for one that is not shown, RefusedError for one too deep or large."""
    walk = _Walk(shown)
    if not references:
        raise UsageError("no reference was given", remedy="name at least one REPO:TAG")
    for reference in references:
        found = shown.resolve(reference)
        if found is None:
            raise UsageError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
        node = walk.manifest(reference.repository, found, 0)
        if reference.tag is not None:
            node.tags.add(reference.tag)
    return walk.closure()


class _Walk:
    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._nodes: dict[tuple[str, Digest], _Node] = {}
        self._blobs: dict[Digest, int] = {}
        self._evidence: dict[str, set[tuple[str, str]]] = {"sbom": set(), "signature": set(), "attestation": set()}
        self._images: list[tuple[str, Digest]] = []

    def manifest(
        self, repository: str, descriptor: Descriptor, depth: int, kind: str = "", platform: Platform | None = None
    ) -> _Node:
        """Reach a manifest: its blobs, its children, and what refers to it."""
        key = (repository, descriptor.digest)
        if key in self._nodes:
            return self._nodes[key]
        if depth > limits.INDEX_DEPTH or len(self._nodes) + len(self._blobs) > limits.CLOSURE_NODES:
            raise RefusedError(
                "an index is nested too deep or reaches too much", thing=f"{repository}@{descriptor.digest}"
            )
        raw = self._shown.read(descriptor.digest, limits.OCI_MANIFEST)
        manifest = parse_manifest(raw, descriptor.media_type)
        found = kind or kind_of(manifest.media_type, manifest.artifact_type)
        if found == "image" and platform is not None and platform.os == "unknown":
            found = "attestation"  # BuildKit's attestation manifests stand in the index with platform unknown/unknown
        described = str(platform) if platform is not None else self._platform(manifest, found)
        described = described if is_platform(described) else ""  # a client's words; the manifest takes well-formed ones
        node = _Node(Descriptor(manifest.media_type, descriptor.digest, len(raw)), manifest, found, described)
        self._nodes[key] = node
        self._blobs[descriptor.digest] = len(raw)
        for blob in manifest.blobs:
            self._blobs[blob.digest] = blob.size
        if found == "image":
            self._images.append(key)
        for child in manifest.manifests:
            if child.media_type in MANIFEST_TYPES:
                self.manifest(repository, child, depth + 1, platform=child.platform)
        self._referring(repository, descriptor.digest, depth)
        return node

    def _referring(self, repository: str, subject: Digest, depth: int) -> None:
        for referrer in self._shown.referrers(repository, subject):
            node = self.manifest(repository, referrer, depth + 1)
            self._note(node.kind, subject, referrer.digest)
        for suffix, kind in _COSIGN.items():
            tag = f"{subject.algorithm}-{subject.hex}.{suffix}"
            found = self._shown.resolve(Reference(repository, tag=tag))
            if found is not None:
                self.manifest(repository, found, depth + 1, kind).tags.add(tag)
                self._note(kind, subject, found.digest)

    def _note(self, kind: str, subject: Digest, digest: Digest) -> None:
        if kind in self._evidence:
            self._evidence[kind].add((str(subject), str(digest)))

    def _platform(self, manifest: Manifest, kind: str) -> str:
        """An image's platform by its config (image specification, config.md)."""
        if kind != "image" or manifest.config is None or manifest.config.size > _CONFIG_MOST:
            return ""
        try:
            config: Any = json.loads(self._shown.read(manifest.config.digest, _CONFIG_MOST))
            return str(Platform.from_json(config)) if isinstance(config, dict) else ""
        except (ValueError, NotFoundError):
            return ""

    def closure(self) -> Closure:
        """The content, its lists in the manifest's order, its blobs in the order in which they were reached."""
        artifacts = [
            Artifact(
                repository=repository, digest=str(digest), mediaType=node.manifest.media_type, kind=node.kind,
                size=node.descriptor.size, platform=node.platform, tags=sorted(node.tags),
            )
            for (repository, digest), node in self._nodes.items()
        ]  # fmt: skip
        artifacts.sort(key=lambda artifact: (artifact.repository, artifact.digest))

        def evidence(kind: str) -> list[Evidence]:
            return [Evidence(subject=subject, digest=digest) for subject, digest in sorted(self._evidence[kind])]

        content = Content(
            artifacts, list(self._blobs.items()), (), evidence("sbom"), evidence("signature"), evidence("attestation")
        )
        return Closure(content, self._images)
