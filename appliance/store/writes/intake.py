"""The transactions of the inside half: quarantine, approval, release, and the ledger's rows.

An entry's states and the only ways between them: receiving -> quarantined -> approved -> released -> withdrawn, from
there approved again, and rejected from quarantined, approved or withdrawn; a new inspection report puts an approved
or withdrawn one back into quarantine. Each but the first appends a row to the
ledger in the same transaction. Beside them `transitions` has every step by its full name (received, verified,
quarantined, inspected, …), one a transaction, and the database refuses one that was skipped. Content becomes visible in
`Release` and nowhere else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from appliance.names import same_name
from appliance.store.writes.base import Write
from appliance.store.writes.deltas import base_used, pin_receipt
from appliance.store.writes.floors import raise_clock_floor, require_open
from appliance.store.writes.registry import (
    BlobRow,
    Kind,
    ManifestRow,
    ensure_repository,
    is_linked,
    link,
    record_blob,
    record_manifest,
    set_tag,
)
from bundles.errors import FailedError, NotFoundError, RefusedError

DECIDABLE: Final = ("quarantined", "approved", "withdrawn")
"""States in which a bundle is inspected and decided about."""


@dataclass(frozen=True, slots=True)
class IntakeEntry:
    id: str
    stream: str
    sequence: int
    state: str
    report_digest: str | None
    job: str


def entry_of(db: sqlite3.Connection, digest: str) -> IntakeEntry:
    row = db.execute(
        "SELECT id, stream, sequence, state, report_digest, job FROM intake WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        raise NotFoundError("no such bundle in the intake", thing=digest)
    return IntakeEntry(*row)


def _decidable(db: sqlite3.Connection, digest: str, report_digest: str) -> IntakeEntry:
    """The entry, where people may still decide about it by this report."""
    entry = entry_of(db, digest)
    if entry.state not in DECIDABLE:
        raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is decided about")
    if entry.report_digest != report_digest:
        raise RefusedError("the inspection report changed", thing=entry.id, remedy="read it again, then decide")
    return entry


def move(
    db: sqlite3.Connection, digest: str, entry: IntakeEntry, state: str, actor: str, at: str, why: str = ""
) -> None:
    """Change the entry's state, append the ledger's row and the step, together."""
    _stand(db, digest, entry, state, actor, at, why)
    _step(db, digest, entry.id, state, actor, at, why)


def _stand(db: sqlite3.Connection, digest: str, entry: IntakeEntry, state: str, actor: str, at: str, why: str) -> None:
    db.execute("UPDATE intake SET state = ?, decided = ? WHERE digest = ?", (state, at, digest))
    db.execute(
        "INSERT INTO ledger (stream, sequence, digest, id, state, why, created, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.stream, entry.sequence, digest, entry.id, state, why, at, actor),
    )


def _step(db: sqlite3.Connection, digest: str, name: str, state: str, actor: str, at: str, note: str = "") -> None:
    """Append a step; the database refuses one that may not follow the last."""
    try:
        db.execute(
            "INSERT INTO transitions (digest, id, state, at, actor, note) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, name, state, at, actor, note),
        )
    except sqlite3.IntegrityError as error:
        raise RefusedError(f"{error}: the bundle cannot be {state} now", thing=name) from None


def _last_step(db: sqlite3.Connection, digest: str) -> str:
    row = db.execute("SELECT state FROM transitions WHERE digest = ? ORDER BY entry DESC LIMIT 1", (digest,)).fetchone()
    return "" if row is None else str(row[0])


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
    sums: bytes = b""
    readme: bytes = b""
    signatures: dict[str, bytes] = msgspec.field(default_factory=dict)

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
        db.execute(
            "INSERT INTO intake_sums (digest, sums, readme) VALUES (?, ?, ?)", (self.digest, self.sums, self.readme)
        )
        db.executemany(
            "INSERT INTO intake_signatures (digest, name, signature) VALUES (?, ?, ?)",
            [(self.digest, name, signature) for name, signature in self.signatures.items()],
        )
        _step(db, self.digest, self.id, "received", self.actor, self.at)


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
        for table in ("intake_volumes", "intake_sums", "intake_signatures"):
            db.execute(f"DELETE FROM {table} WHERE digest = ?", (self.digest,))  # noqa: S608  constants
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
        if entry_of(db, self.digest).state == "receiving":
            db.executemany(
                "UPDATE intake_volumes SET verified = NULL WHERE digest = ? AND volume = ?",
                [(self.digest, volume) for volume in self.volumes],
            )


def _require_volumes(db: sqlite3.Connection, digest: str, entry: IntakeEntry, missing: tuple[int, ...]) -> None:
    """Every volume was verified but those that policy lets be `missing`."""
    rows = db.execute("SELECT volume FROM intake_volumes WHERE digest = ? AND verified IS NULL", (digest,))
    owed = sorted({volume for (volume,) in rows} - set(missing))
    if owed:
        raise FailedError(f"volume {owed[0]} is not verified", thing=entry.id, remedy="import the bundle again")


class Verified(Write, frozen=True):
    """Every volume was read and is the signed one, but for those that policy lets be `missing`.

    Raises FailedError where one is not, or the bundle is further.
    """

    digest: str
    actor: str
    at: str
    missing: tuple[int, ...] = ()

    def apply(self, db: sqlite3.Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state != "receiving":
            raise FailedError(f"the bundle is {entry.state}", thing=entry.id)
        _require_volumes(db, self.digest, entry, self.missing)
        _step(db, self.digest, entry.id, "verified", self.actor, self.at)


class Quarantine(Write, frozen=True):
    """Everything was verified: the bundle is in quarantine and in the ledger.

    `pins` counts the blobs that it carries and stands on, all of them kept since it began to come in; `receipt` is the
    number of the receipt it was built on. Raises RefusedError where the ledger moved on meanwhile, FailedError where a
    volume is not verified.
    `made` is the bundle's `created`, which the clock's floor follows; `why` is what policy let in: a gap, or a bundle
    without its `missing` volumes.
    """

    digest: str
    made: str
    why: str
    job: str
    actor: str
    at: str
    pins: int = 0
    receipt: int | None = None
    missing: tuple[int, ...] = ()

    def apply(self, db: sqlite3.Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state != "receiving":
            raise RefusedError(f"a replay: this bundle is in the ledger as {entry.state}", thing=entry.id)
        require_open(db, entry.stream)
        last = db.execute("SELECT max(sequence) FROM ledger WHERE stream = ?", (entry.stream,)).fetchone()[0]
        if last is not None and last >= entry.sequence:
            raise RefusedError(f"a rollback: the stream is at {last} already", thing=entry.id)
        _require_volumes(db, self.digest, entry, self.missing)
        pinned = db.execute("SELECT count(*) FROM pins WHERE bundle = ?", (self.digest,)).fetchone()[0]
        if pinned < self.pins:
            raise FailedError("what the bundle stands on is not pinned", thing=entry.id, remedy="import it again")
        if self.receipt is not None:
            base_used(db, entry.stream, self.receipt)
        db.execute("UPDATE intake SET job = ?, actor = ? WHERE digest = ?", (self.job, self.actor, self.digest))
        move(db, self.digest, entry, "quarantined", self.actor, self.at, self.why)
        raise_clock_floor(db, self.made, entry.id, self.actor, self.at)


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a layer that was looked through: `look` is the version of the looking, `found` is JSON."""

    digest: str
    media_type: str
    look: int
    found: str


class KeepLayers(Write, frozen=True):
    """Layers that were looked through. Says nothing of any bundle: the next inspection that meets them reads less."""

    layers: tuple[LayerRow, ...]
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO layers_inspected (digest, media_type, look, found, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [(layer.digest, layer.media_type, layer.look, layer.found, self.at) for layer in self.layers],
        )


class Inspected(Write, frozen=True):
    """This station's own report about a bundle in quarantine. Where it has another one already, every approval by that
    one is void, and the bundle is in quarantine again. Raises FailedError where the bundle is elsewhere."""

    digest: str
    report: str
    report_digest: str
    actor: str
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state not in DECIDABLE:
            raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is inspected")
        if entry.report_digest == self.report_digest:
            return
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.execute(
            "UPDATE intake SET report = ?, report_digest = ? WHERE digest = ?",
            (self.report, self.report_digest, self.digest),
        )
        db.execute(
            "INSERT INTO reports (digest, report_digest, report, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.report_digest, self.report, self.at),
        )
        if entry.state != "quarantined":
            _stand(db, self.digest, entry, "quarantined", self.actor, self.at, "inspected anew")
        _step(db, self.digest, entry.id, "inspected", self.actor, self.at, self.report_digest)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A person's signed document, whose signature the caller verified, and whose it is.

    `sealed`: by a key that is kept sealed for emergencies, and counts among its like alone.
    """

    keyid: str
    owner: str
    document: str
    signature: bytes
    sealed: bool = False


def _keep(db: sqlite3.Connection, digest: str, decision: Decision, actor: str, at: str) -> None:
    db.execute(
        "INSERT INTO approvals (digest, keyid, owner, document, signature, created, sealed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET owner = excluded.owner,"
        " document = excluded.document, signature = excluded.signature, created = excluded.created,"
        " sealed = excluded.sealed",
        (digest, decision.keyid, decision.owner, decision.document, decision.signature, at, decision.sealed),
    )
    db.execute(
        "INSERT INTO decisions (digest, keyid, owner, document, signature, actor, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (digest, decision.keyid, decision.owner, decision.document, decision.signature, actor, at),
    )


def people(owners: Iterable[str]) -> int:
    """How many people some keys' owners are: the same name in other letters or spaces is the same person."""
    return len({same_name(owner) for owner in owners})


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
        _keep(db, self.digest, self.decision, self.actor, self.at)
        owners = db.execute(
            "SELECT owner FROM approvals WHERE digest = ? AND sealed = ?", (self.digest, self.decision.sealed)
        )
        given = people(owner for (owner,) in owners)
        if entry.state != "approved" and given >= max(self.needed, 1):
            move(db, self.digest, entry, "approved", self.actor, self.at)
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
        _keep(db, self.digest, self.decision, self.actor, self.at)
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))
        move(db, self.digest, entry, "rejected", self.actor, self.at, self.why)
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
    `whole` says whether nothing of the bundle is left to release afterwards; `sealed` that these are keys from sealed
    envelopes, each of which opens once.
    """

    digest: str
    report_digest: str
    approved_by: tuple[str, ...]
    needed: int
    artifacts: tuple[Released, ...]
    actor: str
    at: str
    whole: bool = True
    sealed: bool = False

    def apply(self, db: sqlite3.Connection) -> None:
        entry = self._approved(db)
        for artifact in self.artifacts:
            repository = ensure_repository(db, artifact.repository, self.at)
            for blob in artifact.blobs:
                self._show(db, repository, artifact.repository, "blob", blob)
            record_manifest(db, artifact.manifest, self.at)
            self._show(db, repository, artifact.repository, "manifest", artifact.manifest.blob.digest)
        for artifact in self.artifacts:
            repository = ensure_repository(db, artifact.repository, self.at)
            for tag in artifact.tags:
                self._tag(db, repository, artifact, tag)
        if self.whole:
            db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))  # the links keep it from now on
        if self.sealed:
            self._unseal(db, entry)
        note = "" if self.whole else "in part: " + ", ".join(
            sorted({artifact.repository for artifact in self.artifacts})[:20]
        )  # fmt: skip
        move(db, self.digest, entry, "released", self.actor, self.at, note)

    def _show(self, db: sqlite3.Connection, repository: int, name: str, kind: Kind, item: str) -> None:
        made = not is_linked(db, repository, item, kind)
        link(db, repository, item, kind, self.at)
        self._remember(db, name, kind, item, item, None, made=made)

    def _tag(self, db: sqlite3.Connection, repository: int, artifact: Released, tag: str) -> None:
        row = db.execute("SELECT digest FROM tags WHERE repository_id = ? AND tag = ?", (repository, tag)).fetchone()
        previous, target = (None if row is None else str(row[0])), artifact.manifest.blob.digest
        set_tag(db, repository, tag, target, self.at)
        self._remember(db, artifact.repository, "tag", tag, target, previous, made=previous != target)

    def _remember(
        self, db: sqlite3.Connection, name: str, kind: str, item: str, target: str, previous: str | None, *, made: bool
    ) -> None:
        db.execute(
            "INSERT INTO released (digest, repository, kind, item, target, made, previous, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, name, kind, item, target, made, previous, self.at),
        )

    def _unseal(self, db: sqlite3.Connection, entry: IntakeEntry) -> None:
        for keyid in self.approved_by:
            used = db.execute(
                "INSERT INTO sealed_keys_used (keyid, digest, id, at, actor) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (keyid, self.digest, entry.id, self.at, self.actor),
            ).rowcount
            if not used:
                raise RefusedError("a sealed key opens once", thing=keyid, remedy="seal a new key, and name it")

    def _approved(self, db: sqlite3.Connection) -> IntakeEntry:
        entry = entry_of(db, self.digest)
        rest = entry.state == "released" and bool(
            db.execute("SELECT 1 FROM pins WHERE bundle = ?", (self.digest,)).fetchone()
        )
        if entry.state != "approved" and not rest:
            raise FailedError(
                f"the bundle is {entry.state}, not approved",
                thing=entry.id,
                remedy=f"see: lockgate intake show {entry.id}",
            )
        if entry.report_digest != self.report_digest:
            raise RefusedError("the inspection report changed", thing=entry.id, remedy="approve it anew")
        if _last_step(db, self.digest) != entry.state:
            raise RefusedError(
                f"the record of steps says {_last_step(db, self.digest)}, not {entry.state}",
                thing=entry.id,
                remedy="the database was changed by hand: see the audit log",
            )
        stored = dict(
            db.execute("SELECT keyid, owner FROM approvals WHERE digest = ? AND sealed = ?", (self.digest, self.sealed))
        )
        owners = people(stored[keyid] for keyid in self.approved_by if keyid in stored)
        if owners < max(self.needed, 1):
            raise RefusedError(
                f"{owners} of {self.needed} approvals count", thing=entry.id, remedy="have it approved again"
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
