"""The signatures of what a repository shows: below cosign's tags, among the referrers, and at the fallback tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from appliance import limits as station_limits
from appliance.image_signatures.states import Found
from appliance.store.ports import Blobs
from appliance.store.reads.registry import ManifestFacts, Metadata
from bundles import limits
from bundles.errors import LockgateError, RefusedError
from bundles.image_signatures.carriers import Carrier, is_carrier, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Subject
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest
from bundles.oci.kinds import EVIDENCE, kind_of_manifest
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

    def all_of(self, facts: ManifestFacts) -> list[Found]:
        """An image, or an index with what it names, `limits.SIGNED_IMAGES` manifests at most; each index before its
        children. Evidence that an index names is no image, and is left out.

        Raises RefusedError for an index of more, or one that is nested too deep; NotFoundError, FailedError where a
        manifest cannot be read.
        """
        found: dict[Digest, Found] = {}
        todo: list[tuple[ManifestFacts, str, Found | None, int]] = [(facts, "", None, 0)]
        while todo:
            one, platform, above, depth = todo.pop(0)
            known, through = found.get(one.digest), _covering(above)
            if known is not None and (known.through is not None or through is None):
                continue
            if len(found) >= station_limits.SIGNED_IMAGES or depth > limits.INDEX_DEPTH:
                raise RefusedError(
                    "an index names too much to be looked at",
                    thing=f"{self._repository}@{facts.digest}",
                    remedy=f"ask for one image; at most {station_limits.SIGNED_IMAGES} are looked at together",
                )
            raw = self._read(one)
            manifest = parse_manifest(raw, one.media_type)
            kind = kind_of_manifest(manifest)
            if kind in EVIDENCE and depth:
                continue
            subject = Subject.of(raw, one.media_type, one.digest)
            verdicts = verify_all(subject, self._carriers(one.digest), self._blobs, self._pins)
            unread = above is not None and above.state == "not-read"
            looked = Found(one.digest, kind, platform, tuple(verdicts), through, unread)
            found[one.digest] = looked
            todo += [(child, shown, looked, depth + 1) for child, shown in self._children(manifest)]
        return list(found.values())

    def _children(self, manifest: Manifest) -> Iterator[tuple[ManifestFacts, str]]:
        for child in manifest.manifests:
            facts = None
            if child.media_type in MANIFEST_TYPES:
                facts = self._metadata.linked_manifest(self._repository, child.digest)
            if facts is not None:
                yield facts, str(child.platform or "")

    def _carriers(self, digest: Digest) -> Iterator[Carrier]:
        """Each carrier once: below a tag, referring, and listed by the fallback index. More than are looked at is
        enough: `verify_all` says that there are more."""
        seen: set[Digest] = set()
        for facts, tag in self._places(digest):
            if facts.digest in seen:
                continue
            seen.add(facts.digest)
            try:
                manifest = parse_manifest(self._read(facts), facts.media_type)
            except LockgateError:  # a row or a blob that is damaged brings no signature
                continue
            if tag or is_carrier(manifest):
                yield Carrier(facts.digest, manifest, tag)

    def _places(self, digest: Digest) -> Iterator[tuple[ManifestFacts, str]]:
        for suffix in SUFFIXES if digest.algorithm == "sha256" else ():
            tag = f"{digest.algorithm}-{digest.hex}.{suffix}"
            facts = self._metadata.tagged_manifest(self._repository, tag)
            if facts is not None:
                yield facts, tag
        most = station_limits.SIGNATURE_REFERRERS
        for facts in self._metadata.referrers(self._repository, digest, most):
            yield facts, ""
        index = self._metadata.tagged_manifest(self._repository, f"{digest.algorithm}-{digest.hex[:64]}")
        if index is not None and index.media_type in INDEX_TYPES:
            yield from ((facts, "") for facts in self._listed(index)[:most])

    def _listed(self, index: ManifestFacts) -> list[ManifestFacts]:
        try:
            listed: Iterable[Descriptor] = parse_manifest(self._read(index), index.media_type).manifests
        except LockgateError:
            return []
        found = (self._metadata.linked_manifest(self._repository, child.digest) for child in listed)
        return [facts for facts in found if facts is not None]

    def _read(self, facts: ManifestFacts) -> bytes:
        with self._blobs.open_blob(facts.digest) as file:
            return file.read(limits.OCI_MANIFEST + 1)
