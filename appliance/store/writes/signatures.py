"""The transaction that shows signatures beside the images that they are of."""

from __future__ import annotations

import msgspec

from appliance.store.ports import Connection
from appliance.store.rows import WrongRowError
from appliance.store.writes.content import BlobRow, ManifestRow, move_tag, record_blob, record_manifest, repository_id
from appliance.store.writes.registry import ClientWrite
from appliance.store.writes.rows import is_linked, link, tag_target
from bundles.errors import FailedError, NotFoundError, RefusedError


class AttachedTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag by which signatures are attached, the manifest that it is to name, and the one that it names now ("" for
    none)."""

    tag: str
    digest: str
    before: str


class AttachSignatures(ClientWrite, frozen=True, kw_only=True):
    """Carriers of signatures become visible beside their `subjects`, tags last, all at once.

    Signatures are added where released content stands, too, and take nothing from it: a tag that a release set stays.
    Raises NotFoundError where a subject is not shown (any more), RefusedError for a released tag, FailedError where a
    tag moved meanwhile.
    """

    subjects: tuple[str, ...]
    blobs: tuple[BlobRow, ...]
    manifests: tuple[ManifestRow, ...]
    tags: tuple[AttachedTag, ...]
    at: str

    def change(self, db: Connection) -> None:
        repository = repository_id(db, self.repository)
        for digest in self.subjects:
            if repository is None or not is_linked(db, repository, digest, "manifest"):
                raise NotFoundError(
                    "it is not shown any more", thing=f"{self.repository}@{digest}", remedy="see: lockgate repo list"
                )
        if repository is None:
            return
        for one in self.tags:
            self._check(db, repository, one)
        for blob in self.blobs:
            record_blob(db, blob, self.at)
            link(db, repository, blob.digest, "blob", self.at)
        for manifest in self.manifests:
            record_manifest(db, manifest, self.at)
            link(db, repository, manifest.blob.digest, "manifest", self.at)
        for one in self.tags:
            move_tag(db, repository, one.tag, one.digest, self.at)

    def _check(self, db: Connection, repository: int, one: AttachedTag) -> None:
        try:
            standing = tag_target(db, repository, one.tag) or ""
        except WrongRowError:
            standing = None
        if standing != one.before:
            raise FailedError("the tag moved meanwhile", thing=f"{self.repository}:{one.tag}", remedy="sign again")
        claim = "SELECT 1 FROM released WHERE repository = ? AND kind = 'tag' AND item = ? LIMIT 1"
        if one.before and db.execute(claim, (self.repository, one.tag)).fetchone() is not None:
            raise RefusedError(
                "a release set the tag at which these signatures stand, and it stays",
                thing=f"{self.repository}:{one.tag}",
                remedy="sign with --format sigstore, which needs no tag",
            )

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        name = self.repository
        manifests = (f"{name}@{one.blob.digest}" for one in self.manifests)
        tags = (f"{name}:{one.tag}" for one in self.tags)
        return tuple(dict.fromkeys((*manifests, *tags))), tuple(f"{name}@{blob.digest}" for blob in self.blobs)
