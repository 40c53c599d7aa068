"""The transactions of the outside half: what is collected becomes visible, and a stream's numbers are taken."""

from __future__ import annotations

import sqlite3
from typing import Any

from appliance.store.writes.base import Write
from appliance.store.writes.jobs import FINAL_STATES
from appliance.store.writes.registry import (
    BlobRow,
    ManifestRow,
    ensure_repository,
    link,
    record_blob,
    record_manifest,
    set_tag,
)
from bundles.errors import FailedError
from bundles.manifest import bundle_id


class AddArtifacts(Write, frozen=True):
    """Manifests and blobs that are durable in the store become visible in a repository, tags last, all at once.

    `tags` are pairs of tag and digest.
    """

    repository: str
    blobs: tuple[BlobRow, ...]
    manifests: tuple[ManifestRow, ...]
    tags: tuple[tuple[str, str], ...]
    at: str

    def apply(self, db: sqlite3.Connection) -> None:
        repository = ensure_repository(db, self.repository, self.at)
        for blob in self.blobs:
            record_blob(db, blob, self.at)
            link(db, repository, blob.digest, "blob", self.at)
        for manifest in self.manifests:
            record_manifest(db, manifest, self.at)
            link(db, repository, manifest.blob.digest, "manifest", self.at)
        for tag, digest in self.tags:
            set_tag(db, repository, tag, digest, self.at)


class TakeSequence(Write, frozen=True):
    """A build takes the stream's next number, under the stream's lock: one bundle may wait for its signature at a time.

    The result is `{"sequence", "previous", "voided"}`, the same again for the same job, or `{"waits_for": id}` while
    another job's bundle stands in `to-sign`. A bundle whose job has ended unsigned is voided here.
    """

    stream: str
    job_id: str
    at: str

    def apply(self, db: sqlite3.Connection) -> dict[str, Any]:
        waiting = db.execute(
            "SELECT b.id, b.sequence, b.job_id, j.state FROM bundles_out b LEFT JOIN jobs j ON j.id = b.job_id"
            " WHERE b.stream = ? AND b.state = 'to-sign'",
            (self.stream,),
        ).fetchone()
        if waiting is not None and waiting[2] != self.job_id and waiting[3] not in (*FINAL_STATES, None):
            return {"waits_for": waiting[0]}
        if waiting is not None and waiting[2] == self.job_id:
            return self._facts(db, waiting[1])
        if waiting is not None:
            db.execute("UPDATE bundles_out SET state = 'voided' WHERE id = ?", (waiting[0],))
        db.execute(
            "INSERT INTO streams_out (stream, last_sequence) VALUES (?, 1)"
            " ON CONFLICT (stream) DO UPDATE SET last_sequence = last_sequence + 1",
            (self.stream,),
        )
        row = db.execute("SELECT last_sequence FROM streams_out WHERE stream = ?", (self.stream,)).fetchone()
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, state, job_id, created) VALUES (?, ?, ?, 'to-sign', ?, ?)",
            (bundle_id(self.stream, row[0]), self.stream, row[0], self.job_id, self.at),
        )
        return self._facts(db, row[0])

    def _facts(self, db: sqlite3.Connection, sequence: int) -> dict[str, Any]:
        row = db.execute("SELECT last_digest FROM streams_out WHERE stream = ?", (self.stream,)).fetchone()
        voided = db.execute(
            "SELECT sequence FROM bundles_out WHERE stream = ? AND state = 'voided' ORDER BY sequence", (self.stream,)
        )
        return {"sequence": sequence, "previous": row[0], "voided": [number for (number,) in voided]}


class SignBundle(Write, frozen=True):
    """A bundle was signed: its digest is the stream's last, and the number can no longer be voided."""

    id: str
    digest: str

    def apply(self, db: sqlite3.Connection) -> None:
        changed = db.execute(
            "UPDATE bundles_out SET state = 'signed', digest = ? WHERE id = ? AND state IN ('to-sign', 'signed')",
            (self.digest, self.id),
        ).rowcount
        if not changed:
            raise FailedError("the bundle's sequence was voided", thing=self.id, remedy="build it anew")
        db.execute(
            "UPDATE streams_out SET last_digest = ? WHERE stream = (SELECT stream FROM bundles_out WHERE id = ?)",
            (self.digest, self.id),
        )


class FinishBundle(Write, frozen=True):
    """A bundle was written and compared."""

    id: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.execute("UPDATE bundles_out SET state = 'written' WHERE id = ? AND state = 'signed'", (self.id,))


class VoidSequence(Write, frozen=True):
    """A job gives up a number that it took and that was not signed. Harmless where it took none."""

    job_id: str

    def apply(self, db: sqlite3.Connection) -> None:
        db.execute("UPDATE bundles_out SET state = 'voided' WHERE job_id = ? AND state = 'to-sign'", (self.job_id,))
