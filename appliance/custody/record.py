"""A bundle's custody record: every step, signature, hand-over and audit event of it, of both sides, as one document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from appliance.api.audit import CustodyRecord
from appliance.audit.acts import Act
from appliance.audit.reading import own_events
from appliance.known_keys import own_keys
from appliance.limits import intake as limits
from appliance.outgoing.sealed_bundle import SealedBundle
from appliance.station import Station
from appliance.store.ports import Reader
from appliance.store.reads.custody import (
    brought_in,
    handovers,
    moved_since_known,
    other_part,
    reports_of,
    signed_decisions,
)
from appliance.store.reads.intake import Entry, read_manifest, report_text, signed_files, steps_of
from appliance.store.reads.outgoing import built_bundle
from bundles.documents.custody import CustodyPart, digest_of_part
from bundles.errors import RefusedError, UsageError
from bundles.format import sums
from bundles.format.manifest import BundleManifest
from bundles.limits import CUSTODY_TEXT
from bundles.people import is_same
from bundles.signing.signature_files import by_key, files_of
from bundles.signing.trust import TrustFolder


class HandOverFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written down when a medium goes from hand to hand. `serial`, `seal` and `note` may be empty."""

    giver: str
    taker: str
    medium: str
    serial: str = ""
    seal: str = ""
    note: str = ""


_NEEDED: Final = ("giver", "taker", "medium")


def check_handover(fields: HandOverFields) -> None:
    """Raises UsageError where a field is missing or too long."""
    for name, value in msgspec.structs.asdict(fields).items():
        if name in _NEEDED and not value.strip():
            raise UsageError(
                f"a hand-over names its {name}",
                thing=f"{name} is empty",
                remedy="give --from WHO --to WHO --medium LABEL",
            )
        if len(value) > limits.REASON:
            raise UsageError(f"the {name} is too long", thing=f"{len(value)} characters", remedy=f"use {limits.REASON}")
    if is_same(fields.giver, fields.taker):
        raise UsageError("nobody hands a medium to themselves", thing=fields.giver, remedy="name the two people")


def record_of(station: Station, bundle: str, entry: Entry | None, head: str) -> CustodyRecord:
    """The custody record of a bundle.

    A bundle that this station made has no `entry`. `other` is the part of the side that it went to, as that side's
    latest receipt tells it; `timeline` has both sides' steps, decisions and hand-overs in one order.
    """
    reader = station.reader
    named = list(own_events(station.paths, bundle.encode()))
    events = [
        {name: event[name] for name in ("time", "act", "actor", "outcome", "lane", "seq", "detail")}
        for event in named
        if event["thing"] == bundle
    ]
    out = built_bundle(reader, bundle)
    signed = None if entry is None else signed_files(reader, entry.digest)
    manifest = None if entry is None else read_manifest(reader, entry.digest)
    names = list(signed.signatures) if signed is not None else []
    if entry is None and out is not None and (fixed := SealedBundle.load(station.paths.job(out.job))) is not None:
        manifest = fixed.manifest if fixed.manifest.id == bundle else None
        names = list(fixed.bundle.signatures) if manifest is not None else []
    digest = entry.digest if entry is not None else out.digest if out is not None else ""
    signed_by = set(by_key(names, sums.NAME)) | _co_signers(events, digest)
    record = CustodyRecord(
        id=bundle,
        site=station.config.site,
        head=head,
        digest=digest,
        state=entry.state if entry is not None else out.state if out is not None else "",
        made=None if manifest is None else _made(manifest),
        steps=() if entry is None else tuple(steps_of(reader, entry.digest)),
        signatures=tuple(_signatures(signed_by, [] if manifest is None else manifest.signers, station)),
        decisions=() if entry is None else tuple(_decisions(reader, entry.digest)),
        handovers=tuple(handovers(reader, bundle)),
        events=tuple(events[::-1]),
        other=_other(reader, bundle, _told(named, bundle)),
    )
    return msgspec.structs.replace(record, timeline=tuple(_timeline(record)))


def _made(manifest: BundleManifest) -> dict[str, str]:
    """What its signers signed about where it comes from."""
    return {
        "source": manifest.source, "created": manifest.created, "not_after": manifest.not_after,
        "purpose": manifest.purpose, "authorisation": manifest.authorisation,
        "classification": manifest.classification, "tool": f"{manifest.tool.name} {manifest.tool.version}",
    }  # fmt: skip


def _told(events: Iterable[Mapping[str, Any]], bundle: str) -> Mapping[str, Any]:
    """What the event of the newest receipt with a part about a bundle says, by events, the newest first; empty where
    none names it, as those of an earlier version."""
    undone: set[str] = set()
    for event in events:
        if event["act"] != Act.RECEIPT_TAKE:
            continue
        thing, detail = str(event["thing"]), event["detail"]
        if detail.get("takes_back"):
            undone.add(thing)
        elif event["outcome"] == "done" and thing in undone:
            undone.discard(thing)
        elif event["outcome"] == "done" and bundle in detail.get("custody", {}):
            return {name: detail.get(name) for name in ("site", "head", "number", "digest", "keyid")} | {
                "part": detail["custody"][bundle]
            }
    return {}


def _other(reader: Reader, bundle: str, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The other side's part. Raises RefusedError where it is not what was taken, by the event of its receipt."""
    told = other_part(reader, bundle)
    if told is None:  # never taken, or forgotten with a database that was lost
        return None
    found = {
        "site": told.site, "head": told.head, "number": told.number, "digest": told.receipt, "keyid": told.keyid,
        "part": digest_of_part(told.document),
    }  # fmt: skip
    if event and event != found:
        raise RefusedError(
            "the other side's part of this custody record was changed in the database", thing=bundle,
            remedy="find out who changed it (lockgate audit show), and put the database back from a backup",
        )  # fmt: skip
    receipt = {
        "number": told.number, "digest": told.receipt, "created": told.created, "taken": told.taken,
        "keyid": told.keyid, "owner": told.owner,
    }  # fmt: skip
    part = json.loads(told.document)
    return {"site": told.site, "head": told.head, "receipt": receipt} | {
        name: part[name] for name in ("digest", "state", "steps", "decisions", "handovers")
    }


def _timeline(record: CustodyRecord) -> list[dict[str, str]]:
    """What people and stations did, of both sides, by time; of the side that made it the audit log tells."""
    found = []
    made = record.made
    if made is not None and made["source"] != record.site:
        signers = ", ".join(one["owner"] or one["keyid"] for one in record.signatures)
        found.append((made["created"], made["source"], "made", signers, made["purpose"]))
    for event in record.events:
        if event["act"].startswith("bundle.") and event["outcome"] == "done":
            found.append((event["time"], record.site, event["act"], event["actor"], ""))
    own = {"steps": record.steps, "decisions": record.decisions, "handovers": record.handovers}
    for site, side in ((record.site, own), (str((record.other or {}).get("site", "")), record.other or {})):
        found += [(one["at"], site, one["state"], one["actor"], one["note"]) for one in side.get("steps", [])]
        for one in side.get("decisions", []):
            found.append((one["at"], site, f"{one['decision']} signed", one["owner"], one["why"]))
        for one in side.get("handovers", []):
            seal = f"seal {one['seal']}" if one["seal"] else ""
            note = " ".join(filter(None, (one["medium"], one["serial"], seal, one["note"])))
            found.append((one["at"], site, "handed over", f"{one['giver']} to {one['taker']}", note))
    names = ("at", "site", "what", "who", "note")
    return [dict(zip(names, one, strict=True)) for one in sorted(found, key=lambda one: one[0])]


def parts_since_known(reader: Reader) -> list[CustodyPart]:
    """This side's part of the record of each bundle that came in, for a receipt: of those that moved since the receipt
    which the other side built on last, since it is known to have that one; the latest, where there are very many."""
    parts = []
    for bundle, digest, state in moved_since_known(reader, limits.RECEIPT_CUSTODY):
        lists = {
            "steps": steps_of(reader, digest),
            "decisions": _decisions(reader, digest),
            "handovers": handovers(reader, bundle),
        }
        cut = {
            name: [{key: value[:CUSTODY_TEXT] for key, value in one.items()} for one in items]
            for name, items in lists.items()
        }
        parts.append(msgspec.convert({"bundle": bundle, "digest": digest, "state": state} | cut, CustodyPart))
    return parts


def _co_signers(events: Sequence[Mapping[str, Any]], digest: str) -> set[str]:
    """The keys that this station saw co-sign the bundle on its media."""
    done = [one["detail"] for one in events if (one["act"], one["outcome"]) == (Act.BUNDLE_SIGN, "done")]
    return {str(detail["keyid"]) for detail in done if "keyid" in detail and detail.get("digest", digest) == digest}


def _signatures(seen: set[str], named: Sequence[str], station: Station) -> list[dict[str, str]]:
    """Who signed and who is to, by the owners of the pinned keys, and by the names of this station's own. `seen` are
    the keys whose signatures this station knows; a co-signer that the manifest names may have signed elsewhere."""
    own = {mine.key.keyid: f"{station.config.site}'s own key {mine.name}" for mine in own_keys(station.paths)}
    trust, found = station.trust(), []
    for keyid in sorted(seen.union(named)):
        record = trust.find(keyid)
        owner = own.get(keyid, "") if record is None else record.owner
        note = "" if keyid in seen else "named as a signer; this station has not seen its signature"
        found.append({"keyid": keyid, "owner": owner, "note": note})
    return found


def _decisions(reader: Reader, digest: str) -> list[dict[str, str]]:
    found = []
    for one in signed_decisions(reader, digest):
        said = json.loads(one.document)
        found.append(
            {
                "keyid": one.keyid,
                "owner": one.owner,
                "at": one.created,
                "decision": said["decision"],
                "why": said["why"],
            }
        )
    return found


def signed_documents(reader: Reader, trust: TrustFolder) -> dict[str, bytes]:
    """What was signed about every bundle, as files that openssl checks, and whose keys those are: by path in an export
    of the audit log."""
    found: dict[str, bytes] = {}
    keys = set()
    for name, digest in brought_in(reader):
        folder = f"bundles/{name}-{digest.partition(':')[2][:12]}"
        files = signed_files(reader, digest)
        if files is None:
            continue
        found |= {f"{folder}/{sums.NAME}": files.sums, f"{folder}/{sums.MANIFEST}": files.manifest}
        found |= {f"{folder}/{one}": signature for one, signature in files.signatures.items()}
        keys |= {one.split(".")[1] for one in files.signatures}
        if (report := report_text(reader, digest)) is not None:
            found[f"{folder}/report.json"] = report.encode()
        for named, text in reports_of(reader, digest):
            found[f"{folder}/reports/{named.partition(':')[2]}.json"] = text.encode()
        for number, one in enumerate(signed_decisions(reader, digest), 1):
            path = f"{folder}/decisions/{number:03}.json"
            found |= {path: one.document.encode()} | files_of(path, one.keyid, one.signature)
            keys.add(one.keyid)
    for keyid in keys:
        record = trust.find(keyid)
        if record is not None:
            found[f"keys/{keyid}.pem"] = record.key.to_pem()
            about = {
                "keyid": keyid, "owner": record.owner, "purposes": list(record.purposes), "sites": list(record.sites),
                "revoked": None if record.revoked is None else msgspec.to_builtins(record.revoked),
            }  # fmt: skip
            # ASCII alone, as the log is: what a terminal shows is what a person can compare.
            found[f"keys/{keyid}.json"] = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return found
