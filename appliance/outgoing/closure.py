"""What a bundle carries: everything the references reach, and everything that speaks about it. Pure over one port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from appliance.limits import archives as archives_limits
from appliance.outgoing.gc_pause import gc_paused
from appliance.selecting.platforms import BUILDKIT_SUBJECT
from bundles import limits
from bundles.build import Content
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError, UsageError
from bundles.format.manifest import Artifact, Evidence
from bundles.io import strict_json
from bundles.oci.attached_tags import cosign_tags, fallback_tag
from bundles.oci.descriptor import Descriptor, Platform
from bundles.oci.digest import Digest
from bundles.oci.kinds import CYCLONEDX, kind_of_manifest
from bundles.oci.left_out import PLATFORMS_TYPE, left_out_by
from bundles.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.nesting import check_nesting, manifests_of
from bundles.oci.reference import Reference, moved_tag

_EVIDENCE: Final = ("sbom", "signature", "attestation")
_CONFIG_MOST: Final = limits.MIB


class RepositoryContent(Protocol):
    """What a repository shows."""

    def resolve(self, reference: Reference) -> Descriptor | None:
        """The manifest behind a tag or digest, or None."""
        ...

    def sizes(self, repository: str, digests: Sequence[Digest]) -> Sequence[int | None]:
        """The bytes of each of those blobs, None for one that the repository does not show."""
        ...

    def referrers(self, repository: str, digest: Digest) -> Iterable[Descriptor]:
        """The manifests that refer to one; `artifact_type` set."""
        ...

    def read(self, digest: Digest, most: int) -> bytes:
        """A small blob's or manifest's bytes, checked. Raises FailedError."""
        ...


@dataclass(slots=True)
class _Node:
    """A manifest that was reached, in one repository."""

    descriptor: Descriptor
    manifest: Manifest
    kind: str
    platform: str = ""
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Closure:
    """What was reached. `undescribed` are the images without a CycloneDX SBOM: (repository, digest). `not_held` are the
    foreign layers that a repository does not show: (repository, digest of the manifest, digest of the layer)."""

    content: Content
    undescribed: Sequence[tuple[str, Digest]]
    not_held: Sequence[tuple[str, Digest, Digest]] = ()
    notes: Sequence[str] = ()
    """What is to be said of tags that stand elsewhere than at the digest that was named with them."""
    left_out: Sequence[dict[str, Any]] = ()
    """Indexes of which platforms were left out on purpose: {index: `repository@digest`, platforms}."""


@gc_paused()
def closure_of(references: Sequence[Reference], shown: RepositoryContent) -> Closure:
    """Follow every reference.

    Raises NotFoundError for one that is not shown, FailedError for an artifact that is not whole, RefusedError for one
    that is nested too deep or reaches too much.
    """
    walk, tags = _Walk(shown), dict[Reference, Digest]()
    if not references:
        raise UsageError("no reference was given", remedy="name at least one REPO:TAG")
    for reference in references:
        found = shown.resolve(reference)
        if found is None:
            raise NotFoundError("no such artifact", thing=str(reference), remedy="see: lockgate repo list")
        node = walk.reach(reference.repository, found, 0)
        if reference.tag is not None:
            if tags.setdefault(reference.named, found.digest) != found.digest:
                raise UsageError(
                    "one tag is named at two digests",
                    thing=str(reference.named),
                    remedy="name one of them without its tag",
                )
            node.tags.add(reference.tag)
            if reference.digest is not None:
                there = shown.resolve(reference.named)
                walk.note(moved_tag(reference, None if there is None else there.digest))
    return walk.closure()


class _Walk:
    def __init__(self, shown: RepositoryContent) -> None:
        self._shown = shown
        self._nodes: dict[tuple[str, Digest], _Node] = {}
        self._blobs: dict[Digest, int] = {}
        self._evidence: dict[str, set[tuple[str, str]]] = {kind: set() for kind in _EVIDENCE}
        self._described: set[tuple[str, Digest]] = set()
        self._not_held: list[tuple[str, Digest, Digest]] = []
        self._permitted: dict[tuple[str, Digest], dict[Digest, str]] = {}
        """By repository and index what records say was left out of it."""
        self._absent: list[tuple[str, Digest, Descriptor]] = []
        self._notes: list[str] = []

    def reach(self, repository: str, descriptor: Descriptor, depth: int) -> _Node:
        """Take in a manifest: its blobs, its children, and what refers to it."""
        key = (repository, descriptor.digest)
        if key in self._nodes:
            return self._nodes[key]
        if depth > limits.INDEX_DEPTH or len(self._nodes) + len(self._blobs) > limits.CLOSURE_NODES:
            raise RefusedError(
                "an artifact is nested too deep or reaches too much",
                thing=f"{repository}@{descriptor.digest}",
                remedy=f"at most {limits.INDEX_DEPTH} levels and {limits.CLOSURE_NODES} manifests and blobs",
            )
        raw = self._shown.read(descriptor.digest, limits.OCI_MANIFEST)
        manifest = parse_manifest(raw, descriptor.media_type)
        node = _Node(Descriptor(manifest.media_type, descriptor.digest, len(raw)), manifest, kind_of_manifest(manifest))
        self._nodes[key] = node
        self._blobs[descriptor.digest] = len(raw)
        self._take_blobs(repository, manifest.blobs, descriptor.digest)
        if manifest.foreign:
            self._take_blobs(repository, manifest.foreign, descriptor.digest, foreign=True)
        node.platform = self._platform(node)
        for child in manifest.manifests:
            self._child(repository, child, descriptor.digest, depth)
        self._take_evidence(repository, descriptor.digest, depth)
        return node

    def _take_blobs(
        self, repository: str, blobs: Sequence[Descriptor], owner: Digest, *, foreign: bool = False
    ) -> None:
        """Take blobs in; one that is not shown is an error, unless it is a foreign layer, which is noted."""
        sizes = self._shown.sizes(repository, [blob.digest for blob in blobs])
        for blob, size in zip(blobs, sizes, strict=True):
            if size is None and foreign:
                self._not_held.append((repository, owner, blob.digest))
                continue
            if size is None:
                raise _not_whole(repository, owner, blob.digest)
            if size != blob.size:
                raise RefusedError(
                    "a manifest gives a blob another size than it has",
                    thing=f"{blob.digest} of {repository}@{owner}",
                    remedy="make the image again",
                )
            self._blobs[blob.digest] = size

    def _child(self, repository: str, child: Descriptor, index: Digest, depth: int) -> None:
        """What an index names. Other types than a manifest's can only have been pushed as blobs."""
        if child.media_type not in MANIFEST_TYPES:
            self._take_blobs(repository, [child], index)
            return
        found = self._shown.resolve(Reference(repository, digest=child.digest))
        if found is None:
            self._left_out(repository, child, index)
            return
        node = self.reach(repository, child, depth + 1)
        if not node.platform and node.kind == "image":
            node.platform = str(child.platform or "")
        subject = child.annotations.get(BUILDKIT_SUBJECT)
        if node.kind == "attestation" and subject is not None:
            self._evidence["attestation"].add((subject, str(child.digest)))

    def _left_out(self, repository: str, child: Descriptor, index: Digest) -> None:
        """A manifest of an index that is not there. Raises FailedError unless it was left out on purpose."""
        key = (repository, index)
        if key not in self._permitted:
            self._permitted[key] = {}
            for referrer in self._shown.referrers(repository, index):
                if referrer.artifact_type == PLATFORMS_TYPE:
                    record = parse_manifest(self._shown.read(referrer.digest, limits.OCI_MANIFEST), referrer.media_type)
                    self._permitted[key] |= left_out_by(record.artifact_type, record.annotations)
        if child.digest not in self._permitted[key]:
            raise _not_whole(repository, index, child.digest)
        self._absent.append((repository, index, child))

    def _take_evidence(self, repository: str, subject: Digest, depth: int) -> None:
        for referrer in self._shown.referrers(repository, subject):
            node = self.reach(repository, referrer, depth + 1)
            self._note(node.kind, subject, referrer.digest)
            if node.manifest.artifact_type == CYCLONEDX:
                self._described.add((repository, subject))
        for tag in cosign_tags(subject):
            found = self._shown.resolve(Reference(repository, tag=tag))
            if found is not None:
                node = self.reach(repository, found, depth + 1)
                node.tags.add(tag)
                self._note(node.kind, subject, found.digest)
        self._take_fallback(repository, subject, depth)

    def _take_fallback(self, repository: str, subject: Digest, depth: int) -> None:
        """The index of referrers at the fallback tag, where it lists nothing but what was reached as a referrer: what
        refers to `subject` is carried whether it is listed or not, and an index that lists what is gone is none."""
        tag = fallback_tag(subject)
        found = self._shown.resolve(Reference(repository, tag=tag))
        if found is None or found.media_type not in INDEX_TYPES:
            return
        listed = parse_manifest(self._shown.read(found.digest, limits.OCI_MANIFEST), found.media_type).manifests
        if all((repository, child.digest) in self._nodes for child in listed):
            self.reach(repository, found, depth + 1).tags.add(tag)

    def note(self, text: str) -> None:
        """Have something said, "" aside."""
        self._notes += [text] if text else []

    def _note(self, kind: str, subject: Digest, digest: Digest) -> None:
        if kind in self._evidence:
            self._evidence[kind].add((str(subject), str(digest)))

    def _platform(self, node: _Node) -> str:
        """An image's platform by its config (image specification, config.md); empty where that is no plain one."""
        config = node.manifest.config
        if node.kind != "image" or config is None or config.size > _CONFIG_MOST:
            return ""
        raw = self._shown.read(config.digest, _CONFIG_MOST)
        try:
            document = strict_json.loads(
                raw, ceiling=_CONFIG_MOST, nodes=archives_limits.CONFIG_NODES, what="config", floats=True
            )
            return str(Platform.from_json(document))
        except MalformedError:
            return ""

    def closure(self) -> Closure:
        """The content, its lists in the manifest's order, its blobs in the order in which they were reached.

        Raises RefusedError where indexes are nested too deep along any path: a walk meets each along one alone."""
        check_nesting({digest: manifests_of(node.manifest) for (_, digest), node in self._nodes.items()})
        artifacts = [
            Artifact(
                repository=repository, digest=str(digest), mediaType=node.manifest.media_type, kind=node.kind,
                size=node.descriptor.size, platform=node.platform, tags=sorted(node.tags),
            )
            for (repository, digest), node in self._nodes.items()
        ]  # fmt: skip
        artifacts.sort(key=lambda artifact: (artifact.repository, artifact.digest))
        carried = {artifact.digest for artifact in artifacts}
        sboms, signatures, attestations = (
            [
                Evidence(subject=subject, digest=digest)
                for subject, digest in sorted(self._evidence[kind])
                if subject in carried
            ]
            for kind in _EVIDENCE
        )
        content = Content(artifacts, list(self._blobs.items()), (), sboms, signatures, attestations)
        images = [key for key, node in self._nodes.items() if node.kind == "image"]
        return Closure(
            content, [key for key in images if key not in self._described], sorted(self._not_held),
            self._notes, _left_out(self._absent),
        )  # fmt: skip


def _left_out(absent: Iterable[tuple[str, Digest, Descriptor]]) -> list[dict[str, Any]]:
    """`absent`, repository, index and what it names that is not there, by index."""
    by_index: dict[str, dict[str, None]] = {}
    for repository, index, child in absent:
        listed = by_index.setdefault(f"{repository}@{index}", {})
        if child.platform is not None and BUILDKIT_SUBJECT not in child.annotations:
            listed[str(child.platform)] = None
    return [{"index": name, "platforms": sorted(platforms)} for name, platforms in sorted(by_index.items())]


def _not_whole(repository: str, owner: Digest, missing: Digest) -> FailedError:
    return FailedError(
        "an artifact is not whole in its repository",
        thing=f"{repository}@{owner} lacks {missing}",
        remedy="collect or push it again, whole; what a cache brought: lockgate warm REF",
    )
