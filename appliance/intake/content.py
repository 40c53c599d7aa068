"""What the artifacts of a quarantined bundle are: every manifest read, and nothing missing beneath it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from appliance.limits import intake as intake_limits
from appliance.store.ports import Blobs
from appliance.store.reads.registry import Metadata
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.decisions import Released
from bundles import limits
from bundles.errors import FailedError, MalformedError, NotFoundError, RefusedError
from bundles.format.manifest import Artifact, BundleManifest
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.left_out import left_out_by
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.nesting import check_nesting, manifests_of
from bundles.ports import BlobReader

_TABLE_ANNOTATIONS: Final = (
    "io.github.containers.zstd-chunked.",
    "io.containers.zstd-chunked.",
    "containerd.io/snapshot/stargz/",
)


@dataclass(frozen=True)
class Checked:
    """An artifact and this station's own reading of its manifest, its descriptors without what is not asked for here
    (platforms, urls, and annotations but for those that lead a runtime to a table of contents)."""

    artifact: Artifact
    manifest: Manifest
    foreign: tuple[Descriptor, ...] = ()
    """The manifest's foreign layers that are carried or required."""

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What the bundle brings of what the manifest names, manifests aside."""
        return (*self.manifest.blobs, *self.foreign)

    @cached_property
    def kind(self) -> str:
        """Its kind by its own manifest, whatever the bundle announced."""
        return kind_of_manifest(self.manifest)

    @property
    def digests(self) -> set[str]:
        """The digests that a release of it shows: of its manifest, its configuration and its layers."""
        return {self.artifact.digest, *(str(blob.digest) for blob in self.blobs)}

    @property
    def name(self) -> str:
        return f"{self.artifact.repository}@{self.artifact.digest}"


def sizes_of(manifest: BundleManifest) -> dict[str, int]:
    """Every blob a bundle stands on, carried or required, with its bytes."""
    sizes = {blob.digest: blob.size for blob in manifest.blobs}
    return sizes | {required.digest: required.size for required in manifest.requires}


def check_held(blobs: Blobs, metadata: Metadata, sizes: Mapping[str, int]) -> None:
    """Whether the store has every blob at its size. Raises FailedError naming the first that it lacks."""
    for text, size in sizes.items():
        digest = Digest.parse(text)
        if not metadata.knows_blob(digest) or not blobs.has_blob(digest) or blobs.size(digest) != size:
            raise FailedError("a blob is missing from the store", thing=text, remedy="ask for a full bundle")


def check_content(blobs: Blobs, manifest: BundleManifest) -> list[Checked]:
    """Read every artifact's manifest and require that everything it names is carried or required.

    Raises RefusedError: a manifest that is not of its announced type or size, or that names what did not come, or
    manifests that name more than one bundle may.
    """
    sizes = sizes_of(manifest)
    sharing = _Sharing()
    shown = {(artifact.repository, artifact.digest): artifact for artifact in manifest.artifacts}
    checked: list[Checked] = []
    absent: list[tuple[Checked, Descriptor]] = []
    for artifact in manifest.artifacts:
        read = sharing.slim(_parse(read_manifest(blobs, artifact), artifact), artifact)
        entry = Checked(artifact, read, tuple(layer for layer in read.foreign if str(layer.digest) in sizes))
        for blob in entry.blobs:
            if sizes.get(str(blob.digest)) != blob.size:
                raise RefusedError("an artifact names a blob that did not come", thing=f"{entry.name}: {blob.digest}")
        for child in entry.manifest.manifests:
            if child.media_type not in MANIFEST_TYPES:
                continue
            came = shown.get((artifact.repository, str(child.digest)))
            if came is None:
                absent.append((entry, child))
            else:
                _check_child(entry, child, came)
        checked.append(entry)
    _check_absent(absent, checked)
    check_nesting({Digest.parse(one.artifact.digest): manifests_of(one.manifest) for one in checked})
    return checked


class _Sharing:
    """Keeps the manifests of a bundle small: one object for each descriptor, however many manifests name it."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Descriptor] = {}
        self._named = self._annotated = 0

    def slim(self, manifest: Manifest, artifact: Artifact) -> Manifest:
        """A manifest of shared descriptors. Raises RefusedError where the bundle's manifests hold too much."""
        config = None if manifest.config is None else self._one(manifest.config)
        slim = replace(
            manifest,
            config=config,
            layers=tuple(map(self._one, manifest.layers)),
            manifests=tuple(map(self._one, manifest.manifests)),
        )
        self._named += len(slim.layers) + len(slim.manifests)
        self._annotated += sum(len(name) + len(value) for name, value in manifest.annotations.items())
        for count, most, what in (
            (len(self._known), limits.CLOSURE_NODES, "different blobs"),
            (self._named, intake_limits.BUNDLE_NAMED, "blobs"),
            (self._annotated, intake_limits.BUNDLE_ANNOTATIONS, "characters of annotations"),
        ):
            if count > most:
                raise RefusedError(
                    "a bundle's manifests hold too much",
                    thing=f"{artifact.repository}@{artifact.digest}: more than {most} {what}",
                    remedy="carry it in several bundles",
                )
        return slim

    def _one(self, descriptor: Descriptor) -> Descriptor:
        kept = {key: value for key, value in descriptor.annotations.items() if key.startswith(_TABLE_ANNOTATIONS)}
        media_type, digest, size = descriptor.media_type, descriptor.digest, descriptor.size
        key = (media_type, digest, size, *sorted(kept.items()))
        if key not in self._known:
            self._annotated += sum(len(name) + len(value) for name, value in kept.items())
            self._known[key] = Descriptor(media_type, digest, size, annotations=kept)
        return self._known[key]


def _parse(raw: bytes, artifact: Artifact) -> Manifest:
    try:
        return parse_manifest(raw, artifact.mediaType)
    except MalformedError as error:
        raise RefusedError(
            error.what, thing=f"{artifact.repository}@{artifact.digest}: {error.thing}", remedy=error.remedy
        ) from None


def _check_absent(absent: Sequence[tuple[Checked, Descriptor]], checked: Sequence[Checked]) -> None:
    """Raises RefusedError where an index names a manifest that did not come, unless the bundle carries the record that
    it was left out on purpose."""
    if not absent:
        return
    permitted: dict[tuple[str, Digest], dict[Digest, str]] = {}
    for one in checked:
        left = left_out_by(one.manifest.artifact_type, one.manifest.annotations)
        if left and one.manifest.subject is not None:
            permitted.setdefault((one.artifact.repository, one.manifest.subject.digest), {}).update(left)
    for parent, child in absent:
        if child.digest not in permitted.get((parent.artifact.repository, Digest.parse(parent.artifact.digest)), {}):
            raise RefusedError("an index names a manifest that did not come", thing=f"{parent.name}: {child.digest}")


def _check_child(parent: Checked, child: Descriptor, came: Artifact) -> None:
    if (came.mediaType, came.size) != (child.media_type, child.size):
        raise RefusedError(
            "an index and the bundle differ about a manifest's type or size", thing=f"{parent.name}: {child.digest}"
        )


def read_manifest(blobs: BlobReader, artifact: Artifact) -> bytes:
    """A manifest's bytes from the store, hashed again. Raises RefusedError where they are not the announced ones."""
    digest = Digest.parse(artifact.digest)
    try:
        with blobs.open_blob(digest) as file:
            raw = file.read(limits.OCI_MANIFEST + 1)
    except NotFoundError as error:
        raise RefusedError("an artifact's manifest did not come", thing=error.thing) from None
    if len(raw) != artifact.size or Digest.of(raw, digest.algorithm) != digest:
        raise RefusedError("a manifest's bytes are not the signed ones", thing=str(digest))
    return raw


def released(entry: Checked, metadata: Metadata) -> Released:
    """What a release shows of an artifact."""
    artifact, found = entry.artifact, entry.manifest
    row = ManifestRow(
        blob=BlobRow(digest=artifact.digest, size=artifact.size, crc32=metadata.crc32(Digest.parse(artifact.digest))),
        media_type=found.media_type,
        artifact_type=found.artifact_type,
        subject=str(found.subject.digest) if found.subject else None,
        annotations=dict(found.annotations),
    )
    named = tuple(str(blob.digest) for blob in entry.blobs)
    return Released(repository=artifact.repository, manifest=row, blobs=named, tags=tuple(artifact.tags))
