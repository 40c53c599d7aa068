"""Manifests that are shown, and of which the database has no row or says something else than their bytes.

A manifest without its row is answered as unknown; one with another subject, type or annotations is taken for another
thing, or hides that it is evidence. A scrub fixes both (appliance.lifecycle.described).
"""

from __future__ import annotations

from typing import Any, Final

from appliance.limits import lifecycle as limits
from appliance.release_check.replay import read_bytes
from appliance.station import Station
from appliance.store.reads.content import ManifestFacts
from appliance.store.reads.links import linked_manifest_rows
from appliance.store.reads.manifest_facts import differences, facts_of
from bundles.errors import MalformedError
from bundles.io.display import safe
from bundles.oci.digest import Digest

FACTS: Final = "facts"
"""The kind of such a finding."""
_LISTED: Final = 1_000


def changed_facts(station: Station, right: set[int]) -> list[dict[str, str]]:
    """Each such manifest once, a thousand at most: {repository, digest, kind, bundle, found}; `found` is `missing` for
    one without a row, or the fields that differ. Bytes that cannot be read, or that this version takes for no manifest,
    say nothing.

    `right` remembers rows that are what the bytes say, between looks of one process: bytes of a digest never change.
    """
    found: list[dict[str, str]] = []
    for digest, repository, *facts in linked_manifest_rows(station.reader):
        key = hash((digest, *facts))
        if key in right:
            continue
        how = "missing" if facts[0] is None else _different(station, digest, facts)
        if how:
            found.append({"repository": repository, "digest": digest, "kind": FACTS, "bundle": "", "found": how})
            if len(found) >= _LISTED:
                break
            continue
        if len(right) >= limits.FACTS_KNOWN:
            right.clear()
        right.add(key)
    return found


def _different(station: Station, digest: str, row: list[Any]) -> str:
    """The fields in which a row differs from the bytes, as text."""
    raw = read_bytes(station.blobs, digest)
    derived = None if raw is None else facts_of(Digest.parse(digest), raw)
    if derived is None:
        return ""
    media_type, artifact_type, subject, size, annotations = row
    try:
        about = None if subject is None else Digest.parse(subject)
    except MalformedError:
        return "subject"
    facts = ManifestFacts(derived.digest, media_type, artifact_type, about, size, annotations)
    return ", ".join(differences(facts, derived))


def alarms(found: list[dict[str, str]]) -> list[str]:
    """A line for each manifest."""
    return [
        f"release: of {safe(one['repository'])}@{one['digest']} "
        + ("the database has no row" if one["found"] == "missing" else f"the database says another {one['found']} than"
           " its bytes")
        + ": it was changed by hand; set it right with: lockgate scrub"
        for one in found
    ]  # fmt: skip
