"""What taking a release back will take away and leave: asked before the event of a withdrawal, and again in its
transaction. Nothing is changed here. Every function takes a connection, a reader's or the writer's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from appliance.limits import store as limits
from appliance.store.ports import Reader
from appliance.store.writes.claims import Claim, claims_of, last_entries
from appliance.store.writes.content import repository_id
from appliance.store.writes.rows import is_linked, may_stand_at

Key = tuple[str, str]
"""Repository and digest."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The `claims` of the release, the `tags` among them that go from where they stand, and the links that nothing else
    stands for: those that `go`, and those that stay all the same, since a tag or a manifest that is shown names them;
    both by kind, as (repository, digest)."""

    claims: tuple[Claim, ...]
    tags: tuple[Claim, ...]
    manifests_go: frozenset[Key]
    manifests_stay: frozenset[Key]
    blobs_go: frozenset[Key]
    blobs_stay: frozenset[Key]

    @property
    def stays(self) -> list[Key]:
        """The links that stay, in order."""
        return sorted(self.manifests_stay | self.blobs_stay)

    def seal(self) -> str:
        """A digest of what stays: whether the transaction leaves what the event says."""
        hasher = hashlib.sha256()
        for repository, digest in self.stays:
            hasher.update(f"{repository}@{digest}\n".encode())
        return hasher.hexdigest()

    def told(self) -> Iterator[dict[str, list[str]]]:
        """What stays, by repository, `limits.LEFT_TOLD` at a time: each part fits into a line of the audit log."""
        stays = self.stays
        for at in range(0, len(stays), limits.LEFT_TOLD):
            part: dict[str, list[str]] = {}
            for repository, digest in stays[at : at + limits.LEFT_TOLD]:
                part.setdefault(repository, []).append(digest)
            yield part


def withdrawal_of(db: Reader, digest: str, keep: Iterable[Key], names: Mapping[Key, Sequence[str]]) -> Withdrawal:
    """What the withdrawal of the bundle with a digest does now. `keep` is what other manifests of each repository
    name, `names` what the bundle's own do."""
    claims, last = claims_of(db, digest), last_entries(db, digest)
    tags = tuple(one for one in claims if one.kind == "tag" and one.made and one.entry in last and _stands(db, one))
    losing = [one for one in claims if one.made and one.entry in last]
    kept, moved = set(keep), {(one.repository, one.item) for one in tags}
    shown = {key for key in names if _is_shown(db, *key)}
    manifests = {(one.repository, one.item) for one in losing if one.kind == "manifest"}
    going = {key for key in manifests if key not in kept and not _is_tagged(db, *key, moved)}
    _leave(going, [key for key in shown if key not in going], names)
    blobs = {(one.repository, one.item) for one in losing if one.kind == "blob"}
    blobs_going = blobs - kept
    _leave(blobs_going, [key for key in shown if key not in going], names)
    return Withdrawal(
        claims=tuple(claims), tags=tags, manifests_go=frozenset(going), manifests_stay=frozenset(manifests - going),
        blobs_go=frozenset(blobs_going), blobs_stay=frozenset(blobs - blobs_going),
    )  # fmt: skip


def _leave(going: set[Key], staying: list[Key], names: Mapping[Key, Sequence[str]]) -> None:
    """What stays keeps what it names, and that in turn what it names."""
    while staying:
        repository, _ = key = staying.pop()
        further = [(repository, digest) for digest in names.get(key, ()) if (repository, digest) in going]
        going.difference_update(further)
        staying += further


def _stands(db: Reader, tag: Claim) -> bool:
    """Whether a tag stands where its release put it."""
    number = repository_id(db, tag.repository)
    return number is not None and may_stand_at(db, number, tag.item, tag.target)


def _is_shown(db: Reader, repository: str, digest: str) -> bool:
    number = repository_id(db, repository)
    return number is not None and is_linked(db, number, digest, "manifest")


def _is_tagged(db: Reader, repository: str, digest: str, moved: set[Key]) -> bool:
    """Whether a tag stands at a manifest that does not go."""
    number = repository_id(db, repository)
    rows = db.execute("SELECT tag FROM tags WHERE repository_id = ? AND digest = ?", (number, digest))
    return any((repository, str(tag)) not in moved for (tag,) in rows)
