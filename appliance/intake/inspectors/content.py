"""Content rules: what every blob holds that the policy's rules name, on the walk that looks for malware where one is
made; a rule that could not look is named, and is not clean."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from appliance import clock
from appliance.content_rules.image_facts import image_look
from appliance.content_rules.watching import BlobWatch, now
from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Listing, Subject
from appliance.limits import malware as limits
from appliance.malware.together import Together
from appliance.malware.walk import scan_blob
from bundles.documents.signed import Section
from bundles.errors import LockgateError
from bundles.io.display import some
from bundles.io.work_threads import at_once
from bundles.oci.descriptor import Descriptor
from bundles.oci.digest import Digest

RULES: Final = ("content_findings", "content_unlooked")
"""The lists of the section that a rule for approvals can refuse."""
_NOTES: Final = "content_notes"
_LANES: Final = 2
_NOTED: Final = frozenset({"low", "medium"})
_ELSEWHERE: Final = frozenset({"setuid", "capabilities", "device"})
"""Rules whose findings the section `layers` has already."""
_EACH: Final = 100
"""Findings of one rule that are listed, so that none takes the place of another's."""


def inspect(subject: Subject) -> Section:
    """`fail` where a rule of severity high or critical finds something, or did not look into something; `note` where
    another finds something."""
    places: dict[Digest, tuple[Checked, Descriptor]] = {}
    for checked in subject.checked:
        for blob in checked.blobs:
            places.setdefault(blob.digest, (checked, blob))
    deadline = time.monotonic() + limits.MALWARE_TIME

    def look_at(digest: Digest) -> None:
        with BlobWatch(subject.rules, subject.salt) as watch:
            try:
                file = subject.blobs.open_blob(digest)
                scan_blob(Together(()), file, places[digest][1].size, deadline, subject.folder, watch)
            except LockgateError as error:
                watch.give_up(error.what)
            subject.looked[digest] = watch.end()

    unknown = [str(digest) for digest in places if digest not in subject.looked]
    subject.looked.update((Digest.parse(name), look) for name, look in subject.recall(unknown).items())
    at_once(look_at, [digest for digest in places if digest not in subject.looked], _LANES)
    whole = dict[Digest, Checked]()
    for checked in subject.checked:
        if not checked.manifest.is_index:
            whole.setdefault(Digest.parse(checked.artifact.digest), checked)
    for digest, checked in whole.items():
        known = [subject.looked.get(layer.digest) for layer in checked.manifest.layers]
        outlines = [None if one is None else one.outline for one in known]
        subject.looked[digest] = image_look(
            subject.rules, subject.salt, subject.blobs, checked.manifest, outlines, clock.now()
        )
    return _section(subject, {digest: one for digest, (one, _) in places.items()} | whole, len(places))


def _section(subject: Subject, places: Mapping[Digest, Checked], blobs: int) -> Section:
    listings = {name: Listing[Any](name) for name in (*RULES, _NOTES)}
    findings, unlooked, notes = listings.values()
    counts, at = dict[str, int](), clock.now()
    for name, why in subject.missing_rules.items():
        unlooked.add({"rule": name, "reason": why})
    for one in subject.rules.rules.values():
        if one.id in _ELSEWHERE:
            continue
        listing = notes if one.rule.severity in _NOTED else findings
        listed = failed = 0
        for digest, checked in places.items():
            where = {"image": checked.name, "layer": str(digest), "rule": one.id}
            look = subject.looked[digest].rules[one.id]
            found = now(look.found, at)
            if look.unlooked and failed < _EACH:
                unlooked.add(where | {"reason": look.unlooked})
            elif look.unlooked:
                unlooked.count += 1
            failed += bool(look.unlooked)
            kept = found.listed[: max(0, _EACH - listed)]
            for each in kept:
                listing.add(where | {"severity": one.rule.severity} | each)
            listed += len(kept)
            listing.count += found.count - len(kept)
            counts[one.id] = counts.get(one.id, 0) + found.count
    said = [f"{count} {name}" for name, count in counts.items() if count]
    said += [f"{some(len(unlooked), 'look')} not made, which is not clean"] if len(unlooked) else []
    is_failed = len(unlooked) or len(findings)
    details = {name: value for listing in listings.values() for name, value in listing.details().items()}
    return Section(
        inspector="content",
        outcome="fail" if is_failed else "note" if len(notes) else "ok",
        summary=f"{some(blobs, 'blob')} held against {some(len(subject.rules.rules), 'content rule')}:"
        f" {', '.join(said) or 'nothing found'}",
        details={"rules": {one.id: one.identity for one in subject.rules.rules.values()}, **details},
    )
