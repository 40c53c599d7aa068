"""A bundle's custody record: every step, signature, hand-over and audit event of it, as one document, and as a form."""

from __future__ import annotations

import html
import json
import sqlite3
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance import limits
from appliance.intake.ledger import Entry, signed_files, steps_of
from appliance.observe.audit import newest
from appliance.station import Station
from bundles import sums
from bundles.display import safe
from bundles.errors import UsageError
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
            raise UsageError(f"a hand-over says its {name}", remedy="who gave, who took, and the medium's label")
        if len(value) > limits.REASON:
            raise UsageError(f"the {name} is too long", thing=f"{len(value)} characters", remedy=f"use {limits.REASON}")
    if fields.giver.strip() == fields.taker.strip():
        raise UsageError("nobody hands a medium to themselves", thing=fields.giver, remedy="name the two people")


_LISTED: Final = (
    "SELECT id, max(direction), max(state), max(at), (SELECT count(*) FROM handovers h WHERE h.bundle = each.id) FROM ("
    "SELECT id, 'in' AS direction, state, coalesce(decided, received) AS at FROM intake"
    " UNION ALL SELECT id, 'out', state, created FROM bundles_out"
    " UNION ALL SELECT bundle, '', '', max(at) FROM handovers GROUP BY bundle"
    ") each WHERE id > ? AND instr(id, ?) GROUP BY id ORDER BY id LIMIT ?"
)


def list_bundles(reader: sqlite3.Connection, limit: int, after: str = "", text: str = "") -> list[dict[str, Any]]:
    """Every bundle that has a custody record here, by id: {id, direction, state, at, handovers}.

    `direction` is `in`, `out`, or "" for one that only passed through people's hands; `at` its last step or hand-over.
    """
    names = ("id", "direction", "state", "at", "handovers")
    return [dict(zip(names, row, strict=True)) for row in reader.execute(_LISTED, (after, text, limit))]


def handovers(reader: sqlite3.Connection, bundle: str) -> list[dict[str, str]]:
    """Every hand-over of a bundle, in order."""
    names = ("at", "giver", "taker", "medium", "serial", "seal", "note", "actor")
    rows = reader.execute(f"SELECT {', '.join(names)} FROM handovers WHERE bundle = ? ORDER BY entry", (bundle,))  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in rows]


def record_of(station: Station, bundle: str, entry: Entry | None, head: str) -> dict[str, Any]:
    """The custody record: {id, digest, site, head, steps, signatures, decisions, handovers, events}.

    A bundle that this station made or carries has no `entry`: its hand-overs and events are there all the same.
    """
    reader = station.reader
    events = [
        {name: event[name] for name in ("time", "act", "actor", "outcome", "lane", "seq", "detail")}
        for event in newest(station.paths.audit, bundle.encode())
        if event["thing"] == bundle
    ]
    return {
        "id": bundle,
        "site": station.config.site,
        "head": head,
        "digest": "" if entry is None else entry.digest,
        "state": "" if entry is None else entry.state,
        "steps": [] if entry is None else steps_of(reader, entry.digest),
        "signatures": [] if entry is None else _signatures(reader, entry, station.trust()),
        "decisions": [] if entry is None else _decisions(reader, entry.digest),
        "handovers": handovers(reader, bundle),
        "events": events[::-1],
    }


def _signatures(reader: sqlite3.Connection, entry: Entry, trust: TrustFolder) -> list[dict[str, str]]:
    files = signed_files(reader, entry.digest)
    found = []
    for name in sorted(files.signatures) if files is not None else []:
        keyid = name.split(".")[1]
        record = trust.find(keyid)
        found.append({"keyid": keyid, "owner": "" if record is None else record.owner})
    return found


def _decisions(reader: sqlite3.Connection, digest: str) -> list[dict[str, str]]:
    rows = reader.execute(
        "SELECT keyid, owner, document, created FROM decisions WHERE digest = ? ORDER BY entry", (digest,)
    )
    found = []
    for keyid, owner, document, created in rows:
        said = json.loads(document)
        found.append({"keyid": keyid, "owner": owner, "at": created, "decision": said["decision"], "why": said["why"]})
    return found


def signed_documents(reader: sqlite3.Connection, trust: TrustFolder) -> dict[str, bytes]:
    """What was signed about every bundle, as files that openssl checks: by path in an export of the audit log."""
    found: dict[str, bytes] = {}
    rows = reader.execute("SELECT id, digest, report FROM intake WHERE state <> 'receiving'").fetchall()
    keys = set()
    for name, digest, report in rows:
        folder = f"bundles/{name}-{digest.partition(':')[2][:12]}"
        files = signed_files(reader, digest)
        if files is None:
            continue
        found |= {f"{folder}/{sums.NAME}": files.sums, f"{folder}/{sums.MANIFEST}": files.manifest}
        found |= {f"{folder}/{one}": signature for one, signature in files.signatures.items()}
        keys |= {one.split(".")[1] for one in files.signatures}
        if report is not None:
            found[f"{folder}/report.json"] = report.encode()
        for named, text in reader.execute("SELECT report_digest, report FROM reports WHERE digest = ?", (digest,)):
            found[f"{folder}/reports/{named.partition(':')[2]}.json"] = text.encode()
        decided = reader.execute(
            "SELECT keyid, document, signature FROM decisions WHERE digest = ? ORDER BY entry", (digest,)
        )
        for number, (keyid, document, signature) in enumerate(decided, 1):
            path = f"{folder}/decisions/{number:03}.json"
            found |= {path: document.encode(), f"{path}.{keyid}.sig": signature}
            keys.add(keyid)
    for keyid in keys:
        record = trust.find(keyid)
        if record is not None:
            found[f"keys/{keyid}.pem"] = record.key.to_pem()
    return found


_HEADINGS: Final = (
    ("steps", "Steps", ("at", "state", "actor", "note")),
    ("signatures", "Signed by", ("keyid", "owner")),
    ("decisions", "Decisions", ("at", "decision", "owner", "keyid", "why")),
    ("handovers", "Hand-overs", ("at", "giver", "taker", "medium", "serial", "seal", "note", "actor")),
    ("events", "Audit log", ("time", "act", "outcome", "actor", "lane", "seq")),
)


def as_text(record: dict[str, Any]) -> str:
    """The record as a form to print and sign by hand."""
    lines = [
        f"CUSTODY RECORD  {record['id']}",
        f"station         {record['site']}",
        f"digest          {record['digest'] or 'not brought in here'}",
        f"state           {record['state'] or '-'}",
        f"audit head      {record['head']}",
    ]
    for name, title, columns in _HEADINGS:
        lines += ["", title]
        rows = [[safe(str(row[column]), width=60) for column in columns] for row in record[name]]
        widths = [max([len(column), *(len(row[at]) for row in rows)]) for at, column in enumerate(columns)]
        for row in [list(columns), *rows] if rows else [["none"]]:
            lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
    lines += ["", "Handed over by ______________________  Taken by ______________________  Date ____________"]
    return "\n".join(lines)


def as_html(record: dict[str, Any]) -> str:
    """The same form as one HTML page without scripts, pictures or links."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Custody record {_cell(record['id'])}</title>",
        "<style>body{font:11pt serif}table{border-collapse:collapse}td,th{border:1px solid;padding:2px 6px;"
        "text-align:left;overflow-wrap:anywhere}code{overflow-wrap:anywhere}</style>",
        f"<h1>Custody record {_cell(record['id'])}</h1>",
        f"<p>Station {_cell(record['site'])}, state {_cell(record['state'] or '-')}",
        f"<p>Digest <code>{_cell(record['digest'] or 'not brought in here')}</code>",
        f"<p>Head of the audit log <code>{_cell(record['head'])}</code>",
    ]
    for name, title, columns in _HEADINGS:
        parts.append(f"<h2>{title}</h2><table><tr>" + "".join(f"<th>{column}" for column in columns))
        for row in record[name]:
            parts.append("<tr>" + "".join(f"<td>{_cell(row[column])}" for column in columns))
        parts.append("</table>")
    parts.append("<p>Handed over by ____________________ Taken by ____________________ Date ____________</html>")
    return "\n".join(parts) + "\n"


def _cell(value: object) -> str:
    return html.escape(safe(str(value)))


def write_form(path: Path, record: dict[str, Any]) -> None:
    """The HTML form as a new file."""
    from bundles.files import write_atomic

    write_atomic(path, as_html(record).encode(), replace=False)
