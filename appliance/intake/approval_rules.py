"""What rules for approvals ask about a bundle: of its signed manifest, of its content, and of this station's report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from appliance.archives.findings import RULES
from appliance.image_signatures.evidence import holds_documents
from appliance.intake.content import read_manifest
from appliance.intake.entry_log import came_while_open
from appliance.intake.inspectors import content, malware
from appliance.intake.missing_volumes import whole_without
from appliance.settings.approvals import UNKNOWN_KIND, BundleFacts, Demand, Policy, check_found, demand, one_more
from appliance.station import Station
from appliance.store.ports import Blobs
from appliance.store.reads.intake import Entry, manifest_bytes, missing_volumes, report_text
from bundles.documents import signed
from bundles.errors import LockgateError
from bundles.format.manifest import Artifact
from bundles.format.manifest_codec import decode
from bundles.oci.kinds import is_runnable, kind_of_manifest
from bundles.oci.manifest import parse_manifest

_KEPT: Final = 256
"""Bundles whose facts are remembered."""

_known: dict[tuple[str, str, tuple[int, ...]], BundleFacts] = {}


def demand_of(station: Station, policy: Policy, entry: Entry) -> Demand:
    """What an entry takes on this station."""
    if station.config.open or not policy.rule:
        wanted = demand(policy, station.config, BundleFacts(entry.stream, "", ()))
    else:
        wanted = demand(policy, station.config, facts_of(station, entry))
    return one_more(wanted) if came_while_open(station, entry) else wanted


def facts_of(station: Station, entry: Entry) -> BundleFacts:
    """The facts of an entry. An artifact counts as the kind that the bundle announces and as the one that its own
    manifest makes it; one whose manifest is not in the store counts as any."""
    reader = station.reader
    raw = manifest_bytes(reader, entry.digest)
    absent = () if entry.state == "receiving" else tuple(missing_volumes(reader, entry.digest))
    key = (entry.digest, hashlib.sha256(raw).hexdigest(), absent)
    if (known := _known.get(key)) is not None:
        return known
    manifest = decode(raw)
    if absent:
        manifest = whole_without(station.blobs, manifest, set(absent))
    kinds = set[str]().union(*(_kinds(station.blobs, artifact) for artifact in manifest.artifacts))
    facts = BundleFacts(manifest.stream, manifest.classification, tuple(sorted(kinds)))
    if UNKNOWN_KIND not in kinds:
        if len(_known) >= _KEPT:
            _known.clear()
        _known[key] = facts
    return facts


def _kinds(blobs: Blobs, artifact: Artifact) -> set[str]:
    try:
        manifest = parse_manifest(read_manifest(blobs, artifact), artifact.mediaType)
        kinds = {artifact.kind, kind_of_manifest(manifest)}
        if is_runnable(manifest) and not holds_documents(blobs, manifest.layers):
            kinds.add("image")  # evidence by its layers' types alone: clients would run it
    except LockgateError:
        return {artifact.kind, UNKNOWN_KIND}
    return kinds


def check_refused(station: Station, policy: Policy, entry: Entry) -> None:
    """Nothing that a rule refuses was found in the bundle. Raises RefusedError naming the finding."""
    if station.config.open or not any(rule.refuse for rule in policy.rule):
        return
    check_found(policy, facts_of(station, entry), entry.id, _found(report_text(station.reader, entry.digest) or ""))


def _found(report: str) -> Mapping[str, int]:
    """How often each rule of the inspection found something, by the report; what it does not name is left out."""
    sections = {one.inspector: one.details for one in signed.decode(report.encode(), signed.Report).sections}
    layers, artifacts = sections.get("layers", {}), sections.get("artifacts", {})
    counts: dict[str, int] = {rule: _count(layers, rule) for rule in RULES if rule in layers}
    if "misnamed" in counts:
        counts["misnamed"] += _count(artifacts, "kinds_differ")
    for name, rules in (("malware", malware.RULES), ("content", content.RULES)):
        found = sections.get(name, {})
        counts |= {rule: _count(found, rule) for rule in rules if rule in found}
    return counts


def _count(details: Mapping[str, object], name: str) -> int:
    listed, left_out = details.get(name, ()), details.get(f"{name}_left_out", 0)
    return (len(listed) if isinstance(listed, list) else 0) + (left_out if isinstance(left_out, int) else 0)
