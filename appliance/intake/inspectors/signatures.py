"""Signatures: of each image that came, who signed it by a key that is pinned here, or why no signature counts.

What was carried in beside an image is judged by this side's trust folder alone. A signature approves nothing: people
read here whose it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from appliance.image_signatures.states import Found
from appliance.intake.content import Checked
from appliance.intake.image_signers import look, signable
from appliance.intake.inspectors.port import Listing, Subject
from appliance.intake.signature_policy import lacks
from appliance.limits import image_signatures as limits
from bundles.documents.signed import Section
from bundles.image_signatures.verdict import Claim, Verdict
from bundles.io import strict_json
from bundles.io.display import some
from bundles.oci.kinds import EVIDENCE

_LISTS = ("against_policy", "signed", "attested", "through_index", "not_counted", "unsigned", "not_looked_at")


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
    """`fail` where an enforced rule of the policy for images is not satisfied, so that the bundle cannot be released;
    `note` where an image has no signature that counts here, `ok` where each has or lies beneath a signed index."""
    lists, until = _Lists(), time.monotonic() + limits.SIGNATURES_TIME
    artifacts = signable(subject.blobs, subject.checked)
    images = [one for one in artifacts if one.kind in ("image", "index", *EVIDENCE)]  # disguised ones are images
    looked = look(subject.blobs, subject.checked, artifacts, subject.pins, until)
    signed = 0
    for one in images:
        key = one.artifact.repository, one.artifact.digest
        found = looked.found.get(key)
        if found is not None:
            index = looked.signed_above(key)
            signed += bool(found.counting or index)
            _list(lists, one, found, None if index is None else str(index.digest))
    lacking = [] if subject.image_policy is None else lacks(subject.image_policy, artifacts, looked, subject.pins.at)
    for lack in lacking:
        said = {"image": lack.artifact.name, "rule": lack.number, "mode": lack.rule.mode, "why": _cut(lack.why)}
        lists.add("against_policy", said)
    for one in looked.not_looked:
        lists.add("not_looked_at", one.name)
    keys = len(subject.pins.keys) + len(subject.pins.roots)
    return Section(
        inspector="signatures",
        outcome="fail"
        if subject.image_policy_error or any(one.rule.mode == "enforce" for one in lacking)
        else "ok"
        if signed == len(images) and not lacking
        else "note",
        summary=f"{signed} of {some(len(images), 'image')} signed by who is pinned here for images"
        f" ({some(keys, 'key')} and roots)"
        + (f"; {some(len(lacking), 'rule')} of the policy for images not satisfied" if lacking else ""),
        details=lists.details() | ({"policy": subject.image_policy_error} if subject.image_policy_error else {}),
    )


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
