"""The signatures of what a repository shows: below cosign's tags, among the referrers, and at the fallback tag."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from appliance.image_signatures.evidence import is_evidence
from appliance.image_signatures.states import Found
from appliance.limits import image_signatures as signature_limits
from appliance.store.ports import Blobs
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.registry import Metadata
from bundles import limits
from bundles.errors import LockgateError, RefusedError
from bundles.image_signatures.carriers import Carrier, is_carrier, may_carry, read_of, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Subject
from bundles.oci.digest import Digest
from bundles.oci.kinds import kind_of_manifest
from bundles.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest, parse_manifest

SUFFIXES: Final = ("sig", "att")
"""Of cosign's tags those that bring signatures; what stands at `.sbom` nobody signed."""


def _covering(above: Found | None) -> Digest | None:
    """The signed index that covers what `above` names: itself, or one that covers it."""
    if above is None:
        return None
    return above.digest if above.counting else above.through


class Search:
    """Looks at the images of one repository, on the caller's connections. Blocking."""

    def __init__(self, blobs: Blobs, metadata: Metadata, repository: str, pins: Pins) -> None:
        self._blobs, self._metadata, self._repository, self._pins = blobs, metadata, repository, pins
        self._asked, self._left = "", 0
        self._named: dict[Digest, ManifestFacts | None] = {}

    def alone(self, facts: ManifestFacts, raw: bytes, manifest: Manifest) -> Found:
        """The verdicts about one manifest, whose bytes and reading are these, without what it names or what names it.
        Raises RefusedError where more than `limits.SIGNATURES_READ` bytes were to be read, or where the bytes are not
        the digest's."""
        self._asked, self._left = f"{self._repository}@{facts.digest}", signature_limits.SIGNATURES_READ
        subject = Subject.of(raw, facts.media_type, facts.digest)
        verdicts = tuple(verify_all(subject, self._carriers(facts.digest), self._blobs, self._pins))
        return Found(facts.digest, kind_of_manifest(manifest), "", verdicts)

    def all_of(self, facts: ManifestFacts) -> list[Found]:
        """An image, or an index with what it names; each index before its children. Evidence that an index names
        (appliance.image_signatures.evidence) is no image, and is left out.

        Each manifest is read once, however often it is named. Raises RefusedError where more than
        `limits.SIGNED_IMAGES` manifests are named, evidence and what is not here among them, where they are nested too
        deep, or where more than `limits.SIGNATURES_READ` bytes were to be read; NotFoundError, FailedError where a
        manifest cannot be read.
        """
        self._asked, self._left = f"{self._repository}@{facts.digest}", signature_limits.SIGNATURES_READ
        self._named = {facts.digest: facts}
        found: dict[Digest, Found] = {}
        beneath: dict[Digest, list[tuple[ManifestFacts, str]]] = {}
        todo: deque[tuple[ManifestFacts, str, Found | None, int]] = deque([(facts, "", None, 0)])
        while todo:
            one, platform, above, depth = todo.popleft()
            known, through = found.get(one.digest), _covering(above)
            if known is not None and known.through is None and through is not None:
                looked = replace(known, through=through)  # a signed index names it, too
            elif known is not None or one.digest in beneath:
                continue
            else:
                if depth > limits.INDEX_DEPTH:
                    raise self._too_much()
                raw = self._read(one)
                manifest = parse_manifest(raw, one.media_type)
                beneath[one.digest] = []
                if depth and self._is_evidence(manifest, one.digest):
                    continue
                beneath[one.digest] = self._children(manifest)
                subject = Subject.of(raw, one.media_type, one.digest)
                verdicts = tuple(verify_all(subject, self._carriers(one.digest), self._blobs, self._pins))
                unread = above is not None and above.state == "not-read"
                looked = Found(one.digest, kind_of_manifest(manifest), platform, verdicts, through, unread)
            found[one.digest] = looked
            todo += [(child, shown, looked, depth + 1) for child, shown in beneath[one.digest]]
        return list(found.values())

    def _is_evidence(self, manifest: Manifest, digest: Digest) -> bool:
        return is_evidence(self._blobs, manifest, lambda: self._metadata.tags_of(self._repository, digest))

    def _children(self, manifest: Manifest) -> list[tuple[ManifestFacts, str]]:
        """Each manifest that an index names and that is here, once."""
        children: dict[Digest, tuple[ManifestFacts, str]] = {}
        for child in manifest.manifests:
            if child.media_type not in MANIFEST_TYPES or child.digest in children:
                continue
            if child.digest not in self._named:
                if len(self._named) >= signature_limits.SIGNED_IMAGES:
                    raise self._too_much()
                self._named[child.digest] = self._metadata.linked_manifest(self._repository, child.digest)
            facts = self._named[child.digest]
            if facts is not None:
                children[child.digest] = facts, str(child.platform or "")
        return list(children.values())

    def _too_much(self) -> RefusedError:
        return RefusedError(
            "an index names too much to be looked at",
            thing=self._asked,
            remedy=f"ask for one image; at most {signature_limits.SIGNED_IMAGES} are looked at together",
        )

    def carriers_of(self, digest: Digest) -> list[Carrier]:
        """What brings signatures and attestations of one manifest. Raises RefusedError where more than
        `limits.SIGNATURES_READ` bytes were to be read."""
        self._asked, self._left = f"{self._repository}@{digest}", signature_limits.SIGNATURES_READ
        return list(self._carriers(digest))

    def _carriers(self, digest: Digest) -> Iterator[Carrier]:
        """Each carrier once: below a tag, referring, and listed by the fallback index. More than are looked at is
        enough: `verify_all` says that there are more. A referrer is read where what is known of it lets it be one."""
        seen: set[Digest] = set()
        for facts, tag in self._places(digest):
            if facts.digest in seen or not (tag or may_carry(facts.artifact_type, facts.size)):
                continue
            seen.add(facts.digest)
            raw = self._read_any(facts)
            try:
                manifest = None if raw is None else parse_manifest(raw, facts.media_type)
            except LockgateError:  # a row or a blob that is damaged brings no signature
                continue
            if manifest is not None and (tag or is_carrier(manifest)):
                self._spend(read_of(manifest))
                yield Carrier(facts.digest, manifest, tag)

    def _places(self, digest: Digest) -> Iterator[tuple[ManifestFacts, str]]:
        for suffix in SUFFIXES if digest.algorithm == "sha256" else ():
            tag = f"{digest.algorithm}-{digest.hex}.{suffix}"
            facts = self._metadata.tagged_manifest(self._repository, tag)
            if facts is not None:
                yield facts, tag
        for facts in self._metadata.referrers(self._repository, digest, signature_limits.SIGNATURE_REFERRERS):
            yield facts, ""
        index = self._metadata.tagged_manifest(self._repository, f"{digest.algorithm}-{digest.hex[:64]}")
        if index is not None and index.media_type in INDEX_TYPES:
            yield from ((facts, "") for facts in self._listed(index))

    def _listed(self, index: ManifestFacts) -> Iterator[ManifestFacts]:
        """What a fallback index lists and is here, of the first `limits.SIGNATURE_REFERRERS` that it names."""
        raw = self._read_any(index)
        try:
            listed = () if raw is None else parse_manifest(raw, index.media_type).manifests
        except LockgateError:
            return
        for digest in itertools.islice(
            dict.fromkeys(one.digest for one in listed), signature_limits.SIGNATURE_REFERRERS
        ):
            facts = self._metadata.linked_manifest(self._repository, digest)
            if facts is not None:
                yield facts

    def _read_any(self, facts: ManifestFacts) -> bytes | None:
        """As `_read`, or None for what cannot be read. Raises RefusedError where there is no room left."""
        self._spend(facts.size)
        try:
            return self._bytes(facts)
        except LockgateError:
            return None

    def _read(self, facts: ManifestFacts) -> bytes:
        self._spend(facts.size)
        return self._bytes(facts)

    def _bytes(self, facts: ManifestFacts) -> bytes:
        with self._blobs.open_blob(facts.digest) as file:
            return file.read(min(facts.size, limits.OCI_MANIFEST) + 1)

    def _spend(self, size: int) -> None:
        """Count bytes before they are read. Raises RefusedError."""
        self._left -= size
        if self._left < 0:
            raise RefusedError(
                "the signatures of what an index names are too much to be read",
                thing=self._asked,
                remedy=f"ask for one image; at most {signature_limits.SIGNATURES_READ >> 20} MiB are read together",
            )
