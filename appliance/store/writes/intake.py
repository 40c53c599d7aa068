"""The transactions of a bundle that comes in, up to its inspection; the streams' floors, and receipts."""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec

from appliance.api.states import DECIDABLE
from appliance.store.ports import Connection
from appliance.store.reads.documents import keep_report
from appliance.store.writes.checks import take_went_back
from appliance.store.writes.content import BlobRow, record_blob
from appliance.store.writes.deltas import base_used, pin_receipt
from appliance.store.writes.entries import IntakeEntry, entry_of, move, stand, step
from appliance.store.writes.floors import raise_clock_floor, require_open
from appliance.store.writes.write import Write
from bundles.errors import REPLAY, FailedError, RefusedError


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

    def apply(self, db: Connection) -> None:
        size = sum(volume.size for volume in self.volumes)
        begun = db.execute(
            "INSERT INTO intake (digest, id, stream, sequence, state, artifacts, bytes, job, actor, received)"
            " VALUES (?, ?, ?, ?, 'receiving', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.id, self.stream, self.sequence, self.artifacts, size, self.job, self.actor, self.at),
        ).rowcount
        if not begun:
            return
        db.execute("INSERT INTO intake_documents (digest, manifest) VALUES (?, ?)", (self.digest, self.manifest))
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
        step(db, self.digest, self.id, "received", self.actor, self.at)


class AbandonIntake(Write, frozen=True):
    """The job that began an entry found the bundle bad: nothing of it stays. The result says whether it was this job's.

    What an earlier job received in good faith stays, and so does everything past `receiving`.
    """

    unrecorded: ClassVar[str] = "takes back what intake.receive announced; the refusal is an event"
    digest: str
    job: str

    def apply(self, db: Connection) -> bool:
        mine = db.execute(
            "SELECT 1 FROM intake WHERE digest = ? AND job = ? AND state = 'receiving'", (self.digest, self.job)
        ).fetchone()
        if mine is None:
            return False
        db.execute("DELETE FROM pins WHERE bundle = ?", (self.digest,))
        for table in ("intake_volumes", "intake_sums", "intake_signatures", "intake_documents"):
            db.execute(f"DELETE FROM {table} WHERE digest = ?", (self.digest,))  # noqa: S608  constants
        db.execute("DELETE FROM intake WHERE digest = ?", (self.digest,))
        return True


class RecordVolume(Write, frozen=True):
    """A volume was verified, and its blobs are durable in the store. Makes nothing visible."""

    unrecorded: ClassVar[str] = "where an import goes on; nothing of it is visible"
    digest: str
    volume: int
    blobs: tuple[BlobRow, ...]
    at: str

    def apply(self, db: Connection) -> None:
        for blob in self.blobs:
            record_blob(db, blob, self.at)
        db.execute(
            "UPDATE intake_volumes SET verified = ? WHERE digest = ? AND volume = ? AND verified IS NULL",
            (self.at, self.digest, self.volume),
        )


class ForgetVolumes(Write, frozen=True):
    """Verified volumes whose bytes the store has lost meanwhile must come again."""

    unrecorded: ClassVar[str] = "where an import goes on; nothing of it is visible"
    digest: str
    volumes: tuple[int, ...]

    def apply(self, db: Connection) -> None:
        if entry_of(db, self.digest).state == "receiving":
            db.executemany(
                "UPDATE intake_volumes SET verified = NULL WHERE digest = ? AND volume = ?",
                [(self.digest, volume) for volume in self.volumes],
            )


def _require_volumes(db: Connection, digest: str, entry: IntakeEntry, missing: tuple[int, ...]) -> None:
    """Every volume was verified but those that policy lets be `missing`."""
    rows = db.execute("SELECT volume FROM intake_volumes WHERE digest = ? AND verified IS NULL", (digest,))
    unverified = sorted({volume for (volume,) in rows} - set(missing))
    if unverified:
        raise FailedError(f"volume {unverified[0]} is not verified", thing=entry.id, remedy="import the bundle again")


class Verified(Write, frozen=True):
    """Every volume was read and is the signed one, but for those that policy lets be `missing`.

    Raises FailedError where one is not, or the bundle is further.
    """

    digest: str
    actor: str
    at: str
    missing: tuple[int, ...] = ()

    def apply(self, db: Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state != "receiving":
            raise FailedError(
                f"the bundle is {entry.state}", thing=entry.id, remedy=f"see: lockgate intake show {entry.id}"
            )
        _require_volumes(db, self.digest, entry, self.missing)
        step(db, self.digest, entry.id, "verified", self.actor, self.at)


class Quarantine(Write, frozen=True):
    """Everything was verified: the bundle is in quarantine and in the ledger.

    `pins` counts the blobs that it carries and stands on, all of them kept since it began to come in; `receipt` is the
    number of the receipt it was built on. Raises RefusedError where the ledger moved on meanwhile, FailedError where a
    volume is not verified.
    `made` is the bundle's `created`, which the floor of its stream's clock follows; `why` is what policy let in: a gap,
    or a bundle without its `missing` volumes.
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

    def apply(self, db: Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state != "receiving":
            raise RefusedError(f"a replay: this bundle is in the ledger as {entry.state}", code=REPLAY, thing=entry.id)
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
        raise_clock_floor(db, entry.stream, self.made, entry.id, self.actor, self.at)


class LayerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a blob that was looked through: `look` is the version of the looking, `found` is JSON, `mac`
    authenticates the row (appliance.intake.inspectors.layer_cache). `media_type` is empty: content decides."""

    digest: str
    media_type: str
    look: int
    found: str
    mac: str


class KeepLayers(Write, frozen=True):
    """Layers that were looked through. Says nothing of any bundle: the next inspection that meets them reads less."""

    unrecorded: ClassVar[str] = "a cache of the report that is recorded"
    layers: tuple[LayerRow, ...]
    at: str

    def apply(self, db: Connection) -> None:
        db.executemany(
            "INSERT INTO layers_inspected (digest, media_type, look, found, mac, at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest, media_type, look) DO UPDATE SET found = excluded.found, mac = excluded.mac,"
            " at = excluded.at",
            [(layer.digest, layer.media_type, layer.look, layer.found, layer.mac, self.at) for layer in self.layers],
        )


class Inspected(Write, frozen=True):
    """This station's own report about a bundle in quarantine. Where it has another one already, every approval by that
    one is void, and the bundle is in quarantine again. Raises FailedError where the bundle is elsewhere."""

    digest: str
    report: str
    report_digest: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
        entry = entry_of(db, self.digest)
        if entry.state not in DECIDABLE:
            raise FailedError(f"the bundle is {entry.state}", thing=entry.id, remedy="only quarantine is inspected")
        if entry.report_digest == self.report_digest:
            return
        db.execute("DELETE FROM approvals WHERE digest = ?", (self.digest,))
        db.execute("UPDATE intake SET report_digest = ? WHERE digest = ?", (self.report_digest, self.digest))
        keep_report(db, self.digest, self.report)
        db.execute(
            "INSERT INTO reports (digest, report_digest, report, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self.digest, self.report_digest, self.report, self.at),
        )
        if entry.state != "quarantined":
            stand(db, self.digest, entry, "quarantined", self.actor, self.at, "inspected anew")
        step(db, self.digest, entry.id, "inspected", self.actor, self.at, self.report_digest)


class ResetStream(Write, frozen=True):
    """People set a stream's floor by hand: the next bundle is `sequence + 1`. It follows `digest` where they entered
    one, and anything where it is empty."""

    stream: str
    sequence: int
    digest: str
    why: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
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
        if shut := db.execute("SELECT max(created) FROM restores").fetchone()[0]:
            take_went_back(db, shut)


class AddReceipt(Write, frozen=True):
    """A receipt was made under the next number, and what it states is kept; harmless where this very one was recorded.

    Raises FailedError where another took the number meanwhile.
    """

    number: int
    digest: str
    document: str
    at: str

    def apply(self, db: Connection) -> None:
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
