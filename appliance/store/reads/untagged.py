"""What the metadata says of a repository's manifests, for finding those to which no tag leads.

Every function takes a reader's connection, or the writer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from appliance.store.ports import Reader


@dataclass(frozen=True, slots=True)
class ShownManifest:
    """A manifest that a repository shows. `since`: from when it was linked, or from when the last tag that named it
    left it, whichever is later. `subject` is "" where it refers to none."""

    digest: str
    media_type: str
    artifact_type: str
    subject: str
    size: int
    since: str
    tagged: bool


def shown_manifests(db: Reader, repository: str) -> dict[str, ShownManifest]:
    """Every manifest of a repository, by digest, in bytewise order. Grows with their number."""
    rows = db.execute(
        "SELECT m.digest, m.media_type, m.artifact_type, coalesce(m.subject, ''), m.size,"
        " max(l.created, coalesce(u.since, '')),"
        " EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = l.repository_id AND t.digest = l.digest)"
        " FROM repositories r JOIN links l ON l.repository_id = r.id AND l.kind = 'manifest'"
        " JOIN manifests m ON m.digest = l.digest"
        " LEFT JOIN untagged u ON u.repository_id = l.repository_id AND u.digest = l.digest"
        " WHERE r.name = ? ORDER BY l.digest",
        (repository,),
    )
    return {
        digest: ShownManifest(digest, media_type, artifact_type, subject, size, since, bool(tagged))
        for digest, media_type, artifact_type, subject, size, since, tagged in rows
    }


def has_untagged(db: Reader, repository: str) -> bool:
    """Whether a repository shows a manifest that no tag of it names; one that an index lists is such a one, too."""
    row = db.execute(
        "SELECT 1 FROM repositories r JOIN links l ON l.repository_id = r.id AND l.kind = 'manifest' WHERE r.name = ?"
        " AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = r.id AND t.digest = l.digest) LIMIT 1",
        (repository,),
    ).fetchone()
    return row is not None


def holds_released(db: Reader, repository: str) -> bool:
    """Whether a release stands for something in the repository. Point read."""
    row = db.execute("SELECT 1 FROM released WHERE repository = ? LIMIT 1", (repository,)).fetchone()
    return row is not None


def pinned(db: Reader, repository: str) -> set[str]:
    """The manifests of a repository that a pin keeps."""
    rows = db.execute(
        "SELECT l.digest FROM repositories r JOIN links l ON l.repository_id = r.id AND l.kind = 'manifest'"
        " WHERE r.name = ? AND EXISTS (SELECT 1 FROM pins p WHERE p.digest = l.digest)",
        (repository,),
    )
    return {str(digest) for (digest,) in rows}


def blocked(db: Reader) -> set[str]:
    """Every digest that people have blocked."""
    return {str(digest) for (digest,) in db.execute("SELECT digest FROM blocks")}


def state_of(db: Reader, repository: str) -> str:
    """A digest over what a repository shows, its tags, what is blocked anywhere, and the epoch: it changes when one of
    these does."""
    seen = sha256()
    for row in _state(db, repository):
        seen.update(" ".join(map(str, row)).encode() + b"\n")
    return seen.hexdigest()


def _state(db: Reader, repository: str) -> Iterator[tuple[object, ...]]:
    yield from db.execute("SELECT value FROM epoch")
    yield from db.execute(
        "SELECT l.digest, l.created FROM repositories r JOIN links l ON l.repository_id = r.id"
        " AND l.kind = 'manifest' WHERE r.name = ? ORDER BY l.digest",
        (repository,),
    )
    yield from db.execute(
        "SELECT t.tag, t.digest FROM repositories r JOIN tags t ON t.repository_id = r.id WHERE r.name = ?"
        " ORDER BY t.tag",
        (repository,),
    )
