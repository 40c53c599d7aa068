"""Who signed what a bundle brings: the verdicts about each artifact, by the bundle's own carriers.

An inspection reports them, and a release holds them against the policy for images: both look the same way.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.image_signatures.evidence import is_evidence, is_fallback
from appliance.image_signatures.search import SUFFIXES
from appliance.image_signatures.states import Found
from appliance.intake.content import Checked, read_manifest
from bundles.image_signatures.carriers import Carrier, is_carrier, may_carry, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Subject
from bundles.oci.attached_tags import is_attached
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest
from bundles.ports import BlobReader

Key = tuple[str, str]
"""Repository and digest."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The verdicts by artifact. `above` are the indexes that name it, `not_looked` what there was no time for."""

    found: Mapping[Key, Found]
    above: Mapping[Key, Sequence[Key]]
    not_looked: Sequence[Checked] = ()
    _signed: dict[Key, Found | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def signed_above(self, key: Key) -> Found | None:
        """An index above an artifact that has a signature that counts, one that names it itself before others.

        Asked once of each artifact: what names an index is walked for the index, and not again for what it names. As
        deep as the indexes are nested (`limits.INDEX_DEPTH`).
        """
        if key not in self._signed:
            names = self.above.get(key, ())
            own = (self.found[one] for one in names if one in self.found and self.found[one].counting)
            signed = next(own, None)
            if signed is None:
                signed = next((found for one in names if (found := self.signed_above(one)) is not None), None)
            self._signed[key] = signed
        return self._signed[key]


@dataclass(slots=True)
class _Attached:
    """Where a bundle's signatures are: by tag, and by what they refer to, in each repository."""

    blobs: BlobReader
    tags: dict[Key, Checked] = field(default_factory=dict)
    referring: dict[Key, list[Checked]] = field(default_factory=lambda: defaultdict(list))

    def add(self, one: Checked) -> None:
        repository = one.artifact.repository
        self.tags |= {(repository, tag): one for tag in one.artifact.tags if is_attached(tag)}
        if one.manifest.subject is not None:
            self.referring[repository, str(one.manifest.subject.digest)].append(one)

    def carriers(self, image: Checked) -> Iterator[Carrier]:
        """Each carrier of an artifact once, its manifest read whole."""
        repository, digest = image.artifact.repository, Digest.parse(image.artifact.digest)
        tags = [f"{digest.algorithm}-{digest.hex}.{suffix}" for suffix in SUFFIXES]
        places = [(self.tags.get((repository, tag)), tag) for tag in tags]
        places += [(one, "") for one in self.referring.get((repository, image.artifact.digest), ())]
        seen: set[str] = set()
        for one, tag in places:
            if one is None or one.artifact.digest in seen:
                continue
            seen.add(one.artifact.digest)
            if not tag and not may_carry(one.manifest.artifact_type, one.artifact.size):
                continue
            whole = parse_manifest(read_manifest(self.blobs, one.artifact), one.artifact.mediaType)
            if tag or is_carrier(whole):
                yield Carrier(Digest.parse(one.artifact.digest), whole, tag)


def key_of(one: Checked) -> Key:
    """An artifact's repository and digest."""
    return one.artifact.repository, one.artifact.digest


def _is_evidence(blobs: BlobReader, one: Checked) -> bool:
    return is_evidence(blobs, one.manifest, lambda: one.artifact.tags)


def signable(blobs: BlobReader, checked: Sequence[Checked]) -> list[Checked]:
    """What a signature is asked of: everything but attached evidence (appliance.image_signatures.evidence), and the
    indexes at fallback tags that list nothing else and that no index names. To be asked of all that a bundle brings."""
    evidence = {key_of(one) for one in checked if _is_evidence(blobs, one)}
    named = {child for one in checked for child in _children(one)}

    def lists_evidence(one: Checked) -> bool:
        tags = one.artifact.tags
        at_fallback = one.kind == "index" and bool(tags) and all(map(is_fallback, tags))
        return at_fallback and key_of(one) not in named and all(child in evidence for child in _children(one))

    return [one for one in checked if key_of(one) not in evidence and not lists_evidence(one)]


def _children(one: Checked) -> Iterator[Key]:
    return ((one.artifact.repository, str(child.digest)) for child in one.manifest.manifests)


def with_above(artifacts: Sequence[Checked], named: Sequence[Checked]) -> list[Checked]:
    """Those of `artifacts` that are `named`, or are an index above one, in their order. Each edge is walked once."""
    above: dict[Key, list[Key]] = defaultdict(list)
    for one in artifacts:
        for child in dict.fromkeys(_children(one)):
            above[child].append(key_of(one))
    taken = {key_of(one) for one in named}
    waiting = list(taken)
    while waiting:
        further = [key for key in above.get(waiting.pop(), ()) if key not in taken]
        taken.update(further)
        waiting += further
    return [one for one in artifacts if key_of(one) in taken]


def look(
    blobs: BlobReader, checked: Sequence[Checked], wanted: Sequence[Checked], pins: Pins, until: float = float("inf")
) -> Looked:
    """The verdicts about each artifact of `wanted`, by what `checked` brings. Those that are still to be looked at when
    `until` (time.monotonic) is over are named. Raises RefusedError where a manifest is not the signed one."""
    attached = _Attached(blobs)
    for one in checked:
        attached.add(one)
    found: dict[Key, Found] = {}
    above: dict[Key, list[Key]] = defaultdict(list)
    late: list[Checked] = []
    for one in wanted:
        key = key_of(one)
        for child in dict.fromkeys(_children(one)):
            above[child].append(key)
        if time.monotonic() > until:
            late.append(one)
            continue
        raw = read_manifest(blobs, one.artifact)
        subject = Subject.of(raw, one.artifact.mediaType, Digest.parse(one.artifact.digest))
        verdicts = verify_all(subject, attached.carriers(one), blobs, pins)
        found[key] = Found(subject.digest, one.kind, one.artifact.platform, tuple(verdicts))
    return Looked(found, above, late)
