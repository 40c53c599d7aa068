"""Reading the ledger and the intake's entries."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from bundles.errors import NotFoundError, UsageError
from bundles.ledger import LedgerRow
from bundles.manifest import BundleManifest
from bundles.manifest_codec import decode

_COLUMNS: Final = "digest, id, stream, sequence, state, manifest, report, report_digest, actor, received, decided"


@dataclass(frozen=True, slots=True)
class Entry:
    """A bundle in the intake. `manifest` and `report` are canonical JSON text; times are UTC text."""

    digest: str
    id: str
    stream: str
    sequence: int
    state: str
    manifest: str
    report: str | None
    report_digest: str | None
    actor: str
    received: str
    decided: str | None

    def read_manifest(self) -> BundleManifest:
        """The manifest, decoded again."""
        return decode(self.manifest.encode())


@dataclass(frozen=True, slots=True)
class StoredApproval:
    """An approval or rejection as it was signed."""

    keyid: str
    owner: str
    document: str
    signature: bytes
    created: str


def history(reader: sqlite3.Connection, stream: str) -> list[LedgerRow]:
    """What the ledger knows of a stream: each sequence's latest row."""
    rows = reader.execute(
        "SELECT sequence, digest, state FROM ledger WHERE stream = ?1 AND entry IN"
        " (SELECT max(entry) FROM ledger WHERE stream = ?1 GROUP BY sequence) ORDER BY sequence",
        (stream,),
    )
    return [LedgerRow(*row) for row in rows]


def find_entry(reader: sqlite3.Connection, name: str) -> Entry:
    """The entry of an id or digest. Raises NotFoundError, UsageError where an id has several."""
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE digest = ? OR id = ? LIMIT 2",  # noqa: S608  constant
        (name, name),
    ).fetchall()
    if not rows:
        raise NotFoundError("no such bundle in the intake", thing=name, remedy="see: lockgate intake list")
    if len(rows) > 1:
        raise UsageError("several bundles have this id", thing=name, remedy="name it by its digest")
    return Entry(*rows[0])


def list_entries(reader: sqlite3.Connection, limit: int, after: str, state: str) -> list[Entry]:
    """Entries by id, behind `after`."""
    rows = reader.execute(
        f"SELECT {_COLUMNS} FROM intake WHERE id > ? AND (? = '' OR state = ?) ORDER BY id LIMIT ?",  # noqa: S608
        (after, state, state, limit),
    )
    return [Entry(*row) for row in rows]


def approvals_of(reader: sqlite3.Connection, digest: str) -> list[StoredApproval]:
    """The approvals (or the one rejection) of a bundle."""
    rows = reader.execute(
        "SELECT keyid, owner, document, signature, created FROM approvals WHERE digest = ? ORDER BY created", (digest,)
    )
    return [StoredApproval(*row) for row in rows]


def verified_volumes(reader: sqlite3.Connection, digest: str) -> set[int]:
    """The volumes of a bundle whose blobs are in the store."""
    return {index for (index,) in reader.execute("SELECT volume FROM intake_volumes WHERE digest = ?", (digest,))}


def describe(reader: sqlite3.Connection, entry: Entry, needed: int) -> dict[str, Any]:
    """An entry as the control API lists it (docs/reference/control-api.md, Intake)."""
    manifest = json.loads(entry.manifest)
    verified = verified_volumes(reader, entry.digest)
    return {
        "digest": entry.digest,
        "id": entry.id,
        "stream": entry.stream,
        "sequence": entry.sequence,
        "state": entry.state,
        "received": entry.received,
        "decided": entry.decided,
        "actor": entry.actor,
        "artifacts": len(manifest["artifacts"]),
        "bytes": sum(volume["size"] for volume in manifest["volumes"]),
        "approvals": len(approvals_of(reader, entry.digest)) if entry.state != "rejected" else 0,
        "needed": needed,
        "missing_volumes": [v["index"] for v in manifest["volumes"] if v["index"] not in verified],
    }
