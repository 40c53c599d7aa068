"""The transaction of a promotion or a rollback: content becomes visible in a stage, and a tag moves to it."""

from __future__ import annotations

from appliance.store.ports import Connection
from appliance.store.reads.promotions import head_of
from appliance.store.writes.content import (
    BlobRow,
    ManifestRow,
    ensure_repository,
    move_tag,
    record_blob,
    record_manifest,
    repository_id,
)
from appliance.store.writes.copies import Item, standing_at
from appliance.store.writes.registry import ClientWrite, tag_stays
from appliance.store.writes.rows import is_linked, link, tag_target
from bundles.errors import FailedError, NotFoundError, RefusedError

CHANGED = "promotion-changed"
"""The code of a promotion that was judged by what is not so any more: it is judged anew."""


class Promote(ClientWrite, frozen=True, kw_only=True):
    """What `source` shows becomes visible in `repository` too, with the station's summary, and `tag` moves to `digest`.

    `epoch` and `state` are the numbers of the store and of the source by which it was judged: where one is another
    now, blocks, advisories, scans or tags changed meanwhile. `source_tag` must still stand at the digest, "" where it
    was named by digest. `links` are made, `present` is there; `attached` are tags of evidence that stand nowhere in
    the repository. `moves` says whether a tag that stands elsewhere may move. The result is where the tag stood, "" for
    nowhere, which must be `stood`. `place`, `seal` and `new_head` are those of the channel's chain
    (appliance.channel_seals), whose head must still be `head`. Raises FailedError with the code CHANGED where it is to
    be judged anew, NotFoundError where something is not shown any more, RefusedError for a tag that stays.
    """

    act: str
    source: str
    source_tag: str
    digest: str
    tag: str
    links: tuple[Item, ...]
    present: tuple[Item, ...]
    attached: tuple[tuple[str, str], ...]
    blobs: tuple[BlobRow, ...]
    manifests: tuple[ManifestRow, ...]
    epoch: int
    state: int
    moves: bool
    reference: str
    actor: str
    reason: str
    policy: int
    at: str
    stood: str = ""
    place: int = 0
    seal: str = ""
    head: str = ""
    new_head: str = ""

    @property
    def summary(self) -> str:
        """The digest of what the station signed about it, "" for nothing."""
        return self.manifests[0].blob.digest if self.manifests else ""

    def _require_unchanged(self, db: Connection) -> None:
        (epoch,) = db.execute("SELECT value FROM epoch").fetchone()
        row = db.execute("SELECT change FROM repositories WHERE name = ?", (self.source,)).fetchone()
        if epoch != self.epoch or row is None or row[0] != self.state:
            raise self._changed(self.source)

    def _changed(self, thing: str) -> FailedError:
        return FailedError(
            "something changed while it was judged", thing=thing, remedy="promote it again", code=CHANGED
        )

    def apply(self, db: Connection) -> str:
        self._require_unchanged(db)
        source = repository_id(db, self.source)
        if source is None or (self.source_tag and tag_target(db, source, self.source_tag) != self.digest):
            raise self._changed(f"{self.source}:{self.source_tag}")
        for digest, kind in self.links:
            if not is_linked(db, source, digest, kind):
                raise NotFoundError(
                    "it is not shown any more", thing=f"{self.source}@{digest}", remedy="see: lockgate repo list"
                )
        repository = ensure_repository(db, self.repository, self.at)
        for digest, kind in self.present:
            if not is_linked(db, repository, digest, kind):
                raise self._changed(f"{self.repository}@{digest}")
        stood = standing_at(db, repository, self.tag)
        if (stood or "") != self.stood or head_of(db, self.repository, self.tag) != self.head:
            raise self._changed(f"{self.repository}:{self.tag}")
        if stood not in (None, self.digest):
            self._require_moving(db)
        for digest, kind in self.links:
            link(db, repository, digest, kind, self.at)
        for blob in self.blobs:
            record_blob(db, blob, self.at)
            link(db, repository, blob.digest, "blob", self.at)
        for manifest in self.manifests:
            record_manifest(db, manifest, self.at)
            link(db, repository, manifest.blob.digest, "manifest", self.at)
        for tag, digest in self.attached:
            if standing_at(db, repository, tag) is not None:
                raise self._changed(f"{self.repository}:{tag}")
            move_tag(db, repository, tag, digest, self.at)
        move_tag(db, repository, self.tag, self.digest, self.at)
        db.execute(
            "INSERT INTO promotions (act, repository, tag, digest, before, source, actor, reason, policy, summary, at,"
            " place, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.act, self.repository, self.tag, self.digest, self.stood, self.reference, self.actor, self.reason,
                self.policy, self.summary, self.at, self.place, self.seal,
            ),
        )  # fmt: skip
        db.execute(
            "INSERT INTO channel_heads (repository, tag, seal) VALUES (?, ?, ?)"
            " ON CONFLICT (repository, tag) DO UPDATE SET seal = excluded.seal",
            (self.repository, self.tag, self.new_head),
        )
        return self.stood

    def _require_moving(self, db: Connection) -> None:
        thing = f"{self.repository}:{self.tag}"
        if not self.moves:
            raise tag_stays(thing)
        claim = "SELECT 1 FROM released WHERE repository = ? AND kind = 'tag' AND item = ? AND made = 1 LIMIT 1"
        if db.execute(claim, (self.repository, self.tag)).fetchone() is not None:
            raise RefusedError(
                "a release set the tag, and it stays", thing=thing,
                remedy="promote it to another tag: --tag TAG",
            )  # fmt: skip

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things. The source's tag is one: nobody moves it until it is done."""
        name = self.repository
        manifests = [f"{name}@{digest}" for digest, kind in self.links if kind == "manifest"]
        manifests += [f"{name}@{one.blob.digest}" for one in self.manifests]
        tags = [f"{name}:{tag}" for tag, _ in self.attached] + [f"{name}:{self.tag}", f"{name}@{self.digest}"]
        tags += [f"{self.source}:{self.source_tag}"] if self.source_tag else []
        blobs = tuple(f"{name}@{digest}" for digest, kind in self.links if kind == "blob")
        return tuple(dict.fromkeys((*manifests, *tags))), blobs
