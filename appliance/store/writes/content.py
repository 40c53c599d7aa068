"""What the registry's transactions and those of other rooms build on: repositories' rows, blobs and manifests that
are recorded, tags that move.

Visible to nobody by itself: visibility is a link (appliance.store.writes.rows).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from appliance.store.ports import Connection, Reader
from appliance.store.rows import CRC_UNKNOWN, WrongRowError
from appliance.store.writes.rows import (
    put_manifests,
    set_tag,
    tag_target,
)

_CALLED: Final = "(SELECT name FROM repositories WHERE id = ?)"


class BlobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A blob whose bytes are durable in the store. `size` is bytes, `crc32` as zlib counts it."""

    digest: str
    size: int
    crc32: int


class ManifestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest's facts beside its bytes; `artifact_type` and `annotations` as the referrers API shows them."""

    blob: BlobRow
    media_type: str
    artifact_type: str = ""
    subject: str | None = None
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


def repository_id(db: Reader, name: str) -> int | None:
    """The repository's row, or None."""
    row = db.execute("SELECT id FROM repositories WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def ensure_repository(db: Connection, name: str, at: str) -> int:
    """The repository's row, made at `at` if it is new."""
    found = repository_id(db, name)
    if found is not None:
        return found
    (made,) = db.execute("INSERT INTO repositories (name, created) VALUES (?, ?) RETURNING id", (name, at)).fetchone()
    return int(made)


def ensure_repositories(db: Connection, names: Iterable[str], at: str) -> dict[str, int]:
    """The repositories' rows by name, made at `at` where they are new."""
    every = sorted(set(names))
    db.executemany(
        "INSERT INTO repositories (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING", [(name, at) for name in every]
    )
    rows = db.execute(
        "SELECT name, id FROM repositories WHERE name IN (SELECT value FROM json_each(?))", (json.dumps(every),)
    )
    return {str(name): int(number) for name, number in rows}


def record_blob(db: Connection, blob: BlobRow, at: str) -> None:
    """Say that the bytes are held. Visible to nobody by itself."""
    record_blobs(db, (blob,), at)


def record_blobs(db: Connection, blobs: Sequence[BlobRow], at: str) -> None:
    """Say that the bytes of each are held. Visible to nobody by itself."""
    db.executemany(
        "INSERT INTO blobs (digest, size, crc32, created, checksum) VALUES (?1, ?2, ?3, ?4, blob_sum(?1, ?2, ?3))"  # noqa: S608  a constant
        " ON CONFLICT (digest) DO UPDATE"
        " SET size = excluded.size, crc32 = excluded.crc32, checksum = excluded.checksum"
        f" WHERE blobs.crc32 = {CRC_UNKNOWN} OR blobs.checksum <> blob_sum(blobs.digest, blobs.size, blobs.crc32)",
        [(blob.digest, blob.size, blob.crc32, at) for blob in blobs],
    )
    # Whoever records a blob has just made its bytes durable, or read them all: a withdrawn one is whole again.
    db.executemany(
        "UPDATE damage SET healed = ? WHERE digest = ? AND healed IS NULL", [(at, blob.digest) for blob in blobs]
    )
    db.executemany("DELETE FROM unread WHERE digest = ?", [(blob.digest,) for blob in blobs])
    if db.execute("SELECT 1 FROM wrong_rows WHERE rows = 'blob' LIMIT 1").fetchone() is not None:
        db.executemany("DELETE FROM wrong_rows WHERE rows = 'blob' AND item = ?", [(blob.digest,) for blob in blobs])


def record_manifest(db: Connection, manifest: ManifestRow, at: str) -> None:
    """Say that the bytes are held and are a manifest. Visible to nobody by itself."""
    record_manifests(db, (manifest,), at)


def record_manifests(db: Connection, manifests: Sequence[ManifestRow], at: str) -> None:
    """Say that the bytes of each are held and are a manifest, and what they say; a row that says something else is made
    anew. Visible to nobody by itself."""
    record_blobs(db, [manifest.blob for manifest in manifests], at)
    facts = (
        (
            manifest.blob.digest,
            manifest.media_type,
            manifest.artifact_type,
            manifest.subject,
            manifest.blob.size,
            json.dumps(dict(manifest.annotations), ensure_ascii=False),
        )
        for manifest in manifests
    )
    put_manifests(db, facts, at)


def move_tag(db: Connection, repository: int, tag: str, digest: str, at: str) -> None:
    """Point a tag at a recorded manifest as a push or a collect does. Where that changes it, no release stands for the
    tag any more; a push of what is there says nothing new."""
    try:
        standing = tag_target(db, repository, tag)
    except WrongRowError:
        standing = None  # the push puts it right
    if standing != digest:
        end_tag_claims(db, repository, tag)
    set_tag(db, repository, tag, digest, at)


def end_tag_claims(db: Connection, repository: int, tag: str) -> None:
    """Releases stand for the tag no more: where somebody puts it later is not theirs to take away."""
    db.execute(
        "UPDATE released SET made = 0 WHERE repository = (SELECT name FROM repositories WHERE id = ?)"
        " AND kind = 'tag' AND item = ?",
        (repository, tag),
    )


def forget_if_empty(db: Connection, repository: int) -> None:
    """A repository exists as long as it shows something."""
    if db.execute("SELECT 1 FROM links WHERE repository_id = ? LIMIT 1", (repository,)).fetchone() is None:
        db.execute("DELETE FROM untagged WHERE repository_id = ?", (repository,))
        db.execute(f"DELETE FROM cached_tags WHERE repository = {_CALLED}", (repository,))  # noqa: S608  a constant
        db.execute(f"DELETE FROM cached_repositories WHERE repository = {_CALLED}", (repository,))  # noqa: S608
        db.execute("DELETE FROM repositories WHERE id = ?", (repository,))
