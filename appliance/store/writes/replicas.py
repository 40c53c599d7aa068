"""The transactions of a station that follows another one. Each says where a tag stood when it was compared, and changes
nothing where it stands elsewhere by now."""

from __future__ import annotations

from typing import ClassVar

from appliance.store.ports import Connection
from appliance.store.writes.content import repository_id
from appliance.store.writes.outgoing import AddArtifacts
from appliance.store.writes.registry import DeleteTag
from appliance.store.writes.rows import tag_target
from appliance.store.writes.write import Write
from bundles.errors import RefusedError


class FollowTag(AddArtifacts, frozen=True, kw_only=True):
    """What a primary shows at a tag becomes visible here, and the tag goes there; it is kept that it was followed.
    `stood`: where the tag stood when it was compared, "" for nowhere. Raises RefusedError where it stands elsewhere."""

    replica: str
    stood: str

    def apply(self, db: Connection) -> None:
        ((tag, digest),) = self.tags
        _require_stands(db, self.repository, tag, self.stood)
        super().apply(db)
        _note(db, self.replica, self.repository, tag, digest, self.at)


class FollowEnd(DeleteTag, frozen=True, kw_only=True):
    """A tag that is gone at its primary goes here too. `stood` as FollowTag's."""

    replica: str
    stood: str
    at: str

    def apply(self, db: Connection) -> bool:
        _require_stands(db, self.repository, self.tag, self.stood)
        taken = bool(super().apply(db))
        _note(db, self.replica, self.repository, self.tag, "", self.at)
        return taken


class NoteEqual(Write, frozen=True):
    """Tags that stand here where they stand at a primary, `tags` as pairs of tag and digest: that counts as followed.
    One that has moved meanwhile is left for the next comparison."""

    unrecorded: ClassVar[str] = "what a comparison found equal; it changes nothing that anybody sees"
    replica: str
    repository: str
    tags: tuple[tuple[str, str], ...]
    at: str

    def apply(self, db: Connection) -> None:
        repository = repository_id(db, self.repository)
        for tag, digest in self.tags:
            if repository is not None and tag_target(db, repository, tag) == digest:
                _note(db, self.replica, self.repository, tag, digest, self.at)


def _require_stands(db: Connection, name: str, tag: str, stood: str) -> None:
    repository = repository_id(db, name)
    stands = None if repository is None else tag_target(db, repository, tag)
    if (stands or "") != stood:
        raise RefusedError(
            "the tag was moved here while it was compared", thing=f"{name}:{tag}",
            remedy="it is compared again at the next look", code="replica-moved",
        )  # fmt: skip


def _note(db: Connection, replica: str, repository: str, tag: str, digest: str, at: str) -> None:
    key = (replica, repository, tag)
    last = db.execute(
        "SELECT number, digest FROM replica_tags WHERE replica = ? AND repository = ? AND tag = ?"
        " ORDER BY number DESC LIMIT 1",
        key,
    ).fetchone()
    if last is None or last[1] != digest:
        db.execute(
            "INSERT INTO replica_tags (replica, repository, tag, number, digest, at) VALUES (?, ?, ?, ?, ?, ?)",
            (*key, 1 if last is None else last[0] + 1, digest, at),
        )
