"""One artifact of a collect, with everything it names and everything that refers to it.

Nothing is visible before one transaction: its blobs and manifests, and its tags last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from appliance import clock
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.audit.folder_acts import recording
from appliance.jobs.kinds import JobContext
from appliance.limits import collecting as collecting_limits
from appliance.outgoing.collect.arrivals import Arrivals, ArtifactSource
from appliance.outgoing.collect.evidence import Evidence
from appliance.outgoing.collect.sources import Root
from appliance.outgoing.collect.tasks import FirstAlone, all_of, each_of, in_thread
from appliance.selecting.platforms import Wanted, split
from appliance.settings.client_writes import ClientWrites
from appliance.settings.gates import require_entry, staying
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.registry import holds_released
from bundles import limits
from bundles.errors import FailedError, NotFoundError, RefusedError
from bundles.oci.attached_tags import fallback_tag
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import CHART_TYPE
from bundles.oci.left_out import left_out_by, record_of
from bundles.oci.manifest import EMPTY_JSON, MANIFEST_TYPES, Manifest, parse_manifest
from bundles.oci.nesting import check_nesting, manifests_of

_AT_ONCE: Final = 32
"""Parts of a manifest, or questions about manifests, under way at once: more wait for the registry anyway."""


def shown_blobs(manifest: Manifest) -> list[Descriptor]:
    """The blobs that a repository must show with a manifest: its own, and what an index lists that is no manifest."""
    return [*manifest.blobs, *(child for child in manifest.manifests if child.media_type not in MANIFEST_TYPES)]


class Collector:
    """Takes one artifact. `shows` lets in whoever records an act and makes it visible."""

    def __init__(
        self,
        context: JobContext,
        source: ArtifactSource,
        root: Root,
        arrivals: Arrivals,
        shows: FirstAlone,
        platforms: Sequence[str] = (),
    ) -> None:
        """`platforms` are those that are taken of an index; none of them: all."""
        self._wanted_platforms = Wanted(platforms)
        self._left_out: dict[Digest, tuple[Descriptor, Sequence[Descriptor]]] = {}
        """Of each index what was left out of it."""
        self._lacking: list[str] = []
        self._context, self._source, self._root = context, source, root
        self._station, self._arrivals, self._shows = context.station, arrivals, shows
        self._blobs: dict[Digest, BlobRow] = {}
        self._wanted: set[Digest] = set()
        self._begun: set[Digest] = set()
        self._unasked: list[tuple[Digest, int]] = []
        """Manifests that were taken, each with its depth, whose evidence is still to be asked for."""
        self._manifests: dict[Digest, ManifestRow] = {}
        self._tags: dict[str, Digest] = {}
        self._referrers: list[str] = []
        self._named: dict[Digest, list[Digest]] = {}
        self._needed: dict[Digest, list[Digest]] = {}
        self.left: list[str] = []
        """Foreign layers that the source does not hold: `repository@digest: layer`."""
        self._is_evidence = False
        self._evidence = self._evidence_size = 0
        self._unasked_of: list[str] = []

    async def take(self) -> None:
        """Take the artifact and make it visible; the act is in the audit log first. Raises a LockgateError."""
        target, digest = self._root.target, self._root.descriptor.digest
        writes = self._may_write()
        writes.require(target.repository)
        if writes.keeps_released and self._station.metadata.holds_released(target.repository):
            raise holds_released(target.repository)
        stage = await self._arrivals.stage(target.repository)
        require_entry(stage, target.repository)
        await self._take_manifest(self._root.descriptor, 0)
        self._lacking = self._wanted_platforms.lacking(str(target))
        await self._record_left_out()
        self._is_evidence = True
        while self._unasked:
            await self._take_evidence()
        check_nesting(self._named)
        self._require_whole()
        if target.tag is not None:
            self._tags[target.tag] = digest
        detail: dict[str, Any] = {"digest": str(digest), "manifests": len(self._manifests), "blobs": len(self._blobs)}
        # With the root they reach every digest that is linked (appliance.release_check.unexplained).
        if self._referrers:
            detail["referrers"] = sorted(set(self._referrers))
        attached = {tag: str(found) for tag, found in self._tags.items() if tag != target.tag}
        if attached:
            detail["attached"] = attached
        if self._left_out:
            detail["left_out"] = sorted({str(one.digest) for _, left in self._left_out.values() for one in left})
        if writes.keeps_released:
            detail["keeps_released"] = True
        write = AddArtifacts(
            repository=target.repository,
            blobs=tuple(self._blobs.values()),
            manifests=tuple(self._manifests.values()),
            tags=tuple((tag, str(found)) for tag, found in self._tags.items()),
            at=clock.now(),
            keeps_released=writes.keeps_released,
            stays=staying(stage, self._tags),
        )
        async with self._shows.turn():
            await in_thread(self._show, detail, write)
        await in_thread(self._arrivals.forget, list(self._blobs), target.repository)

    def _may_write(self) -> ClientWrites:
        """Which repositories it may be put into."""
        return ClientWrites.of(self._station.config)

    def _show(self, detail: dict[str, Any], write: AddArtifacts) -> None:
        """Record the act, and make it visible. Blocking."""
        event = AuditEvent(Act.COLLECT, self._context.actor, str(self._root.target), "done", detail)
        with recording(self._station.audit, event):
            self._station.writer.submit(write)

    def _require_whole(self) -> None:
        """Branches that met at one manifest relied on each other: nothing becomes visible with a part missing."""
        wanted = [("a tag", digest) for digest in self._tags.values()]
        wanted += [(str(digest), one) for digest in self._manifests for one in self._needed[digest]]
        for name, one in wanted:
            if one not in self._blobs and one not in self._manifests:
                raise FailedError(
                    "an artifact did not arrive whole", thing=f"{name} names {one}", remedy="collect it again"
                )

    async def _take_manifest(self, descriptor: Descriptor, depth: int, subject: Digest | None = None) -> None:
        """Take a manifest and what belongs to it; one that was to refer to `subject` and does not is left alone."""
        if descriptor.digest in self._begun:
            return
        if depth > limits.INDEX_DEPTH or len(self._wanted) + len(self._begun) > limits.CLOSURE_NODES:
            raise RefusedError(
                "an artifact is nested too deep or reaches too much",
                thing=str(descriptor.digest),
                remedy=f"at most {limits.INDEX_DEPTH} levels and {limits.CLOSURE_NODES} blobs",
            )
        raw = await self._arrivals.manifest(descriptor, self._source, self._root.target.repository)
        self._count_evidence(len(raw))
        manifest = parse_manifest(raw, descriptor.media_type)
        if descriptor.digest in self._begun:  # by another branch, meanwhile
            return
        if subject is not None and (manifest.subject is None or manifest.subject.digest != subject):
            self._context.log(f"left {descriptor.digest} alone: it does not refer to {subject}")
            return
        self._begun.add(descriptor.digest)
        await self._take_parts(Descriptor(manifest.media_type, descriptor.digest, len(raw)), manifest, depth)
        crc32 = await self._arrivals.keep_manifest(descriptor.digest, raw)
        if subject is not None:
            self._referrers.append(str(descriptor.digest))
        self._named[descriptor.digest] = manifests_of(manifest)
        self._manifests[descriptor.digest] = manifest_row(descriptor.digest, raw, manifest, crc32)
        self._unasked.append((descriptor.digest, depth))

    def _count_evidence(self, size: int) -> None:
        """Count a manifest that is there for another one's sake. Raises RefusedError beyond the bounds."""
        if not self._is_evidence:
            return
        self._evidence += 1
        self._evidence_size += size
        most, most_size = collecting_limits.COLLECT_EVIDENCE, collecting_limits.COLLECT_EVIDENCE_SIZE
        if self._evidence > most or self._evidence_size > most_size:
            raise RefusedError(
                "too much refers to an artifact",
                thing=str(self._root.target),
                remedy=f"at most {most} manifests of {most_size} bytes together; copy it without them into an OCI "
                "layout, and collect that",
            )

    def notes(self) -> list[str]:
        """What is to be said: platforms that were left out and that are not there, and where a registry did not say
        what refers to the artifact."""
        left = ", ".join(self._wanted_platforms.left_out())
        notes = [f"{self._root.target}: left out {left}"] if left else []
        if self._lacking:
            notes.append(f"{self._root.target}: it has no {', '.join(self._lacking)}")
        if self._manifests[self._root.descriptor.digest].artifact_type == CHART_TYPE:
            notes.append(
                f"{self._root.target}: a chart; its images are not collected with it: "
                f"lockgate chart images {self._root.target}"
            )
        return notes + self._unasked_note()

    def _unasked_note(self) -> list[str]:
        if not self._unasked_of:
            return []
        more = len(self._unasked_of) - 1
        others = f" (and of {more} more of its manifests)" if more else ""
        return [f"{self._root.target}: {self._unasked_of[0]}{others}"]

    async def _record_left_out(self) -> None:
        """Take the records of what was left out (bundles.oci.left_out), as what refers to their indexes."""
        for index, left in list(self._left_out.values()):
            raw = record_of(index, left)
            digest, manifest = Digest.of(raw), parse_manifest(raw)
            if len(left_out_by(manifest.artifact_type, manifest.annotations)) < len({one.digest for one in left}):
                raise RefusedError(
                    "an index names too many manifests for some of them to be left out", thing=f"{index.digest}",
                    remedy="collect it whole, without --platform",
                )  # fmt: skip
            for blob in manifest.blobs:
                self._blobs[blob.digest] = await self._arrivals.made(EMPTY_JSON, self._root.target.repository)
            crc32 = await self._arrivals.keep_manifest(digest, raw)
            self._needed[digest] = [blob.digest for blob in manifest.blobs]
            self._named[digest] = []
            self._manifests[digest] = manifest_row(digest, raw, manifest, crc32)
            self._referrers.append(str(digest))

    def _children(self, index: Descriptor, manifest: Manifest) -> Sequence[Descriptor]:
        """The manifests of an index that are taken; what is left out is noted. What refers to others is whole."""
        found = split(manifest, ()) if self._is_evidence else self._wanted_platforms.split(manifest)
        if found.left:
            self._left_out[index.digest] = index, found.left
        return found.taken

    async def _take_parts(self, described: Descriptor, manifest: Manifest, depth: int) -> None:
        """Take what a manifest names: its blobs and, of an index, its manifests."""
        digest = described.digest
        shown = shown_blobs(manifest)
        wanted = [blob for blob in shown if blob.digest not in self._blobs]
        foreign = [layer for layer in manifest.foreign if layer.digest not in self._blobs]
        children = self._children(described, manifest)
        self._wanted.update(blob.digest for blob in (*wanted, *foreign))
        self._needed[digest] = [one.digest for one in (*shown, *children)]
        blobs = self._station.blobs
        self._arrivals.meter.expect(sum(blob.size for blob in wanted))
        await in_thread(blobs.require_room, sum(blob.size for blob in wanted if not blobs.has_blob(blob.digest)))
        await each_of(
            chain(
                (self._take_blob(blob) for blob in wanted),
                (self._take_foreign(layer, digest) for layer in foreign),
                (self._take_manifest(child, depth + 1) for child in children),
            ),
            _AT_ONCE,
        )

    async def _take_evidence(self) -> None:
        """Ask for what speaks about the manifests that were taken since, side by side, and take it, one manifest after
        another: what it relies on is then there, or known not to be."""
        asked, self._unasked = self._unasked[:_AT_ONCE], self._unasked[_AT_ONCE:]
        for (digest, depth), found in zip(
            asked, await all_of(self._source.evidence(digest) for digest, _ in asked), strict=True
        ):
            if found.unasked:
                self._unasked_of.append(found.unasked)
            await self._take_found(digest, depth, found)

    async def _take_found(self, digest: Digest, depth: int, found: Evidence) -> None:
        """What speaks about a manifest. A list may name what is gone: that is said, and no reason to stop."""
        for referrer in found.referrers:
            held = len(self._blobs), len(self._manifests), len(self._unasked)
            try:
                await self._take_manifest(referrer, depth + 1, digest)
            except NotFoundError as error:
                self._give_back(*held)
                self._context.log(f"left out {referrer.digest}, which refers to {digest}: {error.diagnostics()}")
        for tag, attached in found.tags.items():
            if tag != fallback_tag(digest) or await self._holds_listed(attached):
                await self._take_manifest(attached, depth + 1)
                self._tags[tag] = attached.digest
                self._referrers.append(str(attached.digest))

    def _give_back(self, blobs: int, manifests: int, unasked: int) -> None:
        """Leave out what came with a referrer that is not there whole: nothing but the first so many of each stay."""
        for digest in list(self._blobs)[blobs:]:
            del self._blobs[digest]
        for digest in list(self._manifests)[manifests:]:
            del self._manifests[digest], self._named[digest]
        del self._unasked[unasked:]
        self._begun &= self._manifests.keys()  # who else needs what was begun is to hear that it is not there

    async def _holds_listed(self, index: Descriptor) -> bool:
        """Whether everything that a fallback index lists was taken as a referrer. It may list what is gone, and a
        manifest that does not refer to what it says; such an index stays behind, and that is said."""
        listed = parse_manifest(
            await self._arrivals.manifest(index, self._source, self._root.target.repository), index.media_type
        ).manifests
        absent = [child for child in listed if child.digest not in self._manifests]
        if absent:
            self._context.log(f"left out the fallback index {index.digest}: it lists {absent[0].digest}, not taken")
        return not absent

    async def _take_foreign(self, layer: Descriptor, owner: Digest) -> None:
        """A layer that is not to be distributed is taken where the source holds it; where not, that is said."""
        self._arrivals.meter.expect(layer.size)
        try:
            await self._take_blob(layer)
        except NotFoundError:
            self._arrivals.meter.expect(-layer.size)
            name = f"{self._root.target.repository}@{owner}: {layer.digest}"
            self.left.append(name)
            self._context.log(f"[!!] left out {name}: a foreign layer that the source does not hold")

    async def _take_blob(self, blob: Descriptor) -> None:
        self._blobs[blob.digest] = await self._arrivals.blob(blob, self._source, self._root.target.repository)


def manifest_row(digest: Digest, raw: bytes, manifest: Manifest, crc32: int) -> ManifestRow:
    """A manifest's facts as the metadata keeps them."""
    return ManifestRow(
        blob=BlobRow(digest=str(digest), size=len(raw), crc32=crc32),
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        subject=str(manifest.subject.digest) if manifest.subject else None,
        annotations=dict(manifest.annotations),
    )
