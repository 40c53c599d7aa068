"""The transactions of a rebuild: what blobs, manifests and the audit log prove is put into a database that lost it.

Each adds what is missing and leaves alone what is there, so that a rebuild that was cut off does all of it again.
"""

from __future__ import annotations

import json

import msgspec

from appliance.api.states import FINAL_STATES
from appliance.store.ports import Connection
from appliance.store.rows import CRC_UNKNOWN
from appliance.store.writes.caches import mark_cached
from appliance.store.writes.content import ManifestRow, ensure_repository, record_manifests
from appliance.store.writes.lifecycle import RecordDamage
from appliance.store.writes.registry import DeleteBlob, DeleteManifest, DeleteTag
from appliance.store.writes.rows import Kind, link, set_tag
from appliance.store.writes.write import Write
from bundles.format.manifest import bundle_id


class LinkRow(msgspec.Struct, frozen=True, array_like=True):
    """Content that a repository shows since `at`."""

    digest: str
    kind: Kind
    at: str


class TagRow(msgspec.Struct, frozen=True, array_like=True):
    """Where a tag stands since `at`."""

    tag: str
    digest: str
    at: str


class DamagedRow(msgspec.Struct, frozen=True, array_like=True):
    """A blob whose bytes are damaged or gone; `size` is what a manifest says, in bytes."""

    digest: str
    size: int
    why: str


class RestoreRepository(Write, frozen=True):
    """What a repository shows by the log. `deleted` and `untagged` are what the log says was taken away last: an older
    copy may still hold it. The blobs' rows are there, but for the `damaged` ones, which are withdrawn until their bytes
    come again. `upstream`: what a cache's repository is there, "" for any other. The result is how many links were
    missing."""

    repository: str
    at: str
    manifests: tuple[ManifestRow, ...]
    links: tuple[LinkRow, ...]
    tags: tuple[TagRow, ...]
    deleted: tuple[tuple[str, Kind], ...] = ()
    untagged: tuple[str, ...] = ()
    damaged: tuple[DamagedRow, ...] = ()
    upstream: str = ""

    def apply(self, db: Connection) -> int:
        before = db.execute("SELECT count(*) FROM links").fetchone()[0]
        if self.links:
            repository = ensure_repository(db, self.repository, self.at)
            record_manifests(db, self.manifests, self.at)
            for lost in self.damaged:
                db.execute(
                    "INSERT INTO blobs (digest, size, crc32, created, checksum)"
                    " VALUES (?1, ?2, ?3, ?4, blob_sum(?1, ?2, ?3))"
                    " ON CONFLICT (digest) DO UPDATE SET size = excluded.size, checksum = excluded.checksum"
                    " WHERE blobs.crc32 = excluded.crc32",
                    (lost.digest, lost.size, CRC_UNKNOWN, self.at),
                )
                RecordDamage(digest=lost.digest, why=lost.why, at=self.at).apply(db)
            for one in self.links:
                link(db, repository, one.digest, one.kind, one.at)
            if self.upstream:
                mark_cached(db, self.repository, self.upstream, self.at)
            for tag in self.tags:
                set_tag(db, repository, tag.tag, tag.digest, tag.at)
        added = int(db.execute("SELECT count(*) FROM links").fetchone()[0]) - int(before)
        for name in self.untagged:
            DeleteTag(repository=self.repository, tag=name).change(db)
        for digest, kind in self.deleted:
            (DeleteManifest if kind == "manifest" else DeleteBlob)(repository=self.repository, digest=digest).change(db)
        return added


class BundleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that was made here. `state`: `signed`, `written` or `voided`; `digest` is None where nobody signed."""

    sequence: int
    digest: str | None
    state: str
    job: str
    at: str


class RestoreStream(Write, frozen=True):
    """What is known of a stream. Its number never goes back; a number of which nothing is known is void. The result is
    the stream's last number."""

    stream: str
    bundles: tuple[BundleRow, ...]
    at: str

    def apply(self, db: Connection) -> int:
        for one in self.bundles:
            self._put(db, one)
        (last,) = db.execute("SELECT max(sequence) FROM bundles_out WHERE stream = ?", (self.stream,)).fetchone()
        db.execute(
            "INSERT INTO streams_out (stream, last_sequence) VALUES (?, ?) ON CONFLICT (stream)"
            " DO UPDATE SET last_sequence = max(streams_out.last_sequence, excluded.last_sequence)",
            (self.stream, last),
        )
        (last,) = db.execute("SELECT last_sequence FROM streams_out WHERE stream = ?", (self.stream,)).fetchone()
        known = {row[0] for row in db.execute("SELECT sequence FROM bundles_out WHERE stream = ?", (self.stream,))}
        for sequence in range(1, last + 1):
            if sequence not in known:
                self._put(db, BundleRow(sequence=sequence, digest=None, state="voided", job="rebuild", at=self.at))
        db.execute(
            "UPDATE bundles_out SET state = 'voided' WHERE stream = ? AND state = 'to-sign'",
            (self.stream,),
        )
        db.execute(
            "UPDATE streams_out SET last_digest = (SELECT digest FROM bundles_out WHERE stream = ?1"
            " AND state IN ('signed', 'written') ORDER BY sequence DESC LIMIT 1) WHERE stream = ?1",
            (self.stream,),
        )
        db.execute(
            "DELETE FROM carried_out WHERE stream = ?1 AND sequence IN"
            " (SELECT sequence FROM bundles_out WHERE stream = ?1 AND state = 'voided')",
            (self.stream,),
        )
        return int(last)

    def _put(self, db: Connection, one: BundleRow) -> None:
        db.execute(
            "INSERT INTO bundles_out (id, stream, sequence, digest, state, job_id, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " digest = coalesce(excluded.digest, bundles_out.digest), state = CASE WHEN excluded.state = 'voided'"
            " OR bundles_out.state = 'to-sign' OR (bundles_out.state = 'signed' AND excluded.state = 'written')"
            " THEN excluded.state ELSE bundles_out.state END",
            (bundle_id(self.stream, one.sequence), self.stream, one.sequence, one.digest, one.state, one.job, one.at),
        )


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the log knows it. `params` and `error` are JSON text."""

    id: str
    kind: str
    params: str
    actor: str
    created: str
    state: str
    error: str | None


class RestoreJobs(Write, frozen=True):
    """Jobs that the database does not know, in the order in which they were asked for; and those that it takes for
    unfinished end here, since how far they came is not known. `lost` is the error of these as JSON text."""

    jobs: tuple[JobRow, ...]
    lost: str
    at: str

    def apply(self, db: Connection) -> int:
        added = 0
        for one in self.jobs:
            added += db.execute(
                "INSERT INTO jobs"
                " (number, id, kind, params, state, phase, done, total, error, actor, created, finished) VALUES"
                " ((SELECT coalesce(max(number), 0) + 1 FROM jobs), ?, ?, ?, ?, '', 0, 0, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                (one.id, one.kind, one.params, one.state, one.error, one.actor, one.created, self.at),
            ).rowcount
        db.execute(
            "UPDATE jobs SET state = 'failed', error = ?, finished = ?"
            " WHERE state NOT IN (SELECT value FROM json_each(?))",
            (self.lost, self.at, json.dumps(FINAL_STATES)),
        )
        return added


class PinUnexplained(Write, frozen=True):
    """Keep every held blob that nothing shows and no log explains, since the log's beginning was pruned: garbage
    collection takes nothing that is pinned. The result is how many there are."""

    def apply(self, db: Connection) -> int:
        return db.execute(
            "INSERT INTO pins (bundle, digest) SELECT 'rebuild', digest FROM blobs b"
            " WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = b.digest)"
            " AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.digest = b.digest) ON CONFLICT DO NOTHING"
        ).rowcount


def held_blobs(db: Connection) -> dict[str, tuple[int, int]]:
    """Size and CRC-32 of each blob that the database knows whole, by digest."""
    rows = db.execute("SELECT digest, size, crc32 FROM blobs WHERE crc32 <> ?", (CRC_UNKNOWN,))
    return {str(digest): (size, crc32) for digest, size, crc32 in rows}


def is_described(db: Connection, digest: str) -> bool:
    """Whether the database has a manifest's row."""
    return db.execute("SELECT 1 FROM manifests WHERE digest = ?", (digest,)).fetchone() is not None


def shown_links(db: Connection, repository: str) -> set[tuple[str, str]]:
    """The links of a repository as (digest, kind)."""
    rows = db.execute(
        "SELECT l.digest, l.kind FROM links l JOIN repositories r ON r.id = l.repository_id WHERE r.name = ?",
        (repository,),
    )
    return {(str(digest), str(kind)) for digest, kind in rows}


def account_names(db: Connection) -> set[str]:
    """The accounts that the database knows."""
    return {str(name) for (name,) in db.execute("SELECT name FROM accounts")}


def newest_job(db: Connection) -> str:
    """When the last job that the database knows was asked for, or the last link was made; "" for an empty one."""
    row = db.execute(
        "SELECT max(max(coalesce((SELECT max(created) FROM jobs), ''), coalesce((SELECT max(created) FROM blobs), '')),"
        " coalesce((SELECT max(updated) FROM tags), ''))"
    ).fetchone()
    return str(row[0])
