"""The `collect` job: artifacts from layouts, files and registries into the store.

A blob is recorded as soon as it is durable, and not fetched again, so a job that was cut off goes on where it was.
Nothing is visible before one transaction an artifact: its blobs and manifests, and its tags last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext, Result
from appliance.outgoing.collect.docker_archive import DockerArchive
from appliance.outgoing.collect.names import require_distinct, require_free
from appliance.outgoing.collect.remote import RemoteSource
from appliance.outgoing.collect.sources import (
    FileSource,
    LayoutArchive,
    LayoutSource,
    Root,
    Source,
    closing_all,
    fallback_tag,
)
from appliance.outgoing.collect.tar_files import TarFiles
from appliance.settings.client_writes import ClientWrites
from appliance.settings.redirects import check_hosts
from appliance.station import Station
from appliance.store.collection_lock import incoming_turn
from appliance.store.reads.garbage import is_pinned
from appliance.store.rows import WrongRowError
from appliance.store.writes.outgoing import AddArtifacts, RecordBlobs
from appliance.store.writes.registry import BlobRow, ManifestRow, holds_released
from bundles import limits
from bundles.errors import LockgateError, NotFoundError, RefusedError, UsageError
from bundles.format.oci_layout import LayoutFolder
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.nesting import check_nesting, manifests_of
from bundles.oci.reference import Reference, RemoteReference

PATHS: Final = ("layout", "oci-archive", "docker-archive", "file")
"""Kinds of sources that are paths."""


def run(context: JobContext) -> Result:
    """Collect `params["sources"]`, each `{kind: one of PATHS or registry, …, as}`. Returns `{"references": [...]}`,
    in `left_out` the foreign layers that a source does not hold, in `notes` what is to be said of tags."""

    def hashed(done: int, total: int) -> None:
        context.progress("hash", done, total)

    references: list[str] = []
    left: list[str] = []
    notes: list[str] = []
    thing = context.job_id
    try:
        with (
            incoming_turn(context.station.paths, context.progress, collects=False),
            closing_all([open_source(context, entry, hashed) for entry in context.params["sources"]]) as sources,
        ):
            _check_names(context, sources)
            for source in sources:
                for root in source.roots():
                    thing = str(root.target)
                    collector = _Collector(context, source, root)
                    before = _before(context, root)
                    collector.take()
                    left += collector.left
                    for note in filter(None, (root.note, before)):
                        notes.append(note)
                        context.log(f"[!!] {note}")
                    context.log(f"collected {root.target} as {root.descriptor.digest}")
                    references.append(thing)
    except LockgateError as error:
        context.record_failure(Act.COLLECT, thing, error)
        raise
    return {"references": references, "left_out": left, "notes": notes}


def _before(context: JobContext, root: Root) -> str:
    """What is to be said of a tag that stands at something else, as a copy says it; empty where it does not move."""
    if root.target.tag is None:
        return ""
    before = context.station.metadata.tag_target(root.target.repository, root.target.tag)
    return "" if before in (None, str(root.descriptor.digest)) else f"{root.target} stood at {before}"


def _check_names(context: JobContext, sources: list[Source]) -> None:
    """Raises UsageError, RefusedError where one source would take another's name, or another file's."""
    written = [str(entry.get("path") or entry.get("reference")) for entry in context.params["sources"]]
    named: list[tuple[str, Reference]] = []
    for text, source in zip(written, sources, strict=True):
        with contextlib.suppress(LockgateError):  # told in the source's turn: what comes before it is taken
            named += [(text, target) for target in source.targets()]
    require_distinct(named)
    for source in sources:
        if isinstance(source, FileSource) and source.default_name is not None:
            require_free(context.station, source.targets()[0], source.default_name)


def open_source(context: JobContext, entry: dict[str, Any], hashed: Callable[[int, int], object]) -> Source:
    """The source an entry describes. Raises UsageError."""
    as_ = Reference.parse(entry["as"]) if entry.get("as") else None
    if as_ is not None and (as_.tag is None or as_.digest is not None):
        raise UsageError("--as takes a tag", thing=str(as_), remedy="write REPO:TAG")
    if entry["kind"] in PATHS:
        path = context.path(entry["path"])
        name = _name(entry.get("name") or path.name)
    if entry["kind"] == "layout":
        return LayoutSource(LayoutFolder(path), entry.get("tag"), as_, name)
    if entry["kind"] == "oci-archive":
        return LayoutSource(LayoutArchive(TarFiles(path)), entry.get("tag"), as_, name.removesuffix(".tar"))
    if entry["kind"] == "docker-archive":
        return DockerArchive(TarFiles(path), entry.get("tag"), as_, hashed)
    if entry["kind"] == "file":
        return FileSource(path, as_, hashed, name)
    if entry["kind"] == "registry":
        reference = RemoteReference.parse(entry["reference"])
        return RemoteSource(reference, as_, redirects=redirects_of(context, entry, reference.host))
    kinds = ", ".join((*PATHS, "registry"))
    raise UsageError("unknown kind of source", thing=repr(entry["kind"])[:60], remedy=f"use one of {kinds}")


def _name(text: Any) -> str:
    """The name of a file or folder as its user wrote it. Raises UsageError for what is none."""
    if (
        not isinstance(text, str)
        or "/" in text
        or "\0" in text
        or text in (".", "..")
        or len(text) > limits.REPOSITORY_NAME
    ):
        raise UsageError("malformed parameters", thing="`name` is a file's name", remedy="see: lockgate --help")
    return text


def redirects_of(context: JobContext, entry: dict[str, Any], host: str) -> list[tuple[str, ...]]:
    """The lists that narrow a source's redirects: the entry's and the configuration's. Raises UsageError."""
    given = entry.get("redirects")
    if given is not None and not isinstance(given, list):
        raise UsageError("malformed parameters", thing="`redirects` is a list of hosts", remedy="see: lockgate --help")
    configured = context.station.config.collect.redirects.get(host.lower())  # names of hosts have no case (RFC 4343)
    return [check_hosts(hosts) for hosts in (given, configured) if hosts is not None]


def shown_blobs(manifest: Manifest) -> list[Descriptor]:
    """The blobs that a repository must show with a manifest: its own, and what an index lists that is no manifest."""
    return [*manifest.blobs, *(child for child in manifest.manifests if child.media_type not in MANIFEST_TYPES)]


class _Collector:
    """Takes one artifact with everything it names and everything that refers to it."""

    def __init__(self, context: JobContext, source: Source, root: Root) -> None:
        self._context, self._source, self._root = context, source, root
        self._station: Station = context.station
        self._blobs: dict[Digest, BlobRow] = {}
        self._manifests: dict[Digest, ManifestRow] = {}
        self._tags: dict[str, Digest] = {}
        self._referrers: list[str] = []
        self._named: dict[Digest, list[Digest]] = {}
        self._done = self._total = 0
        self.left: list[str] = []
        """Foreign layers that the source does not hold: `repository@digest: layer`."""

    def take(self) -> None:
        """Take the artifact and make it visible; the act is in the audit log first."""
        target, digest = self._root.target, self._root.descriptor.digest
        writes = ClientWrites.of(self._station.config)
        writes.require(target.repository)
        if writes.keeps_released and self._station.metadata.holds_released(target.repository):
            raise holds_released(target.repository)
        self._take_manifest(self._root.descriptor, 0)
        check_nesting(self._named)
        if target.tag is not None:
            self._tags[target.tag] = digest
        detail: dict[str, Any] = {"digest": str(digest), "manifests": len(self._manifests), "blobs": len(self._blobs)}
        # With the root they reach every digest that is linked (appliance.release_check.unexplained).
        if self._referrers:
            detail["referrers"] = sorted(set(self._referrers))
        attached = {tag: str(found) for tag, found in self._tags.items() if tag != target.tag}
        if attached:
            detail["attached"] = attached
        if writes.keeps_released:
            detail["keeps_released"] = True
        write = AddArtifacts(
            repository=target.repository,
            blobs=tuple(self._blobs.values()),
            manifests=tuple(self._manifests.values()),
            tags=tuple((tag, str(digest)) for tag, digest in self._tags.items()),
            at=clock.now(),
            keeps_released=writes.keeps_released,
        )
        event = AuditEvent(Act.COLLECT, self._context.actor, str(target), "done", detail)
        with recording(self._station.audit, event):
            self._station.writer.submit(write)

    def _take_manifest(self, descriptor: Descriptor, depth: int, subject: Digest | None = None) -> None:
        """Take a manifest and what belongs to it; one that was to refer to `subject` and does not is left alone."""
        if descriptor.digest in self._manifests:
            return
        if depth > limits.INDEX_DEPTH or len(self._blobs) + len(self._manifests) > limits.CLOSURE_NODES:
            raise RefusedError(
                "an artifact is nested too deep or reaches too much",
                thing=str(descriptor.digest),
                remedy=f"at most {limits.INDEX_DEPTH} levels and {limits.CLOSURE_NODES} blobs",
            )
        raw = self._source.manifest(descriptor)
        manifest = parse_manifest(raw, descriptor.media_type)
        if subject is not None and (manifest.subject is None or manifest.subject.digest != subject):
            self._context.log(f"left {descriptor.digest} alone: it does not refer to {subject}")
            return
        if subject is not None:
            self._referrers.append(str(descriptor.digest))
        wanted = [blob for blob in shown_blobs(manifest) if blob.digest not in self._blobs]
        self._total += sum(blob.size for blob in wanted)
        self._station.blobs.require_room(
            sum(blob.size for blob in wanted if not self._station.blobs.has_blob(blob.digest))
        )
        for blob in wanted:
            self._take_blob(blob)
        for layer in manifest.foreign:
            self._take_foreign(layer, descriptor.digest)
        for child in manifest.manifests:
            if child.media_type in MANIFEST_TYPES:
                self._take_manifest(child, depth + 1)
        crc32 = self._station.blobs.put(raw, descriptor.digest)
        self._named[descriptor.digest] = manifests_of(manifest)
        self._manifests[descriptor.digest] = manifest_row(descriptor.digest, raw, manifest, crc32)
        self._take_evidence(descriptor.digest, depth)

    def _take_evidence(self, digest: Digest, depth: int) -> None:
        """What speaks about a manifest. A list may name what is gone: that is said, and no reason to stop."""
        for referrer in self._source.referrers(digest):
            try:
                self._take_manifest(referrer, depth + 1, digest)
            except NotFoundError as error:
                self._context.log(f"left out {referrer.digest}, which refers to {digest}: {error.diagnostics()}")
        for tag, attached in self._source.attached(digest).items():
            if tag != fallback_tag(digest) or self._holds_listed(attached):
                self._take_manifest(attached, depth + 1)
                self._tags[tag] = attached.digest
                self._referrers.append(str(attached.digest))

    def _holds_listed(self, index: Descriptor) -> bool:
        """Whether everything that a fallback index lists was taken as a referrer. It may list what is gone, and a
        manifest that does not refer to what it says; such an index stays behind, and that is said."""
        listed = parse_manifest(self._source.manifest(index), index.media_type).manifests
        absent = [child for child in listed if child.digest not in self._manifests]
        if absent:
            self._context.log(f"left out the fallback index {index.digest}: it lists {absent[0].digest}, not taken")
        return not absent

    def _take_foreign(self, layer: Descriptor, owner: Digest) -> None:
        """A layer that is not to be distributed is taken where the source holds it; where not, that is said."""
        if layer.digest in self._blobs:
            return
        self._total += layer.size
        try:
            self._take_blob(layer)
        except NotFoundError:
            self._total -= layer.size
            name = f"{self._root.target.repository}@{owner}: {layer.digest}"
            self.left.append(name)
            self._context.log(f"[!!] left out {name}: a foreign layer that the source does not hold")

    def _take_blob(self, blob: Descriptor) -> None:
        held = self._held(blob)
        if held is not None:
            self._blobs[blob.digest] = held
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
        row = BlobRow(digest=str(blob.digest), size=blob.size, crc32=writer.crc32)
        self._station.writer.submit(RecordBlobs(blobs=(row,), at=clock.now()))
        self._blobs[blob.digest] = row

    def _held(self, blob: Descriptor) -> BlobRow | None:
        """A blob that need not be fetched. One that quarantine alone holds is: naming it must not make it visible. One
        whose file is not whole is, too: what is fetched replaces it, and ends the record of its damage."""
        try:
            facts = self._station.metadata.blob(blob.digest)
        except WrongRowError:
            self._context.log(f"the row of {blob.digest} is damaged here, and the blob is fetched again")
            return None
        if facts is None or facts.size != blob.size or not self._station.blobs.has_blob(blob.digest):
            return None
        if is_pinned(self._station.reader, str(blob.digest)) and not self._station.metadata.shown_anywhere(
            blob.digest, limit=1
        ):
            return None
        if not self._station.blobs.is_whole(blob.digest, self._attend):
            self._context.log(f"{blob.digest} is damaged here, and is fetched again")
            return None
        return BlobRow(digest=str(blob.digest), size=facts.size, crc32=facts.crc32)

    def _attend(self, _: int) -> None:
        """A read of what is held is no progress, but a cancel ends it."""
        self._context.progress("collect", self._done, self._total)

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
