"""The transactions that put damaged rows right: what bytes, checksums or the audit log prove takes their place."""

from __future__ import annotations

import json
from typing import Final

from appliance.store.ports import Connection
from appliance.store.raw_rows import RawLink, RawTag
from appliance.store.writes.content import ManifestRow, record_blob
from appliance.store.writes.rows import exchange_link, exchange_tag, take_unknown_manifest, write_manifest_anew
from appliance.store.writes.write import Write
from bundles.errors import FailedError

REMADE: Final = frozenset(
    {"tags_by_digest", "tags_again", "links_by_digest", "manifests_by_subject", "repositories_again",
     "sqlite_autoindex_repositories_1"}
)  # fmt: skip
"""Indexes of tables whose rows have checksums, or are named by rows that have."""


class RemakeIndexes(Write, frozen=True):
    """Indexes that differ from their tables are made anew from these. Raises FailedError for any other one."""

    names: tuple[str, ...]

    def apply(self, db: Connection) -> None:
        for name in self.names:
            if name not in REMADE:
                raise FailedError("this index is not made anew", thing=name[:60])
            db.execute(f"REINDEX {name}")


class PutTagRight(Write, frozen=True):
    """A row takes the place of a damaged one that still stands as it was read. The result says whether it did."""

    wrong: RawTag
    right: RawTag

    def apply(self, db: Connection) -> bool:
        return exchange_tag(db, self.wrong, self.right)


class PutLinkRight(Write, frozen=True):
    """As PutTagRight."""

    wrong: RawLink
    right: RawLink

    def apply(self, db: Connection) -> bool:
        return exchange_link(db, self.wrong, self.right)


class PutNameRight(Write, frozen=True):
    """A repository has the name again under which its rows have their checksums. The result says whether it has: not
    where another one has that name by now."""

    repository: int
    wrong: bytes
    right: str

    def apply(self, db: Connection) -> bool:
        return (
            db.execute(
                "UPDATE repositories SET name = ?1 WHERE id = ?2 AND CAST(name AS BLOB) = ?3"
                " AND NOT EXISTS (SELECT 1 FROM repositories other WHERE other.name = ?1)",
                (self.right, self.repository, self.wrong),
            ).rowcount
            > 0
        )


class DescribeAnew(Write, frozen=True):
    """A manifest's row says what its bytes say, which were just read, whatever it said before."""

    manifest: ManifestRow
    at: str

    def apply(self, db: Connection) -> None:
        one = self.manifest
        record_blob(db, one.blob, self.at)
        annotations = json.dumps(dict(one.annotations), ensure_ascii=False)
        facts = (one.blob.digest, one.media_type, one.artifact_type, one.subject, one.blob.size, annotations)
        write_manifest_anew(db, facts, self.at)


class TakeUnknownRow(Write, frozen=True):
    """A damaged row of a manifest or blob goes whose digest nothing else knows: a bit of its key flipped. The result
    says whether it went."""

    digest: bytes
    is_manifest: bool

    def apply(self, db: Connection) -> bool:
        if self.is_manifest:
            return take_unknown_manifest(db, self.digest)
        return (
            db.execute(
                "DELETE FROM blobs WHERE digest = CAST(?1 AS TEXT)"
                " AND NOT EXISTS (SELECT 1 FROM links l WHERE l.digest = blobs.digest)"
                " AND NOT EXISTS (SELECT 1 FROM pins p WHERE p.digest = blobs.digest)"
                " AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = blobs.digest)",
                (self.digest,),
            ).rowcount
            > 0
        )
