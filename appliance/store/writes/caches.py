"""The transactions of pull-through caches: what an upstream gave becomes visible in the cache's own repositories."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from appliance.store.ports import Connection
from appliance.store.reads.caches import is_cached
from appliance.store.writes.content import (
    BlobRow,
    ManifestRow,
    ensure_repository,
    move_tag,
    record_blob,
    record_manifest,
    repository_id,
)
from appliance.store.writes.registry import ClientWrite
from appliance.store.writes.rows import link
from appliance.store.writes.write import Write
from bundles.errors import RefusedError


def mark_cached(db: Connection, repository: str, upstream: str, at: str) -> None:
    """Say that a cache brings what a repository shows."""
    db.execute(
        "INSERT INTO cached_repositories (repository, upstream, at) VALUES (?, ?, ?)"
        " ON CONFLICT (repository) DO UPDATE SET upstream = excluded.upstream",
        (repository, upstream, at),
    )


def refuse_cached(db: Connection, names: Iterable[str]) -> None:
    """Raises RefusedError where a cache brings what one of these repositories shows."""
    row = db.execute(
        "SELECT c.repository FROM cached_repositories c JOIN json_each(?) j ON j.value = c.repository LIMIT 1",
        (json.dumps(sorted(set(names))),),
    ).fetchone()
    if row is not None:
        raise RefusedError(
            "the repository is a cache's: nothing is released into it",
            thing=str(row[0]),
            remedy="take away what the cache brought there, and give it another prefix in config.toml (caches)",
        )


def _repository_of(db: Connection, name: str, upstream: str, at: str) -> int:
    """The row of a cache's repository, marked. Raises RefusedError where it shows what no cache brought."""
    found = repository_id(db, name)
    shows = "SELECT 1 FROM links WHERE repository_id = ? LIMIT 1"
    if found is not None and not is_cached(db, name) and db.execute(shows, (found,)).fetchone() is not None:
        raise RefusedError(
            "the repository holds what no cache brought",
            thing=name,
            remedy="give the cache another prefix in config.toml (caches)",
        )
    mark_cached(db, name, upstream, at)
    return ensure_repository(db, name, at)


def _ask(db: Connection, repository: str, tag: str, asked: int) -> None:
    db.execute(
        "INSERT INTO cached_tags (repository, tag, asked) VALUES (?, ?, ?)"
        " ON CONFLICT (repository, tag) DO UPDATE SET asked = excluded.asked",
        (repository, tag, asked),
    )


class CacheBlob(ClientWrite, frozen=True, kw_only=True):
    """A blob that an upstream gave becomes visible in the cache's repository."""

    upstream: str
    blob: BlobRow
    at: str

    def change(self, db: Connection) -> None:
        number = _repository_of(db, self.repository, self.upstream, self.at)
        record_blob(db, self.blob, self.at)
        link(db, number, self.blob.digest, "blob", self.at)

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        return (), (f"{self.repository}@{self.blob.digest}",)


class CacheManifest(ClientWrite, frozen=True, kw_only=True):
    """A manifest that an upstream gave becomes visible in the cache's repository, and `tag` ("" for none) moves to it.
    What it names need not be there: it comes when it is asked for. `asked`: when the upstream said so, in seconds."""

    upstream: str
    manifest: ManifestRow
    tag: str
    asked: int
    at: str

    def change(self, db: Connection) -> Any:
        number = _repository_of(db, self.repository, self.upstream, self.at)
        record_manifest(db, self.manifest, self.at)
        link(db, number, self.manifest.blob.digest, "manifest", self.at)
        if self.tag:
            move_tag(db, number, self.tag, self.manifest.blob.digest, self.at)
            _ask(db, self.repository, self.tag, self.asked)

    @property
    def things(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """As ClientWrite.things."""
        tags = (f"{self.repository}:{self.tag}",) if self.tag else ()
        return (f"{self.repository}@{self.manifest.blob.digest}", *tags), ()


class NoteCachedTag(Write, frozen=True):
    """The upstream said that a tag stands where it stood."""

    unrecorded: ClassVar[str] = "when a tag was last asked for upstream; nothing that is shown changes"
    repository: str
    tag: str
    asked: int

    def apply(self, db: Connection) -> None:
        _ask(db, self.repository, self.tag, self.asked)
