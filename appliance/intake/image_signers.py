"""Who signed what a bundle brings: the verdicts about each artifact, by the bundle's own carriers.

An inspection reports them, and a release holds them against the policy for images: both look the same way.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.image_signatures.search import SUFFIXES
from appliance.image_signatures.states import Found
from appliance.intake.approval_rules import holds_documents
from appliance.intake.content import Checked, read_manifest
from appliance.outgoing.collect.attached_tags import is_attached
from bundles.image_signatures.carriers import Carrier, is_carrier, verify_all
from bundles.image_signatures.pins import Pins
from bundles.image_signatures.verdict import Subject
from bundles.oci.digest import Digest
from bundles.oci.kinds import EVIDENCE, is_runnable
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

    def signed_above(self, key: Key) -> Found | None:
        """The nearest index above an artifact that has a signature that counts."""
        todo, seen = list(self.above.get(key, ())), set[Key]()
        while todo:
            one = todo.pop(0)
            if one in seen:
                continue
            seen.add(one)
            found = self.found.get(one)
            if found is not None and found.counting:
                return found
            todo += self.above.get(one, ())
        return None


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
            whole = parse_manifest(read_manifest(self.blobs, one.artifact), one.artifact.mediaType)
            if tag or is_carrier(whole):
                yield Carrier(Digest.parse(one.artifact.digest), whole, tag)


def signable(blobs: BlobReader, checked: Sequence[Checked]) -> list[Checked]:
    """What a signature is asked of: everything but evidence, and the indexes at fallback tags that list nothing else.
    An image whose layers call themselves evidence and are none is no evidence: clients would run it."""
    evidence = {
        (one.artifact.repository, one.artifact.digest)
        for one in checked
        if one.kind in EVIDENCE and (not is_runnable(one.manifest) or holds_documents(blobs, one.manifest.layers))
    }
    return [
        one
        for one in checked
        if (one.artifact.repository, one.artifact.digest) not in evidence and not _lists_evidence(one, evidence)
    ]


def _lists_evidence(one: Checked, evidence: Collection[Key]) -> bool:
    children = ((one.artifact.repository, str(child.digest)) for child in one.manifest.manifests)
    attached = bool(one.artifact.tags) and all(is_attached(tag) for tag in one.artifact.tags)
    return one.kind == "index" and attached and all(child in evidence for child in children)


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
        key = one.artifact.repository, one.artifact.digest
        for child in one.manifest.manifests:
            above[key[0], str(child.digest)].append(key)
        if time.monotonic() > until:
            late.append(one)
            continue
        raw = read_manifest(blobs, one.artifact)
        subject = Subject.of(raw, one.artifact.mediaType, Digest.parse(one.artifact.digest))
        verdicts = verify_all(subject, attached.carriers(one), blobs, pins)
        found[key] = Found(subject.digest, one.kind, one.artifact.platform, tuple(verdicts))
    return Looked(found, above, late)
