"""Images that the store holds, held against the content rules of the policy: what gates ask, for content that came by a
push."""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import partial
from typing import Any, Final

from appliance import clock
from appliance.advisories.seals import index_key
from appliance.audit.acts import Act
from appliance.audit.event import AuditEvent
from appliance.content_records import row_of
from appliance.content_rules.image_facts import image_look
from appliance.content_rules.watching import BlobLook, BlobWatch, now
from appliance.gates.wanted import PolicyRuleSet, rules_of
from appliance.image_signatures.applied import load_applied
from appliance.jobs.kinds import JobContext
from appliance.limits import malware as limits
from appliance.malware.port import Asked
from appliance.malware.together import Together
from appliance.malware.walk import scan_blob
from appliance.scanning.images import manifest_of
from appliance.station import Station
from appliance.store.writes.content_looks import KeepContentLooks
from bundles.errors import LockgateError
from bundles.oci.digest import Digest
from bundles.oci.manifest import Manifest

_LISTED: Final = 100
"""Findings of one rule in the job's result; all are counted."""


def rules_in_force(station: Station) -> PolicyRuleSet:
    """The content rules of the policy in force, or those that there are without one. Raises as `load_applied`."""
    applied = load_applied(station.paths)
    return rules_of(None if applied is None else applied.policy.content_rule)


def is_asked(station: Station) -> bool:
    """Whether some gate of the policy in force asks content rules. Raises as `load_applied`."""
    applied = load_applied(station.paths)
    return applied is not None and any(gate.rules and gate.mode != "off" for gate in applied.policy.gate)


def scan_content(context: JobContext, thing: str, images: Collection[Digest]) -> dict[str, Any]:
    """Hold every blob of some images against the rules, whatever was said of it before. `thing` is what the
    event names.

    The result: images, blobs, found [{rule, severity, digest, path, what} with size and fingerprint where they say
    something], found_counts by rule, unlooked [{rule, digest, reason}].
    """
    station, rules = context.station, rules_in_force(context.station)
    manifests = {image: manifest_of(station, image) for image in images}
    blobs = {blob.digest: blob.size for one in manifests.values() for blob in (*one.blobs, *one.foreign)}
    held = {digest: size for digest, size in blobs.items() if station.blobs.has_blob(digest)}
    salt, looks, deadline = index_key(station.paths), dict[Digest, BlobLook](), time.monotonic() + limits.MALWARE_TIME
    look = partial(look_at, station, rules, salt, Together(()), deadline)
    for number, (digest, size) in enumerate(held.items()):
        context.progress("content", number, len(held))
        looks[digest] = look(digest, size)
    keep_looks(context, thing, rules, manifests, looks)
    return {"images": len(images), "blobs": len(held), **_said(rules, looks)}


def look_at(
    station: Station, rules: PolicyRuleSet, salt: bytes, asked: Asked, deadline: float, digest: Digest, size: int
) -> BlobLook:
    """What the rules say of one blob; of one that cannot be read that they did not look."""
    with BlobWatch(rules.rules, salt) as watch:
        try:
            scan_blob(asked, station.blobs.open_blob(digest), size, deadline, station.paths.jobs, watch)
        except LockgateError as error:
            watch.give_up(error.what)
        return watch.end()


def keep_looks(
    context: JobContext, thing: str, rules: PolicyRuleSet, manifests: dict[Digest, Manifest],
    looks: dict[Digest, BlobLook],
) -> None:  # fmt: skip
    """Have the rules about whole images look, too, and keep all of it. `looks` takes in what they say."""
    station, key, at = context.station, index_key(context.station.paths), clock.now()
    for image, manifest in manifests.items():
        known = [looks.get(layer.digest) for layer in manifest.layers]
        outlines = [None if one is None else one.outline for one in known]
        looks[image] = image_look(rules.rules, key, station.blobs, manifest, outlines, at)
    found = sum(one.found.count for look in looks.values() for one in look.rules.values())
    detail = {"content": {"rules": rules.rules.identity, "looked": len(looks), "found": found}}
    with context.recording(AuditEvent(Act.SCAN, context.actor, thing, "done", detail)):
        rows = tuple(row_of(key, str(digest), at, rules.rules, look) for digest, look in looks.items())
        station.writer.submit(KeepContentLooks(rows=rows))


def _said(rules: PolicyRuleSet, looks: dict[Digest, BlobLook]) -> dict[str, Any]:
    found, counts, at = list[dict[str, Any]](), dict[str, int](), clock.now()
    unlooked = [{"rule": name, "digest": "", "reason": why} for name, why in rules.missing.items()]
    for name, ruled in rules.rules.rules.items():
        listed = list[dict[str, Any]]()
        for digest, look in looks.items():
            one = look.rules[name]
            held = now(one.found, at)
            where = {"rule": name, "severity": ruled.rule.severity, "digest": str(digest)}
            listed += [where | each for each in held.listed[: _LISTED - len(listed)]]
            counts[name] = counts.get(name, 0) + held.count
            if one.unlooked:
                unlooked.append({"rule": name, "digest": str(digest), "reason": one.unlooked})
        found += listed
    return {"found": found, "found_counts": {name: count for name, count in counts.items() if count},
            "unlooked": unlooked}  # fmt: skip
