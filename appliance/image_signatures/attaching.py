"""Signatures that a signer hands in: each verified by the signer's own key, and placed beside its image.

A station signs no image (docs/adr/0002-clients-sign.md), and takes no document that is not a signature of what it
shows. Whether anybody here believes the key is said, and decides nothing (docs/adr/0046-signatures-made-here.md).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.image_signatures.search import Search
from appliance.image_signatures.subjects import facts_of, read_manifest, require_unblocked
from appliance.limits import image_signatures as signature_limits
from appliance.store.blobs import BlobStore
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from appliance.store.writes.content import BlobRow, ManifestRow
from appliance.store.writes.signatures import AttachedTag, AttachSignatures
from bundles import limits
from bundles.errors import LockgateError, MalformedError, NotFoundError, RefusedError
from bundles.image_signatures.carriers import Carrier, verify_all
from bundles.image_signatures.making import Made, check_predicate_type
from bundles.image_signatures.pins import PURPOSE, Pins
from bundles.image_signatures.placing import REFERRING, TAKEN, Placed, below_tag, layer_of, notes_of, referrer, tag_of
from bundles.image_signatures.verdict import SIGN_PREDICATE, Refusal, Subject, Verdict
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.manifest import OCI_MANIFEST, Manifest, parse_manifest
from bundles.oci.reference import Reference
from bundles.signing.keys import PublicKey
from bundles.signing.trust import TrustFolder, TrustRecord


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A signed document about the artifact `subject`."""

    subject: Digest
    made: Made


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document that holds, and the carrier that brings it. `is_new`: it is not here yet, and `blobs`, `manifest` and
    `tag` are to be shown."""

    subject: Digest
    verdict: Verdict
    carrier: Digest
    is_new: bool
    blobs: tuple[BlobRow, ...] = ()
    manifest: ManifestRow | None = None
    tag: AttachedTag | None = None


class _Documents:
    """Blobs in memory, for a verifier."""

    def __init__(self, *raw: bytes) -> None:
        self._held: Mapping[Digest, bytes] = {Digest.of(one): one for one in raw}

    def open_blob(self, digest: Digest) -> BinaryIO:
        """As BlobReader.open_blob."""
        if digest not in self._held:
            raise NotFoundError("not in memory", thing=str(digest))
        return io.BytesIO(self._held[digest])


def by_key_alone(key: PublicKey, site: str, at: str) -> Pins:
    """Pins that hold nothing but the signer's own key or root: what is handed in is this key's, or refused."""
    record = TrustRecord(
        key=key, owner="the signer", purposes=(PURPOSE,), sites=(), not_before=None, not_after=None, revoked=None
    )
    return Pins.of(TrustFolder(site, (record,)), at)


def event_of(one: Attachment, actor: str, repository: str, keyid: str) -> AuditEvent:
    """What the audit log says before an attachment is shown: the carrier, whose key it is by its id, and the tag that
    is to name the carrier."""
    detail: dict[str, object] = {"digest": str(one.carrier), "keyid": keyid, "format": one.verdict.format.value}
    if one.verdict.predicate_type:
        detail["predicate_type"] = one.verdict.predicate_type
    if one.tag is not None:
        detail["attached"] = {one.tag.tag: str(one.carrier)}
    return AuditEvent(Act.SIGNATURE_ATTACH, actor, f"{repository}@{one.subject}", "done", detail)


def write_of(repository: str, new: Sequence[Attachment], at: str) -> AttachSignatures:
    """The one transaction that shows attachments."""
    return AttachSignatures(
        repository=repository,
        subjects=tuple(str(one.subject) for one in new),
        blobs=tuple({row.digest: row for one in new for row in one.blobs}.values()),
        manifests=tuple(one.manifest for one in new if one.manifest is not None),
        tags=tuple(one.tag for one in new if one.tag is not None),
        at=at,
    )


class Attaching:
    """Places documents in one repository, on the caller's connections. Blocking."""

    def __init__(self, blobs: BlobStore, metadata: Metadata, repository: str, pins: Pins) -> None:
        self._blobs, self._metadata, self._repository, self._pins = blobs, metadata, repository, pins

    def attach(self, handed_in: Sequence[HandedIn]) -> list[Attachment]:
        """Verify each document, and put what brings it into the store, where nothing shows it yet.

        Raises NotFoundError for a subject that is not shown here; RefusedError for a document that is no signature of
        it by this key, for a blocked subject, or where it has as many as are looked at; UsageError for a predicate type
        that is no URI; MalformedError where one subject and tag stand twice.
        """
        places = [(str(one.subject), one.made.media_type) for one in handed_in]
        if len(set(places)) != len(places):
            raise MalformedError("one artifact is signed twice", thing=self._repository, remedy="hand in one at a time")
        return [self._attach(one) for one in handed_in]

    def _attach(self, one: HandedIn) -> Attachment:
        facts = facts_of(self._metadata, Reference(self._repository, None, one.subject))
        require_unblocked(self._metadata, one.subject)
        if one.made.media_type not in TAKEN:
            raise RefusedError("not a kind of signature that is taken", thing=one.made.media_type[:120],
                               remedy=f"one of {', '.join(TAKEN)}")  # fmt: skip
        subject = Subject.of(read_manifest(self._blobs, facts), facts.media_type, facts.digest)
        verdict = self._verify(subject, one.made)
        if verdict.predicate_type not in ("", SIGN_PREDICATE):
            check_predicate_type(verdict.predicate_type)
        layer = layer_of(one.made, verdict.predicate_type)
        tag = tag_of(one.made.media_type, subject.digest)
        standing = self._metadata.tagged_manifest(self._repository, tag) if tag else None
        if tag:
            before = None if standing is None else read_manifest(self._blobs, standing)
            placed = below_tag(layer, tag, before)
        else:
            standing = self._referring(subject.digest, layer)
            told = Descriptor(facts.media_type, facts.digest, facts.size)
            notes = notes_of(one.made, verdict.predicate_type)
            placed = referrer(layer, told, self._pins.at, notes) if standing is None else None
        if placed is None:
            assert standing is not None  # noqa: S101  that is why nothing is to be placed
            return Attachment(subject.digest, verdict, standing.digest, is_new=False)
        self._require_place(subject, len(one.made.document))
        return self._put(subject.digest, verdict, one.made.document, placed, standing)

    def _verify(self, subject: Subject, made: Made) -> Verdict:
        """The one verdict about a document, by the signer's key. Raises RefusedError where it does not hold."""
        told = Descriptor(subject.media_type, subject.digest, len(subject.raw))
        alone = Manifest(OCI_MANIFEST, (), None, (layer_of(made, ""),), told, "", {})
        carrier = Carrier(Digest.of(made.document), alone)
        verdicts = verify_all(subject, [carrier], _Documents(made.document), self._pins)
        wrong = next((one for one in verdicts if not one.verified), None)
        if wrong is not None or len(verdicts) != 1:
            refusal = "" if wrong is None or wrong.refusal is None else wrong.refusal.value
            raise RefusedError(
                f"it would count for nobody: {wrong.reason}" if wrong else "a document has one signature",
                thing=f"{self._repository}@{subject.digest}",
                remedy="sign what the station shows, with the key that is named",
                code=refusal,
            )
        return verdicts[0]

    def _require_place(self, subject: Subject, size: int) -> None:
        """Go on only where one more document is still looked at with all that are here: nobody pushes the signatures of
        others out of sight. Raises RefusedError."""
        search = Search(self._blobs, self._metadata, self._repository, self._pins)
        carriers = search.carriers_of(subject.digest)
        held = sum(min(layer.size, limits.ATTESTATION) for each in carriers for layer in each.manifest.layers)
        looked = len(verify_all(subject, carriers, self._blobs, self._pins))
        if looked >= limits.IMAGE_SIGNATURES or held + size > limits.IMAGE_SIGNATURES_SIZE:
            raise RefusedError(
                "it has as many signatures and attestations as are looked at",
                thing=f"{self._repository}@{subject.digest}",
                remedy=f"take one away first (lockgate repo delete); at most {limits.IMAGE_SIGNATURES}, of"
                f" {limits.IMAGE_SIGNATURES_SIZE >> 20} MiB together",
                code=Refusal.TOO_MANY.value,
            )

    def _referring(self, subject: Digest, layer: Descriptor) -> ManifestFacts | None:
        """What brings this very document already."""
        for facts in self._metadata.referrers(self._repository, subject, signature_limits.SIGNATURE_REFERRERS):
            if facts.artifact_type != REFERRING[layer.media_type]:
                continue
            try:
                manifest = parse_manifest(read_manifest(self._blobs, facts), facts.media_type)
            except LockgateError:
                continue
            if any(each.digest == layer.digest for each in manifest.layers):
                return facts
        return None

    def _put(
        self, subject: Digest, verdict: Verdict, document: bytes, placed: Placed, standing: ManifestFacts | None
    ) -> Attachment:
        rows = [
            BlobRow(digest=str(Digest.of(raw)), size=len(raw), crc32=self._blobs.put(raw, Digest.of(raw)))
            for raw in (document, placed.config)
        ]
        carrier, manifest = Digest.of(placed.manifest), parse_manifest(placed.manifest)
        crc32 = self._blobs.put(placed.manifest, carrier)
        row = ManifestRow(
            blob=BlobRow(digest=str(carrier), size=len(placed.manifest), crc32=crc32),
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            subject=str(manifest.subject.digest) if manifest.subject else None,
            annotations=dict(manifest.annotations),
        )
        before = "" if standing is None else str(standing.digest)
        tag = AttachedTag(tag=placed.tag, digest=str(carrier), before=before) if placed.tag else None
        return Attachment(subject, verdict, carrier, True, tuple(rows), row, tag)
