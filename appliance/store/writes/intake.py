"""The transactions of the inside half: quarantine, approval, release, and the ledger's rows.

An entry's states and the only ways between them: receiving -> quarantined -> approved -> released, and rejected from
quarantined or approved. Each step but the first appends a row to the ledger in the same transaction. Content becomes
visible in `Release` and nowhere else.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from appliance.store.writes.base import Write
from appliance.store.writes.registry import (
    BlobRow,
    ManifestRow,
    ensure_repository,
    link,
    record_blob,
    record_manifest,
    set_tag,
)
from bundles.errors import FailedError, NotFoundError, RefusedError


def _entry(db: sqlite3.Connection, digest: str) -> dict[str, Any]:
    row = db.execute(
        "SELECT id, stream, sequence, state, report_digest FROM intake WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise NotFoundError("no such bundle in the intake", thing=digest)
    return dict(zip(("id", "stream", "sequence", "state", "report_digest"), row, strict=True))


def _move(
    db: sqlite3.Connection, digest: str, entry: dict[str, Any], state: str, actor: str, at: str, why: str = ""
) -> None:
    """Change the entry's state and append the ledger's row, together."""
    db.execute("UPDATE intake SET state = ?, decided = ? WHERE digest = ?", (state, at, digest))
    db.execute(
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (entry["stream"], entry["sequence"], digest, entry["id"], state, why, at, actor),
    )


class BeginIntake(Write, frozen=True):
    """A bundle whose signatures hold starts to come in. Harmless where it did before."""

    digest: str
    id: str
    stream: str
    sequence: int
    manifest: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO intake (digest, id, stream, sequence, state, manifest, actor, received)"
            " VALUES (?, ?, ?, ?, 'receiving', ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.id, self.stream, self.sequence, self.manifest, self.actor, self.at),
        )


class RecordVolume(Write, frozen=True):
    """A volume was verified, and its blobs are durable in the store. Makes nothing visible."""

    digest: str
    volume: int
    blobs: tuple[BlobRow, ...]
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        for blob in self.blobs:
            record_blob(db, blob, self.at)
        db.execute(
            "INSERT INTO intake_volumes (digest, volume, verified) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.volume, self.at),
        )


class Quarantine(Write, frozen=True):
    """Everything was verified and inspected: the bundle is in quarantine and in the ledger. Raises RefusedError where
    the ledger moved on meanwhile."""

    digest: str
    report: str
    report_digest: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        entry = _entry(db, self.digest)
        if entry["state"] != "receiving":
            raise RefusedError(f"a replay: this bundle is in the ledger as {entry['state']}", thing=entry["id"])
        last = db.execute("SELECT max(sequence) FROM ledger WHERE stream = ?", (entry["stream"],)).fetchone()[0]
        if last is not None and last >= entry["sequence"]:
            raise RefusedError(f"a rollback: the stream is at {last} already", thing=entry["id"])
        db.execute(
            "UPDATE intake SET report = ?, report_digest = ?, actor = ? WHERE digest = ?",
            (self.report, self.report_digest, self.actor, self.digest),
        )
        _move(db, self.digest, entry, "quarantined", self.actor, self.at)


class Approve(Write, frozen=True):
    """A person's approval, whose signature the caller verified. The result is the entry's state."""

    digest: str
    report_digest: str
    keyid: str
    owner: str
    document: str
    signature: bytes
    needed: int
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> str:
        entry = _entry(db, self.digest)
        if entry["state"] not in ("quarantined", "approved"):
            raise FailedError(
                f"the bundle is {entry['state']}", thing=entry["id"], remedy="only quarantine is approved"
            )
        if entry["report_digest"] != self.report_digest:
            raise RefusedError("the inspection report changed", thing=entry["id"], remedy="read it again, then approve")
        db.execute(
            "INSERT INTO approvals (digest, keyid, owner, document, signature, created) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET document = excluded.document, signature = excluded.signature,"
            " created = excluded.created",
            (self.digest, self.keyid, self.owner, self.document, self.signature, self.at),
        )
        owners = db.execute("SELECT count(DISTINCT owner) FROM approvals WHERE digest = ?", (self.digest,)).fetchone()[
            0
        ]
        if entry["state"] == "quarantined" and owners >= self.needed:
            _move(db, self.digest, entry, "approved", self.actor, self.at)
            return "approved"
        return str(entry["state"])


class Reject(Write, frozen=True):
    """A person's rejection, whose signature the caller verified; final for this bundle."""

    digest: str
    keyid: str
    owner: str
    document: str
    signature: bytes
    why: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> str:
        entry = _entry(db, self.digest)
        if entry["state"] not in ("quarantined", "approved"):
            raise FailedError(
                f"the bundle is {entry['state']}", thing=entry["id"], remedy="only quarantine is rejected"
            )
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.execute(
            "INSERT INTO approvals (digest, keyid, owner, document, signature, created) VALUES (?, ?, ?, ?, ?, ?)",
            (self.digest, self.keyid, self.owner, self.document, self.signature, self.at),
        )
        _move(db, self.digest, entry, "rejected", self.actor, self.at, self.why)
        return "rejected"


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that a release shows: its manifest, the blobs it names, and its tags."""

    repository: str
    manifest: ManifestRow
    blobs: tuple[str, ...]
    tags: tuple[str, ...]


class Release(Write, frozen=True):
    """Quarantined content becomes visible: links, then tags, in this one transaction.

    `approved_by` are the keys whose approvals the caller verified anew; they must be of `needed` distinct owners.
    """

    digest: str
    report_digest: str
    approved_by: tuple[str, ...]
    needed: int
    artifacts: tuple[Released, ...]
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        entry = _entry(db, self.digest)
        if entry["state"] != "approved":
            raise FailedError(
                f"the bundle is {entry['state']}, not approved",
                thing=entry["id"],
                remedy=f"see: lockgate intake show {entry['id']}",
            )
        if entry["report_digest"] != self.report_digest:
            raise RefusedError("the inspection report changed", thing=entry["id"], remedy="approve it anew")
        stored = dict(db.execute("SELECT keyid, owner FROM approvals WHERE digest = ?", (self.digest,)))
        owners = {stored[keyid] for keyid in self.approved_by if keyid in stored}
        if len(owners) < self.needed:
            raise RefusedError(
                f"{len(owners)} of {self.needed} approvals count", thing=entry["id"], remedy="have it approved again"
            )
        for artifact in self.artifacts:
            repository = ensure_repository(db, artifact.repository, self.at)
            for blob in artifact.blobs:
                link(db, repository, blob, "blob", self.at)
            record_manifest(db, artifact.manifest, self.at)
            link(db, repository, artifact.manifest.blob.digest, "manifest", self.at)
        for artifact in self.artifacts:
            repository = ensure_repository(db, artifact.repository, self.at)
            for tag in artifact.tags:
                set_tag(db, repository, tag, artifact.manifest.blob.digest, self.at)
        _move(db, self.digest, entry, "released", self.actor, self.at)


class ResetStream(Write, frozen=True):
    """People set a stream's floor by hand: the next bundle is `sequence + 1`, whatever it follows."""

    stream: str
    sequence: int
    why: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        last = db.execute("SELECT max(sequence) FROM ledger WHERE stream = ?", (self.stream,)).fetchone()[0] or 0
        if self.sequence < last:
            raise RefusedError(
                f"the stream is at {last} already", thing=self.stream, remedy="a floor is never set below it"
            )
        db.execute(
            "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor)"
            " VALUES (?, ?, '', '', 'reset', ?, ?, ?)",
            (self.stream, self.sequence, self.why, self.at, self.actor),
        )


class AddReceipt(Write, frozen=True):
    """A receipt was signed under the next number. Raises FailedError where another took it meanwhile."""

    number: int
    digest: str
    document: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        last = db.execute("SELECT max(number) FROM receipts").fetchone()[0] or 0
        if self.number != last + 1:
            raise FailedError("another receipt took the number", thing=str(self.number), remedy="export it again")
        db.execute(
            "INSERT INTO receipts (number, digest, document, created) VALUES (?, ?, ?, ?)",
            (self.number, self.digest, self.document, self.at),
        )
