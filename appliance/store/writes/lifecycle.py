"""The transactions of garbage collection, scrub and blocks."""

from __future__ import annotations

from hashlib import sha256
from typing import ClassVar, Final

from appliance.store.ports import Connection, Reader
from appliance.store.writes.content import ManifestRow, forget_if_empty, record_manifest, repository_id
from appliance.store.writes.rows import take_link
from appliance.store.writes.write import Write

_KEPT: Final = (
    "SELECT EXISTS (SELECT 1 FROM links WHERE digest = ?1) OR EXISTS (SELECT 1 FROM pins WHERE digest = ?1)"
    " OR EXISTS (SELECT 1 FROM tags WHERE digest = ?1)"
)


class ForgetBlobs(Write, frozen=True):
    """Blobs that nothing links or pins are no longer held. The result lists them, those without a row among them;
    what was linked or pinned meanwhile is left out. The caller holds the store's gate, and takes the files away. Each
    repository that showed one remembers the collection `job` and the time `at` (`appliance.store.reads.tombstones`)."""

    digests: tuple[str, ...]
    job: str = ""
    at: str = ""

    def apply(self, db: Connection) -> list[str]:
        gone = [digest for digest in self.digests if not db.execute(_KEPT, (digest,)).fetchone()[0]]
        for digest in gone:
            db.execute("DELETE FROM manifests WHERE digest = ?", (digest,))
            db.execute("DELETE FROM blobs WHERE digest = ?", (digest,))
            db.execute("DELETE FROM damage WHERE digest = ?", (digest,))
            db.execute("DELETE FROM unread WHERE digest = ?", (digest,))
            db.execute(
                "UPDATE tombstones SET taken = ?, job = ? WHERE digest = ? AND taken IS NULL",
                (self.at, self.job, digest),
            )
        return gone


class ForgetRefused(ForgetBlobs, frozen=True):
    """As `ForgetBlobs`, of what a bundle that was refused brought."""

    unrecorded: ClassVar[str] = "takes back what an import brought that was refused, which is an event"


def shown_manifests(db: Reader, repository: int) -> str:
    """A digest over the manifests that the repository shows now: it changes when one comes or goes."""
    seen = sha256()
    for (digest,) in db.execute(
        "SELECT digest FROM links WHERE repository_id = ? AND kind = 'manifest' ORDER BY digest", (repository,)
    ):
        seen.update(digest.encode() + b"\n")
    return seen.hexdigest()


class UnlinkBlobs(Write, frozen=True):
    """Blobs that no manifest of their repository names vanish from it. The result counts them.

    `shown` stands for the manifests that the caller has read (`shown_manifests`); where the repository shows others by
    now, nothing happens, nor where one of the links is as young as `before`: its manifest may be on its way, and the
    event says that all of them go.
    """

    repository: str
    digests: tuple[str, ...]
    shown: str
    before: str

    def apply(self, db: Connection) -> int:
        repository = repository_id(db, self.repository)
        if repository is None or shown_manifests(db, repository) != self.shown:
            return 0
        if any(self._is_young(db, repository, digest) for digest in self.digests):
            return 0
        unlinked = sum(take_link(db, repository, digest, "blob", "unnamed") for digest in self.digests)
        forget_if_empty(db, repository)
        return unlinked

    def _is_young(self, db: Connection, repository: int, digest: str) -> bool:
        found = db.execute(
            "SELECT 1 FROM links WHERE repository_id = ? AND digest = ? AND kind = 'blob' AND created >= ?",
            (repository, digest, self.before),
        )
        return found.fetchone() is not None


class SaveScrub(Write, frozen=True):
    """How far a pass over the store is: every blob up to `position` was read. `finished` is empty until it is over."""

    unrecorded: ClassVar[str] = "how far a scrub has come"
    position: str
    started: str
    finished: str
    blobs: int
    bytes: int

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO scrub (id, position, started, finished, blobs, bytes) VALUES (1, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET position = excluded.position, started = excluded.started,"
            " finished = excluded.finished, blobs = excluded.blobs, bytes = excluded.bytes",
            (self.position, self.started, self.finished or None, self.blobs, self.bytes),
        )


class SaveReread(Write, frozen=True):
    """How far the station's own rereading is, as `SaveScrub`."""

    unrecorded: ClassVar[str] = "how far the rereading has come"
    position: str
    started: str
    finished: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO reread (id, position, started, finished) VALUES (1, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET position = excluded.position, started = excluded.started,"
            " finished = excluded.finished",
            (self.position, self.started, self.finished or None),
        )


class RecordDamage(Write, frozen=True):
    """A blob was found damaged and is withdrawn until its bytes come again (`registry.record_blob` ends it). No worker
    uses bytes of it that it has in memory: the epoch changes."""

    digest: str
    why: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO damage (digest, why, found, healed) VALUES (?, ?, ?, NULL)"
            " ON CONFLICT (digest) DO UPDATE SET why = excluded.why, found = excluded.found, healed = NULL",
            (self.digest, self.why, self.at),
        )
        db.execute("DELETE FROM unread WHERE digest = ?", (self.digest,))
        db.execute("UPDATE epoch SET value = value + 1")


class DescribeManifest(Write, frozen=True):
    """The row of a manifest says what its bytes say, which were just read."""

    manifest: ManifestRow
    at: str

    def apply(self, db: Connection) -> None:
        record_manifest(db, self.manifest, self.at)


class CorrectBlob(Write, frozen=True):
    """What a blob that was read whole is, in place of a damaged row's word."""

    unrecorded: ClassVar[str] = "what the bytes of a blob are"
    digest: str
    size: int
    crc32: int

    def apply(self, db: Connection) -> None:
        db.execute(
            "UPDATE blobs SET size = ?2, crc32 = ?3, checksum = blob_sum(?1, ?2, ?3) WHERE digest = ?1",
            (self.digest, self.size, self.crc32),
        )
        db.execute("DELETE FROM wrong_rows WHERE rows = 'blob' AND item = ?", (self.digest,))


class HealDamage(Write, frozen=True):
    """A withdrawn blob was read whole, or put back: it is shown again."""

    digest: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute("UPDATE damage SET healed = ? WHERE digest = ? AND healed IS NULL", (self.at, self.digest))


class NoteUnread(Write, frozen=True):
    """A blob could not be read. Nothing is withdrawn: it is read again, and `ForgetUnread` ends it."""

    unrecorded: ClassVar[str] = "which blobs could not be read"
    digest: str
    why: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO unread (digest, why, found, last, times) SELECT ?1, ?2, ?3, ?3, 1"
            " WHERE EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM damage WHERE digest = ?1 AND healed IS NULL)"
            " ON CONFLICT (digest) DO UPDATE SET why = excluded.why, last = excluded.last, times = unread.times + 1",
            (self.digest, self.why, self.at),
        )


class ForgetUnread(Write, frozen=True):
    """A blob that could not be read was read to its end since."""

    unrecorded: ClassVar[str] = "which blobs could be read again"
    digest: str

    def apply(self, db: Connection) -> None:
        db.execute("DELETE FROM unread WHERE digest = ?", (self.digest,))


class Settle(Write, frozen=True):
    """Nothing: who submits it hears back when everything that was submitted before it is committed."""

    unrecorded: ClassVar[str] = "changes nothing"

    def apply(self, db: Connection) -> None:
        """Change nothing."""


class Block(Write, frozen=True):
    """A digest is shown to nobody from the next request on, in whichever repository, until it is unblocked."""

    digest: str
    why: str
    actor: str
    at: str

    def apply(self, db: Connection) -> None:
        db.execute(
            "INSERT INTO blocks (digest, why, actor, created) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE"
            " SET why = excluded.why, actor = excluded.actor, created = excluded.created",
            (self.digest, self.why, self.actor, self.at),
        )
        db.execute(
            "INSERT INTO block_sums (digest, checksum) VALUES (?1, block_sum(?1, ?2, ?3, ?4))"
            " ON CONFLICT (digest) DO UPDATE SET checksum = excluded.checksum",
            (self.digest, self.why, self.actor, self.at),
        )
        db.execute("UPDATE epoch SET value = value + 1")


class Unblock(Write, frozen=True):
    """A blocked digest is shown again. The result says whether it was blocked."""

    digest: str

    def apply(self, db: Connection) -> bool:
        found = db.execute("DELETE FROM blocks WHERE digest = ?", (self.digest,)).rowcount > 0
        db.execute("DELETE FROM block_sums WHERE digest = ?", (self.digest,))
        db.execute("UPDATE epoch SET value = value + 1")
        return found
