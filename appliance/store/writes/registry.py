"""The registry's transactions: what makes content visible in a repository, and what takes it away.

Visibility is a link (repository, digest). Links are made here, by a push, a mount or a tag, and by intake's release
through the same functions; a pushed manifest may name only what its own repository links already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.store.integrity import require_checked
from appliance.store.ports import Connection
from appliance.store.writes.content import (
    BlobRow,
    ManifestRow,
    end_tag_claims,
    ensure_repository,
    forget_if_empty,
    move_tag,
    record_blob,
    record_manifest,
    repository_id,
)
from appliance.store.writes.rows import (
    Kind,
    has_link,
    is_linked,
    link,
    tag_target,
    take_link,
    take_tag,
)
from appliance.store.writes.write import Write
from bundles.errors import NotFoundError, RefusedError


def _delete_tag(db: Connection, repository: int, tag: str) -> bool:
    taken = take_tag(db, repository, tag)
    if taken:
        end_tag_claims(db, repository, tag)
    return taken


def _unlinked(db: Connection, repository: int, digests: Iterable[str], kind: Kind) -> list[str]:
    return [digest for digest in digests if not is_linked(db, repository, digest, kind)]


def refuse_released(db: Connection, repository: str) -> None:
    """Raises RefusedError where the repository holds released content. One indexed read."""
    if db.execute("SELECT 1 FROM released WHERE repository = ? LIMIT 1", (repository,)).fetchone() is not None:
        raise holds_released(repository)


def holds_released(repository: str, *, takes_away: bool = False) -> RefusedError:
    """The refusal of a write to a repository that holds released content, or of taking something away from it."""
    if takes_away:
        return RefusedError(
            "the repository holds released content",
            thing=repository,
            remedy="it goes with its bundle: lockgate intake withdraw BUNDLE --why TEXT (see: lockgate intake list)",
        )
    return RefusedError(
        "the repository holds released content",
        thing=repository,
        remedy="use another repository; released content changes by a bundle or a withdrawal",
    )


def tag_stays(thing: str) -> RefusedError:
    """The refusal to move a tag of an immutable stage."""
    return RefusedError(
        "the stage is immutable, and its tag stays",
        thing=thing,
        remedy="use another tag, or have the policy name it in `moving` of the stage",
        code="stage",
    )


class ClientWrite(Write, frozen=True, kw_only=True):
    """A write that a client asks for. `keeps_released`: refused where the repository holds released content."""

    repository: str
    keeps_released: bool = False

    def apply(self, db: Connection) -> Any:
        if self.keeps_released:
            refuse_released(db, self.repository)
        return self.change(db)

    def change(self, db: Connection) -> Any:
        """Make the change, once it is allowed."""
        raise LookupError(f"{type(self).__name__} has no change")

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Which things nobody else may change while it is recorded and done, and which others may too, to the same end
        (appliance.store.turns)."""
        raise LookupError(f"{type(self).__name__} does not say what it changes")


class LinkBlob(ClientWrite, frozen=True, kw_only=True):
    """A pushed blob becomes visible in its repository (specification: end-4b, end-6)."""

    blob: BlobRow
    at: str

    def change(self, db: Connection) -> None:
        record_blob(db, self.blob, self.at)
        link(db, ensure_repository(db, self.repository, self.at), self.blob.digest, "blob", self.at)

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (), (f"{self.repository}@{self.blob.digest}",)


class MountBlob(ClientWrite, frozen=True, kw_only=True):
    """A blob that `source` shows becomes visible in `repository` too (specification: end-11).

    The result says whether it was mounted; False where the source does not show it (any more).
    """

    source: str
    digest: str
    at: str

    def change(self, db: Connection) -> bool:
        source = repository_id(db, self.source)
        if source is None or not is_linked(db, source, self.digest, "blob"):
            return False
        link(db, ensure_repository(db, self.repository, self.at), self.digest, "blob", self.at)
        return True

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (), (f"{self.repository}@{self.digest}",)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of what a reference points at now (RFC 9110, If-Match and If-None-Match).

    `tag` names the reference ("" where it is the pushed digest itself). `match`: it must point at one of these, or
    at anything for `*`. `none_match`: it must point at none of these, or at nothing for `*`. None: no condition.
    """

    tag: str = ""
    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    def holds(self, current: str | None) -> bool:
        """Whether it holds where the reference points at the digest `current`, or at nothing."""
        if self.match is not None and (current is None or not {"*", current} & set(self.match)):
            return False
        return self.none_match is None or current is None or not {"*", current} & set(self.none_match)


class PutManifest(ClientWrite, frozen=True, kw_only=True):
    """A pushed manifest becomes visible, and its tags move to it, together (specification: end-7). A tag of `stays`
    that stands elsewhere is a RefusedError.

    The result says what stood in the way, and then nothing has changed: `missing` lists the digests among
    `needs_blobs` and `needs_manifests` that the repository does not show, `stale` that the condition does not hold.
    """

    manifest: ManifestRow
    at: str
    tags: tuple[str, ...] = ()
    needs_blobs: tuple[str, ...] = ()
    needs_manifests: tuple[str, ...] = ()
    condition: Condition | None = None
    stays: tuple[str, ...] = ()

    def change(self, db: Connection) -> dict[str, Any]:
        repository = ensure_repository(db, self.repository, self.at)
        missing = _unlinked(db, repository, self.needs_blobs, "blob")
        missing += _unlinked(db, repository, self.needs_manifests, "manifest")
        stale = self.condition is not None and not self.condition.holds(self._current(db, repository))
        if missing or stale:
            forget_if_empty(db, repository)
            return {"missing": missing, "stale": stale}
        for tag in self.stays:
            if tag_target(db, repository, tag) not in (None, self.manifest.blob.digest):
                raise tag_stays(f"{self.repository}:{tag}")
        record_manifest(db, self.manifest, self.at)
        link(db, repository, self.manifest.blob.digest, "manifest", self.at)
        for tag in self.tags:
            move_tag(db, repository, tag, self.manifest.blob.digest, self.at)
        return {"missing": [], "stale": False}

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        tags = (f"{self.repository}:{tag}" for tag in self.tags)
        return (f"{self.repository}@{self.manifest.blob.digest}", *tags), ()

    def _current(self, db: Connection, repository: int) -> str | None:
        if self.condition is not None and self.condition.tag:
            return tag_target(db, repository, self.condition.tag)
        digest = self.manifest.blob.digest
        return digest if is_linked(db, repository, digest, "manifest") else None


class PutTag(ClientWrite, frozen=True, kw_only=True):
    """A tag points at a manifest its repository shows already. Raises NotFoundError."""

    tag: str
    digest: str
    at: str

    def change(self, db: Connection) -> None:
        repository = repository_id(db, self.repository)
        if repository is None or not is_linked(db, repository, self.digest, "manifest"):
            raise NotFoundError("no such manifest in the repository", thing=f"{self.repository}@{self.digest}")
        move_tag(db, repository, self.tag, self.digest, self.at)

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (f"{self.repository}@{self.digest}", f"{self.repository}:{self.tag}"), ()


class DeleteTag(ClientWrite, frozen=True, kw_only=True):
    """A tag goes; what it pointed at stays (specification: end-9). The result says whether it was there."""

    tag: str

    def change(self, db: Connection) -> bool:
        require_checked(db)
        repository = repository_id(db, self.repository)
        return repository is not None and _delete_tag(db, repository, self.tag)

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (f"{self.repository}:{self.tag}",), ()


class DeleteManifest(ClientWrite, frozen=True, kw_only=True):
    """A manifest and every tag on it vanish from one repository (specification: end-9).

    The result says whether it was there.
    """

    digest: str

    def change(self, db: Connection) -> bool:
        require_checked(db)
        repository = repository_id(db, self.repository)
        if repository is None or not has_link(db, repository, self.digest, "manifest"):
            return False
        tags = db.execute(
            "SELECT tag FROM tags WHERE repository_id = ? AND digest = ?", (repository, self.digest)
        ).fetchall()
        for (tag,) in tags:
            _delete_tag(db, repository, tag)
        return _unlink(db, repository, self.digest, "manifest")

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (f"{self.repository}@{self.digest}",), ()


class DeleteBlob(ClientWrite, frozen=True, kw_only=True):
    """A blob vanishes from one repository (specification: end-10). The result says whether it was there."""

    digest: str

    def change(self, db: Connection) -> bool:
        require_checked(db)
        repository = repository_id(db, self.repository)
        return repository is not None and _unlink(db, repository, self.digest, "blob")

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (f"{self.repository}@{self.digest}",), ()


def _unlink(db: Connection, repository: int, digest: str, kind: Kind) -> bool:
    deleted = take_link(db, repository, digest, kind, "deleted")
    # Releases stand for it no more: a link that somebody makes later is not theirs to take away.
    db.execute(
        "UPDATE released SET made = 0 WHERE repository = (SELECT name FROM repositories WHERE id = ?)"
        " AND kind = ? AND item = ?",
        (repository, kind, digest),
    )
    forget_if_empty(db, repository)
    return deleted


class BumpEpoch(Write, frozen=True):
    """Every verdict and token cached under the old epoch is void. The result is the new one."""

    def apply(self, db: Connection) -> Any:
        return db.execute("UPDATE epoch SET value = value + 1 RETURNING value").fetchone()[0]
