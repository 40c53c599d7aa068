"""The transactions of the outside half: what is collected becomes visible, and a stream's numbers are taken."""

from __future__ import annotations

from typing import Any, ClassVar

from appliance.api.states import FINAL_STATES
from appliance.store.ports import Connection
from appliance.store.reads.bundles_out import RECUT
from appliance.store.reads.sites import require_known
from appliance.store.writes.bundle_steps import UNSIGNED, add_step, written_before
from appliance.store.writes.content import (
    BlobRow,
    ManifestRow,
    ensure_repository,
    move_tag,
    record_blob,
    record_manifest,
)
from appliance.store.writes.registry import refuse_released, tag_stays
from appliance.store.writes.rows import link, tag_target
from appliance.store.writes.sites import put_site
from appliance.store.writes.write import Write
from bundles import limits
from bundles.errors import FailedError, RefusedError
from bundles.format.manifest import bundle_id


class AddArtifacts(Write, frozen=True):
    """Manifests and blobs that are durable in the store become visible in a repository, tags last, all at once.

    `tags` are pairs of tag and digest; those in `stays` move nowhere. `keeps_released`: refused where the repository
    holds released content.
    """

    repository: str
    blobs: tuple[BlobRow, ...]
    manifests: tuple[ManifestRow, ...]
    tags: tuple[tuple[str, str], ...]
    at: str
    keeps_released: bool = False
    stays: tuple[str, ...] = ()

    def apply(self, db: Connection) -> None:
        if self.keeps_released:
            refuse_released(db, self.repository)
        repository = ensure_repository(db, self.repository, self.at)
        for tag, digest in self.tags:
            if tag in self.stays and tag_target(db, repository, tag) not in (None, digest):
                raise tag_stays(f"{self.repository}:{tag}")
        for blob in self.blobs:
            record_blob(db, blob, self.at)
            link(db, repository, blob.digest, "blob", self.at)
        for manifest in self.manifests:
            record_manifest(db, manifest, self.at)
            link(db, repository, manifest.blob.digest, "manifest", self.at)
        for tag, digest in self.tags:
            move_tag(db, repository, tag, digest, self.at)


class RecordBlobs(Write, frozen=True):
    """Blobs are durable in the store, visible to nobody yet: a collect that is cut off need not fetch them again."""

    unrecorded: ClassVar[str] = "bytes in the store that nothing shows"
    blobs: tuple[BlobRow, ...]
    at: str

    def apply(self, db: Connection) -> None:
        for blob in self.blobs:
            record_blob(db, blob, self.at)


class TakeSequence(Write, frozen=True):
    """A build takes the stream's next number, under the stream's lock: one bundle may wait for its signature at a time.

    The result is `{"sequence", "previous", "voided"}`, the same again for the same job until it is signed, or
    `{"waits_for": id, "job": its job, "has_ended"}` while another job's bundle stands in `to-sign`. One whose job has
    ended unsigned has lapsed: it is voided here where `voids` names it, so that whoever voids it has recorded that.
    `voided` has those numbers below `sequence` that the inside may not have: no more than one bundle may move its
    stream by. Raises FailedError when the stream has no number left, or when so many in a row are void that the inside
    would refuse it; UsageError for a destination that nobody knows (appliance.store.reads.sites), where it is not said
    to be a `new_site`, which lists it.
    """

    unrecorded: ClassVar[str] = "a number under which nothing stands yet, of a build whose start is recorded"

    stream: str
    job_id: str
    at: str
    voids: str = ""
    new_site: bool = False
    actor: str = ""

    def apply(self, db: Connection) -> dict[str, Any]:
        waiting = db.execute(
            "SELECT b.id, b.sequence, b.job_id, j.state FROM bundles_out b LEFT JOIN jobs j ON j.id = b.job_id"
            " WHERE b.stream = ? AND b.state = 'to-sign'",
            (self.stream,),
        ).fetchone()
        if waiting is None:
            return self._take(db)
        bundle, sequence, job_id, job_state = waiting
        if job_id == self.job_id:
            return self._facts(db, sequence)
        has_ended = job_state in (*FINAL_STATES, None)
        if not has_ended or bundle != self.voids:
            return {"waits_for": bundle, "job": job_id, "has_ended": has_ended}
        db.execute("UPDATE bundles_out SET state = 'voided' WHERE id = ?", (bundle,))
        add_step(db, bundle, "voided", self.at, UNSIGNED)
        return self._take(db)

    def _take(self, db: Connection) -> dict[str, Any]:
        site = self.stream.partition(".")[2]
        require_known(db, site, new=self.new_site)
        if self.new_site:
            put_site(db, site, self.actor, self.at, listed=True)
        (sequence,) = db.execute(
            "INSERT INTO streams_out (stream, last_sequence) VALUES (?, 1)"
            " ON CONFLICT (stream) DO UPDATE SET last_sequence = streams_out.last_sequence + 1"
            " RETURNING last_sequence",
            (self.stream,),
        ).fetchone()
        if sequence > limits.SEQUENCE:
            raise FailedError("the stream has no number left", thing=self.stream, remedy="give the site a new name")
        (void,) = db.execute(
            "SELECT count(*) FROM bundles_out WHERE stream = ?1 AND state = 'voided' AND sequence > (SELECT"
            " coalesce(max(sequence), 0) FROM bundles_out WHERE stream = ?1 AND state IN ('signed', 'written'))",
            (self.stream,),
        ).fetchone()
        if void >= limits.SEQUENCE_STEP:
            raise FailedError(
                f"the stream's last {void} numbers are void: the inside would refuse a bundle that moves it so far",
                thing=self.stream,
                remedy="give the site a new name, and find out why nothing was signed",
            )
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created) VALUES (?, ?, ?, 'to-sign', ?, ?)",
            (bundle_id(self.stream, sequence), self.stream, sequence, self.job_id, self.at),
        )
        return self._facts(db, sequence)

    def _facts(self, db: Connection, sequence: int) -> dict[str, Any]:
        row = db.execute("SELECT last_digest FROM streams_out WHERE stream = ?", (self.stream,)).fetchone()
        voided = db.execute(
            "SELECT sequence FROM bundles_out WHERE stream = ? AND state = 'voided' AND sequence < ? AND sequence > ?"
            " ORDER BY sequence",
            (self.stream, sequence, sequence - limits.SEQUENCE_STEP),
        )
        return {
            "sequence": sequence,
            "previous": row[0],
            "voided": [number for (number,) in voided],
        }


class SignBundle(Write, frozen=True):
    """A bundle was signed: its digest is the stream's last, and the number can no longer be voided.

    Harmless where that is recorded already. Raises FailedError where the number was voided.
    """

    unrecorded: ClassVar[str] = "what the recorded job.sign handed in"
    id: str
    digest: str
    at: str = ""

    def apply(self, db: Connection) -> None:
        state, digest = db.execute("SELECT state, digest FROM bundles_out WHERE id = ?", (self.id,)).fetchone()
        if digest == self.digest:
            return
        if state != "to-sign":
            raise FailedError("the bundle's number is taken or voided", thing=self.id, remedy="build it anew")
        db.execute("UPDATE bundles_out SET state = 'signed', digest = ? WHERE id = ?", (self.digest, self.id))
        add_step(db, self.id, "signed", self.at)
        db.execute(
            "UPDATE streams_out SET last_digest = ? WHERE stream = (SELECT stream FROM bundles_out WHERE id = ?)",
            (self.digest, self.id),
        )


class FinishBundle(Write, frozen=True):
    """A bundle was written and compared, to the folders `places`: with all its media, or `part` of them. The result is
    its state: `written`, `voided` where people gave it up meanwhile, `signed` where others of its media are to come.

    Media of one that was written before are a step of their own, `recut`: where the first ones are stays known.
    """

    id: str
    at: str = ""
    places: tuple[str, ...] = ()
    part: bool = False

    def apply(self, db: Connection) -> str:
        (before,) = db.execute("SELECT state FROM bundles_out WHERE id = ?", (self.id,)).fetchone()
        if before == "written":
            add_step(db, self.id, RECUT, self.at, places=self.places)
        elif before == "signed" and not self.part:
            db.execute("UPDATE bundles_out SET state = 'written' WHERE id = ?", (self.id,))
            add_step(db, self.id, "written", self.at, places=self.places)
            return "written"
        return str(before)


class VoidSequence(Write, frozen=True):
    """A job gives up the numbers that it took and that were not signed. The result names them, by bundle."""

    job_id: str
    at: str = ""

    def apply(self, db: Connection) -> list[str]:
        rows = db.execute(
            "UPDATE bundles_out SET state = 'voided' WHERE job_id = ? AND state = 'to-sign' RETURNING id",
            (self.job_id,),
        ).fetchall()
        for (bundle,) in rows:
            add_step(db, bundle, "voided", self.at, UNSIGNED)
        return [bundle for (bundle,) in rows]


class EnterHead(Write, frozen=True):
    """After a restore: the last bundle of an outgoing stream, which the copy may have forgotten. The next one takes the
    number after it, and follows it. Harmless for the one that the copy knows.

    Raises RefusedError where the copy knows of a later one, or of another under the number.
    """

    stream: str
    sequence: int
    digest: str
    at: str

    def apply(self, db: Connection) -> None:
        name = bundle_id(self.stream, self.sequence)
        known = db.execute(
            "SELECT digest FROM bundles_out WHERE stream = ? AND sequence = ?", (self.stream, self.sequence)
        ).fetchone()
        last = db.execute("SELECT last_sequence FROM streams_out WHERE stream = ?", (self.stream,)).fetchone()
        if known is not None and known[0] == self.digest:
            return
        if known is not None and known[0] is not None:
            raise RefusedError(f"this copy knows it as {known[0]}", thing=name, remedy="compare it with the medium")
        if last is not None and self.sequence < last[0]:
            raise RefusedError(f"this copy knows a later number: {last[0]}", thing=name, remedy="give the last one")
        db.execute(
            "INSERT INTO streams_out (stream, last_sequence, last_digest) VALUES (?1, ?2, ?3) ON CONFLICT (stream)"
            " DO UPDATE SET last_sequence = ?2, last_digest = ?3",
            (self.stream, self.sequence, self.digest),
        )
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, digest, state, job_id, created)"
            " VALUES (?, ?, ?, ?, 'written', 'restore', ?) ON CONFLICT (id) DO UPDATE SET digest = excluded.digest,"
            " state = 'written'",
            (name, self.stream, self.sequence, self.digest, self.at),
        )
        add_step(db, name, "written", self.at, "a restore entered it")
        written_before(db, self.stream, self.sequence, self.at, "a later one was made, by what a restore entered")
