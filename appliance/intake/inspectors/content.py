"""Content rules: what every blob holds that the policy's rules name, on the walk that looks for malware where one is
made; a rule that could not look is named, and is not clean."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from appliance.content_rules.watching import BlobWatch
from appliance.intake.content import Checked
from appliance.intake.inspectors.port import Listing, Subject
from appliance.limits import malware as limits
from appliance.malware.together import Together
from appliance.malware.walk import scan_blob
from bundles.documents.signed import Section
from bundles.errors import LockgateError, MalformedError
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
        watch = BlobWatch(subject.rules, subject.salt)
        try:
            file = subject.blobs.open_blob(digest)
            scan_blob(Together(()), file, places[digest][1].size, deadline, subject.folder, watch)
        except MalformedError as error:
            watch.unseen("", error.what)
        except LockgateError as error:
            watch.give_up(error.what)
        subject.looked[digest] = watch.end()

    at_once(look_at, [digest for digest in places if digest not in subject.looked], _LANES)
    return _section(subject, places)


def _section(subject: Subject, places: Mapping[Digest, tuple[Checked, Descriptor]]) -> Section:
    listings = {name: Listing[Any](name) for name in (*RULES, _NOTES)}
    findings, unlooked, notes = listings.values()
    counts = dict[str, int]()
    for one in subject.rules.rules.values():
        if one.id in _ELSEWHERE:
            continue
        listing = notes if one.rule.severity in _NOTED else findings
        listed = 0
        for digest, (checked, _) in places.items():
            where = {"image": checked.name, "layer": str(digest), "rule": one.id}
            look = subject.looked[digest].rules[one.id]
            if look.unlooked:
                unlooked.add(where | {"reason": look.unlooked})
            for found in look.found.listed[: max(0, _EACH - listed)]:
                listing.add(where | {"severity": one.rule.severity} | found)
            kept = min(len(look.found.listed), max(0, _EACH - listed))
            listed += kept
            listing.count += look.found.count - kept
            counts[one.id] = counts.get(one.id, 0) + look.found.count
    said = [f"{count} {name}" for name, count in counts.items() if count]
    said += [f"{some(len(unlooked), 'look')} not made, which is not clean"] if len(unlooked) else []
    failed = len(unlooked) or len(findings)
    details = {name: value for listing in listings.values() for name, value in listing.details().items()}
    return Section(
        inspector="content",
        outcome="fail" if failed else "note" if len(notes) else "ok",
        summary=f"{some(len(places), 'blob')} held against {some(len(subject.rules.rules), 'content rule')}:"
        f" {', '.join(said) or 'nothing found'}",
        details={"rules": {one.id: one.identity for one in subject.rules.rules.values()}, **details},
    )
