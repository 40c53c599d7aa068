"""Signatures: of each image that came, who signed it by a key that is pinned here, or why no signature counts.

What was carried in beside an image is judged by this side's trust folder alone. A signature approves nothing: people
read here whose it is.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from appliance import limits
from appliance.image_signatures.search import SUFFIXES
from appliance.image_signatures.states import Found
from appliance.intake.content import Checked, read_manifest
from appliance.intake.inspectors.port import Listing, Subject
from bundles.documents.signed import Section
from bundles.image_signatures.carriers import Carrier, is_carrier, verify_all
from bundles.image_signatures.verdict import Claim, Verdict
from bundles.image_signatures.verdict import Subject as Image
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.digest import Digest
from bundles.oci.manifest import parse_manifest

_LISTS = ("signed", "attested", "through_index", "not_counted", "unsigned", "not_looked_at")


class _Lists:
    """The section's lists, within `limits.SIGNATURES_SIZE` characters in all; what is beyond is counted."""

    def __init__(self) -> None:
        self.by_name = {name: Listing[Any](name) for name in _LISTS}
        self._room = limits.SIGNATURES_SIZE

    def add(self, name: str, entry: str | Mapping[str, Any]) -> None:
        self._room -= len(strict_json.canonical(entry))
        if self._room > 0:
            self.by_name[name].add(entry)
        else:
            self.by_name[name].count += 1

    def details(self) -> dict[str, Any]:
        details: dict[str, Any] = {}
        for listing in self.by_name.values():
            details |= listing.details() if len(listing) else {}
        return details


def inspect(subject: Subject) -> Section:
    """`note` where an image has no signature that counts here, `ok` where each has or lies beneath a signed index."""
    lists, until = _Lists(), time.monotonic() + limits.SIGNATURES_TIME
    images = [one for one in subject.checked if one.kind in ("image", "index")]
    attached = _Attached(subject)
    found: dict[tuple[str, str], Found] = {}
    for one in images:
        key = one.artifact.repository, one.artifact.digest
        if time.monotonic() > until:
            lists.add("not_looked_at", one.name)
            continue
        raw = read_manifest(subject.blobs, one.artifact)
        image = Image.of(raw, one.artifact.mediaType, Digest.parse(one.artifact.digest))
        verdicts = verify_all(image, attached.carriers(one), subject.blobs, subject.pins)
        found[key] = Found(image.digest, one.kind, one.artifact.platform, tuple(verdicts))
    through = _through(images, found)
    signed = 0
    for one in images:
        looked = found.get((one.artifact.repository, one.artifact.digest))
        if looked is not None:
            index = through.get((one.artifact.repository, one.artifact.digest))
            signed += bool(looked.counting or index)
            _list(lists, one, looked, index)
    keys = len(subject.pins.keys) + len(subject.pins.roots)
    return Section(
        inspector="signatures",
        outcome="ok" if signed == len(images) else "note",
        summary=f"{signed} of {some(len(images), 'image')} signed by who is pinned here for images"
        f" ({some(keys, 'key')} and roots)",
        details=lists.details(),
    )


class _Attached:
    """Where a bundle's signatures are: by tag, and by what they refer to, in each repository."""

    def __init__(self, subject: Subject) -> None:
        self._blobs = subject.blobs
        self._tags: dict[tuple[str, str], Checked] = {}
        self._referring: dict[tuple[str, str], list[Checked]] = defaultdict(list)
        for one in subject.checked:
            repository = one.artifact.repository
            self._tags |= {(repository, tag): one for tag in one.artifact.tags if tag.endswith((".sig", ".att"))}
            if one.manifest.subject is not None:
                self._referring[repository, str(one.manifest.subject.digest)].append(one)

    def carriers(self, image: Checked) -> Iterator[Carrier]:
        """Each carrier of an image once, its manifest read whole."""
        repository, digest = image.artifact.repository, Digest.parse(image.artifact.digest)
        seen: set[str] = set()
        tags = [f"{digest.algorithm}-{digest.hex}.{suffix}" for suffix in SUFFIXES]
        places = [(self._tags.get((repository, tag)), tag) for tag in tags]
        places += [(one, "") for one in self._referring.get((repository, image.artifact.digest), ())]
        for one, tag in places:
            if one is None or one.artifact.digest in seen:
                continue
            seen.add(one.artifact.digest)
            whole = parse_manifest(read_manifest(self._blobs, one.artifact), one.artifact.mediaType)
            if tag or is_carrier(whole):
                yield Carrier(Digest.parse(one.artifact.digest), whole, tag)


def _through(images: list[Checked], found: Mapping[tuple[str, str], Found]) -> dict[tuple[str, str], str]:
    """The images beneath a signed index, however deep, with the index's digest."""
    children = {
        (one.artifact.repository, one.artifact.digest): [str(child.digest) for child in one.manifest.manifests]
        for one in images
    }
    through: dict[tuple[str, str], str] = {}
    for key, looked in found.items():
        todo = list(children.get(key, ())) if looked.counting else []
        while todo:
            below = (key[0], todo.pop())
            if below not in through:
                through[below] = key[1]
                todo += children.get(below, ())
    return through


def _list(lists: _Lists, one: Checked, looked: Found, through: str | None) -> None:
    for verdict in looked.verdicts:
        lists.add(*_entry(one.name, verdict))
    if not looked.counting and through is not None:
        lists.add("through_index", {"image": one.name, "index": through})
    elif looked.state == "unsigned":
        lists.add("unsigned", one.name)


def _entry(image: str, verdict: Verdict) -> tuple[str, dict[str, str]]:
    """The list that a verdict goes to, and its line there. Texts that came from outside are cut."""
    if not verdict.verified:
        said = {"code": str(verdict.refusal), "why": _cut(verdict.reason), "carrier": str(verdict.carrier)}
        owner = {"owner": verdict.owner, "key": verdict.keyid} if verdict.keyid else {}
        return "not_counted", {"image": image, "format": verdict.format.value, **said, **owner}
    by = {"by": verdict.owner, "key": verdict.keyid, "format": verdict.format.value}
    by |= {"certificate": _cut(verdict.identity)} if verdict.identity else {}
    if verdict.claim is Claim.ATTESTATION:
        return "attested", {"image": image, **by, "predicate": _cut(verdict.predicate_type)}
    return "signed", {"image": image, **by}


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[: limits.SIGNATURE_TEXT]
