"""Recall: of a key that is no longer believed, or content that turned out bad, where it went and who has it."""

from __future__ import annotations

import sqlite3
from typing import Any

from appliance.intake.ledger import manifest_text
from appliance.observe.audit import newest
from appliance.station import Station
from bundles.errors import NotFoundError
from bundles.manifest_codec import decode


def recall(station: Station, thing: str) -> dict[str, Any]:
    """Of a keyid or a digest: {thing, bundles, tags, pulls}.

    `bundles` are those that the key signed or approved, or that held the digest (as an artifact or a blob); `tags`
    where it is shown or was released to; `pulls` who took what became visible, with the last time and how often.
    Raises NotFoundError where no bundle has anything to do with it.
    """
    reader = station.reader
    bundles = _bundles(reader, thing)
    if not bundles:
        raise NotFoundError("no bundle has anything to do with it", thing=thing, remedy="give a keyid or a digest")
    tags: dict[str, dict[str, str]] = {}
    for bundle in bundles:
        for artifact in decode(manifest_text(reader, bundle["digest"]).encode()).artifacts:
            if bundle["as"] == "artifact" and artifact.digest != thing:
                continue
            for tag in artifact.tags or [""]:
                name = f"{artifact.repository}:{tag}" if tag else f"{artifact.repository}@{artifact.digest}"
                tags[name] = {"reference": name, "digest": artifact.digest, "bundle": bundle["id"]}
    for became in tags.values():
        became["shown"] = _shown(reader, became["reference"], became["digest"])
    return {"thing": thing, "bundles": bundles, "tags": [tags[name] for name in sorted(tags)],
            "pulls": _pulls(station, {became["digest"] for became in tags.values()})}  # fmt: skip


def _bundles(reader: sqlite3.Connection, thing: str) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    queries = (
        ("signed it", "SELECT i.id, i.digest, i.state FROM intake_signatures s JOIN intake i ON i.digest = s.digest"
         " WHERE s.name = 'SHA256SUMS.' || ? || '.sig'"),
        ("decided about it", "SELECT i.id, i.digest, i.state FROM decisions d JOIN intake i ON i.digest = d.digest"
         " WHERE d.keyid = ?"),
        ("artifact", "SELECT id, digest, state FROM intake WHERE state <> 'receiving' AND EXISTS (SELECT 1 FROM"
         " json_each(manifest, '$.artifacts') a WHERE json_extract(a.value, '$.digest') = ?)"),
        ("blob", "SELECT id, digest, state FROM intake WHERE state <> 'receiving' AND EXISTS (SELECT 1 FROM"
         " json_each(manifest, '$.blobs') b WHERE json_extract(b.value, '$.digest') = ?)"),
    )  # fmt: skip
    for how, query in queries:
        for name, digest, state in reader.execute(query, (thing,)):
            found.setdefault(digest, {"id": name, "digest": digest, "state": state, "as": how})
    return sorted(found.values(), key=lambda bundle: bundle["id"])


def _shown(reader: sqlite3.Connection, reference: str, digest: str) -> str:
    """`yes`, `no`, or where the tag stands now."""
    repository, at, _ = reference.partition("@")
    if at:
        row = reader.execute(
            "SELECT 1 FROM links l JOIN repositories r ON r.id = l.repository_id WHERE r.name = ? AND l.digest = ?",
            (repository, digest),
        ).fetchone()
        return "no" if row is None else "yes"
    repository, _, tag = reference.rpartition(":")
    row = reader.execute(
        "SELECT t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = ? AND t.tag = ?",
        (repository, tag),
    ).fetchone()
    return "no" if row is None else "yes" if row[0] == digest else f"now {row[0]}"


def _pulls(station: Station, digests: set[str]) -> list[dict[str, Any]]:
    who: dict[tuple[str, str], dict[str, Any]] = {}
    for event in newest(station.paths.audit, b'"act":"pull"'):
        if event["act"] != "pull" or event["thing"].rpartition("@")[2] not in digests:
            continue
        key = (event["actor"], event["thing"])
        pull = who.setdefault(
            key, {"actor": event["actor"], "thing": event["thing"], "last": event["time"], "count": 0, "from": []}
        )
        pull["count"] += event["detail"].get("count", 1)
        address = event["detail"].get("from", "")
        if address and address not in pull["from"]:
            pull["from"].append(address)
    return sorted(who.values(), key=lambda pull: (pull["thing"], pull["actor"]))
