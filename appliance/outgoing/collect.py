"""The `collect` job: artifacts from layouts, files and registries into the store.

A blob that is held is not fetched again, so a job that was cut off goes on where it was. Nothing is visible before
one transaction an artifact: its blobs and manifests, and its tag last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance import clock
from appliance.control.kinds import JobContext, Result
from appliance.observe.audit import AuditEvent
from appliance.outgoing.remote import RemoteSource
from appliance.outgoing.sources import FileSource, LayoutSource, Root, Source, closing_all
from appliance.station import Station
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.registry import BlobRow, ManifestRow
from bundles import limits
from bundles.errors import RefusedError, UsageError
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.reference import Reference, RemoteReference


def run(context: JobContext) -> Result:
    """Collect `params["sources"]`, each `{kind: layout|file|registry, …, as}`. Returns `{"references": [...]}`."""
    references = []
    with closing_all([open_source(entry) for entry in context.params["sources"]]) as sources:
        for source in sources:
            for root in source.roots():
                digest = _Collector(context, source, root.target.repository).take(root)
                event = AuditEvent("collect", context.actor, str(root.target), "done", {"digest": str(digest)})
                context.station.audit.record(event)
                context.log(f"collected {root.target} as {digest}")
                references.append(str(root.target))
    return {"references": references}


def open_source(entry: dict[str, Any]) -> Source:
    """The source an entry describes. Raises UsageError."""
    as_ = Reference.parse(entry["as"]) if entry.get("as") else None
    if as_ is not None and as_.tag is None:
        raise UsageError("--as takes a tag", thing=str(as_), remedy="write REPO:TAG")
    if entry["kind"] == "layout":
        return LayoutSource(Path(entry["path"]), entry.get("tag"), as_)
    if entry["kind"] == "file":
        return FileSource(Path(entry["path"]), as_)
    if entry["kind"] == "registry":
        return RemoteSource(RemoteReference.parse(entry["reference"]), as_)
    raise UsageError("unknown kind of source", thing=repr(entry["kind"])[:60], remedy="use layout, file or registry")


class _Collector:
    """Takes one artifact with everything it names and everything that refers to it."""

    def __init__(self, context: JobContext, source: Source, repository: str) -> None:
        self._context, self._source, self._repository = context, source, repository
        self._station: Station = context.station
        self._blobs: dict[Digest, BlobRow] = {}
        self._manifests: dict[Digest, ManifestRow] = {}
        self._done = self._total = 0

    def take(self, root: Root) -> Digest:
        """Take the artifact and make it visible. Returns its digest."""
        self._take_manifest(root.descriptor, 0)
        digest = str(root.descriptor.digest)
        self._station.writer.submit(
            AddArtifacts(
                repository=self._repository,
                blobs=tuple(self._blobs.values()),
                manifests=tuple(self._manifests.values()),
                tags=((root.target.tag, digest),) if root.target.tag else (),
                at=clock.now(),
            )
        )
        return root.descriptor.digest

    def _take_manifest(self, descriptor: Descriptor, depth: int) -> None:
        if descriptor.digest in self._manifests:
            return
        if depth > limits.INDEX_DEPTH or len(self._blobs) + len(self._manifests) > limits.CLOSURE_NODES:
            raise RefusedError("an index is nested too deep or too large", thing=str(descriptor.digest))
        raw = self._source.manifest(descriptor)
        manifest = parse_manifest(raw, descriptor.media_type)
        wanted = [blob for blob in manifest.blobs if blob.digest not in self._blobs]
        self._total += sum(blob.size for blob in wanted)
        for blob in wanted:
            self._take_blob(blob)
        for child in manifest.manifests:
            if child.media_type in MANIFEST_TYPES:
                self._take_manifest(child, depth + 1)
        crc32 = self._station.blobs.put(raw, descriptor.digest)
        self._manifests[descriptor.digest] = manifest_row(descriptor.digest, raw, manifest, crc32)
        for referrer in self._source.referrers(descriptor.digest):
            self._take_manifest(referrer, depth + 1)

    def _take_blob(self, blob: Descriptor) -> None:
        held = self._station.metadata.blob(blob.digest)
        if held is not None and held.size == blob.size and self._station.blobs.has_blob(blob.digest):
            self._blobs[blob.digest] = BlobRow(digest=str(blob.digest), size=held.size, crc32=held.crc32)
            self._advance(blob.size)
            return
        writer = self._station.blobs.begin_blob(blob.digest, blob.size)
        try:
            for chunk in self._source.blob(blob):
                writer.write(chunk)
                self._advance(len(chunk))
            writer.commit()
        except BaseException:
            writer.cancel()
            raise
        self._blobs[blob.digest] = BlobRow(digest=str(blob.digest), size=blob.size, crc32=writer.crc32)

    def _advance(self, count: int) -> None:
        self._done += count
        self._context.progress("collect", self._done, self._total)


def manifest_row(digest: Digest, raw: bytes, manifest: Manifest, crc32: int) -> ManifestRow:
    """A manifest's facts as the metadata keeps them."""
    return ManifestRow(
        blob=BlobRow(digest=str(digest), size=len(raw), crc32=crc32),
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=str(manifest.subject.digest) if manifest.subject else None,
        annotations=dict(manifest.annotations),
    )
