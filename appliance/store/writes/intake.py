"""The transactions of the inside half: quarantine, approval, release, and the ledger's rows.

An entry's states and the only ways between them: receiving -> quarantined -> approved -> released, and rejected from
quarantined or approved. Each step but the first appends a row to the ledger in the same transaction. Content becomes
visible in `Release` and nowhere else.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

import msgspec

from appliance.store.writes.base import Write
from appliance.store.writes.deltas import base_used, pin_receipt
from appliance.store.writes.floors import raise_clock_floor, require_open
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


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    stream: str
    sequence: int
    state: str
    report_digest: str | None
    job: str


def _entry(db: sqlite3.Connection, digest: str) -> _Entry:
    row = db.execute(
        "SELECT id, stream, sequence, state, report_digest, job FROM intake WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise NotFoundError("no such bundle in the intake", thing=digest)
    return _Entry(*row)


def _decidable(db: sqlite3.Connection, digest: str, report_digest: str) -> _Entry:
    """The entry, where people may still decide about it by this report."""
    entry = _entry(db, digest)
    if entry.state not in ("quarantined", "approved"):
        raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is decided about")
    if entry.report_digest != report_digest:
        raise RefusedError("the inspection report changed", thing=entry.id, remedy="read it again, then decide")
    return entry


def _move(db: sqlite3.Connection, digest: str, entry: _Entry, state: str, actor: str, at: str, why: str = "") -> None:
    """Change the entry's state and append the ledger's row, together."""
    db.execute("UPDATE intake SET state = ?, decided = ? WHERE digest = ?", (state, at, digest))
    db.execute(
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.stream, entry.sequence, digest, entry.id, state, why, at, actor),
    )


class VolumeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A volume to come: its index, the medium it is on, its bytes."""

    index: int
    medium: int
    size: int


class BeginIntake(Write, frozen=True):
    """A bundle whose signatures hold starts to come in; what it needs is kept from now on (`pins`: digests).

    Harmless where it did before.
    """

    digest: str
    id: str
    stream: str
    sequence: int
    manifest: str
    artifacts: int
    volumes: tuple[VolumeRow, ...]
    pins: tuple[str, ...]
    job: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        size = sum(volume.size for volume in self.volumes)
        begun = db.execute(
            "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, manifest, job, actor, received)"
            " VALUES (?, ?, ?, ?, 'receiving', ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.id, self.stream, self.sequence, self.artifacts, size, self.manifest, self.job,
             self.actor, self.at),
        ).rowcount  # fmt: skip
        if not begun:
            return
        db.executemany(
            "INSERT INTO intake_volumes (digest, volume, medium, size) VALUES (?, ?, ?, ?)",
            [(self.digest, volume.index, volume.medium, volume.size) for volume in self.volumes],
        )
        db.executemany("INSERT INTO pins (bundle, digest) VALUES (?, ?)", [(self.digest, pin) for pin in self.pins])


class AbandonIntake(Write, frozen=True):
    """The job that began an entry found the bundle bad: nothing of it stays. The result says whether it was this job's.

    What an earlier job received in good faith stays, and so does everything past `receiving`.
    """

    digest: str
    job: str

    def apply(self, db: sqlite3.Connection) -> bool:
        mine = db.execute(
            "SELECT 1 FROM intake WHERE digest = ? AND job = ? AND state = 'receiving'", (self.digest, self.job)
        ).fetchone()
        if mine is None:
            return False
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))
        db.execute("DELETE FROM intake_volumes WHERE digest = ?", (self.digest,))
        db.execute("DELETE FROM intake WHERE digest = ?", (self.digest,))
        return True


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
            "UPDATE intake_volumes SET verified = ? WHERE digest = ? AND volume = ? AND verified IS NULL",
            (self.at, self.digest, self.volume),
        )


class ForgetVolumes(Write, frozen=True):
    """Verified volumes whose bytes the store has lost meanwhile must come again."""

    digest: str
    volumes: tuple[int, ...]

    def apply(self, db: sqlite3.Connection) -> None:
        if _entry(db, self.digest).state == "receiving":
            db.executemany(
                "UPDATE intake_volumes SET verified = NULL WHERE digest = ? AND volume = ?",
                [(self.digest, volume) for volume in self.volumes],
            )


class Quarantine(Write, frozen=True):
    """Everything was verified and inspected: the bundle is in quarantine and in the ledger.

    `pins` counts the blobs that it carries and stands on, all of them kept since it began to come in; `receipt` is the
    number of the receipt it was built on. Raises RefusedError where the ledger moved on meanwhile, FailedError where a
    volume is not verified.
    `made` is the bundle's `created`, which the clock's floor follows; `why` is what policy let in, a gap.
    """

    digest: str
    report: str
    report_digest: str
    made: str
    why: str
    job: str
    actor: str
    at: str
    pins: int = 0
    receipt: int | None = None

    def apply(self, db: sqlite3.Connection) -> None:
        entry = _entry(db, self.digest)
        if entry.state != "receiving":
            raise RefusedError(f"a replay: this bundle is in the ledger as {entry.state}", thing=entry.id)
        require_open(db, entry.stream)
        last = db.execute("SELECT max(sequence) FROM ledger WHERE stream = ?", (entry.stream,)).fetchone()[0]
        if last is not None and last >= entry.sequence:
            raise RefusedError(f"a rollback: the stream is at {last} already", thing=entry.id)
        owed = db.execute(
            "SELECT min(volume) FROM intake_volumes WHERE digest = ? AND verified IS NULL", (self.digest,)
        ).fetchone()[0]
        if owed is not None:
            raise FailedError(f"volume {owed} is not verified", thing=entry.id, remedy="import the bundle again")
        db.execute(
            "UPDATE intake SET report = ?, report_digest = ?, job = ?, actor = ? WHERE digest = ?",
            (self.report, self.report_digest, self.job, self.actor, self.digest),
        )
        pinned = db.execute("SELECT count(*) FROM pins WHERE bundle = ?", (self.digest,)).fetchone()[0]
        if pinned < self.pins:
            raise FailedError("what the bundle stands on is not pinned", thing=entry.id, remedy="import it again")
        if self.receipt is not None:
            base_used(db, entry.stream, self.receipt)
        _move(db, self.digest, entry, "quarantined", self.actor, self.at, self.why)
        raise_clock_floor(db, self.made, entry.id, self.actor, self.at)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A person's signed document, whose signature the caller verified, and whose it is."""

    keyid: str
    owner: str
    document: str
    signature: bytes


def _keep(db: sqlite3.Connection, digest: str, decision: Decision, at: str) -> None:
    db.execute(
        "INSERT INTO approvals (digest, keyid, owner, document, signature, created) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET owner = excluded.owner, document = excluded.document,"
        " signature = excluded.signature, created = excluded.created",
        (digest, decision.keyid, decision.owner, decision.document, decision.signature, at),
    )


class Approve(Write, frozen=True):
    """A person's approval; enough of them, of distinct owners, make the bundle `approved`. The result is its state."""

    digest: str
    report_digest: str
    decision: Decision
    needed: int
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> str:
        entry = _decidable(db, self.digest, self.report_digest)
        _keep(db, self.digest, self.decision, self.at)
        owners = db.execute("SELECT count(DISTINCT owner) FROM approvals WHERE digest = ?", (self.digest,)).fetchone()
        if entry.state == "quarantined" and owners[0] >= max(self.needed, 1):
            _move(db, self.digest, entry, "approved", self.actor, self.at)
            return "approved"
        return entry.state


class Reject(Write, frozen=True):
    """A person's rejection, final for this bundle: one is enough, whatever was approved before. What it kept may be
    swept. The result is its state."""

    digest: str
    report_digest: str
    decision: Decision
    why: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> str:
        entry = _decidable(db, self.digest, self.report_digest)
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        _keep(db, self.digest, self.decision, self.at)
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))
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
        entry = self._approved(db)
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
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))  # the links keep it from now on
        _move(db, self.digest, entry, "released", self.actor, self.at)

    def _approved(self, db: sqlite3.Connection) -> _Entry:
        entry = _entry(db, self.digest)
        if entry.state != "approved":
            raise FailedError(
                f"the bundle is {entry.state}, not approved",
                thing=entry.id,
                remedy=f"see: lockgate intake show {entry.id}",
            )
        if entry.report_digest != self.report_digest:
            raise RefusedError("the inspection report changed", thing=entry.id, remedy="approve it anew")
        stored = dict(db.execute("SELECT keyid, owner FROM approvals WHERE digest = ?", (self.digest,)))
        owners = {stored[keyid] for keyid in self.approved_by if keyid in stored}
        if len(owners) < max(self.needed, 1):
            raise RefusedError(
                f"{len(owners)} of {self.needed} approvals count", thing=entry.id, remedy="have it approved again"
            )
        return entry


class ResetStream(Write, frozen=True):
    """People set a stream's floor by hand: the next bundle is `sequence + 1`. It follows `digest` where they entered
    one, and anything where it is empty."""

    stream: str
    sequence: int
    digest: str
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
            " VALUES (?, ?, ?, '', 'reset', ?, ?, ?)",
            (self.stream, self.sequence, self.digest, self.why, self.at, self.actor),
        )


class AddReceipt(Write, frozen=True):
    """A receipt was made under the next number, and what it states is kept; harmless where this very one was recorded.

    Raises FailedError where another took the number meanwhile.
    """

    number: int
    digest: str
    document: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        if db.execute("SELECT 1 FROM receipts WHERE number = ? AND digest = ?", (self.number, self.digest)).fetchone():
            return
        last = db.execute("SELECT max(number) FROM receipts").fetchone()[0] or 0
        if self.number != last + 1:
            raise FailedError("another receipt took the number", thing=str(self.number), remedy="export it again")
        db.execute(
            "INSERT INTO receipts (number, digest, document, created) VALUES (?, ?, ?, ?)",
            (self.number, self.digest, self.document, self.at),
        )
        listed = json.loads(self.document).get("blobs")
        pin_receipt(db, self.number, None if listed is None else [blob["digest"] for blob in listed])
