"""What putting damaged rows right asks the metadata. Every function takes a reader's connection."""

from __future__ import annotations

from typing import Final

from appliance.store.errors import EngineError
from appliance.store.integrity import WrongRow
from appliance.store.ports import Reader
from appliance.store.raw_rows import RawLink, RawRow, RawTag
from appliance.store.reads.registry import Metadata
from bundles.errors import FailedError, MalformedError
from bundles.oci.digest import Digest

_NAMED: Final = 10_000
"""Digests that one look gives at most; the next look goes on."""


def repository_names(reader: Reader) -> dict[int, bytes]:
    """The name of each repository, as bytes, by its number."""
    return dict(reader.execute("SELECT id, CAST(name AS BLOB) FROM repositories").fetchall())


def rows_of(reader: Reader, repository: int, name: bytes) -> list[RawRow]:
    """Every row with a checksum that gives a repository's number."""
    tags = reader.execute(
        "SELECT CAST(tag AS BLOB), CAST(digest AS BLOB), CAST(updated AS BLOB), checksum FROM tags"
        " WHERE repository_id = ? AND checksum IS NOT NULL",
        (repository,),
    )
    found: list[RawRow] = [RawTag(repository, name, *row) for row in tags]
    links = reader.execute(
        "SELECT CAST(digest AS BLOB), CAST(kind AS BLOB), CAST(created AS BLOB), checksum FROM links"
        " WHERE repository_id = ? AND checksum IS NOT NULL",
        (repository,),
    )
    return found + [RawLink(repository, name, *row) for row in links]


def undescribed(reader: Reader) -> list[bytes]:
    """Digests that are shown as manifests and have no manifest's row, some of them where there are many."""
    rows = reader.execute(
        "SELECT DISTINCT CAST(digest AS BLOB) FROM links l WHERE kind = 'manifest'"
        " AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = l.digest) LIMIT ?",
        (_NAMED,),
    )
    return [digest for (digest,) in rows]


def unrecorded(reader: Reader) -> list[bytes]:
    """Digests that are shown and have no blob's row, as `undescribed`."""
    rows = reader.execute(
        "SELECT DISTINCT CAST(digest AS BLOB) FROM links l"
        " WHERE NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = l.digest) LIMIT ?",
        (_NAMED,),
    )
    return [digest for (digest,) in rows]


def may_be_tagged(reader: Reader, repository: int, digest: str) -> bool:
    """Whether a repository shows a manifest that has its row."""
    row = reader.execute(
        "SELECT 1 FROM links l JOIN manifests m ON m.digest = l.digest"
        " WHERE l.repository_id = ? AND l.digest = ? AND l.kind = 'manifest'",
        (repository, digest),
    ).fetchone()
    return row is not None


def is_recorded(reader: Reader, digest: str) -> bool:
    """Whether a blob has its row."""
    return reader.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None


def is_right_now(metadata: Metadata, row: WrongRow) -> bool:
    """Whether a row that was damaged is right by now, or gone. A few point reads; of blocks and of the database itself
    nothing is said."""
    try:
        if row.rows == "tag":
            metadata.tagged_manifest(row.repository, row.item)
        elif row.rows == "link":
            digest = Digest.parse(row.item)
            metadata.linked_manifest(row.repository, digest)
            metadata.linked_blob(row.repository, digest)
        elif row.rows == "manifest":
            metadata.manifest(Digest.parse(row.item))
        elif row.rows == "blob":
            metadata.blob(Digest.parse(row.item))
        else:
            return False
    except (FailedError, MalformedError, EngineError):
        return False
    return True
